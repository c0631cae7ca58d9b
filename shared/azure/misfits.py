"""What does not fit together in storage, and how it is set right: as after a restore, a failover or damage."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from shared.errors import StoredFault


@dataclass(frozen=True, slots=True)
class Misfit:
    """A document that does not fit what else is stored.

    Attributes:
        path: Where it is.
        fault: What does not fit, and what can be done about it.
    """

    path: str
    fault: StoredFault


@dataclass(frozen=True, slots=True)
class Repair:
    """What would be set right, in words, and how."""

    misfit: Misfit
    words: str
    apply: Callable[[], Awaitable[None]]

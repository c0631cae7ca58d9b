"""What does not fit together in storage, and how it is set right: as after a restore, a failover or damage."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Self

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
    """What would be set right, in words, and how.

    Attributes:
        is_left: Nothing is set right: what does not fit stays, until a person has done something.
    """

    misfit: Misfit
    words: str
    apply: Callable[[], Awaitable[None]]
    is_left: bool = False

    @classmethod
    def leave(cls, misfit: Misfit, why: str) -> Self:
        """Return the word that a document is named, and left as it is."""
        return cls(misfit, f"leave it: {why}", _nothing, is_left=True)


async def _nothing() -> None:
    """Leave everything as it is."""

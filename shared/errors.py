"""Everything that can go wrong, grouped by what the caller does about it.

AppError
├── Wait                 come back at a known instant
│   └── Throttled            AvePoint, or our own budget, asks for patience
├── Retry                the same again may succeed
│   ├── Unreachable          nothing was sent: certainly not executed
│   ├── Interrupted          sent, and the answer was lost: perhaps executed
│   ├── UpstreamFailed       AvePoint answered 5xx: perhaps executed
│   └── StorageUnavailable   Azure Storage did not do it
├── Skip                 leave this one out and go on
│   └── Gone                 the object is not there (404, 410)
├── Conflict             somebody else wrote first: read again, or leave it to them
└── GiveUp               only a person can help
    ├── Misconfigured        an app setting is missing or wrong
    ├── InvalidInput         the caller sent something that cannot be done
    │   ├── TooLarge             more at once than the settings allow
    │   └── KeyReused            the idempotency key of another request
    ├── Forbidden            the settings, or the roles of the caller, do not allow this call
    ├── Unauthorized         AvePoint refuses our credentials or our rights
    ├── Rejected             AvePoint refuses this request
    ├── BadAnswer            AvePoint answered something that cannot be used
    └── BrokenChain          following the pages would be unsafe or endless

A message says what happened and to what; ``remedy`` says what the reader can do. Neither ever holds a secret.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime


class AppError(Exception):
    """Base of all errors of this app.

    Args:
        message: What happened, to what.
        remedy: What the reader can do about it; empty where waiting is all there is.
    """

    def __init__(self, message: str, *, remedy: str = "") -> None:
        super().__init__(message)
        self.remedy = remedy

    @property
    def text(self) -> str:
        """What happened, and what the reader can do about it."""
        return f"{str(self).removesuffix('.')}. {self.remedy}" if self.remedy else str(self)


class Wait(AppError):
    """Come back at ``until`` (UTC)."""

    def __init__(self, message: str, *, until: datetime, remedy: str = "") -> None:
        super().__init__(message, remedy=remedy)
        self.until = until


class Throttled(Wait):
    """AvePoint, or the shared request budget, asks for patience."""


class Retry(AppError):
    """The same again may succeed."""


class Unreachable(Retry):
    """No connection: nothing was sent, so nothing was executed."""


class Interrupted(Retry):
    """The request was sent and the answer was lost: it may have been executed."""


class UpstreamFailed(Retry):
    """AvePoint answered 5xx: the request may have been executed."""

    def __init__(self, message: str, *, status: int, remedy: str = "") -> None:
        super().__init__(message, remedy=remedy)
        self.status = status


class StorageUnavailable(Retry):
    """Azure Storage did not do what was asked, for now."""


class Skip(AppError):
    """Leave this one out and go on."""


class Gone(Skip):
    """The object is not there any more (404, 410)."""

    def __init__(self, message: str, *, status: int, remedy: str = "") -> None:
        super().__init__(message, remedy=remedy)
        self.status = status


class Conflict(AppError):
    """Somebody else wrote first: read again, or leave the work to them."""


class GiveUp(AppError):
    """Only a person can help."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One app setting that is missing or wrong."""

    setting: str
    message: str
    remedy: str


class Misconfigured(GiveUp):
    """App settings are missing or wrong; ``problems`` names each."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__(
            "; ".join(f"{problem.setting}: {problem.message}" for problem in problems),
            remedy=" ".join(problem.remedy for problem in problems),
        )
        self.problems = tuple(problems)


@dataclass(frozen=True, slots=True)
class Detail:
    """One fault in what a caller sent: where it is (``records[3].rowKey``) and which rule it breaks."""

    target: str
    code: str
    message: str


class InvalidInput(GiveUp):
    """The caller sent something that cannot be done; ``details`` names each fault."""

    def __init__(self, message: str, *, target: str, details: Sequence[Detail] = (), remedy: str = "") -> None:
        super().__init__(message, remedy=remedy)
        self.target = target
        self.details = tuple(details)


class TooLarge(InvalidInput):
    """The caller sent more at once than the settings allow."""


class KeyReused(InvalidInput):
    """The caller sent an idempotency key that belongs to another request."""


class Forbidden(GiveUp):
    """The settings of the app, or the roles of the caller, do not allow this call."""


class Unauthorized(GiveUp):
    """AvePoint refuses our credentials (401, ``invalid_client``) or our rights (403, ``invalid_scope``)."""


class Rejected(GiveUp):
    """AvePoint refuses this request: it was not executed."""

    def __init__(self, message: str, *, status: int, remedy: str = "") -> None:
        super().__init__(message, remedy=remedy)
        self.status = status


class BadAnswer(GiveUp):
    """AvePoint answered something that cannot be used: not JSON, no envelope, too large."""


class BrokenChain(GiveUp):
    """Following the pages would be unsafe or endless: a link to elsewhere, a loop, a ceiling."""

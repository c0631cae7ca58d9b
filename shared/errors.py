"""Everything that can go wrong, grouped by what the caller does about it.

AppError
├── Wait                 come back at a known instant
│   └── Throttled            AvePoint, or our own budget, asks for patience
│       └── Overloaded           AvePoint does not say for how long
├── Retry                the same again may succeed
│   ├── Unreachable          nothing was sent: certainly not executed
│   │   └── TokenUnavailable     for want of a credential or a token
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
    ├── NotFound             there is no such thing
    ├── NotReady             it is not there yet, or is switched off
    ├── Outdated             it was there, and is kept no longer
    ├── Forbidden            the settings, or the roles of the caller, do not allow this call
    ├── Unauthorized         AvePoint refuses our credentials or our rights
    │   └── TokenRefused         AvePoint refuses a token that it has just given
    ├── Rejected             AvePoint refuses this request
    ├── BadResponse          AvePoint answered something that cannot be used
    │   └── UnreadableResponse   it is cut, not JSON, or a page for people: the next one may be whole
    ├── StoredFault          what is in storage cannot be used, and is left as it is
    │   ├── DamagedDocument      it is not the document that belongs there
    │   ├── MissingDocument      another document names it, and it is not there
    │   ├── ArchivedDocument     it has to be rehydrated before anybody can read it
    │   ├── NewerDocument        a newer version of the app wrote it
    │   └── FutureTime           it tells of a time that is still to come
    └── BrokenChain          following the pages would be unsafe or endless
        └── RepeatedPage         the server sends a page again

A message says what happened and to what; ``remedy`` says what the reader can do. Neither ever holds a secret.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

REPAIR = "./avepoint doctor --repair says what to repair."
"""The remedy where stored documents do not fit together."""


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


class Overloaded(Throttled):
    """AvePoint asks for patience and does not say for how long: ``until`` is a guess."""


class Retry(AppError):
    """The same again may succeed."""


class Unreachable(Retry):
    """No connection: nothing was sent, so nothing was executed."""


class TokenUnavailable(Unreachable):
    """The vault or the identity service gave no token: nothing was sent."""


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


class NotFound(GiveUp):
    """There is no such thing as the caller names."""


class NotReady(GiveUp):
    """What the caller asks for is not there yet, or is switched off."""


class Outdated(GiveUp):
    """What the caller asks for was there once, and is kept no longer."""


class Forbidden(GiveUp):
    """The settings of the app, or the roles of the caller, do not allow this call."""


class Unauthorized(GiveUp):
    """AvePoint refuses our credentials (401, ``invalid_client``) or our rights (403, ``invalid_scope``)."""


class TokenRefused(Unauthorized):
    """AvePoint refuses a token that it has just given: its services may not agree yet, so this may pass."""


class Rejected(GiveUp):
    """AvePoint refuses this request: it was not executed."""

    def __init__(self, message: str, *, status: int, remedy: str = "") -> None:
        super().__init__(message, remedy=remedy)
        self.status = status


class BadResponse(GiveUp):
    """AvePoint answered something that cannot be used: not JSON, no envelope, too large."""


class UnreadableResponse(BadResponse):
    """AvePoint answered with something cut, not JSON, or a page for people: the next answer may be whole."""


class StoredFault(GiveUp):
    """What is in storage cannot be used. It is left as it is, and whatever does not need it goes on."""


class DamagedDocument(StoredFault):
    """A stored document is not the document that belongs there."""


class MissingDocument(StoredFault):
    """Another document names it, and it is not there: not there is not nothing."""


class ArchivedDocument(StoredFault):
    """It is in the archive tier, where nothing can be read before it is rehydrated."""


class NewerDocument(StoredFault):
    """A newer version of the app wrote this document or message: leave it for that version."""


class FutureTime(StoredFault):
    """A stored document tells of a time that is still to come: the clock of its writer was wrong."""


class BrokenChain(GiveUp):
    """Following the pages would be unsafe or endless: a link to elsewhere, a loop, a ceiling."""


class RepeatedPage(BrokenChain):
    """The server sends a page again: a loop or, where everything has come, the end of the list."""

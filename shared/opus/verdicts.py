"""What the answer to a submit or destroy proves."""

from dataclasses import dataclass
from datetime import datetime

from shared.avepoint.opus import Processed


@dataclass(frozen=True, slots=True)
class Answered:
    """AvePoint processed the call and says of which items it failed."""

    processed: Processed
    status: int
    answer: str


@dataclass(frozen=True, slots=True)
class Refused:
    """AvePoint refused the call: nothing was executed, and the same again would not be either."""

    code: str
    reason: str


@dataclass(frozen=True, slots=True)
class Later:
    """AvePoint asks for patience: nothing was executed."""

    until: datetime


@dataclass(frozen=True, slots=True)
class NotSent:
    """There was no connection: nothing was executed."""

    reason: str


@dataclass(frozen=True, slots=True)
class Unknown:
    """The call may have been executed, or not."""

    reason: str


type Verdict = Answered | Refused | Later | NotSent | Unknown

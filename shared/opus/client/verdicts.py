"""What the answer to a submit or destroy proves."""

from dataclasses import dataclass
from datetime import datetime

from shared.avepoint.opus_answers import Processed


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
class NotSentYet:
    """The credential or the token could not be had: nothing was sent, and this does not count as an attempt."""

    reason: str


@dataclass(frozen=True, slots=True)
class NotSent:
    """There was no connection: nothing was executed."""

    reason: str


@dataclass(frozen=True, slots=True)
class Unknown:
    """The call may have been executed, or not."""

    reason: str


type CallVerdict = Answered | Refused | Later | NotSentYet | NotSent | Unknown

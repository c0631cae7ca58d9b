"""A request to AvePoint and its answer, as values."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from shared.avepoint.platform import Registration

type Method = Literal["GET", "POST", "DELETE"]


@dataclass(frozen=True, slots=True)
class Request:
    """What to ask AvePoint, without a word on how.

    Attributes:
        url: Absolute, without the token.
        scope: The one scope its token needs (several in one token may fail).
        registration: The app registration to ask under.
        body: JSON, or ``None`` for a request without a body.
    """

    method: Method
    url: str = field(repr=False)
    scope: str
    registration: Registration
    body: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Response:
    """What came back, whole and decompressed; header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)

"""Custom columns: what callers may write into them, and how it is written for Opus.

A column of Opus is text, a number, a date, a choice (the ordinal number of the option), several choices (ordinal
numbers in square brackets), or people and groups (e-mail addresses in square brackets): AvePoint/cloud-api,
``docs/docs/services-and-features/opus/submit-records.md``. Whether the brackets are a JSON array or stand in a text is
not documented; a list is sent as a JSON array, and a text as the text it is.

A plain value says by itself what it is. One that could be taken for something else is written with its type:
``{"type": "text", "value": "2026-01-15T08:30:00Z"}`` is no date.
"""

import re
from datetime import datetime
from math import isfinite
from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    JsonValue,
    StrictInt,
    StrictStr,
    Tag,
)

from shared.opus.dates import Dates, parse_time, zoned_time

_WANTED = (
    "a text, number, truth value, list of texts or numbers is wanted, or an object with value and type: text, number, "
    "date, choice, multiChoice or person"
)
_EMAIL = re.compile(r"[^@\s,\[\]]+@[^@\s,\[\]]+")


def _plain_column(value: JsonValue) -> JsonValue:
    listed = value if isinstance(value, list) else []
    if not all(_plain(entry) for entry in listed) or not (_plain(value) or isinstance(value, list | bool | None)):
        raise ValueError(_WANTED)
    return value


def _plain(value: JsonValue) -> bool:
    number = isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value)
    return number or isinstance(value, str)


def _time(value: object) -> datetime:
    if not isinstance(value, str):
        raise ValueError("a time such as 2026-01-15T08:30:00Z is wanted")  # noqa: TRY004 - pydantic wants ValueError
    return parse_time(value)


def _number(value: object) -> object:
    if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value):
        raise ValueError("a number is wanted")
    return value


def _email(value: str) -> str:
    if not _EMAIL.fullmatch(value):
        raise ValueError("the full e-mail address of a user or group is wanted")
    return value


Time = Annotated[datetime, BeforeValidator(_time)]
Ordinal = Annotated[StrictInt, Field(ge=1)]
Email = Annotated[StrictStr, AfterValidator(_email)]
Number = Annotated[int | float, BeforeValidator(_number)]


class _Typed(BaseModel):
    model_config = ConfigDict(extra="forbid")


class TextColumn(_Typed):
    """One line of text, or several."""

    type: Literal["text"]
    value: StrictStr


class NumberColumn(_Typed):
    """A number."""

    type: Literal["number"]
    value: Number


class DateColumn(_Typed):
    """A date and time in RFC 3339; without a zone it is a time of the tenant."""

    type: Literal["date"]
    value: Time


class ChoiceColumn(_Typed):
    """The ordinal number of the option that is chosen; the first is 1."""

    type: Literal["choice"]
    value: Ordinal


class MultiChoiceColumn(_Typed):
    """The ordinal numbers of the options that are chosen."""

    type: Literal["multiChoice"]
    value: list[Ordinal]


class PersonColumn(_Typed):
    """The e-mail addresses of people and groups."""

    type: Literal["person"]
    value: list[Email]


_TYPES = ("text", "number", "date", "choice", "multiChoice", "person")


def _type(value: object) -> str:
    """Which alternative a value is meant to be."""
    kind = value.get("type") if isinstance(value, dict) else getattr(value, "type", None)
    return kind if kind in _TYPES else "plain"


TAGS = frozenset({"plain", *_TYPES})
"""What pydantic calls the alternatives when it says where a fault is."""

type Column = Annotated[
    Annotated[TextColumn, Tag("text")]
    | Annotated[NumberColumn, Tag("number")]
    | Annotated[DateColumn, Tag("date")]
    | Annotated[ChoiceColumn, Tag("choice")]
    | Annotated[MultiChoiceColumn, Tag("multiChoice")]
    | Annotated[PersonColumn, Tag("person")]
    | Annotated[JsonValue, AfterValidator(_plain_column), Tag("plain")],
    Discriminator(_type),
]
"""A value of a custom column: plain, or with its type."""


type Typed = TextColumn | NumberColumn | DateColumn | ChoiceColumn | MultiChoiceColumn | PersonColumn


def written(value: JsonValue | datetime | Typed, dates: Dates) -> JsonValue:
    """A validated value as Opus wants it; a text that is a whole time with its zone is a date. Pure."""
    match value:
        case TextColumn() | NumberColumn() | ChoiceColumn():
            return value.value
        case MultiChoiceColumn() | PersonColumn():
            return [*value.value]
        case DateColumn():
            return dates.written(value.value)
        case datetime():
            return dates.written(value)
        case str() if time := zoned_time(value):
            return dates.written(time)
        case _:
            return value

"""Custom columns: what callers may write into them, and how it is written for Opus.

A column of Opus is text, a number, a date, a choice (the ordinal number of the option), several choices (ordinal
numbers in square brackets), or people and groups (e-mail addresses in square brackets): AvePoint/cloud-api,
``docs/docs/services-and-features/opus/submit-records.md``. Whether the brackets are a JSON array or stand in a text is
not documented; a list is sent as a JSON array, and a text as the text it is.

A plain value says by itself what it is. One that could be taken for something else is written with its type:
``{"type": "text", "value": "2026-01-15T08:30:00Z"}`` is not a date. ``null`` is no value, and so is a blank text where
another type is named.
"""

import re
from datetime import date, datetime
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
    WithJsonSchema,
)

from shared.opus.intake.dates import Dates, parse_date, parse_record_time, zoned_time

_WANTED = (
    "must be a text, number, truth value, list of texts or numbers, or an object with value and type: text, number, "
    "date, choice, multiChoice or person"
)
_EMAIL = re.compile(r"[^@\s,;:|<>()\[\]\"\\]+@[^@\s,;:|<>()\[\]\"\\]+")
"""An address in plain form (RFC 5321); what has a ``|`` is a claim of SharePoint, which Opus does not know."""

_NUMBERS = range(-(2**63), 2**64)
"""The whole numbers that fit 64 bits; nothing that reads JSON is sure to take others."""


def _plain_column(value: JsonValue) -> JsonValue:
    listed = value if isinstance(value, list) else []
    if not all(_plain(entry) for entry in listed) or not (_plain(value) or isinstance(value, list | bool | None)):
        raise ValueError(_WANTED)
    return value


def _plain(value: JsonValue) -> bool:
    return _is_number(value) or isinstance(value, str)


def _is_number(value: object) -> bool:
    if isinstance(value, float):
        return isfinite(value)
    return isinstance(value, int) and not isinstance(value, bool) and value in _NUMBERS


def _time(value: object) -> datetime:
    if not isinstance(value, str):
        raise ValueError("must be a time such as 2026-01-15T08:30:00Z")  # noqa: TRY004 - pydantic wants ValueError
    return parse_record_time(value)


def _date_or_time(value: object) -> datetime | date:
    if not isinstance(value, str) or len(value) <= len("2026-01-15"):
        return _date(value)
    return _time(value)


def _date(value: object) -> date:
    day = parse_date(value) if isinstance(value, str) else None
    if day is None:
        raise ValueError("must be a date from 1900 on such as 2026-01-15, or a time such as 2026-01-15T08:30:00Z")
    return day


def _blank(value: object) -> object:
    """Return ``None`` for a text without anything in it: forms send that for a field that was left empty."""
    return None if isinstance(value, str) and not value.strip() else value


def _number(value: object) -> object:
    if not _is_number(value):
        raise ValueError("must be a number; a whole number has at most 64 bits")
    return value


def _ordinal(value: int) -> int:
    if value not in _NUMBERS:
        raise ValueError("must be the ordinal number of an option; it has at most 64 bits")
    return value


def _email(value: str) -> str:
    if not _EMAIL.fullmatch(value):
        raise ValueError("must be the complete e-mail address of a user or group")
    return value


Time = Annotated[datetime, BeforeValidator(_time)]
DateOrTime = Annotated[datetime | date, BeforeValidator(_date_or_time)]
Ordinal = Annotated[StrictInt, Field(ge=1), AfterValidator(_ordinal)]
Email = Annotated[StrictStr, AfterValidator(_email)]
Number = Annotated[int | float, BeforeValidator(_number)]
Blank = BeforeValidator(_blank)


class _Typed(BaseModel):
    model_config = ConfigDict(extra="forbid")


class TextColumn(_Typed):
    """One line of text, or several."""

    type: Literal["text"]
    value: Annotated[StrictStr | None, Blank]


class NumberColumn(_Typed):
    """A number."""

    type: Literal["number"]
    value: Annotated[Number | None, Blank]


class DateColumn(_Typed):
    """A date and time in RFC 3339 with its zone, or a date alone, which nothing shifts."""

    type: Literal["date"]
    value: Annotated[DateOrTime | None, Blank]


class ChoiceColumn(_Typed):
    """The ordinal number of the option that is chosen; the first is 1."""

    type: Literal["choice"]
    value: Annotated[Ordinal | None, Blank]


class MultiChoiceColumn(_Typed):
    """The ordinal numbers of the options that are chosen."""

    type: Literal["multiChoice"]
    value: Annotated[list[Ordinal] | None, Blank]


class PersonColumn(_Typed):
    """The e-mail addresses of people and groups."""

    type: Literal["person"]
    value: Annotated[list[Email] | None, Blank]


_TYPES = ("text", "number", "date", "choice", "multiChoice", "person")


def _type(value: object) -> str:
    """Which alternative a value is meant to be."""
    kind = value.get("type") if isinstance(value, dict) else getattr(value, "type", None)
    return kind if kind in _TYPES else "plain"


_PLAIN = {
    "anyOf": [
        {"type": ["string", "number", "boolean", "null"]},
        {"type": "array", "items": {"type": ["string", "number"]}},
    ]
}
"""What a plain value is, as a JSON schema: no object, so that a value with its type is nothing else."""

TAGS = frozenset({"plain", *_TYPES})
"""What pydantic calls the alternatives when it says where a fault is."""

type RecordColumn = Annotated[
    Annotated[TextColumn, Tag("text")]
    | Annotated[NumberColumn, Tag("number")]
    | Annotated[DateColumn, Tag("date")]
    | Annotated[ChoiceColumn, Tag("choice")]
    | Annotated[MultiChoiceColumn, Tag("multiChoice")]
    | Annotated[PersonColumn, Tag("person")]
    | Annotated[JsonValue, AfterValidator(_plain_column), WithJsonSchema(_PLAIN), Tag("plain")],
    Discriminator(_type),
]
"""A value of a custom column: plain, or with its type."""


type Typed = TextColumn | NumberColumn | DateColumn | ChoiceColumn | MultiChoiceColumn | PersonColumn


def written(value: JsonValue | datetime | Typed, dates: Dates) -> JsonValue:
    """Return a value as Opus wants it; a text that is a date, or a time with its zone, is written as one. Pure."""
    match value:
        case TextColumn() | NumberColumn() | ChoiceColumn():
            return value.value
        case MultiChoiceColumn() | PersonColumn():
            return None if value.value is None else [*value.value]
        case DateColumn():
            return _written_date(value.value, dates)
        case datetime():
            return dates.written(value)
        case str():
            return _written_date(zoned_time(value) or parse_date(value), dates) or value
        case _:
            return value


def _written_date(value: datetime | date | None, dates: Dates) -> str | None:
    if value is None:
        return None
    return dates.written(value) if isinstance(value, datetime) else dates.written_date(value)

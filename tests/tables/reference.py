"""What a table has to hold, in plain Python: slow, obvious, and written without the code it judges."""

import json
import math
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta

from shared.tables.schema.columns import ColumnType, FieldSpec

NOTHING = object()
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def fits(kind: ColumnType, value: object) -> bool:
    """Whether a column of this type holds the value."""
    return typed(kind, value) is not NOTHING


def typed(kind: ColumnType, value: object) -> object:
    """What a column of this type holds of a value; ``NOTHING`` where it does not fit."""
    if value is None:
        return None
    if kind == "json":
        return value
    if kind == "boolean" or isinstance(value, bool):
        return value if kind == "boolean" and isinstance(value, bool) else NOTHING
    if kind == "long":
        return _long(value)
    if kind == "double":
        return float(value) if isinstance(value, int | float) and float(value) == value else NOTHING
    return _text(kind, value) if isinstance(value, str) else NOTHING


def _long(value: object) -> object:
    if isinstance(value, str) and re.fullmatch(r"0|-?[1-9]\d*", value, re.ASCII):
        value = int(value)
    if isinstance(value, float) and value == math.floor(value):
        value = int(value)
    return value if isinstance(value, int) and -(2**63) <= value < 2**63 else NOTHING


def _text(kind: ColumnType, value: str) -> object:
    if kind == "string":
        return NOTHING if re.search("[\ud800-\udfff]", value) else value
    return _time(value)


def _time(text: str) -> object:
    if text in {"", "N/A"} or text.startswith(("0001-01-01", "1970-01-01")):
        return None
    shape = r"(\d{4}-\d\d-\d\d)(?:[Tt ](\d\d:\d\d)(:\d\d)?(\.\d+)? ?(Z|z|[+-]\d\d:?\d\d|[+-]\d\d)?)?"
    match = re.fullmatch(shape, text, re.ASCII)
    if match is None or (match[4] and not match[3]):
        return NOTHING
    try:
        plain = f"{match[1]} {match[2] or '00:00'}{match[3] or ':00'}"
        moment = datetime.strptime(plain, "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)
        zone = (match[5] or "Z").upper().replace(":", "")
        minutes = 0 if zone == "Z" else (int(zone[1:3]) * 60 + int(zone[3:] or 0)) * (-1 if zone[0] == "-" else 1)
        micros = int((match[4] or ".0")[1:7].ljust(6, "0"))
        return moment + timedelta(microseconds=micros) - timedelta(minutes=minutes)
    except (ValueError, OverflowError):
        return NOTHING


def shown(values: Iterable[object]) -> ColumnType | None:
    """The type that values show by themselves; ``None`` without any."""
    there = [value for value in values if value is not None]
    kinds = {_kind(value) for value in there}
    if not kinds:
        return None
    if kinds == {"long", "double"}:
        exact = all(isinstance(value, float) or float(value) == value for value in there)  # type: ignore[arg-type]  # numbers
        return "double" if exact else "json"
    return kinds.pop() if len(kinds) == 1 else "json"


def _kind(value: object) -> ColumnType:
    match value:
        case bool():
            return "boolean"
        case int():
            return "long" if -(2**63) <= value < 2**63 else "json"
        case float():
            return "double"
        case str():
            return "string"
        case _:
            return "json"


def types(fields: Iterable[FieldSpec], rows: Iterable[Mapping[str, object]]) -> dict[str, ColumnType]:
    """The types of the columns after a first snapshot with these rows."""
    rows = list(rows)
    names = dict.fromkeys([field.name for field in fields] + sorted({name for row in rows for name in row}))
    documented = {field.name: field.type for field in fields}
    found: dict[str, ColumnType] = {}
    for name in names:
        values = [row.get(name) for row in rows]
        told = documented.get(name)
        kind = told if told and all(fits(told, value) or _is_text(told, value) for value in values) else shown(values)
        if kind is not None:
            found[name] = kind
    return found


def _is_text(told: ColumnType, value: object) -> bool:
    """A text that is cut in the middle of a sign is a text all the same."""
    return told == "string" and isinstance(value, str)


def same(one: object, other: object) -> bool:
    """Whether two JSON values are the same, ``1`` and ``1.0`` being so, ``1`` and ``true`` not."""
    return canonical(one) == canonical(other)


def canonical(value: object) -> str:
    """The one text of a JSON value, however it is spelt."""
    return json.dumps(_plain(value), sort_keys=True)


def _plain(value: object) -> object:
    match value:
        case dict():
            return {name: _plain(one) for name, one in value.items()}
        case list():
            return [_plain(one) for one in value]
        case float() if value == math.floor(value):
            return int(value)
        case _:
            return value

"""What fits which type, and what becomes of it: one function for each type of column. Pure."""

import re
from collections.abc import Callable, Mapping, Sequence
from hashlib import blake2b
from typing import Final

from shared.document import storable
from shared.tables.schema.columns import ColumnType
from shared.tables.schema.findings import FindingKind
from shared.tables.values.text import OutOfRange, json_text
from shared.tables.values.times import NO_TEXT, NO_TIME, parse_time

MISFIT: Final = object()
"""Stands for a value that does not fit its column."""

type Convert = Callable[[object], object]
"""Takes a value that is not null; gives what the column holds, ``None`` or ``MISFIT``."""

_LEAST, _MOST = -(2**63), 2**63 - 1
_WHOLE = re.compile(r"-?[1-9][0-9]*|0")


def to_boolean(value: object) -> object:
    """Return ``true`` and ``false``."""
    return value if isinstance(value, bool) else MISFIT


def to_long(value: object) -> object:
    """Return whole numbers of 64 bits, however they are spelt: ``1``, ``1.0``, ``"1"``."""
    match value:
        case bool() | OutOfRange():
            return MISFIT
        case int():
            whole = value
        case float() if value.is_integer():
            whole = int(value)
        case str() if _WHOLE.fullmatch(value) and len(value) <= len(str(_LEAST)):
            whole = int(value)
        case _:
            return MISFIT
    return whole if _LEAST <= whole <= _MOST else MISFIT


def to_double(value: object) -> object:
    """Return numbers that a double holds: whole ones exactly, decimals as the nearest one."""
    match value:
        case bool():
            return MISFIT
        case float():
            return value
        case int() if _is_exact(value):
            return float(value)
        case _:
            return MISFIT


def to_string(value: object) -> object:
    """Return texts that are valid Unicode."""
    return value if isinstance(value, str) and not isinstance(value, OutOfRange) and storable(value) else MISFIT


def to_timestamp(value: object) -> object:
    """Return the microseconds since 1970 of a time, ``None`` for what means none."""
    if not isinstance(value, str):
        return MISFIT
    if value in NO_TEXT or value.startswith(NO_TIME):
        return None
    found = parse_time(value)
    return MISFIT if found is None else found


CONVERT: Final[Mapping[ColumnType, Convert]] = {
    "boolean": to_boolean,
    "long": to_long,
    "double": to_double,
    "string": to_string,
    "timestamp": to_timestamp,
    "json": json_text,
}


def kind_of(value: object) -> FindingKind:
    """Return what kind of value it is; null is none."""
    match value:
        case OutOfRange():
            return "other"
        case bool():
            return "boolean"
        case int():
            return _kind_of_whole(value)
        case float():
            return "double"
        case str():
            return "string"
        case _:
            return "json"


def _kind_of_whole(value: int) -> FindingKind:
    if not _LEAST <= value <= _MOST:
        return "other"
    return "long" if _is_exact(value) else "wide"


def _is_exact(value: int) -> bool:
    """Return whether a double holds a whole number exactly."""
    try:
        return int(float(value)) == value
    except OverflowError:
        return False


def digest(value: object) -> str:
    """Return what stands for a hidden value of a key or a parent: the same for the same value, and not the value."""
    return blake2b(json_text(value).encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def key_parts(values: Sequence[object]) -> Sequence[object]:
    """Return ``key_part`` of every value; most keys are texts that need no escape, which is seen at once."""
    try:
        text = "".join(values)  # type: ignore[arg-type]  # what is no text raises
    except TypeError:
        text = "|"
    if text.isascii() and "\\" not in text and "|" not in text:
        return values
    return [key_part(value) for value in values]


def key_part(value: object) -> str:
    r"""Return one part of a key: ``\`` and ``|`` are escaped, null is ``\N``, numbers are spelt one way."""
    if value is None:
        return r"\N"
    text = value if isinstance(value, str) else json_text(value)
    return text.replace("\\", "\\\\").replace("|", "\\|").encode("utf-8", "backslashreplace").decode()

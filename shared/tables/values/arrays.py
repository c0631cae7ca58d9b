"""Whole columns at once, as Arrow arrays."""

import re
from collections.abc import Mapping, Sequence
from typing import Final

import arro3.core as arrow

from shared.tables.schema.columns import ColumnType

TIME: Final = arrow.DataType.timestamp("us", tz="UTC")

ARROW: Final[Mapping[ColumnType, arrow.DataType]] = {
    "boolean": arrow.DataType.bool(),
    "long": arrow.DataType.int64(),
    "double": arrow.DataType.float64(),
    "string": arrow.DataType.utf8(),
    "timestamp": TIME,
    "json": arrow.DataType.utf8(),
}

_PLAIN: Final = re.compile(
    r"(?:(?!0000|0001-01-01|1970-01-01)\d{4}-\d\d-\d\d[T ]\d\d:\d\d:[0-5]\d\n)*", re.ASCII
).fullmatch
"""Times without zone and fraction, a line each. Arrow would take the second 60, and the year 0."""


def strict_array(values: Sequence[object], kind: ColumnType) -> arrow.Array | None:
    """Return a column whose values are known to have its type, or to be null; ``None`` for times that need a look."""
    return plain_times(values) if kind == "timestamp" else arrow.Array(values, ARROW[kind])


def plain_times(values: Sequence[object]) -> arrow.Array | None:
    """Return a column of times, or ``None`` where one is written in another way, or is not one.

    Args:
        values: Texts and nulls; the empty text means none.
    """
    if _PLAIN("".join([f"{value}\n" for value in values if value])) is None:
        return None
    cells = [value or None for value in values]
    times = arrow.Array(cells, arrow.DataType.utf8()).cast(TIME)
    return times if times.null_count == cells.count(None) else None

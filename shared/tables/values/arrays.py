"""Whole columns at once, as Arrow arrays."""

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

_SHAPE: Final = "0000-00-00T00:00:00"
_ZEROS: Final = str.maketrans("123456789 ", "0" * 9 + "T")
_NO_TIMES: Final = ("0000-", "0001-01-01", "1970-01-01", ":60")
"""What means none, and what Arrow would take: the year 0, and the second 60."""


def strict_array(values: Sequence[object], kind: ColumnType) -> arrow.Array | None:
    """Return a column whose values are known to have its type, or to be null; ``None`` for times that need a look."""
    return plain_times(values) if kind == "timestamp" else arrow.Array(values, ARROW[kind])


def plain_times(values: Sequence[object]) -> arrow.Array | None:
    """Return a column of times, or ``None`` where one is written in another way, or is not one.

    Args:
        values: Texts and nulls; the empty text means none.
    """
    cells = [value or None for value in values]
    text = "".join(filter(None, cells))  # type: ignore[arg-type]  # texts and nulls
    if text.translate(_ZEROS) != _SHAPE * (len(text) // len(_SHAPE)) or any(no_time in text for no_time in _NO_TIMES):
        return None
    times = arrow.Array(cells, arrow.DataType.utf8()).cast(TIME)
    return times if times.null_count == cells.count(None) else None

"""Rows as Arrow batches, as the engine takes them."""

from collections.abc import Iterable, Iterator, Mapping

import arro3.core as arrow

from shared.tables.schema.columns import ColumnType, TableSchema, TableSpec
from shared.tables.values.arrays import ARROW, TIME
from shared.tables.values.rows import Cells, Rows


def types_of(schema: TableSchema, spec: TableSpec) -> dict[str, ColumnType]:
    """Return the type of every column of a table, in their order."""
    return spec.own | {column.name: column.type for column in schema.columns}


def batch_reader(
    types: Mapping[str, ColumnType], rows: Iterable[Rows], *, same: Mapping[str, object] | None = None
) -> arrow.RecordBatchReader:
    """Return rows as a stream of Arrow batches.

    Args:
        types: The columns, in their order.
        same: The columns that hold one value in all rows.
    """
    schema = arrow.Schema([arrow.Field(name, ARROW[kind]) for name, kind in types.items()])
    return arrow.RecordBatchReader.from_batches(schema, _batches(types, schema, rows, same or {}))


def _batches(
    types: Mapping[str, ColumnType], schema: arrow.Schema, rows: Iterable[Rows], same: Mapping[str, object]
) -> Iterator[arrow.RecordBatch]:
    for some in rows:
        columns = [
            _array([same[name]] * some.count if name in same else some.columns[name], kind)
            for name, kind in types.items()
        ]
        yield arrow.RecordBatch.from_arrays(columns, schema=schema)


def _array(values: Cells, kind: ColumnType) -> arrow.Array:
    if isinstance(values, arrow.Array):
        return values
    if kind == "timestamp":
        return arrow.Array(values, arrow.DataType.int64()).cast(TIME)
    return arrow.Array(values, ARROW[kind])

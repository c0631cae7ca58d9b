"""Compares a table with the snapshot that takes its place, and writes what has changed to a file.

First two small indexes say which keys differ. Then only their rows are read whole, from both sides, and compared field
by field: what differs in volatile fields alone, or only because a field is new or gone for all, is no change.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import duckdb

from shared.tables.changes.columns import CHANGES
from shared.tables.changes.indexing import columns_of
from shared.tables.changes.rights import ParentValues, Rights
from shared.tables.changes.row_json import JsonCells, differing_fields, whole_row
from shared.tables.engine.connection import Engine, literal, quoted_path
from shared.tables.engine.parquet import SQL_TYPES, Written, write_parquet
from shared.tables.schema.columns import KEY, ColumnType, TableSchema, TableSpec
from shared.tables.values.batches import batch_reader, types_of
from shared.tables.values.rows import Rows
from shared.tables.values.text import json_text

_AT_ONCE: Final = 500
_TENANT: Final = "tenantid"
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

_K, _CHANGE, _WHOSE = '"the key"', '"the change"', '"the tenant"'
"""Columns beside those of the items: with blanks, which no column of a table has."""

type Row = tuple[Any, ...]
"""Cells as the engine gives them."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two snapshots, and what may be said of them.

    Attributes:
        compared: The fields whose differences are changes.
    """

    spec: TableSpec
    schema: TableSchema
    rights: Rights
    compared: frozenset[str]
    run_id: str
    previous_run_id: str
    at: datetime

    @property
    def compared_columns(self) -> dict[str, ColumnType]:
        """The columns whose differences may be changes; among what is rescued may be other ones, too."""
        fields = {one.name: one.type for one in self.schema.columns if one.field in self.compared}
        return {"_rescued": "json", **fields}

    @property
    def volatile_columns(self) -> dict[str, ColumnType]:
        """The columns whose differences are counted only."""
        return {one.name: one.type for one in self.schema.columns if one.field in self.spec.volatile}


@dataclass(slots=True)
class Told:
    """What was found: the file with the changes, and how many of which kind."""

    written: Written | None = None
    added: int = 0
    removed: int = 0
    changed: int = 0
    volatile_only: int = 0


async def mark_differences(engine: Engine) -> None:
    """Put the keys that differ between ``old_rows`` and ``new_rows`` into ``differing``."""
    await engine.execute(
        "CREATE OR REPLACE TABLE differing AS SELECT coalesce(o.k, n.k) AS k,"
        " CASE WHEN o.k IS NULL THEN 'added' WHEN n.k IS NULL THEN 'removed'"
        " WHEN o.v <> n.v THEN 'changed' ELSE 'volatile' END AS change"
        " FROM old_rows o FULL JOIN new_rows n ON o.k = n.k"
        " WHERE o.k IS NULL OR n.k IS NULL OR o.v <> n.v OR o.w <> n.w"
    )


async def create_sides(engine: Engine, comparison: Comparison) -> None:
    """Create the tables that take the rows whose keys differ, of both sides."""
    columns = ", ".join(f"{quoted_path(name)} {SQL_TYPES[kind]}" for name, kind in _types(comparison).items())
    for side in ("old_side", "new_side"):
        await engine.execute(
            f"CREATE OR REPLACE TABLE {side} ({_K} UHUGEINT, {_CHANGE} VARCHAR, {_WHOSE} VARCHAR, {columns})"
        )


async def take_side(
    engine: Engine, side: str, path: Path, comparison: Comparison, *, tenant: str | None, without: str | None = None
) -> None:
    """Copy the rows of a file whose keys differ.

    Args:
        tenant: Whose rows the file holds, where that is known.
        without: A condition on the rows that do not count.
    """

    def work(connection: duckdb.DuckDBPyConnection) -> None:
        there = columns_of(connection, path)
        cells = ", ".join(
            f"t.{quoted_path(name)}" if name in there else f"NULL::{SQL_TYPES[kind]}"
            for name, kind in _types(comparison).items()
        )
        whose = literal(tenant) if tenant else "NULL"
        connection.execute(
            f"INSERT INTO {side} SELECT d.{_K}, d.{_CHANGE}, {whose}, {cells}"
            f" FROM read_parquet({literal(str(path))}, file_row_number = true) t"
            f" JOIN (SELECT k AS {_K}, change AS {_CHANGE} FROM differing) d ON d.{_K} = md5_number(t._key)"
            f" WHERE d.{_CHANGE} <> 'volatile'{f' AND NOT ({without})' if without else ''}"
        )

    await engine.run(work)


async def write_changes(engine: Engine, comparison: Comparison) -> Told:
    """Write the changes between both sides to a file, in the order of their keys."""
    told = Told()
    count = await engine.rows("SELECT count(*) FROM differing WHERE change = 'volatile'")
    told.volatile_only = count[0][0]
    reading = engine.connection.cursor()
    try:
        stream = batch_reader(CHANGES, _batches(reading, comparison, told))
        query = "SELECT * FROM changes ORDER BY key"
        told.written = await write_parquet(engine, query, engine.scratch("parquet"), {"changes": stream})
    finally:
        reading.close()
    return told


def _types(comparison: Comparison) -> dict[str, ColumnType]:
    return types_of(comparison.schema, comparison.spec)


def _batches(reading: duckdb.DuckDBPyConnection, comparison: Comparison, told: Told) -> Iterator[Rows]:
    names = list(_types(comparison))
    old, new = (", ".join(_cell(side, name, kind) for name, kind in _types(comparison).items()) for side in ("o", "n"))
    one_side: tuple[tuple[str, str, Callable[[JsonCells, str | None], Row | None]], ...] = (
        ("removed", "old_side", lambda cells, tenant: _removed(comparison, told, cells, tenant)),
        ("added", "new_side", lambda cells, tenant: _added(comparison, told, cells, tenant)),
    )
    for change, side, tell in one_side:
        reading.execute(f"SELECT {_WHOSE}, {old} FROM {side} AS o WHERE {_CHANGE} = '{change}'")
        for rows in _fetched(reading):
            yield _rows(comparison, [tell(dict(zip(names, row[1:], strict=True)), row[0]) for row in rows])
    reading.execute(
        f"SELECT {old}, {new} FROM old_side o JOIN new_side n ON o.{_K} = n.{_K} WHERE o.{_CHANGE} = 'changed'"
    )
    for rows in _fetched(reading):
        pairs = [
            (dict(zip(names, row[: len(names)], strict=True)), dict(zip(names, row[len(names) :], strict=True)))
            for row in rows
        ]
        yield _rows(comparison, [_changed(comparison, told, before, after) for before, after in pairs])


def _cell(side: str, name: str, kind: ColumnType) -> str:
    return f"epoch_us({side}.{quoted_path(name)})" if kind == "timestamp" else f"{side}.{quoted_path(name)}"


def _fetched(reading: duckdb.DuckDBPyConnection) -> Iterator[list[Row]]:
    while rows := reading.fetchmany(_AT_ONCE):
        yield rows


def _removed(comparison: Comparison, told: Told, cells: JsonCells, tenant: str | None) -> Row | None:
    sure = comparison.rights.removal(tenant=_tenant(comparison, cells, tenant), parent=_parent(comparison, cells))
    if sure is None:
        return None
    told.removed += 1
    return cells[KEY], "removed", sure, "", _whole(comparison, cells), None


def _added(comparison: Comparison, told: Told, cells: JsonCells, tenant: str | None) -> Row | None:
    whose, parent = _tenant(comparison, cells, tenant), _parent(comparison, cells)
    if not comparison.rights.is_added(tenant=whose, parent=parent):
        return None
    told.added += 1
    return cells[KEY], "added", True, "", None, _whole(comparison, cells)


def _changed(comparison: Comparison, told: Told, before: JsonCells, after: JsonCells) -> Row | None:
    fields = differing_fields(comparison.schema.columns, before, after, compared=comparison.compared)
    if not fields:
        told.volatile_only += _is_moved(comparison, before, after)
        return None
    told.changed += 1
    old = json_text({name: values[0] for name, values in fields.items()})
    new = json_text({name: values[1] for name, values in fields.items()})
    return after[KEY], "changed", True, ",".join(fields), old, new


def _is_moved(comparison: Comparison, before: JsonCells, after: JsonCells) -> bool:
    volatile = comparison.spec.volatile
    return bool(differing_fields(comparison.schema.columns, before, after, compared=volatile))


def _whole(comparison: Comparison, cells: JsonCells) -> str:
    return json_text(whole_row(comparison.schema.columns, comparison.spec, cells))


def _parent(comparison: Comparison, cells: JsonCells) -> ParentValues:
    return tuple(cells.get(name) for name in comparison.spec.parent_columns)


def _tenant(comparison: Comparison, cells: JsonCells, known: str | None) -> str | None:
    if known is not None:
        return known
    column = next((one for one in comparison.schema.columns if one.field.casefold() == _TENANT), None)
    return cells.get(column.name) if column and column.type == "string" else None


def _rows(comparison: Comparison, found: Sequence[Row | None]) -> Rows:
    rows = [row for row in found if row is not None]
    told = list(zip(*rows, strict=True)) or [()] * 6
    at = (comparison.at - _EPOCH) // timedelta(microseconds=1)
    same: Mapping[str, object] = {"run_id": comparison.run_id, "previous_run_id": comparison.previous_run_id, "at": at}
    return Rows(
        len(rows), dict(zip(CHANGES, told, strict=False)) | {name: [value] * len(rows) for name, value in same.items()}
    )

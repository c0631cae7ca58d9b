"""Counts the rows of a table by the fields that the catalogue calls groups."""

from collections.abc import Sequence
from pathlib import Path

import duckdb

from shared.tables.changes.indexing import columns_of
from shared.tables.engine.connection import Engine, paths_sql, quoted_path
from shared.tables.schema.columns import TableSchema, TableSpec

LARGEST = 200
OTHER = "(other)"

type Count = tuple[str | None, str | None, int]
"""Field, value, rows."""


async def count_groups(
    engine: Engine, paths: Sequence[Path | str], schema: TableSchema, spec: TableSpec, *, rows: int
) -> list[Count]:
    """Return how many rows there are in all, and by each value of each group."""
    counts: list[Count] = [(None, None, rows)]
    for field in spec.groups:
        column = schema.column(field)
        if column is not None and paths:
            counts += [(field, value, items) for value, items in await _values(engine, paths, column.name)]
    return counts


async def _values(engine: Engine, paths: Sequence[Path | str], column: str) -> list[tuple[str | None, int]]:
    def work(connection: duckdb.DuckDBPyConnection) -> list[tuple[str | None, int]]:
        there = [path for path in paths if column in columns_of(connection, path)]
        lacking = [path for path in paths if path not in there]
        sources = [
            f"SELECT CAST({quoted_path(column)} AS VARCHAR) AS value FROM read_parquet({paths_sql(there)})"
        ] * bool(there)
        sources += [f"SELECT NULL::VARCHAR AS value FROM read_parquet({paths_sql(lacking)})"] * bool(lacking)
        grouped = f"SELECT value, count(*) AS items FROM ({' UNION ALL '.join(sources)}) GROUP BY value"
        return connection.execute(f"{grouped} ORDER BY items DESC, value").fetchall()

    found = await engine.run(work)
    rest = sum(items for _, items in found[LARGEST:])
    return [*found[:LARGEST], *([(OTHER, rest)] if rest else [])]

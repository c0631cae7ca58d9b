"""What is remembered of every row of a table to compare it: 128 bits of its key, and a hash of what it holds.

Of a million rows this takes some 60 MB of the engine's memory, and what does not fit lies in its folder.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import duckdb

from shared.tables.engine.connection import Engine, literal, quoted_path
from shared.tables.engine.parquet import SQL_TYPES
from shared.tables.schema.columns import ColumnType

_INDEX = "(k UHUGEINT, v UBIGINT, w UBIGINT, f INTEGER, r BIGINT, h BIGINT)"
"""Key, what is compared, what is volatile, file, row in it, and when it was harvested."""


async def create_index(engine: Engine, name: str) -> None:
    """Create an index without rows."""
    await engine.execute(f"CREATE OR REPLACE TABLE {name} {_INDEX}")


async def index_file(
    engine: Engine,
    name: str,
    number: int,
    path: Path | str,
    *,
    compared: Mapping[str, ColumnType] | None = None,
    volatile: Mapping[str, ColumnType] | None = None,
) -> None:
    """Add the rows of a file to an index.

    Args:
        number: Stands for the file.
        compared: The columns whose differences are changes.
        volatile: Those whose differences are counted only.
    """

    def work(connection: duckdb.DuckDBPyConnection) -> None:
        file = literal(str(path))
        there = columns_of(connection, path)
        connection.execute(
            f"INSERT INTO {name} SELECT md5_number(_key), {_hash(compared, there)}, {_hash(volatile, there)},"
            f" {number}, file_row_number, epoch_us(_harvested_at)"
            f" FROM read_parquet({file}, file_row_number = true)"
        )

    await engine.run(work)


def columns_of(connection: duckdb.DuckDBPyConnection, path: Path | str) -> frozenset[str]:
    """Return the columns that a file has."""
    described = connection.execute(f"DESCRIBE SELECT * FROM read_parquet({literal(str(path))})")
    return frozenset(row[0] for row in described.fetchall())


def _hash(columns: Mapping[str, ColumnType] | None, there: frozenset[str]) -> str:
    if not columns:
        return "0"
    cells = [quoted_path(name) if name in there else f"NULL::{SQL_TYPES[kind]}" for name, kind in columns.items()]
    return f"hash({', '.join(cells)})"


async def find_doubled(engine: Engine, name: str) -> dict[int, int]:
    """Take the rows out of an index whose key comes again later; return how many those are, by file.

    They stand in the table ``doubled`` then.
    """
    await engine.execute(
        f"CREATE OR REPLACE TABLE doubled AS SELECT f, r FROM (SELECT f, r, row_number() OVER"
        f" (PARTITION BY k ORDER BY f DESC, r DESC) AS n FROM {name} WHERE k IN"
        f" (SELECT k FROM {name} GROUP BY k HAVING count(*) > 1)) WHERE n > 1"
    )
    await engine.execute(f"DELETE FROM {name} USING doubled d WHERE {name}.f = d.f AND {name}.r = d.r")
    return dict(await engine.rows("SELECT f, count(*) FROM doubled GROUP BY f"))


async def find_replaced(engine: Engine, old: str, new: str, *, harvested_at: int) -> tuple[dict[int, int], int]:
    """Find the rows of an older table whose key comes in a newer snapshot, and the reverse where that came late.

    They stand in the table ``replaced`` then, and those of the snapshot in ``doubled``.

    Args:
        harvested_at: When the snapshot was finished; rows of later ones stay.

    Returns:
        How many rows of the older table are replaced, by file, and how many of the snapshot are outdated.
    """
    await engine.execute(
        f"CREATE OR REPLACE TABLE replaced AS SELECT o.f, o.r FROM {old} o SEMI JOIN {new} n USING (k)"
        f" WHERE o.h <= {harvested_at}"
    )
    await engine.execute(
        f"CREATE OR REPLACE TABLE doubled AS SELECT n.f, n.r FROM {new} n"
        f" SEMI JOIN (SELECT k FROM {old} WHERE h > {harvested_at}) o USING (k)"
    )
    outdated = await engine.rows("SELECT count(*) FROM doubled")
    return dict(await engine.rows("SELECT f, count(*) FROM replaced GROUP BY f")), outdated[0][0]


def without_sql(path: Path | str, table: str, number: int, columns: Sequence[str]) -> str:
    """Return the query for the rows of a file that do not stand in ``doubled`` or ``replaced``."""
    names = ", ".join(map(quoted_path, columns))
    return (
        f"SELECT {names} FROM read_parquet({literal(str(path))}, file_row_number = true)"
        f" WHERE file_row_number NOT IN (SELECT r FROM {table} WHERE f = {number})"
    )

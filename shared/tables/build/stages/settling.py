"""Which rows a table has after a snapshot: one a key, those of parents that were not asked, those that are replaced."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import duckdb

from shared.tables.build.planning import is_late
from shared.tables.build.stages.work import BuildWork, without_none
from shared.tables.build.state import Build, Rowset
from shared.tables.changes.indexing import (
    columns_of,
    create_index,
    find_doubled,
    find_replaced,
    index_file,
    without_sql,
)
from shared.tables.changes.rights import Rights
from shared.tables.delta.actions import DataFile
from shared.tables.engine.connection import literal, quoted_path

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


async def settle_rows(work: BuildWork, build: Build, before: Sequence[DataFile], rights: Rights) -> Rowset:
    """Return the files of the table after a snapshot.

    Args:
        before: The files of the table so far.
    """
    new = without_none(part.file for part in build.parts)
    if work.spec.key:
        await create_index(work.engine, "new_rows")
        for number, file in enumerate(new):
            await index_file(work.engine, "new_rows", number, await work.local(file))
        new = await _without_doubled(work, new)
    duplicates = build.findings.rows - sum(file.rows for file in new)
    if work.spec.windowed:
        return (await _replaced(work, new, before)).model_copy(update={"duplicates": duplicates})
    kept, carried = await _kept_of_parents(work, before, rights)
    return Rowset(kept=kept, added=(*new, *carried), duplicates=duplicates)


async def _without_doubled(work: BuildWork, new: tuple[DataFile, ...]) -> tuple[DataFile, ...]:
    """Leave out rows whose key comes again later in the snapshot."""
    doubled = await find_doubled(work.engine, "new_rows")
    return without_none(
        [await _without(work, file, "doubled", n) if n in doubled else file for n, file in enumerate(new)]
    )


async def _replaced(work: BuildWork, new: tuple[DataFile, ...], before: Sequence[DataFile]) -> Rowset:
    """Let the rows of an increment take the place of those with the same key."""
    if not work.spec.key or not before:
        return Rowset(kept=tuple(before), added=new)
    await create_index(work.engine, "new_rows")
    for number, file in enumerate(new):
        await index_file(work.engine, "new_rows", number, await work.local(file))
    await create_index(work.engine, "old_rows")
    for number, file in enumerate(before):
        await index_file(work.engine, "old_rows", number, await work.local(file))
    finished = work.manifest.finished_at if is_late(work.ground, work.manifest) else datetime.max.replace(tzinfo=UTC)
    replaced, outdated = await find_replaced(
        work.engine, "old_rows", "new_rows", harvested_at=(finished - _EPOCH) // timedelta(microseconds=1)
    )
    kept = tuple(file for n, file in enumerate(before) if n not in replaced)
    rest = [await _without(work, file, "replaced", n) for n, file in enumerate(before) if n in replaced]
    if outdated:
        new = without_none([await _without(work, file, "doubled", n) for n, file in enumerate(new)])
    return Rowset(kept=kept, added=(*new, *without_none(rest)))


async def _without(work: BuildWork, file: DataFile, table: str, number: int) -> DataFile | None:
    path = await work.local(file)
    columns = await work.engine.run(lambda connection: ordered_columns(connection, path))
    return await work.rewrite(without_sql(path, table, number, columns), tags=file.tags)


def ordered_columns(connection: duckdb.DuckDBPyConnection, path: Path) -> list[str]:
    """Return the columns of a file in their order."""
    described = connection.execute(f"DESCRIBE SELECT * FROM read_parquet({literal(str(path))})")
    return [row[0] for row in described.fetchall()]


async def _kept_of_parents(
    work: BuildWork, before: Sequence[DataFile], rights: Rights
) -> tuple[tuple[DataFile, ...], tuple[DataFile, ...]]:
    """Return what stays of the rows of parents that were not asked: whole files, and files made of parts of others."""
    if rights.asked is None or not rights.left_out:
        return (), ()
    await _put_asked(work, [one for one, outcome in rights.asked.items() if outcome != "failed"])
    kept, carried = list[DataFile](), list[DataFile | None]()
    for file in before:
        path = await work.local(file)
        rows = f"FROM read_parquet({literal(str(path))}) t WHERE NOT EXISTS (SELECT 1 FROM asked a WHERE {_same(work)})"
        if work.spec.key:  # a parent that failed may have given some rows before
            rows += " AND md5_number(t._key) NOT IN (SELECT k FROM new_rows)"
        count = (await work.engine.rows(f"SELECT count(*) {rows}"))[0][0]
        if count == file.rows:
            kept.append(file)
        elif count:
            carried.append(await work.rewrite(f"SELECT t.* {rows}", tags=file.tags))
    return tuple(kept), without_none(carried)


async def _put_asked(work: BuildWork, parents: Sequence[tuple[str | None, ...]]) -> None:
    columns = [f"c{n}" for n in range(len(work.spec.parent_columns))]

    def put(connection: duckdb.DuckDBPyConnection) -> None:
        connection.execute(f"CREATE OR REPLACE TABLE asked ({', '.join(f'{name} VARCHAR' for name in columns)})")
        if parents:
            marks = ", ".join("?" for _ in columns)
            connection.executemany(f"INSERT INTO asked VALUES ({marks})", [list(one) for one in parents])

    await work.engine.run(put)


def _same(work: BuildWork) -> str:
    pairs = enumerate(work.spec.parent_columns)
    return " AND ".join(f"a.c{n} IS NOT DISTINCT FROM t.{quoted_path(name)}" for n, name in pairs)


async def parents_of_rows(work: BuildWork, files: Sequence[DataFile]) -> set[tuple[str | None, ...]]:
    """Return the parents that rows belong to."""
    found: set[tuple[str | None, ...]] = set()
    names = work.spec.parent_columns
    for file in files:
        path = await work.local(file)
        there = await work.engine.run(lambda connection, path=path: columns_of(connection, path))  # type: ignore[misc]
        cells = ", ".join(quoted_path(name) if name in there else "NULL" for name in names)
        found |= {*await work.engine.rows(f"SELECT DISTINCT {cells} FROM read_parquet({literal(str(path))})")}
    return found

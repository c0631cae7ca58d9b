"""Adds rows to the tables that grow: one small file a build, merged once there are many of them."""

import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from shared.azure.storage import Storage
from shared.clock import Clock
from shared.errors import MissingDocument
from shared.tables.delta.actions import Commit, DataFile, DeltaColumn, DeltaTable, Metadata
from shared.tables.delta.log import DeltaLog, is_done
from shared.tables.engine.connection import Engine, paths_sql
from shared.tables.engine.parquet import Written, columns_sql, download, upload, write_parquet
from shared.tables.schema.columns import ColumnType
from shared.tables.values.batches import batch_reader
from shared.tables.values.rows import Rows

SMALL: Final = 16 * 1024 * 1024
MERGED: Final = 64 * 1024 * 1024
MANY: Final = 32
"""Files smaller than ``SMALL`` become one of at most ``MERGED`` bytes once there are so many of them."""

MERGING: Final = "avepoint-functions-merge"


@dataclass(frozen=True, slots=True)
class GrowingTable:
    """A table whose columns never change."""

    storage: Storage
    name: str
    types: Mapping[str, ColumnType]
    comments: Mapping[str, str]
    clock: Clock
    keep: timedelta

    @property
    def log(self) -> DeltaLog:
        """The log of the table."""
        return DeltaLog(self.storage, self.name, clock=self.clock)

    @property
    def keep_since(self) -> datetime:
        """From when on replaced files are kept."""
        return self.clock() - self.keep

    async def write(self, engine: Engine, rows: Rows, *, tags: Mapping[str, str]) -> DataFile | None:
        """Write rows to a file that no commit names yet; none without rows."""
        if not rows.count:
            return None
        stream = batch_reader(self.types, [rows])
        written = await write_parquet(engine, "SELECT * FROM lines", engine.scratch("parquet"), {"lines": stream})
        return await self.keep_file(written, tags=tags)

    async def keep_file(self, written: Written, *, tags: Mapping[str, str]) -> DataFile:
        """Make a blob of a file."""
        now = self.clock()
        path = file_name(now)
        await upload(self.storage, f"{self.name}/{path}", written)
        written.path.unlink()
        return DataFile(path=path, size=written.size, rows=written.rows, written_at=now, tags=dict(tags))

    async def append(
        self,
        engine: Engine,
        add: Sequence[DataFile],
        *,
        application: str,
        transaction: int,
        is_outdated: Callable[[DataFile], bool] = lambda _: False,
    ) -> DeltaTable:
        """Make files part of the table, once for each transaction.

        Args:
            is_outdated: Tells the files that leave it.
        """

        def plan(table: DeltaTable) -> Commit | None:
            outdated = tuple(path for path, file in table.files.items() if is_outdated(file))
            metadata = None if table.metadata else self._metadata()
            if not (add or outdated or metadata):
                return None
            return Commit(application, transaction, "WRITE", add=tuple(add), remove=outdated, metadata=metadata)

        return await self.log.commit(engine, plan, keep_since=self.keep_since)

    async def has(self, engine: Engine, application: str, transaction: int) -> bool:
        """Return whether a transaction has been made."""
        return is_done(await self.log.read(engine), Commit(application, transaction, "WRITE"))

    def _metadata(self) -> Metadata:
        columns = [
            DeltaColumn(name, kind, {"comment": self.comments[name]} if name in self.comments else {})
            for name, kind in self.types.items()
        ]
        return Metadata(str(uuid.uuid4()), tuple(columns), self.clock())


def file_name(now: datetime) -> str:
    """Return a name for a data file that no other one has."""
    return f"part-{now:%Y%m%dT%H%M%SZ}-{uuid.uuid4().hex}.snappy.parquet"


async def merge_small_files(
    engine: Engine,
    storage: Storage,
    log: DeltaLog,
    types: Mapping[str, ColumnType],
    table: DeltaTable,
    *,
    clock: Clock,
    keep_since: datetime,
    group: Callable[[DataFile], str | None] = lambda _: "",
    tags: Callable[[Sequence[DataFile]], Mapping[str, str]] = lambda _: {},
) -> DeltaTable:
    """Let many small files become one, without any change of rows.

    Args:
        table: As it is.
        group: Files are merged with those of the same group; ``None`` keeps a file out.
        tags: Those of the merged file.
    """
    chosen = _chosen(table, group)
    if not chosen:
        return table
    try:
        copies = [await download(storage, f"{log.name}/{file.path}", engine.scratch("parquet")) for file in chosen]
    except MissingDocument:  # somebody is taking a person out of the table
        return table
    lacking = await _lacking(engine, [str(copy) for copy in copies], types)
    there = {name: name for name in types if name not in lacking}
    lines = f"SELECT {columns_sql(types, there)} FROM read_parquet({paths_sql(copies)}, union_by_name = true)"
    written = await write_parquet(engine, lines, engine.scratch("parquet"))
    now = clock()
    merged = DataFile(
        path=file_name(now), size=written.size, rows=written.rows, written_at=now, tags=dict(tags(chosen))
    )
    await upload(storage, f"{log.name}/{merged.path}", written)
    for path in (*copies, written.path):
        path.unlink()
    names = tuple(file.path for file in chosen)

    def plan(current: DeltaTable) -> Commit | None:
        if not current.files.keys() >= set(names):
            return None
        return Commit(MERGING, current.version + 1, "OPTIMIZE", add=(merged,), remove=names, data_change=False)

    return await log.commit(engine, plan, keep_since=keep_since)


async def _lacking(engine: Engine, paths: Sequence[str], types: Mapping[str, ColumnType]) -> frozenset[str]:
    """Return the columns that none of the files has."""
    found = await engine.rows(f"DESCRIBE SELECT * FROM read_parquet({paths_sql(paths)}, union_by_name = true)")
    return frozenset(types) - {row[0] for row in found}


def _chosen(table: DeltaTable, group: Callable[[DataFile], str | None]) -> list[DataFile]:
    groups: dict[str, list[DataFile]] = {}
    for file in table.files.values():
        name = group(file)
        if name is not None and file.size < SMALL:
            groups.setdefault(name, []).append(file)
    largest = max(groups.values(), key=len, default=[])
    if len(largest) < MANY:
        return []
    chosen, size = list[DataFile](), 0
    for file in largest:
        size += file.size
        if size > MERGED:
            break
        chosen.append(file)
    return chosen

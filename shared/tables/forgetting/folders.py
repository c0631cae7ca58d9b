"""Which rows of a table name a person, in every file that its folder has, and the table without them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import duckdb

from shared.azure.storage import Container, Storage
from shared.clock import Clock
from shared.errors import DamagedDocument, MissingDocument
from shared.tables.delta.actions import Commit, DataFile, DeltaTable
from shared.tables.delta.log import DeltaLog
from shared.tables.delta.vacuum import ABANDONED
from shared.tables.engine.connection import Engine, literal, quoted_path
from shared.tables.engine.parquet import Written, download, upload, write_parquet
from shared.tables.forgetting.matching import PersonText, searched_columns
from shared.tables.history.appending import file_name
from shared.tables.schema.columns import KEY, RUN_ID
from shared.tables.verifying.checking import Say

EXAMPLES: Final = 5
"""So many rows are named, so that a person can see whether the right ones are meant."""

_UNREADABLE: Final = (
    "Delete the file if it is not one of the app; otherwise delete the folder of the table and rebuild it."
)
_EVER: Final = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class FileHits:
    """The rows of a file that name the person: how many, some of them, and how many came with each run."""

    rows: int
    names: tuple[str, ...] = ()
    runs: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class FolderHits:
    """What the folder of a table has of a person.

    Attributes:
        current: By file, what the table shows.
        old: Files that only older versions of the table need, or nobody.
    """

    table: DeltaTable
    current: Mapping[str, FileHits] = field(default_factory=dict)
    old: tuple[str, ...] = ()

    @property
    def rows(self) -> int:
        """How many rows of the table."""
        return sum(hits.rows for hits in self.current.values())

    @property
    def names(self) -> tuple[str, ...]:
        """Some of them."""
        return tuple(name for hits in self.current.values() for name in hits.names)[:EXAMPLES]

    def rows_of(self, run: str | None) -> int:
        """Return how many rows of the table came with a run."""
        return sum(hits.runs.get(run or "", 0) for hits in self.current.values())

    def __bool__(self) -> bool:
        """Whether there is anything."""
        return bool(self.current or self.old)


@dataclass(frozen=True, slots=True)
class TableFolder:
    """The folder of one table in the container ``tables``.

    Attributes:
        only: The columns that may name a person; ``None`` for all.
    """

    engine: Engine
    storage: Storage
    name: str
    clock: Clock
    only: tuple[str, ...] | None = None

    @property
    def log(self) -> DeltaLog:
        """The log of the table."""
        return DeltaLog(self.storage, self.name, clock=self.clock)

    async def search(self, text: PersonText, say: Say) -> FolderHits:
        """Look through all files, one on this machine at a time."""
        prefix = f"{self.name}/"
        listed = [one.path async for one in self.storage.list_details(Container.TABLES, prefix)]
        files = [
            path.removeprefix(prefix) for path in listed if path.endswith(".parquet") and "/_delta_log/" not in path
        ]
        found: dict[str, FileHits] = {}
        for number, file in enumerate(files, start=1):
            say(f"{self.name}: file {number} of {len(files)}")
            hits = await self._search_file(file, text)
            if hits.rows:
                found[file] = hits
        table = await self.log.read(self.engine)
        current = {file: hits for file, hits in found.items() if file in table.files}
        return FolderHits(table, current, tuple(file for file in found if file not in current))

    async def _search_file(self, file: str, text: PersonText) -> FileHits:
        try:
            copy = await download(self.storage, f"{self.name}/{file}", self.engine.scratch("parquet"))
        except MissingDocument:  # deleted since it was listed
            return FileHits(0)

        def look(connection: duckdb.DuckDBPyConnection) -> FileHits:
            columns = _columns(connection, copy)
            condition = text.condition(searched_columns(columns, self.only))
            named = KEY if KEY in columns else (self.only or ("NULL",))[0]
            run = RUN_ID if RUN_ID in columns else "''"
            rows = f"FROM read_parquet({literal(str(copy))}) WHERE {condition}"
            runs = connection.execute(f"SELECT {run}, count(*) {rows} GROUP BY 1").fetchall()
            names = connection.execute(f"SELECT {named} {rows} LIMIT {EXAMPLES}").fetchall() if runs else []
            total = sum(count for _, count in runs)
            return FileHits(total, tuple(str(name) for (name,) in names if name is not None), dict(runs))

        try:
            return await self.engine.run(look)
        except duckdb.OutOfMemoryException:
            raise
        except duckdb.Error as error:
            raise DamagedDocument(
                f"{Container.TABLES}/{self.name}/{file} cannot be read", remedy=_UNREADABLE
            ) from error
        finally:
            copy.unlink()

    async def rewrite(
        self, hits: FolderHits, text: PersonText, *, application: str, transaction: Callable[[DeltaTable], int]
    ) -> DeltaTable:
        """Commit the table without the rows, unless its files are others by now: then nothing is done."""
        replaced = tuple(hits.current)
        added = [await self._without(hits.table.files[file], text) for file in replaced]
        add = tuple(file for file in added if file is not None)

        def plan(table: DeltaTable) -> Commit | None:
            if not replaced or not table.files.keys() >= set(replaced):
                return None
            return Commit(application, transaction(table), "DELETE", add=add, remove=replaced)

        return await self.log.commit(self.engine, plan, keep_since=_EVER)

    async def _without(self, file: DataFile, text: PersonText) -> DataFile | None:
        copy = await download(self.storage, f"{self.name}/{file.path}", self.engine.scratch("parquet"))
        columns = await self.engine.run(lambda connection: _columns(connection, copy))
        kept = ", ".join(map(quoted_path, columns))
        condition = text.condition(searched_columns(columns, self.only))
        query = f"SELECT {kept} FROM read_parquet({literal(str(copy))}) WHERE NOT {condition}"
        written = await write_parquet(self.engine, query, self.engine.scratch("parquet"))
        copy.unlink()
        try:
            return await self._kept(file, written) if written.rows else None
        finally:
            written.path.unlink()

    async def _kept(self, file: DataFile, written: Written) -> DataFile:
        now = self.clock()
        path = file_name(now)
        await upload(self.storage, f"{self.name}/{path}", written)
        return file.model_copy(update={"path": path, "size": written.size, "rows": written.rows, "written_at": now})

    async def delete(self, files: tuple[str, ...]) -> None:
        """Delete files that no version of the table that is left needs."""
        for file in files:
            await self.storage.delete(Container.TABLES, f"{self.name}/{file}")

    async def ownerless(self, hits: FolderHits) -> FolderHits:
        """Return the same without files that a build at work may be about to commit."""
        recent = self.clock() - ABANDONED
        listed = self.storage.list_details(Container.TABLES, f"{self.name}/")
        young = {one.path.removeprefix(f"{self.name}/") async for one in listed if one.modified >= recent}
        return replace(hits, old=tuple(one for one in hits.old if one in hits.table.removed or one not in young))


def _columns(connection: duckdb.DuckDBPyConnection, file: Path) -> dict[str, str]:
    """Return the columns of a file, with their types, in their order."""
    described = connection.execute(f"DESCRIBE SELECT * FROM read_parquet({literal(str(file))})").fetchall()
    return {row[0]: row[1] for row in described}

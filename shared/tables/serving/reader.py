"""Reads tables for people who wait: by ranges, in bounded memory and time, a few at once.

One engine stays open for as long as the services of the process, because opening one, and reading the footers of the
files again, takes longer than most questions.
"""

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, nullcontext
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakKeyDictionary

import anyio

from shared.azure.storage import Container, Storage
from shared.clock import Clock
from shared.errors import MissingDocument, Outdated, StorageUnavailable
from shared.services import Services
from shared.tables.delta.actions import DeltaTable
from shared.tables.engine.handle import Connection
from shared.tables.queries.pages import FILE, ROW
from shared.tables.queries.sql import Sql, quoted
from shared.tables.schema.columns import ColumnType

if TYPE_CHECKING:
    from shared.tables.engine.connection import Engine
    from shared.tables.engine.remote import RemoteFiles

AT_ONCE: Final = 3
"""So many questions are worked on at once; the others wait their turn."""

LONGEST_QUERY: Final = timedelta(seconds=30)
"""A question that takes longer, its turn included, is given up."""

LONGEST_LIST: Final = timedelta(seconds=150)
"""The same for whole lists; the load balancer in front of an app gives up after 230 s."""

_KEPT: Final = 256
"""So many versions of tables are remembered; one never changes."""

_MEMORY_MB: Final = 256


@dataclass(frozen=True, slots=True)
class TableVersion:
    """A table at one version: its columns and its files.

    Attributes:
        lacking: Its columns that none of its files has: the rows that brought them may have been taken out.
    """

    name: str
    table: DeltaTable
    lacking: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        """What tells it from a table of the same name that was made after it was deleted."""
        return self.table.metadata.id if self.table.metadata else ""

    @property
    def types(self) -> Mapping[str, ColumnType]:
        """The columns, in their order."""
        return self.table.metadata.types if self.table.metadata else {}

    @property
    def sizes(self) -> dict[str, int]:
        """The sizes of the files by their paths in the container, in an order that never changes."""
        return {f"{self.name}/{path}": self.table.files[path].size for path in sorted(self.table.files)}

    def relation(self, columns: Mapping[str, ColumnType] | None = None) -> str:
        """Return what stands behind ``FROM``; of a table without files, ``columns`` or its own, without rows."""
        from shared.tables.engine.connection import paths_sql
        from shared.tables.engine.remote import remote_path

        if self.sizes:
            files = f"read_parquet({paths_sql([remote_path(path) for path in self.sizes])}, union_by_name = true)"
            nothing = null_columns({name: self.types[name] for name in self.lacking})
            return f"(SELECT *, {nothing}, {FILE}, {ROW} FROM {files})" if self.lacking else files
        return f"(SELECT {null_columns({**(self.types or columns or {}), FILE: 'long', ROW: 'long'})} WHERE false)"


def null_columns(columns: Mapping[str, ColumnType]) -> str:
    """Return columns that hold nothing, as a ``SELECT`` lists them."""
    return ", ".join(f"CAST(NULL AS {engine_type(kind)}) AS {quoted(name)}" for name, kind in columns.items())


def engine_type(kind: ColumnType) -> str:
    """Return what the engine calls a type."""
    from shared.tables.engine.parquet import SQL_TYPES

    return SQL_TYPES[kind]


class TableReader:
    """Reads the tables of one account. All questions raise ``StorageUnavailable`` when they take too long."""

    def __init__(self, storage: Storage, *, clock: Clock, memory_mb: int, keep: timedelta) -> None:
        self._storage = storage
        self._clock = clock
        self._memory_mb = min(memory_mb, _MEMORY_MB)
        self._keep = keep
        self._places = anyio.CapacityLimiter(AT_ONCE)
        self._lists = anyio.CapacityLimiter(1)
        self._sizes: dict[str, int] = {}
        self._versions: OrderedDict[tuple[str, int], DeltaTable] = OrderedDict()
        self._lacking: OrderedDict[tuple[str, str, int], tuple[str, ...]] = OrderedDict()
        self._opening = asyncio.Lock()
        self._engine: Engine | None = None
        self._files: RemoteFiles | None = None
        self._opened = AsyncExitStack()

    async def version(self, name: str, version: int | None = None) -> TableVersion:
        """Return a table as it is, or as it was at ``version``; one that was never written has no columns.

        Raises:
            Outdated: That version is kept no longer.
        """
        known = self._versions.get((name, version)) if version is not None else None
        table = known or await self._read(name, version)
        self._remember(name, table)
        return TableVersion(name, table)

    async def pinned(self, name: str, version: int, table_id: str, newest: int) -> TableVersion:
        """Return a table as it was at a version, if it is still the same table, and all of its files are still kept.

        Raises:
            Outdated: That version is kept no longer.
        """
        wanted = await self.version(name, version)
        if wanted.id != table_id:
            raise _outdated()
        if version != newest:
            now = (await self.version(name, newest)).table
            since = self._clock() - self._keep
            if any(_is_gone(path, now, since) for path in wanted.table.files):
                raise _outdated()
            if replaced := wanted.table.files.keys() - now.files.keys():  # they may name somebody who was forgotten
                there = {
                    path.rpartition("/")[2] async for path in self._storage.list(Container.TABLES, f"{name}/part-")
                }
                if not replaced <= there:
                    raise _outdated()
        return wanted

    async def with_all_columns(self, version: TableVersion) -> TableVersion:
        """Return a table whose columns can all be read, those too that none of its files has."""
        key = (version.name, version.id, version.table.version)
        if key not in self._lacking:
            self._lacking[key] = await self._columns_without_file(version) if version.sizes else ()
            if len(self._lacking) > _KEPT:
                self._lacking.popitem(last=False)
        return replace(version, lacking=self._lacking[key])

    async def _columns_without_file(self, version: TableVersion) -> tuple[str, ...]:
        there = {name for name, *_ in await self.rows(Sql(f"DESCRIBE SELECT * FROM {version.relation()}"))}
        return tuple(name for name in version.types if name not in there)

    async def rows(self, sql: Sql) -> list[tuple[Any, ...]]:
        """Return the rows of a question whose answer is small."""
        return await self.ask(lambda connection: connection.execute(sql.text, list(sql.values)).fetchall())

    async def ask[T](self, work: Callable[[Connection], T], *, longest: timedelta = LONGEST_QUERY) -> T:
        """Return what ``work`` finds with a connection of its own."""
        async with self._turn(longest) as engine:
            from shared.tables.engine.connection import Engine

            cursor = engine.connection.cursor()
            try:
                cursor.execute("SET TimeZone = 'UTC'")
                with _translated(), self._files.told_plainly() if self._files else nullcontext():
                    return await Engine(cursor, engine.folder).run(work)
            except MissingDocument:
                self._versions.clear()  # somebody has deleted the table: what is remembered of it is wrong
                raise
            finally:
                cursor.close()

    async def ask_list[T](self, work: Callable[[Connection], T]) -> T:
        """Return what ``work`` makes of a whole list, one after the other: each is kept in memory until it is sent."""
        async with self._limited(LONGEST_LIST, self._lists):
            return await self.ask(work, longest=LONGEST_LIST)

    async def ask_apart[T](self, work: Callable[[Connection], T]) -> T:
        """Return what ``work`` finds on an engine of its own, in which it may create what it likes."""
        await _load_engine()
        from shared.tables.engine.connection import open_engine
        from shared.tables.engine.remote import RemoteFiles

        async with self._limited(), open_engine(memory_mb=self._memory_mb) as engine:
            files = RemoteFiles(self._storage, self._sizes)
            engine.connection.register_filesystem(files)
            with _translated(), files.told_plainly():
                return await engine.run(work)

    async def close(self) -> None:
        """Close the engine."""
        _readers.pop(self._storage, None)
        await self._opened.aclose()

    @asynccontextmanager
    async def _turn(self, longest: timedelta = LONGEST_QUERY) -> AsyncIterator["Engine"]:
        async with self._limited(longest):
            yield await self._open()

    @asynccontextmanager
    async def _limited(
        self, longest: timedelta = LONGEST_QUERY, places: anyio.CapacityLimiter | None = None
    ) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(longest.total_seconds()), places or self._places:
                yield
        except TimeoutError as error:
            message = f"the tables could not be read within {longest.total_seconds():.0f} s"
            raise StorageUnavailable(message, remedy="Ask for less, or read the table itself.") from error

    async def _open(self) -> "Engine":
        await _load_engine()
        from shared.tables.engine.connection import open_engine
        from shared.tables.engine.remote import RemoteFiles

        async with self._opening:
            if self._engine is None:
                engine = await self._opened.enter_async_context(open_engine(memory_mb=self._memory_mb))
                self._files = RemoteFiles(self._storage, self._sizes)
                engine.connection.register_filesystem(self._files)
                await engine.execute("SET parquet_metadata_cache = true")
                self._engine = engine
            return self._engine

    async def _read(self, name: str, version: int | None) -> DeltaTable:
        async with self._turn() as engine:
            from shared.tables.delta.log import DeltaLog, NoSuchVersion

            try:
                return await DeltaLog(self._storage, name, clock=self._clock).read(engine, version=version)
            except NoSuchVersion as error:
                raise _outdated() from error

    def _remember(self, name: str, table: DeltaTable) -> None:
        self._versions[name, table.version] = table
        self._versions.move_to_end((name, table.version))
        self._sizes.update(TableVersion(name, table).sizes)
        while len(self._versions) > _KEPT:
            self._versions.popitem(last=False)


_readers: WeakKeyDictionary[Storage, TableReader] = WeakKeyDictionary()


def reader_of(services: Services) -> TableReader:
    """Return the reader of the services; it is closed with them."""
    reader = _readers.get(services.tables)
    if reader is None:
        settings = services.settings
        keep = timedelta(days=settings.tables_keep_days)
        reader = TableReader(services.tables, clock=services.clock, memory_mb=settings.tables_memory_mb, keep=keep)
        _readers[services.tables] = reader
        services.opened.push_async_callback(reader.close)
    return reader


async def _load_engine() -> None:
    """Load the engine beside the event loop: the first time that takes half a second."""
    await asyncio.to_thread(import_module, "shared.tables.engine.remote")


@contextmanager
def _translated() -> Iterator[None]:
    """Tell in our words that the engine has too little memory."""
    import duckdb

    try:
        yield
    except duckdb.OutOfMemoryException as error:
        message, remedy = "the question needs more memory than there is", "Ask for less, or read the table itself."
        raise StorageUnavailable(message, remedy=remedy) from error


def _is_gone(path: str, now: DeltaTable, since: datetime) -> bool:
    """Return whether a file may have been deleted: it was replaced too long ago."""
    if path in now.files:
        return False
    removed_at = now.removed.get(path)
    return removed_at is None or removed_at < since


def _outdated() -> Outdated:
    return Outdated(
        "the app no longer keeps the version of the table that this list began with", remedy="Begin the list again."
    )

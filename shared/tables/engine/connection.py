"""The engine: one duckdb in this process for one piece of work, bounded in memory, without any download."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import duckdb

_SHARE = 0.5
"""Of the memory that tables may take: the rest is for Python, Arrow batches and what duckdb does not count."""

type Cell = Any
"""A value as duckdb gives it."""


@dataclass(frozen=True, slots=True)
class Engine:
    """A duckdb connection and a folder of its own; both are gone with the context that gave them.

    Attributes:
        memory_mb: What it may take.
    """

    connection: duckdb.DuckDBPyConnection
    folder: Path
    memory_mb: int = 200
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def run[T](self, work: Callable[[duckdb.DuckDBPyConnection], T]) -> T:
        """Do CPU work away from the event loop, one piece at a time.

        Whoever is cancelled waits until the work has noticed, at the engine's next chance.
        """
        async with self.turn:
            task = asyncio.create_task(asyncio.to_thread(work, self.connection))
            try:
                return await asyncio.shield(task)
            except asyncio.CancelledError:
                self.connection.interrupt()
                await asyncio.gather(task, return_exceptions=True)
                raise

    def scratch(self, suffix: str) -> Path:
        """Return a name for a file that is not there yet."""
        return self.folder / f"{uuid.uuid4().hex}.{suffix}"

    async def rows(self, sql: str, values: Sequence[object] = ()) -> list[tuple[Cell, ...]]:
        """Return the rows of a query whose answer is small."""
        return await self.run(lambda connection: connection.execute(sql, list(values)).fetchall())

    async def execute(self, sql: str, values: Sequence[object] = ()) -> None:
        """Run a statement."""

        def work(connection: duckdb.DuckDBPyConnection) -> None:
            connection.execute(sql, list(values))

        await self.run(work)


@asynccontextmanager
async def open_engine(*, memory_mb: int, threads: int = 1) -> AsyncIterator[Engine]:
    """Open the engine with a part of ``memory_mb``; what does not fit it writes to a temporary folder."""
    with (
        TemporaryDirectory(prefix="tables-", ignore_cleanup_errors=True) as folder,
        _connected(folder, memory_mb, threads) as connection,
    ):
        yield Engine(connection, Path(folder), _share(memory_mb))


@contextmanager
def _connected(folder: str, memory_mb: int, threads: int) -> Iterator[duckdb.DuckDBPyConnection]:
    connection = duckdb.connect(
        config={
            "memory_limit": f"{_share(memory_mb)}MiB",
            "threads": threads,
            "temp_directory": f"{folder}/spill",
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
            "preserve_insertion_order": False,  # with one thread it is kept all the same, and row groups can be small
            "enable_external_file_cache": False,
        }
    )
    try:
        connection.execute("SET TimeZone = 'UTC'")
        yield connection
    finally:
        connection.close()


def _share(memory_mb: int) -> int:
    return max(48, int(memory_mb * _SHARE))


def quoted_path(name: str) -> str:
    """Return a name as SQL writes it."""
    return f'"{name.replace('"', '""')}"'


def literal(text: str) -> str:
    """Return a text as SQL writes it."""
    return f"'{text.replace("'", "''")}'"


def paths_sql(paths: Sequence[Path | str]) -> str:
    """Return a list of files as SQL writes it."""
    return f"[{', '.join(literal(str(path)) for path in paths)}]"

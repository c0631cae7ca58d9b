"""Writing Parquet files in bounded memory, and keeping them in the container ``tables``."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

import duckdb

from shared.azure.storage import Container, Storage
from shared.tables.engine.connection import Engine, literal, quoted_path
from shared.tables.schema.columns import ColumnType

_BLOCK: Final = 8 * 1024 * 1024
_ROW_GROUP: Final = 20_480
_PART_OF_MEMORY: Final = 8
"""A row group takes at most this part of the engine's memory, however wide the rows are."""


SQL_TYPES: Final[Mapping[ColumnType, str]] = {
    "boolean": "BOOLEAN",
    "long": "BIGINT",
    "double": "DOUBLE",
    "string": "VARCHAR",
    "timestamp": "TIMESTAMPTZ",
    "json": "VARCHAR",
}


@dataclass(frozen=True, slots=True)
class Written:
    """A Parquet file on this machine."""

    path: Path
    rows: int
    size: int


async def write_parquet(engine: Engine, query: str, path: Path, streams: Mapping[str, object] | None = None) -> Written:
    """Write the rows of a query to a Parquet file, compressed with snappy.

    Args:
        streams: Arrow streams, by the names that the query has for them.
    """
    registered = streams or {}

    def work(connection: duckdb.DuckDBPyConnection) -> Written:
        for name, stream in registered.items():
            connection.register(name, stream)
        target = literal(str(path))
        size = f"ROW_GROUP_SIZE {_ROW_GROUP}, ROW_GROUP_SIZE_BYTES '{max(1, engine.memory_mb // _PART_OF_MEMORY)}MB'"
        options = f"FORMAT parquet, COMPRESSION snappy, WRITE_BLOOM_FILTER false, {size}"
        copied = connection.execute(f"COPY ({query}) TO {target} ({options})").fetchone()
        for name in registered:
            connection.unregister(name)
        return Written(path, int(copied[0]) if copied else 0, path.stat().st_size)

    return await engine.run(work)


async def upload(storage: Storage, path: str, written: Written) -> None:
    """Make a blob of the container ``tables`` of a file."""
    with written.path.open("rb") as source:
        blocks = 0
        async for block in _blocks(source):
            await storage.stage(Container.TABLES, path, blocks, block)
            blocks += 1
    await storage.commit(Container.TABLES, path, blocks)


async def _blocks(source: BinaryIO) -> AsyncIterator[bytes]:
    while block := await asyncio.to_thread(source.read, _BLOCK):
        yield block


async def download(storage: Storage, path: str, target: Path) -> Path:
    """Copy a blob of the container ``tables`` to a file."""
    with target.open("wb") as file:
        async for piece in storage.stream(Container.TABLES, path):
            await asyncio.to_thread(file.write, piece)
    return target


def columns_sql(types: Mapping[str, ColumnType], there: Mapping[str, str] | None = None) -> str:
    """Return the columns of a table as a query selects them.

    Args:
        there: The columns that the files have; those that they lack are null.
    """
    return ", ".join(
        quoted_path(name) if there is None or name in there else f"NULL::{SQL_TYPES[kind]} AS {quoted_path(name)}"
        for name, kind in types.items()
    )

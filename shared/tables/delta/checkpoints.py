"""Checkpoints of a Delta log: all actions that count, in one Parquet file, as the protocol lays it out."""

import json
from collections.abc import Iterable, Mapping
from typing import Final

import duckdb

from shared.azure.storage import Storage
from shared.tables.engine.connection import Engine, literal
from shared.tables.engine.parquet import download, upload, write_parquet

_MAP: Final = "MAP(VARCHAR, VARCHAR)"
_COLUMNS: Final = {
    "txn": "STRUCT(appId VARCHAR, version BIGINT, lastUpdated BIGINT)",
    "add": f"STRUCT(path VARCHAR, partitionValues {_MAP}, size BIGINT, modificationTime BIGINT, dataChange BOOLEAN,"
    f" stats VARCHAR, tags {_MAP})",
    "remove": "STRUCT(path VARCHAR, deletionTimestamp BIGINT, dataChange BOOLEAN)",
    "metaData": "STRUCT(id VARCHAR, name VARCHAR, description VARCHAR,"
    f" format STRUCT(provider VARCHAR, options {_MAP}), schemaString VARCHAR, partitionColumns VARCHAR[],"
    f" configuration {_MAP}, createdTime BIGINT)",
    "protocol": "STRUCT(minReaderVersion INTEGER, minWriterVersion INTEGER)",
}
"""Delta transaction protocol, *Checkpoint Schema*, as far as reader 1 and writer 2 go."""


async def write_checkpoint(engine: Engine, storage: Storage, path: str, actions: Iterable[Mapping[str, object]]) -> int:
    """Write a checkpoint, and return how many actions it has."""
    source, target = engine.scratch("json"), engine.scratch("parquet")

    def write(_: duckdb.DuckDBPyConnection) -> None:
        with source.open("w", encoding="utf-8") as file:
            file.writelines(f"{json.dumps(action)}\n" for action in actions)

    await engine.run(write)
    columns = ", ".join(f"{literal(name)}: {literal(kind)}" for name, kind in _COLUMNS.items())
    lines = f"read_json({literal(str(source))}, format = 'newline_delimited', columns = {{{columns}}})"
    written = await write_parquet(engine, f"SELECT * FROM {lines}", target)
    source.unlink()
    await upload(storage, path, written)
    target.unlink()
    return written.rows


async def read_log_checkpoint(engine: Engine, storage: Storage, path: str) -> list[dict[str, object]]:
    """Return the actions of a checkpoint, whoever wrote it."""
    target = await download(storage, path, engine.scratch("parquet"))

    def read(connection: duckdb.DuckDBPyConnection) -> list[dict[str, object]]:
        file = literal(str(target))
        there = [row[0] for row in connection.execute(f"DESCRIBE SELECT * FROM read_parquet({file})").fetchall()]
        known = ", ".join(f'to_json("{name}")' for name in _COLUMNS if name in there)
        names = [name for name in _COLUMNS if name in there]
        rows = connection.execute(f"SELECT {known} FROM read_parquet({file})").fetchall()
        target.unlink()
        return [
            {name: json.loads(cell) for name, cell in zip(names, row, strict=True) if cell is not None} for row in rows
        ]

    return await engine.run(read)

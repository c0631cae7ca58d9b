"""The conversion of a snapshot alone: lines in, Parquet out."""

import asyncio

from benchmarks.contenders import table, tables
from benchmarks.contenders.work import Work, items_of
from benchmarks.nights import DATASET, SOURCE
from shared.avepoint.catalog import catalog
from shared.harvest.snapshots.manifest import read_latest, read_manifest
from shared.tables.build.stages.conversion import convert_part
from shared.tables.engine.connection import open_engine
from shared.tables.schema.columns import TableSchema
from shared.tables.schema.policy import expected
from shared.tables.schema.spec import spec_of

prepare, clean = table.prepare, table.clean


def run(url: str, _: int) -> Work:
    """Convert every part."""
    return asyncio.run(_convert(url))


async def _convert(url: str) -> Work:
    storage = tables.prepare(url).storage
    latest = await read_latest(storage, SOURCE, DATASET)
    manifest = await read_manifest(storage, latest.run_id if latest else "", SOURCE, DATASET)
    if manifest is None:
        raise AssertionError("the snapshot is published")
    spec = spec_of(catalog()[SOURCE, DATASET])
    schema, size = expected(TableSchema(), spec, manifest.run_id), 0
    async with open_engine(memory_mb=400) as engine:
        for part in manifest.parts:
            converted = await convert_part(
                engine, storage, manifest, part, schema=schema, spec=spec, undecided=schema.fields
            )
            size += converted.written.size
            converted.written.path.unlink()
    return Work(items_of(url), size)

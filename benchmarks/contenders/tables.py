"""Builds tables of two nights: what the contenders of tables have in common."""

import asyncio
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp

from benchmarks.contenders.work import Work, items_of
from benchmarks.inmemory import app, settings_for
from benchmarks.nights import DATASET, SOURCE, DiskStorage, publish, write_night
from shared.harvest.snapshots.table_builds import TableAddress
from shared.tables.build.builder import advance_table


@dataclass
class Prepared:
    """A storage with the raw parts of so many items, and the folder they lie in."""

    storage: DiskStorage
    folder: Path


_prepared: dict[int, Prepared] = {}


def prepare(url: str) -> Prepared:
    """Write the parts of two nights, once; the first is published."""
    items = items_of(url)
    if items not in _prepared:
        folder = Path(mkdtemp(prefix="benchmark-"))
        storage = DiskStorage(folder=folder)
        _prepared[items] = Prepared(storage, folder)
        asyncio.run(publish(storage, 0, write_night(folder, 0, items)))
    return _prepared[items]


async def build(url: str) -> Work:
    """Build what is published."""
    prepared = prepare(url)
    async with app(settings_for(url), prepared.storage) as services:
        ending = await advance_table(services, TableAddress(source=SOURCE, dataset=DATASET))
    if ending != "finished":
        raise AssertionError(f"the build ended with {ending!r}")
    size = sum(path.stat().st_size for path in prepared.storage.files.values() if path.suffix == ".parquet")
    return Work(items_of(url), size)

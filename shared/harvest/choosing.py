"""Choosing the parents of a run once, and remembering when each of them was asked for."""

import asyncio
from collections.abc import Sequence
from datetime import datetime

from shared.avepoint.catalog import Dataset, Parent
from shared.errors import Conflict
from shared.harvest import paths
from shared.harvest.duplicates import merged
from shared.harvest.parents import (
    Chooser,
    Chosen,
    Ledger,
    read_hashes_by_parent,
    read_ledger,
    renewed,
    values_of,
    write_by_parent,
)
from shared.harvest.plan import PlannedDataset
from shared.harvest.reading import lines_of
from shared.harvest.runs import Run
from shared.harvest.snapshot import Manifest, read_manifest
from shared.storage import Container, Storage


async def parents_of(storage: Storage, run: Run, dataset: Dataset) -> Chosen:
    """The parents that a run asks for: chosen by whoever needs them first, and the same for everybody."""
    standing = await chosen_parents(storage, run, dataset)
    if standing is not None:
        return standing
    chosen = await choose_parents(storage, dataset, run.planned(dataset.name))
    path = paths.parents(run.run_id, run.source, dataset.name)
    try:
        await storage.create(Container.HARVEST_STATE, path, chosen.to_json())
    except Conflict:
        return await chosen_parents(storage, run, dataset) or chosen
    return chosen


async def chosen_parents(storage: Storage, run: Run, dataset: Dataset) -> Chosen | None:
    """The parents that were chosen for a run, or ``None`` before they are."""
    stored = await storage.read(Container.HARVEST_STATE, paths.parents(run.run_id, run.source, dataset.name))
    return Chosen.from_json(stored.data) if stored else None


async def choose_parents(storage: Storage, dataset: Dataset, planned: PlannedDataset) -> Chosen:
    """Read the snapshot of the parents through, and choose the least recently harvested."""
    snapshot, parent = planned.parents, dataset.parent
    if snapshot is None or parent is None:
        raise AssertionError(f"{dataset.name} is planned without parents")
    chooser = Chooser(await known_parents(storage, planned.remembered), most=snapshot.most)
    manifest = await read_manifest(storage, snapshot.run_id, dataset.source, parent.dataset)
    if manifest is not None:
        async for lines in lines_of(storage, manifest):
            await asyncio.to_thread(_offer, chooser, parent, lines)
    return chooser.chosen()


def _offer(chooser: Chooser, parent: Parent, lines: Sequence[bytes]) -> None:
    for line in lines:
        for values in values_of(line, parent):
            chooser.offer(values)


async def known_parents(storage: Storage, remembered: str | None) -> Ledger:
    """What is remembered of the parents of a dataset."""
    stored = await storage.read(Container.HARVEST_STATE, remembered) if remembered else None
    return read_ledger(stored.data) if stored else {}


async def renewed_ledger(
    storage: Storage, manifest: Manifest, chosen: Chosen, *, until: datetime, remembered: str | None
) -> bytes:
    """What is to be remembered of the parents once a snapshot is published."""
    ledger = await known_parents(storage, remembered)
    hashes: dict[int, bytes] = {}
    if manifest.window is not None:
        for part in manifest.parts:
            stored = await storage.read(Container.HARVEST_STATE, paths.keys(manifest.run_id, part.path))
            for mark, lines in read_hashes_by_parent(stored.data).items() if stored else ():
                hashes[mark] = merged([hashes.get(mark, b""), lines])
    return write_by_parent(renewed(ledger, chosen, until=int(until.timestamp()), hashes=hashes))

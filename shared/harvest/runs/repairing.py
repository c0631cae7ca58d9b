"""Setting right what does not fit together after a restore, never by claiming more than the snapshots prove."""

from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from functools import partial

from shared.avepoint.catalog import Dataset, catalog
from shared.azure.misfits import Misfit, Repair
from shared.azure.storage import Container, Storage
from shared.clock import rfc3339
from shared.errors import ArchivedDocument, NewerDocument, StoredFault
from shared.harvest.plan import paths
from shared.harvest.plan.windows import Window
from shared.harvest.snapshots.consistency import check_parts, misfits_of, published
from shared.harvest.snapshots.manifest import Manifest, check_latest, covered_until, pointer_to
from shared.harvest.snapshots.neighbours import hashes_around
from shared.harvest.snapshots.watermark import Watermark, write_remembered

REACH = timedelta(days=30)
"""The lines of so long before a watermark are remembered, and jobs that have not ended are looked for in it."""


async def repairs(storage: Storage, *, now: datetime) -> AsyncIterator[Repair]:
    """Yield what can be done about everything that does not fit together, dataset by dataset."""
    for dataset in catalog().values():
        for misfit in await misfits_of(storage, dataset, now=now):
            if isinstance(misfit.fault, ArchivedDocument | NewerDocument):  # it is whole, and can be read again
                yield Repair.leave(misfit, misfit.fault.remedy)
            elif misfit.path == paths.latest(dataset.source, dataset.name):
                yield await _repair_latest(storage, dataset, misfit, now)
            else:
                yield await _repair_watermark(storage, dataset, misfit, now)


async def _whole(storage: Storage, dataset: Dataset, now: datetime) -> AsyncIterator[Manifest]:
    """Yield the published snapshots that are all there, the newest first."""
    async for manifest in published(storage, dataset):
        try:
            check_latest(pointer_to(manifest), source=dataset.source, dataset=dataset.name, now=now)
            await check_parts(storage, manifest)
        except StoredFault:
            continue
        yield manifest


async def _repair_latest(storage: Storage, dataset: Dataset, misfit: Misfit, now: datetime) -> Repair:
    async for manifest in _whole(storage, dataset, now):
        data = pointer_to(manifest).to_json()
        words = f"set it to the run {manifest.run_id}, the newest complete snapshot"
        return Repair(misfit, words, partial(_put, storage, Container.INVENTORY, misfit.path, data))
    words = "no published snapshot is complete: harvest the dataset again"
    return Repair(misfit, f"delete it, for {words}", partial(storage.delete, Container.INVENTORY, misfit.path))


async def _repair_watermark(storage: Storage, dataset: Dataset, misfit: Misfit, now: datetime) -> Repair:
    forgetting = partial(storage.delete, Container.HARVEST_STATE, misfit.path)
    if dataset.parent is not None:
        return Repair(misfit, "delete it: the next harvest begins with the first window of each parent", forgetting)
    async for manifest in _whole(storage, dataset, now):
        until = covered_until(manifest)
        if until is not None:
            words = f"set it to {rfc3339(until)}, where the run {manifest.run_id} ended, with the lines before it"
            return Repair(misfit, words, partial(_set_watermark, storage, dataset, misfit.path, manifest.run_id, until))
    return Repair(misfit, "delete it: the next harvest begins with the first window", forgetting)


async def _set_watermark(storage: Storage, dataset: Dataset, path: str, run_id: str, until: datetime) -> None:
    around = Window(from_=until - REACH, to=until)
    hashes = await hashes_around(storage, dataset, around)
    remembered = await write_remembered(storage, dataset.source, dataset.name, run_id, hashes.file)
    watermark = Watermark(to=until, run_id=run_id, remembered=remembered, open_since=around.from_)
    await _put(storage, Container.HARVEST_STATE, path, watermark.to_json())


async def _put(storage: Storage, container: Container, path: str, data: bytes) -> None:
    """Write a document over what stands there, unless somebody changes it at the same time."""
    standing = await storage.read(container, path)
    await storage.write(container, path, data, etag=standing.etag if standing else None)

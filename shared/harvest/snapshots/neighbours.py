"""The lines that stand in published snapshots around a stretch of time: what is harvested of it again is no news."""

import asyncio
from collections.abc import AsyncIterator, Sequence

from shared.avepoint.catalog import Dataset
from shared.azure.damage import unless_unusable
from shared.azure.storage import Container, Storage
from shared.harvest.plan import paths
from shared.harvest.plan.run import Run
from shared.harvest.plan.windows import Window
from shared.harvest.snapshots.duplicates import stored_line_hashes
from shared.harvest.snapshots.manifest import Manifest, read_manifest, snapshot_runs
from shared.harvest.snapshots.reading import lines_of
from shared.harvest.snapshots.sorted_hashes import HashRuns, SortedHashes, read_hashes, store_state
from shared.harvest.snapshots.superseding import Superseded


async def gather_neighbours(storage: Storage, run: Run, dataset: Dataset, window: Window) -> SortedHashes:
    """Return the hashes of the lines around a window of a run; whoever needs them first gathers them.

    A past stretch knows the lines of all snapshots; a night knows those of its own past, and is told the others.

    Raises:
        StoredFault: A snapshot that holds some of them cannot be read.
    """
    async for path in storage.list(Container.HARVEST_STATE, paths.neighbours(run.run_id, run.source, dataset.name)):
        return await read_hashes(storage, [path])
    hashes = await _hashes_of(storage, _neighbours(storage, run, dataset, window))
    if hashes:
        path = paths.neighbours(run.run_id, run.source, dataset.name, hashes.file.digest)
        await store_state(storage, path, hashes.file)
    return hashes


async def check_no_new_neighbours(storage: Storage, run: Run, dataset: Dataset, window: Window) -> None:
    """See that no lines of a window were published since a run began: it does not know them.

    Raises:
        Superseded: Some were.
    """
    async for manifest in _neighbours(storage, run, dataset, window):
        others = manifest.window
        if others is None or others.from_ >= window.to or others.to <= window.from_:
            continue
        if manifest.finished_at > run.started_at:
            raise Superseded(
                f"the run {manifest.run_id} has published lines of this window since",
                remedy="Harvest it again: what that run holds is then left out.",
            )


async def past_stretches(storage: Storage, dataset: Dataset, window: Window) -> AsyncIterator[Manifest]:
    """Yield the published snapshots of past stretches that meet a window."""
    async for manifest in _overlapping(storage, dataset, window, on_request=True):
        if manifest.backfill:
            yield manifest


async def hashes_around(storage: Storage, dataset: Dataset, window: Window) -> SortedHashes:
    """Return the hashes of the lines of every published snapshot whose window meets a stretch of time.

    Raises:
        StoredFault: One of them cannot be read.
    """
    return await _hashes_of(storage, _overlapping(storage, dataset, window))


async def _hashes_of(storage: Storage, manifests: AsyncIterator[Manifest]) -> SortedHashes:
    runs = HashRuns()
    async for manifest in manifests:
        async for lines in lines_of(storage, manifest):
            await asyncio.to_thread(_add, runs, lines)
    return await asyncio.to_thread(SortedHashes, runs)


def _add(runs: HashRuns, lines: Sequence[bytes]) -> None:
    runs.add(stored_line_hashes(lines))


async def _neighbours(storage: Storage, run: Run, dataset: Dataset, window: Window) -> AsyncIterator[Manifest]:
    """Yield what the window of a run meets: of a past stretch all snapshots, of a night only past stretches."""
    backfill = run.planned(dataset.name).backfill
    async for manifest in _overlapping(storage, dataset, window, on_request=not backfill):
        if manifest.run_id != run.run_id and (backfill or manifest.backfill):
            yield manifest


async def _overlapping(
    storage: Storage, dataset: Dataset, window: Window, *, on_request: bool = False
) -> AsyncIterator[Manifest]:
    """Yield the published snapshots whose windows meet a stretch of time.

    Args:
        on_request: Read only those of runs that somebody asked for, which their names tell: the others are many.
    """
    for run in await snapshot_runs(storage, dataset.source, dataset.name):
        if on_request and run == paths.run_id(dataset.source, paths.started_at(run)):
            continue
        reading = read_manifest(storage, run, dataset.source, dataset.name)
        manifest = await unless_unusable(paths.manifest(run, dataset.source, dataset.name), reading)
        if manifest is None or not manifest.published or manifest.window is None:
            continue
        if manifest.window.from_ <= window.to and manifest.window.to >= window.from_:
            yield manifest

"""The end of a dataset: once all its partitions have ended, its manifest is made from what they left, and published.

Everything in the manifest comes from documents that do not change any more, so it is the same manifest whoever
publishes it, and however often.
"""

import asyncio
import logging
from collections.abc import Sequence
from datetime import datetime

from shared.avepoint.catalog import Dataset
from shared.azure.damage import unless_unusable
from shared.azure.storage import Storage
from shared.clock import rfc3339
from shared.errors import AppError, StoredFault
from shared.harvest.plan import paths
from shared.harvest.plan.plan import PlannedDataset
from shared.harvest.plan.run import Run
from shared.harvest.slices.chains import whole_spans
from shared.harvest.slices.checkpoint import ENDED, Checkpoint, checkpoints_of, last_end
from shared.harvest.slices.parents.ledger import read_known_parents, read_parent_results
from shared.harvest.slices.parents.outcomes import nobody_answered
from shared.harvest.slices.parents.results import ParentResults
from shared.harvest.slices.parents.selection import read_selected_parents
from shared.harvest.slices.publishing.companions import name_odd_items, name_parents
from shared.harvest.slices.publishing.making import build_manifest
from shared.harvest.slices.publishing.moving_on import move_on
from shared.harvest.slices.publishing.preconditions import check_can_move_on
from shared.harvest.snapshots.manifest import Manifest, Part, Verdict, read_latest, read_manifest, write_manifest
from shared.harvest.snapshots.sorted_hashes import read_hashes
from shared.harvest.snapshots.superseding import Superseded
from shared.telemetry.events import log_event
from shared.telemetry.spans import span

log = logging.getLogger(__name__)

_EXPIRED = "the run reached its deadline before the end of its window, and publishes the window up to this point"
_NEXT_CONTINUES = "You do not have to do anything: the next run continues where this one ended."
_NO_PROGRESS = {
    "reason": "the run reached its deadline before it had read more than the last run had read",
    "remedy": "Resume the run: it continues where it stopped. Or set HARVEST_WINDOW_OVERLAP_MINUTES lower.",
}


async def publish_if_complete(storage: Storage, run: Run, dataset: Dataset, *, now: datetime) -> None:
    """Publish a dataset once all its partitions have ended; anybody may call it, at any time, any number of times.

    What is stored and cannot be used is logged, and keeps this dataset from being published, but nothing else.
    """
    what = f"{run.run_id}: {run.source}/{dataset.name}"
    await unless_unusable(what, _publish_if_complete(storage, run, dataset, now))


async def _publish_if_complete(storage: Storage, run: Run, dataset: Dataset, now: datetime) -> None:
    standing = await read_manifest(storage, run.run_id, run.source, dataset.name)
    if standing is not None and standing.verdict != "failed":
        await move_on(storage, run, dataset, standing, now)
        return
    checkpoints = await checkpoints_of(storage, run.addresses(dataset.name))
    if any(checkpoint.state not in ENDED for checkpoint in checkpoints):
        return
    if standing is not None and _tells_of(standing, checkpoints):
        return
    with span("harvest.publish", run.run_id, run=run.run_id, source=run.source, dataset=dataset.name) as current:
        current.set_attribute("verdict", await _publish(storage, run, dataset, checkpoints, now))


def _tells_of(failure: Manifest, checkpoints: Sequence[Checkpoint]) -> bool:
    """Whether a failure is that of the checkpoints as they are now, and was not resumed since."""
    outcomes = [checkpoint.progress.outcomes for checkpoint in checkpoints]
    nobody_asked = failure.parents is not None and not failure.parents.asked
    has_failed = any(checkpoint.state == "failed" for checkpoint in checkpoints)
    still_failed = has_failed or nobody_asked or nobody_answered(outcomes)
    return still_failed and failure.finished_at == last_end(checkpoints, failure.finished_at)


async def _publish(
    storage: Storage, run: Run, dataset: Dataset, checkpoints: Sequence[Checkpoint], now: datetime
) -> Verdict:
    try:
        await check_can_move_on(storage, run, dataset, checkpoints, now)
        manifest, results = await _new_manifest(storage, run, dataset, checkpoints)
    except (StoredFault, Superseded) as fault:
        manifest, results = _unpublishable(run, dataset, checkpoints, fault), None
    await name_odd_items(storage, manifest, checkpoints)
    await name_parents(storage, manifest, results)
    before = await _items_before(storage, manifest)
    standing = await write_manifest(storage, manifest)
    log_event(
        log,
        "snapshot.published" if standing.published else "snapshot.held_back",
        run=run.run_id,
        source=run.source,
        dataset=dataset.name,
        verdict=standing.verdict,
        items=standing.items,
        before=before,
    )
    await move_on(storage, run, dataset, standing, now, is_new=standing is manifest)
    return standing.verdict


async def _items_before(storage: Storage, manifest: Manifest) -> int | None:
    """Return how many items the snapshot before held, for a list that holds everything; ``None`` without one."""
    run = manifest.previous_run_id
    if run is None or manifest.kind != "full":
        return None
    reading = read_manifest(storage, run, manifest.source, manifest.dataset)
    before = await unless_unusable(paths.manifest(run, manifest.source, manifest.dataset), reading)
    return before.items if before else None


async def _new_manifest(
    storage: Storage, run: Run, dataset: Dataset, checkpoints: Sequence[Checkpoint]
) -> tuple[Manifest, ParentResults | None]:
    parts = tuple(part for checkpoint in checkpoints for part in checkpoint.progress.parts)
    newest, duplicates, chosen = await asyncio.gather(
        read_latest(storage, run.source, dataset.name),
        _duplicates(storage, run, dataset, parts),
        read_selected_parents(storage, run, dataset),
    )
    results = await read_parent_results(storage, run, dataset, checkpoints, chosen)
    whole, told = whole_spans(run, dataset, checkpoints), {}
    if whole is not None and whole[0].planned(dataset.name).is_read_again:
        told = _NO_PROGRESS
    elif whole is not None:
        run, checkpoints = whole
        told = {"reason": _EXPIRED, "remedy": _rest_of(run.planned(dataset.name))}
    manifest = build_manifest(
        run, dataset, checkpoints, previous=newest, duplicates=duplicates, chosen=chosen, results=results
    )
    return manifest.model_copy(update=told), results


def _rest_of(planned: PlannedDataset) -> str:
    """Return what becomes of the rest of a window of which only the beginning is published."""
    if planned.backfill and planned.window is not None:
        return f"Start a run for the rest of the period, from {rfc3339(planned.window.to)} on."
    return _NEXT_CONTINUES


def _unpublishable(run: Run, dataset: Dataset, checkpoints: Sequence[Checkpoint], fault: AppError) -> Manifest:
    """Return the manifest of a dataset of which not everything can be told: kept for inspection only."""
    manifest = build_manifest(run, dataset, checkpoints, previous=None, duplicates=0, chosen=None, results=None)
    changes = {"verdict": "failed", "published": False, "reason": str(fault), "remedy": fault.remedy}
    return manifest.model_copy(update=changes)


async def _duplicates(storage: Storage, run: Run, dataset: Dataset, parts: Sequence[Part]) -> int:
    """Return how many items came again: by their keys, or by their lines where those of the last window are known."""
    if not dataset.key:
        return 0
    stored = [paths.keys(run.run_id, part.path) for part in parts]
    if dataset.window is None or dataset.parent is None:
        return (await read_hashes(storage, stored)).duplicates
    of_parents = await read_known_parents(storage, *stored)
    return await asyncio.to_thread(of_parents.count_duplicates)

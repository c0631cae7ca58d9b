"""The state of a run, derived from what its partitions have written.

It is read from the checkpoints and the manifests, so there is no counter that two workers could get wrong.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Literal

from pydantic import Field

from shared.avepoint.platform import Source
from shared.azure.bounded_map import bounded_map
from shared.azure.damage import note_unusable
from shared.azure.storage import Storage
from shared.document import Document
from shared.errors import StoredFault
from shared.harvest.plan.plan import PlannedDataset
from shared.harvest.plan.run import Run, Trigger, unfinished
from shared.harvest.slices.checkpoint import ENDED, Checkpoint, checkpoints_of
from shared.harvest.snapshots.manifest import Manifest, Verdict, covered_until, is_latest, read_manifest
from shared.harvest.snapshots.watermark import standing_watermark

type DatasetState = Literal["waiting", "running", "done", "failed", "skipped"]
type RunState = Literal["running", "succeeded", "partial", "failed", "cancelled"]

UNDER_WAY: frozenset[DatasetState] = frozenset({"waiting", "running"})


class Waiting(Document):
    """What a dataset waits for, and until when it is left alone."""

    for_: str = Field(alias="for")
    until: datetime


class DatasetView(Document):
    """The state of a dataset in a run, as callers see it."""

    dataset: str
    state: DatasetState
    verdict: Verdict | None = None
    published: bool = False
    items: int = 0
    partitions: int = 0
    waiting: Waiting | None = None
    reason: str | None = None
    remedy: str | None = None


class RunView(Document):
    """The state of a run, as callers see it."""

    run_id: str
    source: Source
    trigger: Trigger
    state: RunState
    started_at: datetime
    finished_at: datetime | None
    deadline: datetime
    datasets: tuple[DatasetView, ...]


async def view(storage: Storage, run: Run) -> RunView:
    """Return the state of a run: as it was told at its end, or derived from its checkpoints and manifests."""
    if run.finished_at is not None and run.told is not None:
        return RunView.model_validate(run.told)
    datasets = await bounded_map(partial(_view_dataset, storage, run), run.datasets)
    finished = None
    if not any(dataset.state in UNDER_WAY for dataset, _ in datasets):
        finished = max((instant for _, instant in datasets if instant), default=run.started_at)
    return RunView(
        run_id=run.run_id,
        source=run.source,
        trigger=run.trigger,
        state=_state(run, [dataset for dataset, _ in datasets], ended=finished is not None),
        started_at=run.started_at,
        finished_at=finished,
        deadline=run.deadline,
        datasets=tuple(dataset for dataset, _ in datasets),
    )


def _state(run: Run, datasets: Sequence[DatasetView], *, ended: bool) -> RunState:
    if not ended:
        return "running"
    if run.cancelled_at is not None:
        return "cancelled"
    tried = [dataset for dataset in datasets if dataset.state != "skipped"]
    if tried and all(dataset.state == "failed" for dataset in tried):
        return "failed"
    return "succeeded" if all(dataset.published for dataset in tried) else "partial"


async def _view_dataset(storage: Storage, run: Run, dataset: PlannedDataset) -> tuple[DatasetView, datetime | None]:
    """Return the state of a dataset, and when it ended; one whose documents cannot be used has failed."""
    if dataset.skipped is not None:
        state: DatasetState = "failed" if dataset.fault else "skipped"
        seen = DatasetView(dataset=dataset.dataset, state=state, reason=dataset.skipped, remedy=dataset.remedy)
        return seen, None
    try:
        return await _view_harvested(storage, run, dataset)
    except StoredFault as fault:
        note_unusable(f"{run.run_id}: {run.source}/{dataset.dataset}", fault)
        partitions = len(dataset.partitions)
        return DatasetView(
            dataset=dataset.dataset, state="failed", partitions=partitions, reason=str(fault), remedy=fault.remedy
        ), None


async def _view_harvested(storage: Storage, run: Run, dataset: PlannedDataset) -> tuple[DatasetView, datetime | None]:
    manifest = await read_manifest(storage, run.run_id, run.source, dataset.dataset)
    if manifest is not None and manifest.verdict != "failed" and await _has_arrived(storage, manifest):
        return _ended_view(manifest, partitions=len(dataset.partitions)), manifest.finished_at
    checkpoints = await checkpoints_of(storage, run.addresses(dataset.dataset))
    have_ended = all(checkpoint.state in ENDED for checkpoint in checkpoints)
    if manifest is not None and manifest.verdict == "failed" and have_ended:
        return _ended_view(manifest, partitions=len(dataset.partitions)), manifest.finished_at
    begun = any(checkpoint.state != "waiting" for checkpoint in checkpoints)
    return DatasetView(
        dataset=dataset.dataset,
        state="running" if begun else "waiting",
        items=sum(checkpoint.progress.items for checkpoint in checkpoints),
        partitions=len(checkpoints),
        waiting=_waiting(checkpoints),
    ), None


def _waiting(checkpoints: Sequence[Checkpoint]) -> Waiting | None:
    """Return what a dataset waits for: the next of its partitions to go on, when no other one is at work."""
    open_ones = [one for one in checkpoints if one.state not in ENDED]
    waits = [Waiting(for_=one.waits_for, until=one.resume_at) for one in open_ones if one.waits_for and one.resume_at]
    return min(waits, key=lambda wait: wait.until) if waits and len(waits) == len(open_ones) else None


async def _has_arrived(storage: Storage, manifest: Manifest) -> bool:
    """Whether publishing is over: nothing is to be moved any more, neither ``latest`` nor a watermark."""
    if not manifest.published:
        return True
    until = covered_until(manifest)
    if until is not None:
        watermark = await standing_watermark(storage, manifest.source, manifest.dataset)
        if watermark is None or watermark.value.to < until:
            return False
    return await is_latest(storage, manifest)


def _ended_view(manifest: Manifest, *, partitions: int) -> DatasetView:
    return DatasetView(
        dataset=manifest.dataset,
        state="failed" if manifest.verdict == "failed" else "done",
        verdict=manifest.verdict,
        published=manifest.published,
        items=manifest.items,
        partitions=partitions,
        reason=manifest.reason,
        remedy=manifest.remedy,
    )


async def held(
    storage: Storage, source: Source, *, within: timedelta, now: datetime, apart_from: str | None = None
) -> dict[tuple[str, bool], str]:
    """Which unfinished run, begun ``within`` so lately, holds a dataset, for a night or for a past stretch."""
    holders: dict[tuple[str, bool], str] = {}
    async for run in unfinished(storage, source, within=within, now=now):
        if run.run_id == apart_from:
            continue
        seen = await view(storage, run)
        open_ones = {dataset.dataset for dataset in seen.datasets if dataset.state in UNDER_WAY}
        harvested = {(one.dataset, one.backfill) for one in run.datasets if one.dataset in open_ones}
        holders |= dict.fromkeys(harvested, run.run_id)
    return holders

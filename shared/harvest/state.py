"""The state of a run, derived from what its partitions have written.

It is read from the checkpoints and the manifests, so there is no counter that two workers could get wrong.
"""

import asyncio
from collections.abc import Sequence
from datetime import datetime
from typing import Literal

from shared.avepoint.platform import Source
from shared.document import Document
from shared.harvest.checkpoint import ENDED, checkpoints_of
from shared.harvest.plan import PlannedDataset
from shared.harvest.runs import Run, Trigger, unfinished
from shared.harvest.snapshot import Manifest, Verdict, covered_until, is_latest, read_manifest
from shared.harvest.watermark import read_watermark
from shared.storage import Storage

type DatasetState = Literal["waiting", "running", "done", "failed", "skipped"]
type RunState = Literal["running", "succeeded", "partial", "failed", "cancelled"]

UNDER_WAY: frozenset[DatasetState] = frozenset({"waiting", "running"})


class DatasetView(Document):
    """The state of a dataset in a run, as callers see it."""

    dataset: str
    state: DatasetState
    verdict: Verdict | None = None
    published: bool = False
    items: int = 0
    partitions: int = 0
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
    """The state of a run, derived from its checkpoints and manifests."""
    datasets = tuple(await asyncio.gather(*(_view_dataset(storage, run, dataset) for dataset in run.datasets)))
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
    """The state of a dataset, and when it ended."""
    if dataset.skipped is not None:
        seen = DatasetView(dataset=dataset.dataset, state="skipped", reason=dataset.skipped, remedy=dataset.remedy)
        return seen, None
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
    ), None


async def _has_arrived(storage: Storage, manifest: Manifest) -> bool:
    """Whether publishing is over: nothing is to be moved any more, neither ``latest`` nor a watermark."""
    if not manifest.published:
        return True
    until = covered_until(manifest)
    if until is not None:
        watermark = await read_watermark(storage, manifest.source, manifest.dataset)
        if watermark is None or watermark.to < until:
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


async def held(storage: Storage, source: Source, *, since: datetime) -> dict[str, str]:
    """Which unfinished run holds a dataset that has not ended in it."""
    holders: dict[str, str] = {}
    async for run in unfinished(storage, since=since, source=source):
        seen = await view(storage, run)
        holders |= {dataset.dataset: run.run_id for dataset in seen.datasets if dataset.state in UNDER_WAY}
    return holders

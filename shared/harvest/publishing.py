"""The end of a dataset: once all its partitions have ended, its manifest is made from what they left, and published.

Everything in the manifest comes from documents that do not change any more, so it is the same manifest whoever
publishes it, and however often.
"""

import asyncio
import logging
from collections.abc import Sequence
from datetime import datetime
from itertools import chain

from shared.avepoint.catalog import Dataset
from shared.events import log_event
from shared.harvest import paths
from shared.harvest.chains import begin_of
from shared.harvest.checkpoint import ENDED, Checkpoint, Progress, checkpoints_of
from shared.harvest.choosing import chosen_parents, renewed_ledger
from shared.harvest.duplicates import count_duplicates, merged
from shared.harvest.parents import Chosen
from shared.harvest.plan import PlannedDataset
from shared.harvest.runs import Run
from shared.harvest.snapshot import (
    PUBLISHED,
    Latest,
    Manifest,
    Parents,
    Part,
    Total,
    Verdict,
    added,
    advance_latest,
    covered_until,
    judge,
    read_latest,
    read_manifest,
    write_manifest,
)
from shared.harvest.watermark import advance_watermark, read_hashes
from shared.harvest.windows import Window
from shared.storage import Container, Storage
from shared.telemetry import span
from shared.version import VERSION

log = logging.getLogger(__name__)

_OLD_STAYS = "The last whole snapshot stays the newest."


async def publish_if_complete(storage: Storage, run: Run, dataset: Dataset) -> None:
    """Publish a dataset once all its partitions have ended; anybody may call it, at any time, any number of times."""
    standing = await read_manifest(storage, run.run_id, run.source, dataset.name)
    if standing is not None and standing.verdict != "failed":
        await _move_on(storage, run, dataset, standing)
        return
    checkpoints = await checkpoints_of(storage, run.addresses(dataset.name))
    if any(checkpoint.state not in ENDED for checkpoint in checkpoints):
        return
    if standing is not None and _tells_of(standing, checkpoints):
        return
    with span("harvest.publish", run.run_id, run=run.run_id, source=run.source, dataset=dataset.name) as current:
        current.set_attribute("verdict", await _publish(storage, run, dataset, checkpoints))


def _tells_of(failure: Manifest, checkpoints: Sequence[Checkpoint]) -> bool:
    """Whether a failure is that of the checkpoints as they are now, and was not resumed since."""
    still_failed = any(checkpoint.state == "failed" for checkpoint in checkpoints)
    return still_failed and failure.finished_at == _last(checkpoints, failure.finished_at)


async def _publish(storage: Storage, run: Run, dataset: Dataset, checkpoints: Sequence[Checkpoint]) -> Verdict:
    parts = tuple(part for checkpoint in checkpoints for part in checkpoint.progress.parts)
    newest, duplicates, chosen = await asyncio.gather(
        read_latest(storage, run.source, dataset.name),
        _duplicates(storage, run, dataset, parts),
        chosen_parents(storage, run, dataset),
    )
    manifest = build_manifest(run, dataset, checkpoints, previous=newest, duplicates=duplicates, chosen=chosen)
    standing = await write_manifest(storage, manifest)
    await _move_on(storage, run, dataset, standing)
    log_event(
        log,
        "snapshot.published" if standing.published else "snapshot.held_back",
        run=run.run_id,
        source=run.source,
        dataset=dataset.name,
        verdict=standing.verdict,
        items=standing.items,
    )
    return standing.verdict


async def _move_on(storage: Storage, run: Run, dataset: Dataset, manifest: Manifest) -> None:
    """Let ``latest`` name a published snapshot, and then let the watermark say until when everything is there."""
    await advance_latest(storage, manifest)
    until = covered_until(manifest)
    if manifest.published and until is not None:

        async def remember(before: str | None) -> bytes:
            chosen = await chosen_parents(storage, run, dataset)
            if chosen is not None:
                return await renewed_ledger(storage, manifest, chosen, until=until, remembered=before)
            hashes = [paths.keys(manifest.run_id, part.path) for part in manifest.parts]
            return merged(await read_hashes(storage, hashes))

        await advance_watermark(storage, run.source, dataset.name, to=until, run_id=manifest.run_id, remember=remember)


def build_manifest(
    run: Run,
    dataset: Dataset,
    checkpoints: Sequence[Checkpoint],
    *,
    previous: Latest | None,
    duplicates: int,
    chosen: Chosen | None,
) -> Manifest:
    """The manifest of a dataset whose partitions have all ended; pure."""
    progress = [checkpoint.progress for checkpoint in checkpoints]
    parts = tuple(part for one in progress for part in one.parts)
    items = sum(part.items for part in parts)
    failed = next((checkpoint for checkpoint in checkpoints if checkpoint.state == "failed"), None)
    total = _server_total(progress, chosen)
    parents = _parents(progress, chosen)
    dropped = sum(one.dropped for one in progress)
    before = previous.items if previous and dataset.kind == "full" else None
    verdict = judge(
        items,
        total,
        previous_items=before,
        short=any(one.short for one in progress),
        surplus=any(one.surplus for one in progress),
        capped=parents is not None and parents.left_out > 0,
    )
    verdict = "failed" if failed else verdict
    reason, remedy = (failed.reason, failed.remedy) if failed else _explanation(verdict, items)
    planned = run.planned(dataset.name)
    tenants = [partition.tenant for partition in planned.partitions]
    return Manifest(
        run_id=run.run_id,
        source=run.source,
        dataset=dataset.name,
        kind=dataset.kind,
        window=_window(planned, chosen),
        verdict=verdict,
        published=verdict in PUBLISHED,
        items=items,
        duplicates=duplicates + dropped,
        pages=sum(one.pages for one in progress),
        requests=sum(one.requests for one in progress),
        retries=sum(one.retries for one in progress),
        wait_seconds=round(sum(one.wait_seconds for one in progress), 3),
        server_total=total,
        raw_bytes=sum(part.raw_bytes for part in parts),
        bytes=sum(part.bytes for part in parts),
        fields=tuple(dict.fromkeys(chain.from_iterable(one.fields for one in progress))),
        parents=parents,
        tenants=tuple(tenant for tenant in tenants if tenant) or None,
        parts=parts,
        started_at=min((one.started_at for one in checkpoints if one.started_at), default=run.started_at),
        finished_at=_last(checkpoints, run.started_at),
        previous_run_id=previous.run_id if previous else None,
        app_version=VERSION,
        reason=reason,
        remedy=remedy,
    )


def _server_total(progress: Sequence[Progress], chosen: Chosen | None) -> Total | None:
    if chosen is not None and not chosen.parents:
        return Total(min=0, max=0)
    return None if any(one.untotalled for one in progress) else added(one.server_total for one in progress)


def _parents(progress: Sequence[Progress], chosen: Chosen | None) -> Parents | None:
    if chosen is None:
        return None
    gone = sum(one.gone for one in progress)
    return Parents(asked=len(chosen.parents), gone=gone, left_out=chosen.left_out)


def _window(planned: PlannedDataset, chosen: Chosen | None) -> Window | None:
    """The window of the dataset; for a child, back to where the first of its parents begins."""
    if chosen is None or planned.window is None:
        return planned.window
    window, overlap = planned.window, planned.overlap
    begins = (begin_of(window, until, overlap=overlap) for _, until in chosen.parents)
    return window.model_copy(update={"from_": min(begins, default=window.from_)})


def _last(checkpoints: Sequence[Checkpoint], default: datetime) -> datetime:
    return max((one.finished_at for one in checkpoints if one.finished_at), default=default)


def _explanation(verdict: Verdict, items: int) -> tuple[str | None, str | None]:
    if verdict == "short":
        return (
            f"fewer items came than every total the server gave, only {items}",
            f"Run it again; if it happens again, ask AvePoint support. {_OLD_STAYS}",
        )
    if verdict == "suspect_empty":
        return (
            "nothing came, though the last snapshot had items and no total says 0",
            f"Check the permissions of the app registration, then run it again. {_OLD_STAYS}",
        )
    return None, None


async def _duplicates(storage: Storage, run: Run, dataset: Dataset, parts: Sequence[Part]) -> int:
    if not dataset.key or dataset.window:
        return 0
    stored = await asyncio.gather(
        *(storage.read(Container.HARVEST_STATE, paths.keys(run.run_id, part.path)) for part in parts)
    )
    return await asyncio.to_thread(count_duplicates, [hashes.data for hashes in stored if hashes])

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
from shared.harvest.checkpoint import ENDED, Checkpoint, checkpoints_of
from shared.harvest.duplicates import count_duplicates
from shared.harvest.runs import Run
from shared.harvest.snapshot import (
    PUBLISHED,
    Latest,
    Manifest,
    Part,
    Verdict,
    advance_latest,
    combined,
    judge,
    read_latest,
    read_manifest,
    write_manifest,
)
from shared.harvest.watermark import advance_watermark
from shared.storage import Container, Storage
from shared.version import VERSION

log = logging.getLogger(__name__)

_OLD_STAYS = "The last whole snapshot stays the newest."


async def publish_if_complete(storage: Storage, run: Run, dataset: Dataset) -> None:
    """Publish a dataset once all its partitions have ended; anybody may call it, at any time, any number of times."""
    standing = await read_manifest(storage, run.run_id, run.source, dataset.name)
    if standing is not None:
        await _move_on(storage, standing)
        return
    checkpoints = await checkpoints_of(storage, run.addresses(dataset.name))
    if any(checkpoint.state not in ENDED for checkpoint in checkpoints):
        return
    parts = tuple(part for checkpoint in checkpoints for part in checkpoint.progress.parts)
    newest, duplicates = await asyncio.gather(
        read_latest(storage, run.source, dataset.name), _duplicates(storage, run, dataset, parts)
    )
    manifest = build_manifest(run, dataset, checkpoints, previous=newest, duplicates=duplicates)
    standing = await write_manifest(storage, manifest)
    await _move_on(storage, standing)
    log_event(
        log,
        "snapshot.published" if standing.published else "snapshot.held_back",
        run=run.run_id,
        dataset=dataset.name,
        verdict=standing.verdict,
        items=standing.items,
    )


async def _move_on(storage: Storage, manifest: Manifest) -> None:
    """Let ``latest`` name a published snapshot, and then let the watermark say until when everything is there."""
    await advance_latest(storage, manifest)
    if manifest.published and manifest.window is not None:
        hashes = [paths.keys(manifest.run_id, part.path) for part in manifest.parts]
        await advance_watermark(
            storage, manifest.source, manifest.dataset, to=manifest.window.to, run_id=manifest.run_id, hashes=hashes
        )


def build_manifest(
    run: Run, dataset: Dataset, checkpoints: Sequence[Checkpoint], *, previous: Latest | None, duplicates: int
) -> Manifest:
    """The manifest of a dataset whose partitions have all ended; pure."""
    progress = [checkpoint.progress for checkpoint in checkpoints]
    parts = tuple(part for one in progress for part in one.parts)
    items = sum(part.items for part in parts)
    failed = next((checkpoint for checkpoint in checkpoints if checkpoint.state == "failed"), None)
    totals = [total for one in progress for total in one.totals]
    dropped = sum(one.dropped for one in progress)
    before = previous.items if previous and dataset.kind == "full" else None
    verdict = "failed" if failed else judge(items + dropped, totals, previous_items=before)
    reason, remedy = (failed.reason, failed.remedy) if failed else _explanation(verdict, items)
    planned = run.planned(dataset.name)
    tenants = [partition.tenant for partition in planned.partitions]
    return Manifest(
        run_id=run.run_id,
        source=run.source,
        dataset=dataset.name,
        kind=dataset.kind,
        window=planned.window,
        verdict=verdict,
        published=verdict in PUBLISHED,
        items=items,
        duplicates=duplicates + dropped,
        pages=sum(one.pages for one in progress),
        requests=sum(one.requests for one in progress),
        retries=sum(one.retries for one in progress),
        wait_seconds=round(sum(one.wait_seconds for one in progress), 3),
        server_total=combined(totals),
        raw_bytes=sum(part.raw_bytes for part in parts),
        bytes=sum(part.bytes for part in parts),
        fields=tuple(dict.fromkeys(chain.from_iterable(one.fields for one in progress))),
        tenants=tuple(tenant for tenant in tenants if tenant) or None,
        parts=parts,
        started_at=min((one.started_at for one in checkpoints if one.started_at), default=run.started_at),
        finished_at=_last(checkpoints, run.started_at),
        previous_run_id=previous.run_id if previous else None,
        app_version=VERSION,
        reason=reason,
        remedy=remedy,
    )


def _last(checkpoints: Sequence[Checkpoint], default: datetime) -> datetime:
    return max((one.finished_at for one in checkpoints if one.finished_at), default=default)


def _explanation(verdict: Verdict, items: int) -> tuple[str | None, str | None]:
    if verdict == "short":
        return (
            f"only {items} items came, fewer than every total the server gave",
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

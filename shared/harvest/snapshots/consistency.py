"""Whether ``latest`` and the watermark of a dataset fit what is stored: after a restore or a failover they may not."""

from collections.abc import AsyncIterator
from datetime import datetime
from itertools import groupby

from shared.avepoint.catalog import Dataset
from shared.azure.damage import note_unusable, unless_unusable
from shared.azure.misfits import Misfit
from shared.azure.storage import Storage
from shared.azure.storage_errors import archived_blob
from shared.clock import TOLERANCE
from shared.errors import REPAIR, DamagedDocument, FutureTime, MissingDocument, StoredFault
from shared.harvest.plan import paths
from shared.harvest.snapshots.manifest import (
    Latest,
    Manifest,
    check_latest,
    covered_until,
    order_of,
    read_latest,
    read_manifest,
    read_named_manifest,
    snapshot_runs,
)
from shared.harvest.snapshots.verifying import parts_that_are_there, stored_parts
from shared.harvest.snapshots.watermark import Watermark, check_remembered, read_watermark


async def misfits_of(storage: Storage, dataset: Dataset, *, now: datetime) -> list[Misfit]:
    """Return what does not fit together of one dataset."""
    newest, found = None, list[Misfit]()
    try:
        newest = await _newest(storage, dataset, now)
    except StoredFault as fault:
        found.append(Misfit(paths.latest(dataset.source, dataset.name), fault))
    if dataset.window is None and dataset.parent is None:
        return found
    try:
        await _check_watermark(storage, dataset, newest, now)
    except StoredFault as fault:
        found.append(Misfit(paths.watermark(dataset.source, dataset.name), fault))
    return found


async def _newest(storage: Storage, dataset: Dataset, now: datetime) -> Manifest | None:
    """Return the snapshot that ``latest`` names, with all its parts."""
    pointer = await read_latest(storage, dataset.source, dataset.name)
    if pointer is None:
        if [one async for one in published(storage, dataset) if _is_settled(one, now)]:
            raise MissingDocument("there are published snapshots, and it is not there", remedy=REPAIR)
        return None
    check_latest(pointer, source=dataset.source, dataset=dataset.name, now=now)
    manifest = await read_named_manifest(storage, pointer.run_id, dataset.source, dataset.name)
    await check_parts(storage, manifest)
    async for newer in published(storage, dataset, after=pointer):
        if not _is_settled(newer, now) or len(await parts_that_are_there(storage, newer)) < len(newer.parts):
            continue
        raise MissingDocument(f"it does not name the run {newer.run_id}, which was published later", remedy=REPAIR)
    return manifest


def _is_settled(manifest: Manifest, now: datetime) -> bool:
    """Whether publishing has been over for some time: until then, ``latest`` and the watermark may be on their way."""
    return manifest.finished_at < now - TOLERANCE


async def check_parts(storage: Storage, manifest: Manifest) -> None:
    """See that every part of a snapshot can be read.

    Raises:
        MissingDocument: One is not there.
        ArchivedDocument: One is in the archive tier.
    """
    there = await stored_parts(storage, manifest)
    missing = sorted({part.path for part in manifest.parts} - {one.path for one in there})
    if missing:
        raise MissingDocument(
            f"it names the run {manifest.run_id}, of which {len(missing)} parts are not there; the first: {missing[0]}",
            remedy="If they have expired, harvest the dataset again; if they were deleted, make them current again.",
        )
    for listed in there:
        if listed.archived:
            raise archived_blob(listed.path)


async def _check_watermark(storage: Storage, dataset: Dataset, newest: Manifest | None, now: datetime) -> None:
    watermark = await read_watermark(storage, dataset.source, dataset.name, now=now)
    if watermark is None:
        if newest is not None and not newest.backfill and _is_settled(newest, now):
            raise MissingDocument("there are published snapshots, and it is not there", remedy=REPAIR)
        return
    await check_remembered(storage, watermark.remembered)
    proven = await proven_until(storage, dataset, watermark)
    if proven is None or proven < watermark.to:
        raise FutureTime(f"it is ahead of every published snapshot, at {watermark.to.isoformat()}", remedy=REPAIR)
    if (
        newest is not None
        and _is_settled(newest, now)
        and (until := covered_until(newest)) is not None
        and watermark.to < until
    ):
        raise MissingDocument(f"it is behind the run {newest.run_id}, which was published later", remedy=REPAIR)


async def proven_until(storage: Storage, dataset: Dataset, watermark: Watermark) -> datetime | None:
    """Return until when the snapshot of the run that a watermark names holds everything; ``None`` without it."""
    try:
        manifest = await read_manifest(storage, watermark.run_id, dataset.source, dataset.name)
    except DamagedDocument as damaged:
        note_unusable(paths.manifest(watermark.run_id, dataset.source, dataset.name), damaged)
        return None
    return covered_until(manifest) if manifest is not None and manifest.published else None


async def published(storage: Storage, dataset: Dataset, *, after: Latest | None = None) -> AsyncIterator[Manifest]:
    """Yield the manifests of the published snapshots of a dataset that come after one, the newest first."""
    runs = sorted(await snapshot_runs(storage, dataset.source, dataset.name), reverse=True)
    for started, of_one_second in groupby(runs, key=paths.started_at):
        if after is not None and started < paths.started_at(after.run_id):
            return
        found = [await _published(storage, dataset, run) for run in of_one_second]
        for manifest in sorted(filter(None, found), key=order_of, reverse=True):
            if after is None or order_of(manifest) > order_of(after):
                yield manifest


async def _published(storage: Storage, dataset: Dataset, run: str) -> Manifest | None:
    reading = read_manifest(storage, run, dataset.source, dataset.name)
    manifest = await unless_unusable(paths.manifest(run, dataset.source, dataset.name), reading)
    return manifest if manifest is not None and manifest.published else None

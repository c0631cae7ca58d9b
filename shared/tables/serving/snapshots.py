"""The snapshots of a dataset, the newest first."""

import logging
from datetime import datetime
from functools import partial

from shared.avepoint.catalog import Dataset
from shared.azure.bounded_map import bounded_map
from shared.azure.storage import Storage
from shared.document import Document
from shared.errors import StoredFault
from shared.harvest.plan import paths
from shared.harvest.plan.windows import Window
from shared.harvest.snapshots.manifest import Manifest, Verdict, read_manifest, snapshot_runs
from shared.telemetry.events import log_event

log = logging.getLogger(__name__)


class SnapshotsQuery(Document):
    """Which snapshots are wanted; a token of a next link carries it: those before a run."""

    source: str
    dataset: str
    top: int = 100
    before: str | None = None


class SnapshotEntry(Document):
    """One snapshot, published or not; ``manifest`` is the path of its manifest."""

    run_id: str
    verdict: Verdict
    published: bool
    items: int
    window: Window | None
    finished_at: datetime
    manifest: str


async def read_snapshots(
    storage: Storage, dataset: Dataset, query: SnapshotsQuery
) -> tuple[list[SnapshotEntry], SnapshotsQuery | None]:
    """Return snapshots, and what to ask for the ones before; a manifest that cannot be read is left out."""
    run_ids = sorted(await snapshot_runs(storage, dataset.source, dataset.name), reverse=True)
    wanted = [run_id for run_id in run_ids if query.before is None or run_id < query.before]
    read = await bounded_map(partial(_read, storage, dataset), wanted[: query.top])
    found = [_entry(manifest) for manifest in read if manifest is not None]
    following = query.model_copy(update={"before": wanted[query.top - 1]}) if len(wanted) > query.top else None
    return found, following


async def _read(storage: Storage, dataset: Dataset, run_id: str) -> Manifest | None:
    try:
        return await read_manifest(storage, run_id, dataset.source, dataset.name)
    except StoredFault as error:
        log_event(log, "snapshots.unreadable", logging.WARNING, run=run_id, dataset=dataset.name, reason=str(error))
        return None


def _entry(manifest: Manifest) -> SnapshotEntry:
    return SnapshotEntry(
        run_id=manifest.run_id,
        verdict=manifest.verdict,
        published=manifest.published,
        items=manifest.items,
        window=manifest.window,
        finished_at=manifest.finished_at,
        manifest=paths.manifest(manifest.run_id, manifest.source, manifest.dataset),
    )

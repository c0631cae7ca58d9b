"""The published snapshots of a dataset that its table has not taken in yet."""

from datetime import datetime

from shared.avepoint.catalog import Dataset
from shared.azure.bounded_map import bounded_map
from shared.azure.storage import Container, Storage
from shared.errors import MissingDocument
from shared.harvest.plan import paths
from shared.harvest.snapshots.manifest import Latest, Manifest, read_latest, read_manifest, snapshot_runs
from shared.tables.build.planning import is_applied, next_build
from shared.tables.build.state import Ground, TableState
from shared.tables.build.steps import is_due


async def newest_snapshot(storage: Storage, dataset: Dataset) -> Latest | None:
    """Return the pointer to the newest published snapshot."""
    return await read_latest(storage, dataset.source, dataset.name)


async def published_since(storage: Storage, dataset: Dataset, ground: Ground, latest: Latest) -> list[Manifest]:
    """Return the manifests of the published snapshots that are not taken in yet.

    Raises:
        MissingDocument: ``latest`` names a manifest that is not there.
    """
    run_ids = await snapshot_runs(storage, dataset.source, dataset.name)
    if latest.run_id not in run_ids:
        raise MissingDocument(
            f"latest of {dataset.source}/{dataset.name} names the run {latest.run_id}, whose manifest is not there",
            remedy="Harvest the dataset again, or restore the manifest.",
        )
    waiting = [one for one in run_ids if not is_applied(ground, one)]
    read = await bounded_map(lambda run_id: read_manifest(storage, run_id, dataset.source, dataset.name), waiting)
    return [one for one in read if one is not None and one.published]


async def is_waiting(storage: Storage, dataset: Dataset, state: TableState, latest: Latest, *, now: datetime) -> bool:
    """Return whether there is something to do; an increment may have come late, behind the newest snapshot."""
    if is_due(state, latest, now=now):
        return True
    if dataset.window is None or state.reason is not None:
        return False
    published = await published_since(storage, dataset, state.ground, latest)
    return next_build(state.ground, published, latest) is not None


async def has_all_parts(storage: Storage, manifest: Manifest) -> bool:
    """Return whether the parts of a snapshot are still there: raw files may be deleted after some time."""
    folder = paths.parts(manifest.run_id, manifest.source, manifest.dataset)
    there = {path async for path in storage.list(Container.INVENTORY, folder)}
    return all(part.path in there for part in manifest.parts)

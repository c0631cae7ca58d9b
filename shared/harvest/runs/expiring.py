"""What goes with the lines of a snapshot: its manifest, and the lists of parents and odd items beside it.

A lifecycle rule deletes the parts of a snapshot. What is left would name people for good, so the sweep deletes it once
a day, from the oldest snapshot of each dataset up to the first that has parts: a gap behind that is damage, and stays.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from itertools import groupby
from operator import itemgetter
from typing import Final

from shared.azure.damage import unless_unusable
from shared.azure.documents import update
from shared.azure.storage import Container, Storage
from shared.document import StoredDocument
from shared.errors import DamagedDocument
from shared.harvest.plan import paths
from shared.harvest.plan.paths import SnapshotName
from shared.harvest.snapshots.manifest import read_latest, read_manifest

_EVERY: Final = timedelta(days=1)
_LOOKED: Final = "expired.json"
_WITHOUT_PARTS: Final = timedelta(days=30)
"""How long the manifest of a run that has no part at all says why, and lists wait for their manifest."""


class LastLook(StoredDocument):
    """When what has expired was deleted last."""

    looked_at: datetime


async def delete_expired(storage: Storage, *, now: datetime) -> None:
    """Delete what is left of snapshots whose parts have expired, unless somebody has looked within a day."""
    if not await unless_unusable(_LOOKED, _is_due(storage, now)):
        return
    listed = [path async for path in storage.list(Container.INVENTORY, paths.MANIFESTS)]
    names = sorted({name for path in listed if (name := paths.snapshot_of(path) or paths.snapshot_beside(path))})
    for (source, dataset), of_dataset in groupby(names, key=itemgetter(0, 1)):
        await unless_unusable(paths.latest(source, dataset), _delete_of_dataset(storage, list(of_dataset), now))


async def _is_due(storage: Storage, now: datetime) -> bool:
    """Return whether nobody has looked within a day, and note that somebody looks now.

    Raises:
        DamagedDocument: When somebody looked last cannot be read. It is deleted, so that the next sweep looks.
        NewerDocument: A newer version of the app wrote it.
    """
    is_due = False

    def change(last: LastLook | None) -> LastLook | None:
        nonlocal is_due
        is_due = last is None or not timedelta(0) <= now - last.looked_at < _EVERY
        return LastLook(looked_at=now) if is_due else None

    try:
        await update(storage, Container.HARVEST_STATE, _LOOKED, LastLook, change)
    except DamagedDocument:
        await storage.delete(Container.HARVEST_STATE, _LOOKED)
        raise
    return is_due


async def _delete_of_dataset(storage: Storage, names: Iterable[SnapshotName], now: datetime) -> None:
    """Delete the beginning of the snapshots of a dataset; what ``latest`` names is never part of it."""
    latest = None
    for name in names:
        latest = latest or await read_latest(storage, name.source, name.dataset)
        if latest is not None and name.run == latest.run_id:
            return
        async for _ in storage.list(Container.INVENTORY, paths.parts(name.run, name.source, name.dataset)):
            return
        manifest = await read_manifest(storage, name.run, name.source, name.dataset)
        had_parts = manifest is not None and bool(manifest.parts)
        started_at = manifest.started_at if manifest else paths.started_at(name.run)  # a restore may have lost it
        if had_parts or started_at < now - _WITHOUT_PARTS:
            for path_of in (paths.asked_parents_path, paths.odd_items, paths.manifest):
                await storage.delete(Container.INVENTORY, path_of(name.run, name.source, name.dataset))

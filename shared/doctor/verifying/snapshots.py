"""Verifies snapshots, one part after the other, as long as there is time."""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import datetime

from shared.azure.storage import Container, Listed, Storage
from shared.doctor.verifying.documents import Finding, Verification
from shared.doctor.verifying.trail import next_blobs
from shared.errors import NewerDocument, StoredFault
from shared.harvest.plan import paths
from shared.harvest.plan.paths import SnapshotName
from shared.harvest.snapshots.manifest import Manifest, read_latest, read_manifest
from shared.harvest.snapshots.verifying import (
    Fault,
    SnapshotProgress,
    faults_of,
    read_next_part,
    stored_parts,
)

LISTED_AT_ONCE = 200

type TimeLeft = Callable[[], bool]
"""Whether more may be begun."""


@dataclass(slots=True)
class SnapshotsTurn:
    """One turn at verifying snapshots, with the state as it stands."""

    storage: Storage
    state: Verification
    now: datetime

    async def work(self, time_left: TimeLeft) -> None:
        """Verify what comes next, until nothing is left or the time is over; one part at least."""
        if self.state.at is not None and not (await self._verify(self.state.at, time_left) and time_left()):
            return
        for unit in self.state.due_again("snapshot", self.now):
            if not await self._verify(unit, time_left) or not time_left():
                return
        while blobs := await next_blobs(self.state.snapshots, self._manifests(), LISTED_AT_ONCE):
            for blob in blobs:
                done = await self._verify(blob.path, time_left)
                self._put(snapshots=self.state.snapshots.past(blob))
                if not done or not time_left():
                    return
        self._put(snapshots=self.state.snapshots.model_copy(update={"ended": True}))

    def _put(self, **changes: object) -> None:
        self.state = self.state.model_copy(update=changes)

    async def _manifests(self) -> AsyncIterator[Listed]:
        async for blob in self.storage.list_details(Container.INVENTORY, paths.MANIFESTS):
            if paths.snapshot_of(blob.path) is not None:
                yield blob

    async def _verify(self, path: str, time_left: TimeLeft) -> bool:
        """Verify the snapshot of a manifest, from where it was left; return whether that is done."""
        name = paths.snapshot_of(path)
        if name is None:
            return True
        try:
            manifest = await read_manifest(self.storage, name.run, name.source, name.dataset)
        except NewerDocument:
            self._end(path, name, ())  # a newer version of the app can say whether it is whole
            return True
        except StoredFault as fault:
            self._end(path, name, (Fault(path=path, problem=str(fault), remedy=fault.remedy),))
            return True
        if manifest is None or not await self._is_readable(manifest):
            self._end(path, name, ())
            return True
        progress = self.state.progress if self.state.at == path else SnapshotProgress()
        while progress.parts < len(manifest.parts):
            progress = await read_next_part(self.storage, manifest, progress)
            self._put(at=path, progress=progress)
            if not time_left() and progress.parts < len(manifest.parts):
                return False
        self._end(path, name, faults_of(manifest, progress))
        return True

    def _end(self, unit: str, name: SnapshotName, faults: tuple[Fault, ...]) -> None:
        findings = (
            Finding(kind="snapshot", unit=unit, fault=fault, seen_at=self.now, source=name.source, dataset=name.dataset)
            for fault in faults
        )
        self._put(at=None, progress=SnapshotProgress())
        self.state = self.state.found(unit, findings)

    async def _is_readable(self, manifest: Manifest) -> bool:
        """Whether the parts of a snapshot have to be there: those of an old one may have expired, or be archived."""
        if await self._is_newest(manifest):
            return True
        there = await stored_parts(self.storage, manifest)
        if any(part.archived for part in there):
            return False
        return bool(there) or await self._has_older_parts(manifest)

    async def _is_newest(self, manifest: Manifest) -> bool:
        try:
            latest = await read_latest(self.storage, manifest.source, manifest.dataset)
        except StoredFault:  # a check of its own says so
            return False
        return latest is not None and latest.run_id == manifest.run_id

    async def _has_older_parts(self, manifest: Manifest) -> bool:
        """Whether snapshots of earlier days have parts: then those of this one have not expired."""
        own = paths.parts(manifest.run_id, manifest.source, manifest.dataset)
        folder, _, day = own.partition("date=")
        async for other in self.storage.list_folders(Container.INVENTORY, folder):
            return other.removeprefix("date=") < day[:10]
        return False

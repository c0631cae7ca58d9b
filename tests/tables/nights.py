"""Snapshots as a harvest publishes them, night after night, and tables as other programs read them."""

import gzip
import hashlib
import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import polars as pl
from deltalake import DeltaTable as Deltalake

from sandbox.memory_storage import MemoryStorage
from shared.avepoint.catalog import Dataset, catalog
from shared.azure.storage import Container, Queue
from shared.harvest.plan import paths
from shared.harvest.snapshots.manifest import Manifest, Part, Verdict, advance_latest
from shared.harvest.snapshots.table_builds import TableAddress
from shared.services import Services
from shared.settings import load_settings
from shared.tables.build.builder import advance_table
from shared.tables.build.names import changes_name, table_name
from shared.tables.build.requests import request_rebuild
from shared.tables.build.state import Rebuild
from shared.tables.build.worker import BuildEnding
from tests.conftest import Clock

type Item = Mapping[str, Any]

SETTINGS = {
    "AVEPOINT_DATA_CENTER": "us",
    "AVEPOINT_CLIENT_ID": "client",
    "AVEPOINT_CLIENT_SECRET": "secret",
    "INVENTORY_STORAGE": "in memory",
    "HARVEST_ENPOWER_SCHEDULE": "0 0 1 * * *",
    "HARVEST_GRAPH_SCHEDULE": "0 0 2 * * *",
    "HARVEST_ELEMENTS_SCHEDULE": "0 0 3 * * *",
    "SWEEP_SCHEDULE": "0 */10 * * * *",
}


def services_of(storage: MemoryStorage, clock: Clock, **settings: str) -> Services:
    """What a build needs of the services of the app."""
    loaded = load_settings(SETTINGS | settings)
    nothing = cast("Any", None)
    return Services(loaded, storage, storage, nothing, clock, nothing, None, nothing, nothing, nothing)


@dataclass
class Nights:
    """A dataset whose snapshots a test makes up."""

    storage: MemoryStorage
    clock: Clock
    dataset: Dataset
    settings: dict[str, str] = field(default_factory=dict)
    runs: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, storage: MemoryStorage, clock: Clock, name: str, **settings: str) -> "Nights":
        source, _, dataset = name.partition("/")
        return cls(storage, clock, catalog()[source, dataset], settings)  # type: ignore[index]  # a source

    @property
    def address(self) -> TableAddress:
        return TableAddress(source=self.dataset.source, dataset=self.dataset.name)

    async def publish(
        self,
        *parts: Sequence[Item | bytes],
        verdict: Verdict = "complete",
        tenants: Sequence[str] = (),
        parents: Mapping[str, Any] | None = None,
        asked: Sequence[Mapping[str, object]] | None = None,
        at: datetime | None = None,
        total: int | None = None,
        odd: int = 0,
    ) -> Manifest:
        """Publish a snapshot with these parts; ``tenants`` name the partition of each."""
        started = at or datetime(2026, 1, 1, 2, tzinfo=UTC) + timedelta(days=len(self.runs))
        self.clock.now = max(self.clock.now, started + timedelta(minutes=5))
        run = paths.run_id(self.dataset.source, started)
        self.runs.append(run)
        written = [await self._part(run, n, items, tenants) for n, items in enumerate(parts)]
        items = sum(part.items for part in written)
        values: dict[str, object] = {
            "run_id": run,
            "source": self.dataset.source,
            "dataset": self.dataset.name,
            "kind": self.dataset.kind,
            "verdict": verdict,
            "published": True,
            "items": items,
            "duplicates": 0,
            "odd_items": odd,
            "pages": len(written),
            "requests": len(written),
            "retries": 0,
            "wait_seconds": 0.5,
            "server_total": None if total is None else {"min": total, "max": total},
            "raw_bytes": sum(part.raw_bytes for part in written),
            "bytes": sum(part.bytes for part in written),
            "fields": (),
            "tenants": tuple(tenants) or None,
            "parts": tuple(written),
            "started_at": started,
            "finished_at": started + timedelta(minutes=5),
            "previous_run_id": None,
            "app_version": "1",
        }
        if self.dataset.parent is not None:
            values["parents"] = {"asked": len(asked or ()), "gone": 0, "leftOut": 0}
        manifest = Manifest.model_validate(values)
        document = json.loads(manifest.to_json())
        path = paths.manifest(run, self.dataset.source, self.dataset.name)
        if asked is not None:
            listed = path.replace(".json", ".parents.ndjson")
            lines = b"".join(json.dumps(one).encode() + b"\n" for one in asked)
            await self.storage.write(Container.INVENTORY, listed, lines, etag=None)
            document["parents"] |= {"path": listed, "asked": len(asked)}
        document["parents"] = (document["parents"] or {}) | dict(parents or {}) or None
        await self.storage.write(Container.INVENTORY, path, json.dumps(document).encode(), etag=None)
        await advance_latest(self.storage, manifest)
        return manifest

    async def build(self, **settings: str) -> BuildEnding:
        """Build the table, as often as messages ask for it."""
        ending = await advance_table(self.services(**settings), self.address)
        while ending == "handed over":
            ending = await advance_table(self.services(**settings), self.address)
        self.storage.queues[Queue.TABLES].clear()
        return ending

    async def rebuild(self, mode: Rebuild) -> None:
        """Ask for the table to be made again, and make it."""
        await request_rebuild(self.services(), self.dataset.source, self.dataset.name, mode)
        assert await self.build() == "finished"

    def active(self, name: str) -> list[str]:
        """The files of a table as delta-rs sees them."""
        with tempfile.TemporaryDirectory() as folder:
            return [str(path) for path in Deltalake(self._copy(name, Path(folder))).file_uris()]

    def forget_parts(self, manifest: Manifest) -> None:
        """Delete the raw files of a snapshot, as a lifecycle rule does."""
        for part in manifest.parts:
            del self.storage.blobs[Container.INVENTORY][part.path]

    def services(self, **settings: str) -> Services:
        return services_of(self.storage, self.clock, **self.settings, **settings)

    async def night(self, *parts: Sequence[Item | bytes], **told: Any) -> Manifest:  # noqa: ANN401 - as publish takes it
        """Publish and build."""
        manifest = await self.publish(*parts, **told)
        assert await self.build() == "finished"
        return manifest

    def table(self) -> pl.DataFrame:
        """The current table, as polars reads it."""
        return self.read(table_name(self.dataset.source, self.dataset.name))

    def changes(self) -> list[dict[str, Any]]:
        """The changes, in order."""
        frame = self.read(changes_name(self.dataset.source, self.dataset.name)).sort("run_id", "key")
        return [
            row | {side: json.loads(row[side]) if row[side] else None for side in ("before", "after")}
            for row in frame.to_dicts()
        ]

    def told(self) -> list[tuple[Any, ...]]:
        """Key, change, whether it is sure, and fields."""
        return [(row["key"], row["change"], row["sure"], row["fields"]) for row in self.changes()]

    def read(self, name: str) -> pl.DataFrame:
        """A table, read by delta-rs through polars from a copy of the container."""
        with tempfile.TemporaryDirectory() as folder:
            return pl.read_delta(str(self._copy(name, Path(folder))))

    def _copy(self, name: str, folder: Path) -> Path:
        for path, stored in self.storage.blobs[Container.TABLES].items():
            if path.startswith(f"{name}/"):
                target = folder / path
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(stored.data)
        return folder / name

    async def _part(self, run: str, number: int, items: Sequence[Item | bytes], tenants: Sequence[str]) -> Part:
        lines = [item if isinstance(item, bytes) else json.dumps(item).encode() for item in items]
        raw = b"".join(line + b"\n" for line in lines)
        data = gzip.compress(raw, mtime=0)
        partition = tenants[number] if tenants else "all"
        path = paths.part(run, self.dataset.source, self.dataset.name, partition, epoch=1, number=number)
        await self.storage.write(Container.INVENTORY, path, data, etag=None)
        digest = hashlib.sha256(data).hexdigest()
        return Part(
            path=path, partition=partition, items=len(lines), raw_bytes=len(raw), bytes=len(data), sha256=digest
        )

"""A snapshot of a dataset: its parts, the verdict on them, the manifest, and the pointer to the newest one."""

from collections.abc import Iterable
from datetime import datetime
from typing import Literal, Self

from pydantic import Field

from shared.avepoint.catalog import Kind
from shared.avepoint.platform import Source
from shared.document import Document
from shared.errors import Conflict
from shared.harvest import paths
from shared.harvest.windows import Window
from shared.storage import Container, Storage

type Verdict = Literal["complete", "complete_unverified", "surplus", "capped", "short", "suspect_empty", "failed"]

PUBLISHED: frozenset[Verdict] = frozenset({"complete", "complete_unverified", "surplus", "capped"})
"""The verdicts under which ``latest`` moves on; under the others the old snapshot stays."""


class Total(Document):
    """The smallest and the largest total the server gave while it was paged."""

    min: int
    max: int

    def including(self, total: int) -> Self:
        """With one more total."""
        return self.model_copy(update={"min": min(self.min, total), "max": max(self.max, total)})


class Part(Document):
    """One gzip stream of NDJSON; ``sha256`` is over the blob, ``raw_bytes`` over the uncompressed lines."""

    path: str
    partition: str
    items: int
    raw_bytes: int
    bytes: int
    sha256: str


class Parents(Document):
    """How many parents a child dataset was asked for, were gone, and were left out by the limit."""

    asked: int
    gone: int
    left_out: int


class Manifest(Document):
    """What a snapshot holds, and the proof of it."""

    schema_version: int = Field(1, alias="schema")
    run_id: str
    source: Source
    dataset: str
    kind: Kind
    window: Window | None = None
    verdict: Verdict
    published: bool
    items: int
    duplicates: int
    pages: int
    requests: int
    retries: int
    wait_seconds: float
    server_total: Total | None
    raw_bytes: int
    bytes: int
    fields: tuple[str, ...]
    parents: Parents | None = None
    tenants: tuple[str, ...] | None
    parts: tuple[Part, ...]
    started_at: datetime
    finished_at: datetime
    previous_run_id: str | None
    app_version: str
    reason: str | None = None
    remedy: str | None = None


class Latest(Document):
    """The pointer to the newest published snapshot of a dataset."""

    run_id: str
    manifest: str
    verdict: Verdict
    kind: Kind
    items: int
    finished_at: datetime


def judge(
    items: int,
    total: Total | None,
    *,
    previous_items: int | None,
    short: bool = False,
    surplus: bool = False,
    capped: bool = False,
) -> Verdict:
    """The verdict on a snapshot whose chains all ended by themselves.

    Args:
        items: How many items came.
        total: What the server said of all chains together; ``None`` where it said nothing of one of them.
        previous_items: How many the newest published snapshot holds; ``None`` without one.
        short: A chain gave fewer items than every total the server named for it.
        surplus: A chain gave more.
        capped: Parents were left out by a limit.
    """
    if short:
        return "short"
    if total is None and items == 0 and previous_items:
        return "suspect_empty"
    if capped:
        return "capped"
    if surplus:
        return "surplus"
    return "complete_unverified" if total is None else "complete"


def added(totals: Iterable[Total | None]) -> Total | None:
    """Those of ``totals`` that are there, added up; ``None`` when none is."""
    known = [total for total in totals if total is not None]
    return Total(min=sum(one.min for one in known), max=sum(one.max for one in known)) if known else None


async def read_manifest(storage: Storage, run: str, source: Source, dataset: str) -> Manifest | None:
    """The manifest of a snapshot, published or not."""
    stored = await storage.read(Container.INVENTORY, paths.manifest(run, source, dataset))
    return Manifest.from_json(stored.data) if stored else None


async def read_latest(storage: Storage, source: Source, dataset: str) -> Latest | None:
    """The pointer to the newest published snapshot."""
    stored = await storage.read(Container.INVENTORY, paths.latest(source, dataset))
    return Latest.from_json(stored.data) if stored else None


async def write_manifest(storage: Storage, manifest: Manifest) -> Manifest:
    """Write a manifest once; one that says that the dataset failed gives way to what came of trying again.

    Returns:
        The manifest that stands: the one of whoever was first.
    """
    path = paths.manifest(manifest.run_id, manifest.source, manifest.dataset)
    while True:
        stored = await storage.read(Container.INVENTORY, path)
        standing = Manifest.from_json(stored.data) if stored else None
        if standing is not None and (standing.verdict != "failed" or standing == manifest):
            return standing
        try:
            if stored is None:
                await storage.create(Container.INVENTORY, path, manifest.to_json())
            else:
                await storage.replace(Container.INVENTORY, path, manifest.to_json(), etag=stored.etag)
        except Conflict:
            continue
        return manifest


async def advance_latest(storage: Storage, manifest: Manifest) -> None:
    """Let ``latest`` name ``manifest`` if it is published, unless it names a newer one: it never moves back."""
    if not manifest.published:
        return
    pointer = Latest(
        run_id=manifest.run_id,
        manifest=paths.manifest(manifest.run_id, manifest.source, manifest.dataset),
        verdict=manifest.verdict,
        kind=manifest.kind,
        items=manifest.items,
        finished_at=manifest.finished_at,
    ).to_json()
    path = paths.latest(manifest.source, manifest.dataset)
    while True:
        stored = await storage.read(Container.INVENTORY, path)
        try:
            if stored is None:
                await storage.create(Container.INVENTORY, path, pointer)
            elif _order(Latest.from_json(stored.data)) < _order(manifest):
                await storage.replace(Container.INVENTORY, path, pointer, etag=stored.etag)
        except Conflict:
            continue
        return


def covered_until(manifest: Manifest) -> datetime | None:
    """What the watermark says after a snapshot: the end of its window, or when its parents were asked, or nothing."""
    if manifest.window is not None:
        return manifest.window.to
    return paths.started_at(manifest.run_id) if manifest.parents is not None else None


async def is_latest(storage: Storage, manifest: Manifest) -> bool:
    """Whether ``latest`` names the snapshot or a newer one."""
    latest = await read_latest(storage, manifest.source, manifest.dataset)
    return latest is not None and _order(latest) >= _order(manifest)


def _order(snapshot: Latest | Manifest) -> tuple[datetime, datetime]:
    """Snapshots are ordered by when their run began; those of the same second, by when they were finished."""
    return paths.started_at(snapshot.run_id), snapshot.finished_at

"""A snapshot of a dataset: its parts, the verdict on them, the manifest, and the pointer to the newest one."""

from collections.abc import Iterable
from datetime import datetime
from typing import Literal, Self

from shared.avepoint.catalog import DatasetKind, Value
from shared.avepoint.platform import Source
from shared.azure.documents import read_document, update
from shared.azure.storage import Container, Storage
from shared.clock import check_past
from shared.document import StoredDocument, StoredValue
from shared.errors import REPAIR, MissingDocument
from shared.harvest.plan import paths
from shared.harvest.plan.paths import RunId
from shared.harvest.plan.windows import Window

type Verdict = Literal["complete", "complete_unverified", "surplus", "capped", "short", "suspect_empty", "failed"]

PUBLISHED: frozenset[Verdict] = frozenset({"complete", "complete_unverified", "surplus", "capped"})
"""The verdicts under which ``latest`` moves on; under the others the old snapshot stays."""


class Total(StoredValue):
    """The smallest and the largest total the server gave while it was paged."""

    min: int
    max: int

    def including(self, total: int) -> Self:
        """With one more total."""
        return self.model_copy(update={"min": min(self.min, total), "max": max(self.max, total)})


class Part(StoredValue):
    """One gzip stream of NDJSON; ``sha256`` is over the blob, ``raw_bytes`` over the uncompressed lines."""

    path: str
    partition: str
    items: int
    raw_bytes: int
    bytes: int
    sha256: str


class FailedParent(StoredValue):
    """A parent that was left out of a harvest, as ``_parent`` would show it, and why."""

    parent: dict[str, Value]
    reason: str


class Parents(StoredValue):
    """How many parents a child dataset was asked for, are gone, were left out by the limit, and failed.

    Attributes:
        failed: The first hundred that failed.
        path: The parents that were asked, one JSON line each; ``None`` in manifests of the first release.
    """

    asked: int
    gone: int
    left_out: int
    failed: tuple[FailedParent, ...] = ()
    failed_count: int = 0
    path: str | None = None


class Manifest(StoredDocument):
    """What a snapshot holds, and the proof of it."""

    run_id: RunId
    source: Source
    dataset: str
    kind: DatasetKind
    window: Window | None = None
    backfill: bool = False
    """Its window is a past stretch that somebody asked for."""
    verdict: Verdict
    published: bool
    items: int
    distinct: int | None = None
    """Items less duplicates; ``None`` in manifests of the first release."""
    duplicates: int
    odd_items: int = 0
    """Items that could not be read as documented; the first hundred are named beside the manifest."""
    open: int | None = None
    """Items that had not ended; ``None`` where nothing ends."""
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


class Latest(StoredDocument):
    """The pointer to the newest published snapshot of a dataset."""

    run_id: RunId
    manifest: str
    verdict: Verdict
    kind: DatasetKind
    items: int
    finished_at: datetime


def judge_snapshot(
    distinct: int,
    total: Total | None,
    *,
    previous_items: int | None,
    short: bool = False,
    surplus: bool = False,
    capped: bool = False,
) -> Verdict:
    """Return the verdict on a snapshot whose chains all ended by themselves.

    Args:
        distinct: How many different items came: one that came twice does not stand for one that did not come.
        total: What the server said of all chains together; ``None`` where it said nothing of one of them.
        previous_items: How many the newest published snapshot holds; ``None`` without one.
        short: A chain gave fewer items than every total the server named for it.
        surplus: A chain gave more.
        capped: Parents were left out by a limit.
    """
    if short or (total is not None and distinct < total.min):
        return "short"
    if total is None and distinct == 0 and previous_items:
        return "suspect_empty"
    if capped:
        return "capped"
    if surplus or (total is not None and distinct > total.max):
        return "surplus"
    return "complete_unverified" if total is None else "complete"


def added(totals: Iterable[Total | None]) -> Total | None:
    """Those of ``totals`` that are there, added up; ``None`` when none is."""
    known = [total for total in totals if total is not None]
    return Total(min=sum(one.min for one in known), max=sum(one.max for one in known)) if known else None


async def read_manifest(storage: Storage, run: str, source: Source, dataset: str) -> Manifest | None:
    """Return the manifest of a snapshot, published or not."""
    stored = await read_document(storage, Container.INVENTORY, paths.manifest(run, source, dataset), Manifest)
    return stored.value if stored else None


async def snapshot_runs(storage: Storage, source: Source, dataset: str) -> list[str]:
    """Return the ids of the runs that have a manifest of a dataset, published or not."""
    listed = [path async for path in storage.list(Container.INVENTORY, paths.manifests(source, dataset))]
    return [name.run for path in listed if (name := paths.snapshot_of(path)) is not None]


async def read_latest(storage: Storage, source: Source, dataset: str) -> Latest | None:
    """Return the pointer to the newest published snapshot."""
    stored = await read_document(storage, Container.INVENTORY, paths.latest(source, dataset), Latest)
    return stored.value if stored else None


async def read_newest_manifest(storage: Storage, source: Source, dataset: str, *, now: datetime) -> Manifest | None:
    """Return the manifest that ``latest`` names; ``None`` while nothing has been published.

    Raises:
        FutureTime: ``latest`` names a snapshot that is still to come.
        MissingDocument: The manifest is not there.
    """
    pointer = await read_latest(storage, source, dataset)
    if pointer is None:
        return None
    check_latest(pointer, source=source, dataset=dataset, now=now)
    return await read_named_manifest(storage, pointer.run_id, source, dataset)


async def read_named_manifest(storage: Storage, run: str, source: Source, dataset: str) -> Manifest:
    """Return the manifest of a snapshot that another document names.

    Raises:
        MissingDocument: It is not there.
    """
    manifest = await read_manifest(storage, run, source, dataset)
    if manifest is None:
        path = paths.manifest(run, source, dataset)
        raise MissingDocument(f"{path} is named as a published snapshot, and is not there", remedy=REPAIR)
    return manifest


async def write_manifest(storage: Storage, manifest: Manifest) -> Manifest:
    """Write a manifest once; one that says that the dataset failed gives way to what came of trying again.

    Returns:
        The manifest that stands: the one of whoever was first.
    """

    def change(standing: Manifest | None) -> Manifest | None:
        return manifest if standing is None or standing.verdict == "failed" else None

    path = paths.manifest(manifest.run_id, manifest.source, manifest.dataset)
    return await update(storage, Container.INVENTORY, path, Manifest, change) or manifest


def pointer_to(manifest: Manifest) -> Latest:
    """Return what ``latest`` says when it names a snapshot."""
    return Latest(
        run_id=manifest.run_id,
        manifest=paths.manifest(manifest.run_id, manifest.source, manifest.dataset),
        verdict=manifest.verdict,
        kind=manifest.kind,
        items=manifest.items,
        finished_at=manifest.finished_at,
    )


async def advance_latest(storage: Storage, manifest: Manifest) -> bool:
    """Let ``latest`` name ``manifest`` if it is published, unless it names a newer one: it never moves back.

    Returns:
        Whether this call has moved it.
    """
    moves = False
    if not manifest.published:
        return moves
    pointer = pointer_to(manifest)

    def change(standing: Latest | None) -> Latest | None:
        nonlocal moves
        moves = standing is None or order_of(standing) < order_of(manifest)
        return pointer if moves else None

    await update(storage, Container.INVENTORY, paths.latest(manifest.source, manifest.dataset), Latest, change)
    return moves


def check_latest(latest: Latest, *, source: Source, dataset: str, now: datetime) -> Latest:
    """Return a pointer that tells of the past.

    Raises:
        FutureTime: Its snapshot is still to come; nothing newer could ever take its place.
    """
    path = paths.latest(source, dataset)
    check_past(paths.started_at(latest.run_id), now=now, what=f"runId of {path}")
    check_past(latest.finished_at, now=now, what=f"finishedAt of {path}")
    return latest


def covered_until(manifest: Manifest) -> datetime | None:
    """Return what the watermark says after a snapshot: the end of its window, or when its parents were asked."""
    if manifest.backfill:
        return None
    if manifest.window is not None:
        return manifest.window.to
    return paths.started_at(manifest.run_id) if manifest.parents is not None else None


async def is_latest(storage: Storage, manifest: Manifest) -> bool:
    """Whether ``latest`` names the snapshot or a newer one."""
    latest = await read_latest(storage, manifest.source, manifest.dataset)
    return latest is not None and order_of(latest) >= order_of(manifest)


def order_of(snapshot: Latest | Manifest) -> tuple[datetime, datetime]:
    """Snapshots are ordered by when their run began; those of the same second, by when they were finished."""
    return paths.started_at(snapshot.run_id), snapshot.finished_at

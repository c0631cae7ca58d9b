"""The checkpoint of a partition: who works on it, how far it is, and what it has written."""

import asyncio
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import Literal, Self

from shared.avepoint.catalog import Dataset
from shared.avepoint.paging import LoopGuard, Page
from shared.avepoint.request import Method, Request
from shared.document import Document
from shared.errors import Conflict
from shared.harvest import paths
from shared.harvest.runs import Address
from shared.harvest.snapshot import Part, Total, added
from shared.storage import Container, Storage

type State = Literal["waiting", "running", "done", "failed"]

ENDED: frozenset[State] = frozenset({"done", "failed"})


class Claim(Document):
    """The one worker that may advance the checkpoint, until its time is over."""

    owner: str
    until: datetime


class Continuation(Document):
    """The request for the next page. It may hold a continuation token, which belongs nowhere but here."""

    method: Method
    url: str
    body: str | None = None

    @classmethod
    def of(cls, request: Request) -> Self:
        """What to keep of ``request``."""
        return cls(method=request.method, url=request.url, body=request.body.decode() if request.body else None)

    def request(self, dataset: Dataset) -> Request:
        """The request again."""
        body = self.body.encode() if self.body else None
        return Request(self.method, self.url, dataset.scope, dataset.registration, body)


class Progress(Document):
    """How far the chains of pages of a partition have come, up to the end of its last part.

    ``next``, ``guard`` and ``total`` are those of the chain under way; what is ``earlier`` is of the chains before it.
    """

    next: Continuation | None = None
    guard: LoopGuard = LoopGuard()
    total: Total | None = None
    chain: int = 0
    earlier_parts: int = 0
    earlier_pages: int = 0
    earlier_total: Total | None = None
    """The totals of all chains that gave one, added up."""
    untotalled: bool = False
    """A chain gave no total."""
    short: bool = False
    """A chain gave fewer items than every total it named."""
    surplus: bool = False
    """A chain gave more items than any total it named."""
    gone: int = 0
    """Parents that are not there any more, whatever they were asked with."""
    refusals: int = 0
    """How often the parent under way was not there."""
    dropped: int = 0
    """Lines left out because they came in an earlier window or span."""
    requests: int = 0
    retries: int = 0
    wait_seconds: float = 0
    fields: tuple[str, ...] = ()
    parts: tuple[Part, ...] = ()

    @property
    def items(self) -> int:
        """Items in all parts."""
        return sum(part.items for part in self.parts)

    @property
    def pages(self) -> int:
        """Pages in all chains."""
        return self.earlier_pages + self.guard.pages

    @property
    def server_total(self) -> Total | None:
        """What the server said of all chains together; ``None`` as soon as it said nothing of one."""
        return None if self.untotalled else added([self.earlier_total, self.total])

    def since(self, earlier: "Progress") -> dict[str, float]:
        """What has been harvested since ``earlier``, as fields of a log event.

        What a chain harvests again, having begun again, is counted again.
        """
        size = sum(part.bytes for part in self.parts) - sum(part.bytes for part in earlier.parts)
        return {
            "items": max(0, self.items - earlier.items),
            "pages": max(0, self.pages - earlier.pages),
            "bytes": max(0, size),
            "requests": self.requests - earlier.requests,
            "retries": self.retries - earlier.retries,
            "waited": self.wait_seconds - earlier.wait_seconds,
        }

    def after(
        self, page: Page, *, guard: LoopGuard, following: Request | None, retries: int, waited: timedelta
    ) -> Self:
        """With one more page, ``following`` being the request for the next one of the same chain."""
        total = self.total
        if page.total is not None:
            total = Total(min=page.total, max=page.total) if total is None else total.including(page.total)
        return self.model_copy(
            update={
                "next": Continuation.of(following) if following else None,
                "guard": guard,
                "total": total,
                "requests": self.requests + 1 + retries,
                "retries": self.retries + retries,
                "wait_seconds": self.wait_seconds + waited.total_seconds(),
                "fields": tuple(dict.fromkeys((*self.fields, *page.field_names()))),
            }
        )

    def in_next_chain(self) -> Self:
        """At the beginning of the next chain, this one having ended by itself."""
        total, items = self.total, self.guard.items
        return self._moved_on(
            earlier_total=added([self.earlier_total, total]),
            untotalled=self.untotalled or total is None,
            short=self.short or (total is not None and items < total.min),
            surplus=self.surplus or (total is not None and items > total.max),
        )

    def without_parent(self) -> Self:
        """At the beginning of the next chain, the parent of this one being gone."""
        return self._moved_on(refusals=self.refusals + 1, requests=self.requests + 1)

    def with_next_parent(self, *, choices: int) -> Self:
        """Before the first chain of another parent, the last one having been asked with so many choices."""
        return self.model_copy(update={"gone": self.gone + (self.refusals == choices), "refusals": 0})

    def _moved_on(self, **changes: object) -> Self:
        return self.model_copy(
            update={
                "chain": self.chain + 1,
                "next": None,
                "guard": LoopGuard(),
                "total": None,
                "earlier_pages": self.pages,
                **changes,
            }
        )

    def sealed(self) -> Self:
        """With all parts so far belonging to chains that have ended."""
        return self.model_copy(update={"earlier_parts": len(self.parts)})

    def waited(self, wait: timedelta) -> Self:
        """With a wait that was handed back to the queue."""
        return self.model_copy(update={"wait_seconds": self.wait_seconds + wait.total_seconds()})


class Checkpoint(Document):
    """The state of one partition of a run."""

    state: State = "waiting"
    epoch: int = 0
    restarts: int = 0
    claim: Claim | None = None
    resume_at: datetime | None = None
    touched_at: datetime | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    reason: str | None = None
    remedy: str | None = None
    progress: Progress = Progress()

    def claimed(self, owner: str, *, now: datetime, lasts: timedelta) -> Self:
        """Claimed by ``owner``, in an epoch of its own."""
        return self.model_copy(
            update={
                "state": "running",
                "epoch": self.epoch + 1,
                "claim": Claim(owner=owner, until=now + lasts),
                "resume_at": None,
                "touched_at": now,
                "started_at": self.started_at or now,
            }
        )

    def held_by_another(self, now: datetime) -> bool:
        """Whether somebody may still be working on it."""
        return self.state == "running" and self.claim is not None and self.claim.until > now

    def advanced(self, progress: Progress, *, now: datetime) -> Self:
        """With the progress of a part that has been written."""
        return self.model_copy(update={"progress": progress, "touched_at": now})

    def released(self, *, now: datetime, resume_at: datetime | None = None, reason: str | None = None) -> Self:
        """Free for the next worker, from ``resume_at`` on; ``reason`` says why this one gave up."""
        return self.model_copy(update={"claim": None, "touched_at": now, "resume_at": resume_at, "reason": reason})

    def restarted(self, *, now: datetime) -> Self:
        """From the first page again: what has been written so far does not exist any more."""
        kept = Progress(
            requests=self.progress.requests,
            retries=self.progress.retries,
            wait_seconds=self.progress.wait_seconds,
        )
        return self.model_copy(
            update={"epoch": self.epoch + 1, "restarts": self.restarts + 1, "progress": kept, "touched_at": now}
        )

    def ended(self, state: Literal["done", "failed"], *, now: datetime, reason: str = "", remedy: str = "") -> Self:
        """At its end, for good or ill."""
        return self.model_copy(
            update={
                "state": state,
                "claim": None,
                "resume_at": None,
                "touched_at": now,
                "finished_at": now,
                "reason": reason or None,
                "remedy": remedy or None,
            }
        )

    def reopened(self, *, now: datetime) -> Self:
        """Failed, and to be tried again from where it stopped."""
        return self.model_copy(
            update={"state": "waiting", "finished_at": None, "reason": None, "remedy": None, "touched_at": now}
        )


def _path(address: Address) -> str:
    return paths.checkpoint(address.run_id, address.source, address.dataset, address.partition)


async def read_checkpoint(storage: Storage, address: Address) -> tuple[Checkpoint, str | None]:
    """The checkpoint of a partition and its ETag; a fresh one, without ETag, before the first claim."""
    stored = await storage.read(Container.HARVEST_STATE, _path(address))
    return (Checkpoint.from_json(stored.data), stored.etag) if stored else (Checkpoint(), None)


async def write_checkpoint(storage: Storage, address: Address, checkpoint: Checkpoint, *, etag: str | None) -> str:
    """Write a checkpoint over the one that was read under ``etag``, and return its new ETag.

    Raises:
        Conflict: Somebody else has written it since.
    """
    path = _path(address)
    if etag is None:
        return await storage.create(Container.HARVEST_STATE, path, checkpoint.to_json())
    return await storage.replace(Container.HARVEST_STATE, path, checkpoint.to_json(), etag=etag)


async def change_checkpoint(
    storage: Storage, address: Address, change: Callable[[Checkpoint], Checkpoint | None]
) -> Checkpoint:
    """Change a checkpoint, whoever else works on it: a worker notices at its next write.

    Args:
        change: Gives the checkpoint wanted, or ``None`` to leave it.

    Returns:
        The checkpoint that stands.
    """
    while True:
        checkpoint, etag = await read_checkpoint(storage, address)
        changed = change(checkpoint)
        if changed is None:
            return checkpoint
        try:
            await write_checkpoint(storage, address, changed, etag=etag)
        except Conflict:
            continue
        return changed


async def checkpoints_of(storage: Storage, addresses: Iterable[Address]) -> list[Checkpoint]:
    """The checkpoints of several partitions, in their order."""
    read = await asyncio.gather(*(read_checkpoint(storage, address) for address in addresses))
    return [checkpoint for checkpoint, _ in read]

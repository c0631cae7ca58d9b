"""Evidence: one create-only document for each finished operation and each resolution, chained for each caller.

Every piece names the one before it by path and SHA-256, so none can be changed, left out or put in later unnoticed:
``python -m shared.opus.verify`` follows the chains. ``chains/{caller}.json`` in the container ``opus-operations`` is
the *head* of a chain: its last link. A link is reserved there under the ETag before its evidence is written, and nobody
reserves the next one before the evidence of the last is there. So there are no forks and no gaps, and at most the last
link waits for its evidence: when whoever reserved it was stopped, the next in the chain writes it in his place.
"""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from weakref import WeakKeyDictionary

from shared.clock import Sleep
from shared.document import Document
from shared.errors import BadAnswer, Conflict, StorageUnavailable
from shared.opus.documents import (
    Evidence,
    Link,
    Order,
    Outcome,
    Previous,
    Resolution,
    ResolutionEvidence,
    finally_told,
)
from shared.opus.ledger import Ledger
from shared.storage import Container, Storage
from shared.version import VERSION

CHAINS = "chains/"

_TRIES = 12

type Content = Callable[[Link], Document]
"""Makes the evidence, once its place in the chain is known."""

type _Turns = defaultdict[str, asyncio.Lock]
_turns: WeakKeyDictionary[asyncio.AbstractEventLoop, _Turns] = WeakKeyDictionary()


class Head(Document):
    """The last link of a chain, and what it is about; ``resolution`` counts from 0."""

    link: Link
    path: str
    operation_id: str
    resolution: int | None = None


@dataclass(frozen=True, slots=True)
class Subject:
    """What evidence is about: an operation, or a resolution of it; ``caller`` is whose chain it belongs to."""

    caller: str
    operation_id: str
    day: datetime
    resolution: int | None = None

    @classmethod
    def operation(cls, order: Order) -> "Subject":
        """The operation itself."""
        return cls(order.caller, order.operation_id, order.created_at)

    @property
    def path(self) -> str:
        """Where its evidence lies, below the day on which the operation began."""
        suffix = "" if self.resolution is None else f"-resolution-{self.resolution:03d}"
        return f"date={self.day.astimezone(UTC):%Y-%m-%d}/{self.operation_id}{suffix}.json"

    def after(self, head: Head | None, previous: Previous | None) -> Head:
        """The head that this subject makes."""
        link = Link(caller=self.caller, sequence=head.link.sequence + 1 if head else 1, previous=previous)
        return Head(link=link, path=self.path, operation_id=self.operation_id, resolution=self.resolution)


class Archive:
    """Writes evidence. Raises what ``Storage`` raises.

    Args:
        random: Gives 0 to 1; spreads those who collide.
    """

    def __init__(self, storage: Storage, ledger: Ledger, *, sleep: Sleep, random: Callable[[], float]) -> None:
        self._storage = storage
        self._ledger = ledger
        self._sleep = sleep
        self._random = random

    async def keep(self, subject: Subject, content: Content) -> None:
        """Write the evidence of a subject, unless it is there; whoever asks twice or at once changes nothing.

        Raises:
            StorageUnavailable: Others were always faster; the same again may succeed.
        """
        async with _turn(subject.caller):
            for attempt in range(_TRIES):
                try:
                    return await self._append(subject, content)
                except Conflict:
                    await self._sleep(self._random() * min(0.02 * 2**attempt, 1))
        raise StorageUnavailable(
            f"the evidence chain of {subject.caller} was written by others {_TRIES} times in a row"
        )

    async def _append(self, subject: Subject, content: Content) -> None:
        """Reserve the next link and write its evidence.

        The head is read before the evidence: had the subject got its link in between, its evidence would be there, or
        it would be the head, or the head would have changed.

        Raises:
            Conflict: Somebody else has reserved the next link.
        """
        path = head_path(subject.caller)
        stored = await self._storage.read(Container.OPERATIONS, path)
        head = Head.from_json(stored.data) if stored else None
        if head and head.path == subject.path:
            await self._settled(head)
            return
        there, previous = await asyncio.gather(
            self._storage.read(Container.EVIDENCE, subject.path), self._previous(head)
        )
        if there:
            return
        head = subject.after(head, previous)
        if stored:
            await self._storage.replace(Container.OPERATIONS, path, head.to_json(), etag=stored.etag)
        else:
            await self._storage.create(Container.OPERATIONS, path, head.to_json())
        await self._write(head, content(head.link))

    async def _previous(self, head: Head | None) -> Previous | None:
        return await self._settled(head) if head else None

    async def _settled(self, head: Head) -> Previous:
        """The evidence of a head by path and hash, written first if it is not there."""
        stored = await self._storage.read(Container.EVIDENCE, head.path)
        data = stored.data if stored else await self._write(head, await self._rebuilt(head))
        return Previous(path=head.path, sha256=sha256(data).hexdigest())

    async def _write(self, head: Head, evidence: Document) -> bytes:
        """Write evidence, unless it is there; return what stands there."""
        data = evidence.to_json()
        try:
            await self._storage.create(Container.EVIDENCE, head.path, data)
        except Conflict:
            stored = await self._storage.read(Container.EVIDENCE, head.path)
            return stored.data if stored else data
        return data

    async def _rebuilt(self, head: Head) -> Document:
        """The evidence that somebody did not come to write, from the documents of the ledger."""
        opening = await self._ledger.opening(head.operation_id)
        if opening is None:
            raise BadAnswer(f"{head.path} cannot be written: the documents of its operation are gone")
        if head.resolution is not None:
            said = (await self._ledger.resolutions(head.operation_id)).document
            return resolution_evidence(head.operation_id, said.entries[head.resolution], head.link)
        outcomes = await self._ledger.outcomes(head.operation_id, range(opening.order.batch_count))
        return operation_evidence(opening.order, [outcomes[number] for number in sorted(outcomes)], head.link)


def operation_evidence(order: Order, outcomes: Sequence[Outcome], link: Link) -> Evidence:
    """What is kept of a finished operation."""
    operation = finally_told(order, outcomes)
    return Evidence(chain=link, order=order, batches=tuple(outcomes), operation=operation, app_version=VERSION)


def resolution_evidence(operation_id: str, resolution: Resolution, link: Link) -> ResolutionEvidence:
    """What is kept of a resolution."""
    return ResolutionEvidence(chain=link, operation_id=operation_id, resolution=resolution, app_version=VERSION)


def head_path(caller: str) -> str:
    """Where the head of the chain of ``caller`` lies; a name that needs no quoting."""
    return f"{CHAINS}{sha256(caller.encode()).hexdigest()[:32]}.json"


def _turn(caller: str) -> asyncio.Lock:
    """One after the other in this process, so that only processes collide."""
    turns = _turns.setdefault(asyncio.get_running_loop(), defaultdict(asyncio.Lock))
    return turns[caller]

"""Evidence: create-only pieces, chained for each caller, so that none can be changed, left out or put in unnoticed.

Every piece names the one before it by path and SHA-256; ``python -m shared.opus.verify`` follows the chains.
``chains/{caller}.json`` in the container ``opus-operations`` is the *head* of a chain: its last link, with the hash of
its piece. A link is reserved there under the ETag before its piece is written, and nobody reserves the next one before
the piece of the last is there. So at most the last piece is late: when its writer was stopped, the next in the chain
writes it instead. A piece that cannot be written any more, because its documents are lost, is a gap that the next piece
declares. A head that is older than the pieces, as after a restore, is set right by them.
"""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Callable, Sequence
from datetime import date, datetime, timedelta
from functools import partial
from hashlib import sha256
from weakref import WeakKeyDictionary

from shared.azure.documents import Versioned, read_document
from shared.azure.per_storage import PerStorage
from shared.azure.storage import Container, Storage
from shared.clock import Clock, Sleep
from shared.errors import REPAIR, Conflict, DamagedDocument, StorageUnavailable
from shared.opus.evidence.documents import (
    Declared,
    Evidence,
    Head,
    Link,
    Piece,
    Previous,
    PrunedEvidence,
    ResolutionEvidence,
    RestoredEvidence,
    Subject,
)
from shared.opus.evidence.survey import Found, Survey, survey
from shared.opus.ledger.documents import Cancellation, Order, Outcome, Resolution
from shared.opus.ledger.reporting import finished_operation
from shared.opus.ledger.store import OperationStore
from shared.telemetry.events import log_event
from shared.version import VERSION

CHAINS = "chains/"
DECLARATIONS_KEPT = timedelta(days=31)
"""How far back evidence of an id is looked for: longer than an idempotency key is remembered."""

_TRIES = 12

type Content = Callable[[Link, str], Piece]
"""Makes a piece, once its place in the chain and the version that writes it are known."""

log = logging.getLogger(__name__)


class _Memory:
    """What this process knows of one storage account: whose turn it is, and the number of the last link of a chain."""

    def __init__(self) -> None:
        self.turns: WeakKeyDictionary[asyncio.AbstractEventLoop, defaultdict[str, asyncio.Lock]] = WeakKeyDictionary()
        self.last: dict[str, int] = {}
        self.written: set[str] = set()

    def turn(self, caller: str) -> asyncio.Lock:
        """Return the lock that lets writers of this process go one after the other, so that only processes collide."""
        return self.turns.setdefault(asyncio.get_running_loop(), defaultdict(asyncio.Lock))[caller]


_memories = PerStorage(_Memory)


class Archive:
    """Writes and finds evidence. Raises what ``Storage`` raises.

    Args:
        random: Gives 0 to 1; spreads those who collide.
    """

    def __init__(self, store: OperationStore, *, clock: Clock, sleep: Sleep, random: Callable[[], float]) -> None:
        self._store = store
        self._storage = store.storage
        self._clock = clock
        self._sleep = sleep
        self._random = random
        self._memory = _memories.of(store.storage)

    async def keep_operation(self, order: Order, outcomes: Sequence[Outcome], *, round_: int = 0) -> None:
        """Write the evidence of a finished operation, unless it is there; to ask twice or at once changes nothing.

        Raises:
            StorageUnavailable: Others were always faster; the same again may succeed.
        """
        cancellation = await self._store.cancellation(order.operation_id)
        content = partial(_operation_piece, order, outcomes, cancellation=cancellation, round_=round_)
        await self._keep(Subject.operation(order, round_=round_), content)

    async def keep_resolution(self, order: Order, number: int, entry: Resolution) -> None:
        """Write the evidence of a resolution, as ``keep_operation`` does."""
        subject = Subject.resolved(order, number=number, caller=entry.caller)
        await self._keep(subject, partial(_resolution_piece, order.operation_id, entry))

    async def has_resolution(self, order: Order, number: int, entry: Resolution) -> bool:
        """Whether there is evidence of a resolution, whatever it says."""
        subject = Subject.resolved(order, number=number, caller=entry.caller)
        return await self._storage.read(Container.EVIDENCE, subject.path) is not None

    async def declare_pruned(self, caller: str, *, before: date, last: Found) -> None:
        """Write that the beginning of a chain, up to the piece ``last``, was verified and may be deleted."""
        through = last.piece.chain.sequence
        pruned = Declared(kind="pruned", path=last.path, sequence=1, through=through)
        name = f"pruned-{sha256(caller.encode()).hexdigest()[:16]}-{before.isoformat()}"
        subject = Subject(caller=caller, operation_id=name, day=self._clock())

        def content(link: Link, version: str) -> Piece:
            declared = link.model_copy(update={"declared": (*link.declared, pruned)})
            return PrunedEvidence(chain=declared, before=before, pieces=through, app_version=version)

        await self._keep(subject, content)

    async def declare_breaks(self, caller: str, breaks: Sequence[Declared]) -> None:
        """Write what a chain has lost or has twice, so that it can go on behind it, and is declared once."""
        now = self._clock()
        about = "".join([caller, *(each.model_dump_json() for each in breaks)])
        name = f"restored-{sha256(about.encode()).hexdigest()[:16]}-{now:%Y%m%dT%H%M%S%f}"

        def content(link: Link, version: str) -> Piece:
            others = tuple(each for each in breaks if each not in link.declared)
            declared = link.model_copy(update={"declared": (*link.declared, *others)})
            return RestoredEvidence(chain=declared, at=now, app_version=version)

        await self._keep(Subject(caller=caller, operation_id=name, day=now), content)

    async def find(self, order: Order, *, round_: int = 0) -> Evidence | None:
        """Return the evidence of an operation whose documents do not know that it has finished."""
        return await self._read(Subject.operation(order, round_=round_).path)

    async def find_by_id(self, operation_id: str, *, now: datetime) -> Evidence | None:
        """Return the evidence of an operation of which nothing else is known, whatever day it began."""
        oldest = f"date={(now - DECLARATIONS_KEPT).date().isoformat()}"
        folders = [name async for name in self._storage.list_folders(Container.EVIDENCE, "") if name >= oldest]
        found = await asyncio.gather(*(self._read(f"{folder}/{operation_id}.json") for folder in folders))
        return next((evidence for evidence in found if evidence), None)

    async def rounds_of(self, first: Evidence) -> list[Evidence]:
        """Return the evidence of an operation, and of each time that it was taken up again."""
        rounds = [first]
        while later := await self.find(first.order, round_=len(rounds)):
            rounds.append(later)
        return rounds

    async def resolutions_of(self, order: Order) -> list[ResolutionEvidence]:
        """Return the evidence of what people said of an operation, in order."""
        said = list[ResolutionEvidence]()
        while True:
            subject = Subject.resolved(order, number=len(said), caller=order.caller)
            stored = await read_document(self._storage, Container.EVIDENCE, subject.path, ResolutionEvidence)
            if stored is None:
                return said
            said.append(stored.value)

    async def require_head(self, caller: str) -> None:
        """See that evidence of a caller can be kept: where the head of its chain cannot be read, nothing is to be sent.

        Raises:
            StoredFault: It cannot.
        """
        await read_head(self._storage, head_path(caller))

    async def _read(self, path: str) -> Evidence | None:
        stored = await read_document(self._storage, Container.EVIDENCE, path, Evidence)
        return stored.value if stored else None

    async def _keep(self, subject: Subject, content: Content) -> None:
        async with self._memory.turn(subject.caller):
            for attempt in range(_TRIES):
                try:
                    return await self._append(subject, content)
                except Conflict:
                    await self._sleep(self._random() * min(0.02 * 2**attempt, 1))
        raise StorageUnavailable(
            f"the evidence chain of {subject.caller} was written by others {_TRIES} times in a row"
        )

    async def _append(self, subject: Subject, content: Content) -> None:
        """Reserve the next link and write its piece.

        The head is read before the piece: had the subject got its link in between, its piece would be there, or it
        would be the head, or the head would have changed.

        Raises:
            Conflict: Somebody else has reserved the next link.
        """
        path = head_path(subject.caller)
        stored = await read_head(self._storage, path)
        head, breaks = await self._checked(subject.caller, stored)
        if head and head.path == subject.path:
            await self._settle(head, stored)
            return
        there, ended = await asyncio.gather(
            self._storage.read(Container.EVIDENCE, subject.path), self._end_of(head, stored)
        )
        if there:
            return
        previous, gap = ended
        link = Link(
            caller=subject.caller,
            sequence=head.link.sequence + 1 if head else 1,
            previous=previous,
            declared=(*breaks, *gap),
        )
        await self._write(subject, content, link, stored)

    async def _write(self, subject: Subject, content: Content, link: Link, stored: Versioned[Head] | None) -> None:
        data = content(link, VERSION).sealed()
        head = Head(
            link=link,
            path=subject.path,
            operation_id=subject.operation_id,
            resolution=subject.resolution,
            round=subject.round,
            sha256=sha256(data).hexdigest(),
            app_version=VERSION,
        )
        etag = stored.etag if stored else None
        await self._storage.write(Container.OPERATIONS, head_path(link.caller), head.to_json(), etag=etag)
        self._memory.last[link.caller] = link.sequence
        for declared in link.declared:
            log_event(
                log, "evidence.break_declared", logging.ERROR, kind=declared.kind, path=declared.path, by=subject.path
            )
        await self._create(head.path, data)

    async def _checked(self, caller: str, stored: Versioned[Head] | None) -> tuple[Head | None, tuple[Declared, ...]]:
        """Return the last link of a chain: that of the head, unless there are pieces that the head does not know.

        Pieces are looked through once a process, and whenever the head has gone back: storage was restored.
        """
        head, last = stored.value if stored else None, self._memory.last.get(caller)
        sequence = head.link.sequence if head else 0
        if last is not None and sequence >= last:
            return head, ()
        found: Survey = await survey(self._storage, caller, head)
        self._memory.last[caller] = found.head.link.sequence if found.head else 0
        return found.head, found.breaks

    async def _end_of(
        self, head: Head | None, stored: Versioned[Head] | None
    ) -> tuple[Previous | None, tuple[Declared, ...]]:
        """Return how the next piece names the last one, and the gap where that one is lost."""
        if head is None:
            return None, ()
        settled = await self._settle(head, stored)
        if settled:
            return Previous(path=head.path, sha256=settled), ()
        number = head.link.sequence
        gap = Declared(kind="gap", path=head.path, sequence=number, through=number)
        return Previous(path=head.path, sha256=head.sha256 or ""), (gap,)

    async def _settle(self, head: Head, stored: Versioned[Head] | None) -> str | None:
        """Return the hash of the piece of a head, written first if it is not there; ``None`` when it is lost.

        A piece that is not the one that the head names keeps the hash of the head: ``verify`` finds it.
        """
        there = await self._storage.read(Container.EVIDENCE, head.path)
        if there:
            actual = sha256(there.data).hexdigest()
            self._tell_written(head.path, actual)
            return head.sha256 or actual
        piece = await self._rebuilt(head)
        if piece is None:
            return None
        data = piece.sealed()
        actual = sha256(data).hexdigest()
        if stored and head.sha256 not in {None, actual}:  # another version of the app reserved the link
            corrected = head.model_copy(update={"sha256": actual})
            path = head_path(head.link.caller)
            await self._storage.write(Container.OPERATIONS, path, corrected.to_json(), etag=stored.etag)
            raise Conflict("the head was corrected: try again")
        await self._create(head.path, data)
        return actual

    async def _create(self, path: str, data: bytes) -> None:
        """Write a piece, unless somebody else has just written it."""
        try:
            await self._storage.write(Container.EVIDENCE, path, data, etag=None)
        except Conflict:
            return
        self._tell_written(path, sha256(data).hexdigest())

    def _tell_written(self, path: str, digest: str) -> None:
        """Log the hash of a piece once a process: it is a proof from outside of the storage account."""
        if path not in self._memory.written:
            self._memory.written.add(path)
            log_event(log, "evidence.written", path=path, sha256=digest)

    async def _rebuilt(self, head: Head) -> Piece | None:
        """Return the piece that its writer did not come to write, from the documents of its operation."""
        version = head.app_version or VERSION
        opening = await self._store.opening(head.operation_id)
        if opening is None:
            return None
        if head.resolution is not None:
            entries = (await self._store.resolutions(head.operation_id)).value.entries
            if head.resolution >= len(entries):
                return None
            return _resolution_piece(head.operation_id, entries[head.resolution], head.link, version)
        state = (await self._store.state(opening)).value
        outcomes = await self._store.outcomes(head.operation_id, state)
        if len(outcomes) < opening.order.batch_count or head.round != state.round:
            return None
        cancellation = await self._store.cancellation(head.operation_id)
        ordered = [outcomes[number] for number in sorted(outcomes)]
        return _operation_piece(
            opening.order, ordered, head.link, version, cancellation=cancellation, round_=head.round
        )


def _operation_piece(
    order: Order,
    outcomes: Sequence[Outcome],
    link: Link,
    version: str,
    *,
    cancellation: Cancellation | None,
    round_: int,
) -> Evidence:
    return Evidence(
        chain=link,
        order=order,
        batches=tuple(outcomes),
        operation=finished_operation(order, outcomes),
        cancellation=cancellation,
        round=round_,
        app_version=version,
    )


def _resolution_piece(operation_id: str, resolution: Resolution, link: Link, version: str) -> ResolutionEvidence:
    return ResolutionEvidence(chain=link, operation_id=operation_id, resolution=resolution, app_version=version)


async def read_head(storage: Storage, path: str) -> Versioned[Head] | None:
    """Return the head of a chain, or ``None`` when there is none.

    Raises:
        DamagedDocument: It is not a head, or it is that of another chain.
    """
    stored = await read_document(storage, Container.OPERATIONS, path, Head)
    if stored and head_path(caller := stored.value.link.caller) != path:
        raise DamagedDocument(f"{Container.OPERATIONS}/{path} belongs to the chain of {caller}", remedy=REPAIR)
    return stored


def head_path(caller: str) -> str:
    """Where the head of the chain of ``caller`` lies; a name that needs no quoting."""
    return f"{CHAINS}{sha256(caller.encode()).hexdigest()[:32]}.json"

"""Where operations are kept: every document is created once or replaced under its ETag, so the first one wins.

In the container ``opus-operations``:

- ``operations/{operationId}/``: ``order.json`` (what was asked, and the first state), ``state.json`` (once it
  differs), ``outcomes/{batch}.json``, ``operation.json`` (once it is finished), ``resolutions.json`` (what people said)
- ``open/{operationId}``: what still has to be worked on, since when
- ``dates/{date}/{mark}``, ``uncertain/{mark}``: what began on a day, and what waits for a person, in order of time
"""

import asyncio
import re
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime

from shared.document import Document
from shared.errors import Conflict
from shared.opus.documents import Opening, Operation, Order, Outcome, Resolutions, State, finally_told, resolved
from shared.storage import Container, Storage

OPEN = "open/"

_READS_AT_ONCE = 16
_DATES = "dates/"
_UNCERTAIN = "uncertain/"
_DAY = re.compile(r"\d{4}-\d\d-\d\d")


@dataclass(frozen=True, slots=True)
class Held[T: Document]:
    """A document and the ETag under which it may be replaced; ``None`` when it is not stored yet."""

    document: T
    etag: str | None


class Opened(Document):
    """When somebody was about to begin an operation."""

    since: datetime


class Ledger:
    """The documents of all operations; raises what ``Storage`` raises."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    async def announce(self, order: Order) -> None:
        """Leave a trace of an operation for the sweep and for the list of its day, before it is written."""
        opened = Opened(since=order.created_at).to_json()
        await asyncio.gather(
            self._note(f"{OPEN}{order.operation_id}", opened), self._note(f"{_DATES}{_day(order)}/{_mark(order)}")
        )

    async def open(self, opening: Opening) -> Opening:
        """Write down what is asked, unless somebody already did; return what stands there."""
        standing = await self._first(opening, _path(opening.order.operation_id, "order"))
        if standing.order.created_at != opening.order.created_at:
            await self._storage.delete(Container.OPERATIONS, f"{_DATES}{_day(opening.order)}/{_mark(opening.order)}")
        return standing

    async def opening(self, operation_id: str) -> Opening | None:
        """What was asked under ``operation_id``, and how it began."""
        return await self._read(Opening, _path(operation_id, "order"))

    async def held(self, opening: Opening) -> Held[State]:
        """How far an operation is."""
        return await self._held(_path(opening.order.operation_id, "state"), opening.state)

    async def replace(self, operation_id: str, held: Held[State], state: State) -> Held[State]:
        """Go on from ``held`` to ``state``.

        Raises:
            Conflict: Somebody else has taken over.
        """
        return await self._replace(_path(operation_id, "state"), held, state)

    async def record(self, operation_id: str, outcome: Outcome) -> Outcome:
        """Write down what came of a batch, unless somebody already did; return what stands there."""
        return await self._first(outcome, _path(operation_id, f"outcomes/{outcome.batch:05d}"))

    async def outcomes(self, operation_id: str, batches: Sequence[int]) -> dict[int, Outcome]:
        """The outcomes of ``batches``, as far as there are any."""
        slots = asyncio.Semaphore(_READS_AT_ONCE)

        async def outcome(batch: int) -> Outcome | None:
            async with slots:
                return await self._read(Outcome, _path(operation_id, f"outcomes/{batch:05d}"))

        found = await asyncio.gather(*(outcome(batch) for batch in batches))
        return {outcome.batch: outcome for outcome in found if outcome}

    async def finish(self, order: Order, outcomes: Sequence[Outcome]) -> Operation:
        """Write down the operation as it is told from now on, which follows from the outcomes alone."""
        operation = finally_told(order, outcomes)
        if operation.uncertain:
            await self._note(f"{_UNCERTAIN}{_mark(order)}")
        return await self._first(operation, _path(order.operation_id, "operation"))

    async def close(self, operation_id: str) -> None:
        """Nothing is left to do for an operation."""
        await self._storage.delete(Container.OPERATIONS, f"{OPEN}{operation_id}")

    async def told_first(self, operation_id: str) -> Operation | None:
        """The operation as it was when it finished, once it has."""
        return await self._read(Operation, _path(operation_id, "operation"))

    async def finished(self, operation_id: str) -> Operation | None:
        """The operation, once it is finished, with what people have said since."""
        operation = await self.told_first(operation_id)
        if operation is None or not operation.uncertain:
            return operation
        return resolved(operation, (await self.resolutions(operation_id)).document.entries)

    async def resolutions(self, operation_id: str) -> Held[Resolutions]:
        """What people have said of the uncertain items of an operation."""
        return await self._held(_path(operation_id, "resolutions"), Resolutions())

    async def resolve(self, order: Order, held: Held[Resolutions], said: Resolutions) -> None:
        """Go on from ``held`` to ``said``, for which evidence has still to be written.

        Raises:
            Conflict: Somebody else has said something meanwhile.
        """
        await self._note(f"{OPEN}{order.operation_id}", Opened(since=order.created_at).to_json())
        await self._replace(_path(order.operation_id, "resolutions"), held, said)

    async def settle(self, order: Order) -> None:
        """Nothing is uncertain any more."""
        await self._storage.delete(Container.OPERATIONS, f"{_UNCERTAIN}{_mark(order)}")

    async def unfinished(self) -> list[str]:
        """Every operation for which something is left to do."""
        return [path.removeprefix(OPEN) async for path in self._storage.list(Container.OPERATIONS, OPEN)]

    async def opened_at(self, operation_id: str) -> datetime | None:
        """When somebody was about to begin an operation that is open."""
        opened = await self._read(Opened, f"{OPEN}{operation_id}")
        return opened.since if opened else None

    async def of_date(self, day: date, *, after: str, count: int) -> list[str]:
        """At most ``count`` marks of operations created on ``day``, in order of time, beyond the mark ``after``."""
        return await self._marks(f"{_DATES}{day.isoformat()}/", after, count)

    async def uncertain(self, *, after: str, count: int) -> list[str]:
        """At most ``count`` marks of operations that wait for a person, in order of time, beyond ``after``."""
        return await self._marks(_UNCERTAIN, after, count)

    async def uncertain_marks(self) -> AsyncIterator[str]:
        """The marks of all operations that wait for a person."""
        async for path in self._storage.list(Container.OPERATIONS, _UNCERTAIN):
            yield path.removeprefix(_UNCERTAIN)

    async def days(self) -> list[date]:
        """The days on which operations began that are still kept."""
        folders = [name async for name in self._storage.list_folders(Container.OPERATIONS, _DATES)]
        return [date.fromisoformat(name) for name in folders if _DAY.fullmatch(name)]

    async def marks_of(self, day: date) -> AsyncIterator[str]:
        """The marks of all operations that began on a day."""
        prefix = f"{_DATES}{day.isoformat()}/"
        async for path in self._storage.list(Container.OPERATIONS, prefix):
            yield path.removeprefix(prefix)

    async def forget(self, day: date, mark: str) -> None:
        """Delete all documents of an operation; its evidence stays."""
        folder = f"operations/{operation_id_of(mark)}/"
        paths = [path async for path in self._storage.list(Container.OPERATIONS, folder)]
        for path in (*paths, f"{_DATES}{day.isoformat()}/{mark}"):
            await self._storage.delete(Container.OPERATIONS, path)

    async def _marks(self, prefix: str, after: str, count: int) -> list[str]:
        marks: list[str] = []
        async for path in self._storage.list(Container.OPERATIONS, prefix):
            mark = path.removeprefix(prefix)
            if mark > after:
                marks.append(mark)
            if len(marks) == count:
                break
        return marks

    async def _note(self, path: str, content: bytes = b"") -> None:
        try:
            await self._storage.create(Container.OPERATIONS, path, content)
        except Conflict:
            return  # it is noted

    async def _held[T: Document](self, path: str, initial: T) -> Held[T]:
        stored = await self._storage.read(Container.OPERATIONS, path)
        return Held(type(initial).from_json(stored.data), stored.etag) if stored else Held(initial, None)

    async def _replace[T: Document](self, path: str, held: Held[T], document: T) -> Held[T]:
        if held.etag is None:
            etag = await self._storage.create(Container.OPERATIONS, path, document.to_json())
        else:
            etag = await self._storage.replace(Container.OPERATIONS, path, document.to_json(), etag=held.etag)
        return Held(document, etag)

    async def _first[T: Document](self, document: T, path: str) -> T:
        """Write a document unless there is one already; return the one that stands there."""
        try:
            await self._storage.create(Container.OPERATIONS, path, document.to_json())
        except Conflict:
            return await self._read(type(document), path) or document
        return document

    async def _read[T: Document](self, document: type[T], path: str) -> T | None:
        stored = await self._storage.read(Container.OPERATIONS, path)
        return document.from_json(stored.data) if stored else None


def operation_id_of(mark: str) -> str:
    """The operation that a mark in a list stands for."""
    return mark.rpartition("-")[2]


def _mark(order: Order) -> str:
    return f"{order.created_at.astimezone(UTC):%Y%m%dT%H%M%S.%f}-{order.operation_id}"


def _day(order: Order) -> str:
    return f"{order.created_at.astimezone(UTC):%Y-%m-%d}"


def _path(operation_id: str, name: str) -> str:
    return f"operations/{operation_id}/{name}.json"

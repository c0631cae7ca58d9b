"""Where operations are kept: every document is created once or replaced under its ETag, so the first one wins.

``operations/{operationId}/order.json``, ``state.json``, ``outcomes/{batch}.json`` and ``operation.json`` (once it is
finished); ``dates/{date}/{time}-{operationId}`` to list by date.
"""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date

from shared.document import Document
from shared.errors import Conflict
from shared.opus.documents import Batch, Claim, Evidence, Operation, Order, Outcome, State, told
from shared.storage import Container, Storage
from shared.version import VERSION

_READS_AT_ONCE = 16


@dataclass(frozen=True, slots=True)
class Held:
    """A state and the ETag under which it may be replaced."""

    state: State
    etag: str


class Ledger:
    """The documents of all operations; raises what ``Storage`` raises."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    async def open(self, order: Order) -> Order:
        """Write down what is asked, unless somebody already did; return what stands there."""
        return await self._first(order, _path(order.operation_id, "order"))

    async def order(self, operation_id: str) -> Order | None:
        """What was asked under ``operation_id``."""
        return await self._read(Order, _path(operation_id, "order"))

    async def begin(self, order: Order, claim: Claim) -> Held | None:
        """Claim an operation that nobody has begun; ``None`` when somebody has."""
        state = State(claim=claim, batches=(Batch(),) * order.batch_count)
        moment = order.created_at.astimezone(UTC)
        marker = f"dates/{moment:%Y-%m-%d}/{moment:%H%M%S.%f}-{order.operation_id}"
        await self._storage.create(Container.OPERATIONS, marker, b"")
        try:
            etag = await self._storage.create(Container.OPERATIONS, _path(order.operation_id, "state"), state.to_json())
        except Conflict:
            return None
        return Held(state, etag)

    async def held(self, operation_id: str) -> Held | None:
        """How far an operation is; ``None`` when nobody has begun it."""
        stored = await self._storage.read(Container.OPERATIONS, _path(operation_id, "state"))
        return Held(State.from_json(stored.data), stored.etag) if stored else None

    async def replace(self, operation_id: str, held: Held, state: State) -> Held:
        """Go on from ``held`` to ``state``.

        Raises:
            Conflict: Somebody else has taken over.
        """
        path = _path(operation_id, "state")
        etag = await self._storage.replace(Container.OPERATIONS, path, state.to_json(), etag=held.etag)
        return Held(state, etag)

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
        """Write the evidence, then the operation as it is told from now on; both follow from the outcomes alone."""
        operation = told(order, outcomes, finished=True)
        evidence = Evidence(order=order, batches=tuple(outcomes), operation=operation, app_version=VERSION)
        path = f"date={order.created_at.astimezone(UTC):%Y-%m-%d}/{order.operation_id}.json"
        with suppress(Conflict):  # an executor that was stopped here has left it
            await self._storage.create(Container.EVIDENCE, path, evidence.to_json())
        return await self._first(operation, _path(order.operation_id, "operation"))

    async def finished(self, operation_id: str) -> Operation | None:
        """The operation, once it is finished."""
        return await self._read(Operation, _path(operation_id, "operation"))

    async def of_date(self, day: date, *, after: str, count: int) -> list[str]:
        """At most ``count`` marks of operations created on ``day``, in order of time, beyond the mark ``after``."""
        prefix = f"dates/{day.isoformat()}/"
        marks: list[str] = []
        async for path in self._storage.list(Container.OPERATIONS, prefix):
            mark = path.removeprefix(prefix)
            if mark > after and len(marks) < count:
                marks.append(mark)
        return marks

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
    """The operation that a mark in a date's list stands for."""
    return mark.rpartition("-")[2]


def _path(operation_id: str, name: str) -> str:
    return f"operations/{operation_id}/{name}.json"

"""Where operations are kept: every document is created once or replaced under its ETag, so the first one wins.

In the container ``opus-operations``:

- ``operations/{operationId}/``: ``order.json`` (what was asked, and the first state), ``state.json`` (once it
  differs), ``sent/{batch}-{attempt}.json`` (of a destroy: that it is about to be sent), ``outcomes/{batch}.json``,
  ``operation.json`` (once it is finished), ``cancellation.json``, ``resolutions.json`` (what people said). Outcomes and
  operation of a later round carry its number.
- ``keys/{hash}.json``: which operation an idempotency key belongs to
- ``open/{operationId}``: what still has to be worked on, since when
- ``dates/{date}/{mark}``, ``uncertain/{mark}``: what began on a day, and what waits for a person, in order of time
"""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from functools import partial

from shared.azure.bounded_map import bounded_map
from shared.azure.documents import Versioned, create_document, read_document
from shared.azure.per_storage import PerStorage
from shared.azure.storage import Container, Storage
from shared.document import StoredDocument
from shared.opus.ledger.documents import (
    Batch,
    Cancellation,
    Opening,
    Operation,
    OperationState,
    Order,
    Outcome,
    Place,
    Resolutions,
    Sending,
)
from shared.opus.ledger.marks import OPEN, Marks, operation_id_of
from shared.opus.ledger.reporting import finished_operation, resolved

_HOME = "place.json"


class Opened(StoredDocument):
    """When somebody was about to begin an operation."""

    since: datetime


class OperationStore:
    """The documents of all operations; raises what ``Storage`` raises."""

    def __init__(self, storage: Storage) -> None:
        self.storage = storage
        self.marks = Marks(storage)

    async def announce(self, order: Order) -> None:
        """Leave a trace of an operation for the sweep and for the list of its day, before it is written."""
        opened = Opened(since=order.created_at).to_json()
        await asyncio.gather(
            self.marks.note(f"{OPEN}{order.operation_id}", opened), self.marks.note(self.marks.day_path(order))
        )

    async def open(self, opening: Opening) -> Opening:
        """Write down what is asked, unless somebody already did; return what stands there."""
        standing = await self._first(opening, path_of(opening.order.operation_id, "order"))
        if standing.order.created_at != opening.order.created_at:
            await self.storage.delete(Container.OPERATIONS, self.marks.day_path(opening.order))
        return standing

    async def opening(self, operation_id: str) -> Opening | None:
        """Return what was asked under ``operation_id``, and how it began."""
        return await self._read(Opening, path_of(operation_id, "order"))

    async def documents_of(self, operation_id: str) -> list[str]:
        """Return the paths of all documents of an operation."""
        folder = f"operations/{operation_id}/"
        return [path async for path in self.storage.list(Container.OPERATIONS, folder)]

    async def home(self, place: Place) -> Place:
        """Return the place of operations of the first release, which did not say: the first that was ever seen."""
        known = _homes.of(self.storage)
        if not known:
            stored = await read_document(self.storage, Container.OPERATIONS, _HOME, Home)
            known.append((stored.value if stored else await self._first(Home(place=place), _HOME)).place)
        return known[0]

    async def state(self, opening: Opening) -> Versioned[OperationState]:
        """Return how far an operation is."""
        path = path_of(opening.order.operation_id, "state")
        stored = await read_document(self.storage, Container.OPERATIONS, path, OperationState)
        return stored or Versioned(opening.state, None)

    async def claim(self, operation_id: str, batch: int, attempt: int, sending: Sending) -> bool:
        """Say that a batch is about to be sent, unless somebody has said so of this attempt; whether it may be."""
        return await self._first(sending, _sending_path(operation_id, batch, attempt)) == sending

    async def take_back(self, operation_id: str, batch: int, attempt: int) -> None:
        """Say that a batch was not sent after all."""
        await self.storage.delete(Container.OPERATIONS, _sending_path(operation_id, batch, attempt))

    async def claimed(self, operation_id: str, batches: Mapping[int, Batch]) -> list[int]:
        """Return the numbers of those batches whose next attempt somebody was about to send."""
        folder = f"operations/{operation_id}/sent/"
        there = {path async for path in self.storage.list(Container.OPERATIONS, folder)}
        return [n for n, batch in batches.items() if _sending_path(operation_id, n, batch.attempts) in there]

    async def record(self, operation_id: str, outcome: Outcome) -> Outcome:
        """Write down what came of a batch, unless somebody already did; return what stands there."""
        return await self._first(outcome, _outcome_path(operation_id, outcome.batch, outcome.round))

    async def outcomes(self, operation_id: str, state: OperationState) -> dict[int, Outcome]:
        """Return the outcomes of all batches that have one in their round."""
        folder = f"operations/{operation_id}/outcomes/"
        there = {path async for path in self.storage.list(Container.OPERATIONS, folder)}

        paths = [_outcome_path(operation_id, number, batch.round) for number, batch in enumerate(state.batches)]
        found = await bounded_map(partial(self._read, Outcome), [path for path in paths if path in there])
        return {outcome.batch: outcome for outcome in found if outcome}

    async def finish(self, order: Order, outcomes: Sequence[Outcome], *, round_: int = 0) -> Operation:
        """Write down the operation as it is from now on, which follows from the outcomes alone."""
        operation = finished_operation(order, outcomes)
        if operation.uncertain:
            await self.marks.note_uncertain(order)
        elif round_:
            await self.marks.settle(order)
        return await self._first(operation, _operation_path(order.operation_id, round_))

    async def first_result(self, operation_id: str) -> Operation | None:
        """Return the operation as it was when it finished, once it has; ``None`` while it runs, again or still."""
        operation = await self.result_of_round(operation_id, 0)
        if operation is None or not any(item.repeatable for item in operation.uncertain):
            return operation
        stored = await read_document(self.storage, Container.OPERATIONS, path_of(operation_id, "state"), OperationState)
        if stored is None or stored.value.round == 0:
            return operation
        return await self.result_of_round(operation_id, stored.value.round)

    async def result_of_round(self, operation_id: str, round_: int) -> Operation | None:
        """Return the operation as it was when it finished for the first time, or after it was taken up again."""
        return await self._read(Operation, _operation_path(operation_id, round_))

    async def finished(self, operation_id: str) -> Operation | None:
        """Return the operation, once it is finished, with what people have said since."""
        operation = await self.first_result(operation_id)
        if operation is None or not operation.uncertain:
            return operation
        return resolved(operation, (await self.resolutions(operation_id)).value.entries)

    async def cancel(self, operation_id: str, cancellation: Cancellation) -> None:
        """Write down that an operation shall end; the first who says so stands there."""
        await self._first(cancellation, path_of(operation_id, "cancellation"))

    async def cancellation(self, operation_id: str) -> Cancellation | None:
        """Return who ended an operation, if anybody did."""
        return await self._read(Cancellation, path_of(operation_id, "cancellation"))

    async def resolutions(self, operation_id: str) -> Versioned[Resolutions]:
        """Return what people have said of the uncertain items of an operation."""
        path = path_of(operation_id, "resolutions")
        stored = await read_document(self.storage, Container.OPERATIONS, path, Resolutions)
        return stored or Versioned(Resolutions(), None)

    async def resolve(self, order: Order, standing: Versioned[Resolutions], said: Resolutions) -> None:
        """Go on from ``standing`` to ``said``, for which evidence has still to be written.

        Raises:
            Conflict: Somebody else has said something meanwhile.
        """
        await self.reopen(order)
        path = path_of(order.operation_id, "resolutions")
        await self.storage.write(Container.OPERATIONS, path, said.to_json(), etag=standing.etag)

    async def reopen(self, order: Order) -> None:
        """Note that there is something left to do for an operation."""
        await self.marks.note(f"{OPEN}{order.operation_id}", Opened(since=order.created_at).to_json())

    async def close(self, operation_id: str) -> None:
        """Note that nothing is left to do for an operation."""
        await self.storage.delete(Container.OPERATIONS, f"{OPEN}{operation_id}")

    async def opened_at(self, operation_id: str) -> datetime | None:
        """Return when somebody was about to begin an operation that is open."""
        opened = await self._read(Opened, f"{OPEN}{operation_id}")
        return opened.since if opened else None

    async def forget(self, day: date, mark: str) -> None:
        """Delete all documents of an operation; its evidence stays."""
        operation_id = operation_id_of(mark)
        opening = await self.opening(operation_id)
        paths = await self.documents_of(operation_id)
        if opening and opening.order.key_path:
            paths.append(opening.order.key_path)
        for path in (*paths, f"dates/{day.isoformat()}/{mark}"):
            await self.storage.delete(Container.OPERATIONS, path)

    async def _first[T: Operation | StoredDocument](self, document: T, path: str) -> T:
        """Write a document unless there is one already; return the one that stands there."""
        return await create_document(self.storage, Container.OPERATIONS, path, document)

    async def _read[T: Operation | StoredDocument](self, kind: type[T], path: str) -> T | None:
        stored = await read_document(self.storage, Container.OPERATIONS, path, kind)
        return stored.value if stored else None


class Home(StoredDocument):
    """The place that this ledger was first used in."""

    place: Place


_homes = PerStorage[list[Place]](list)


def path_of(operation_id: str, name: str) -> str:
    """Return the path of a document of an operation."""
    return f"operations/{operation_id}/{name}.json"


def _outcome_path(operation_id: str, batch: int, round_: int) -> str:
    return path_of(operation_id, f"outcomes/{batch:05d}{f'-{round_}' if round_ else ''}")


def _sending_path(operation_id: str, batch: int, attempt: int) -> str:
    return path_of(operation_id, f"sent/{batch:05d}-{attempt}")


def _operation_path(operation_id: str, round_: int) -> str:
    return path_of(operation_id, f"operation{f'-{round_}' if round_ else ''}")

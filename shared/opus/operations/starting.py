"""Begins operations, or finds the one that a call belongs to."""

import asyncio
import logging
from collections.abc import Coroutine
from datetime import timedelta

from shared.azure.damage import unless_unusable
from shared.azure.documents import Versioned
from shared.azure.lease import LASTS
from shared.azure.storage import Container
from shared.errors import Conflict, Forbidden, KeyReused, MissingDocument
from shared.opus.evidence.archive import Archive
from shared.opus.evidence.restoring import restore_operation
from shared.opus.ledger.deduplication import note_last_submit
from shared.opus.ledger.documents import Opening, Operation, OperationState, Order
from shared.opus.ledger.keys import claim_key
from shared.opus.operations.progress import OperationProgress, Reader
from shared.opus.operations.tools import Tools
from shared.opus.operations.worker import NOW, Worker, first_hold
from shared.telemetry.events import log_event

SAFETY_NET = LASTS + timedelta(seconds=30)
"""The first look after a worker that may have died; its lease has to be over by then."""

_HOME = f"{Container.OPERATIONS}/place.json"
"""Needed only for operations of the first release: where it is damaged, others begin all the same."""

log = logging.getLogger(__name__)

_at_work: set[asyncio.Task[Operation | None]] = set()
"""Calls whose caller may have gone: what is in flight is never cancelled."""


class Starter:
    """Begins operations."""

    def __init__(self, tools: Tools, archive: Archive, worker: Worker, reader: Reader, *, sync_seconds: float) -> None:
        self._tools = tools
        self._store = tools.store
        self._archive = archive
        self._worker = worker
        self._reader = reader
        self._window = timedelta(seconds=sync_seconds)

    async def perform(self, order: Order, *, key: str | None, wait: bool) -> OperationProgress:
        """Do what is asked, unless it was asked before.

        Raises:
            KeyReused, Conflict: The key belongs to another request, or to an operation of another place.
            Forbidden: It would be a new destroy, and destroying is switched off.
        """
        mine = Opening(order=order, state=self._first_state(order, wait=wait))
        standing = await self._standing(order)
        if standing is None:
            self._check_enabled(order)
            standing = await self._begin(mine, key)
        if standing is not mine:
            return await self._replay(standing, order, wait=wait)
        if mine.state.hold:
            return await self._execute(mine)
        await self._worker.wake(order.operation_id, delay=NOW)
        return await self._reader.unfinished(mine)

    async def _standing(self, order: Order) -> Opening | None:
        """Return the operation as it was begun before; ``None`` when it is new.

        Raises:
            MissingDocument: It was begun, and what was asked is not in storage any more: a destroy may have been sent.
        """
        now = self._tools.clock()  # evidence is looked for meanwhile, because that takes longest
        looking = asyncio.create_task(self._archive.find_by_id(order.operation_id, now=now))
        try:
            standing, there = await asyncio.gather(
                self._store.opening(order.operation_id), self._store.documents_of(order.operation_id)
            )
            if standing:
                return standing
            if known := await looking:
                log_event(log, "operation.restored", logging.WARNING, operation=order.operation_id)
                said = await self._archive.resolutions_of(known.order)
                return await restore_operation(self._store, await self._archive.rounds_of(known), resolutions=said)
        finally:
            looking.cancel()
            await asyncio.gather(looking, return_exceptions=True)
        if there and order.kind == "destroy":
            raise MissingDocument(
                f"operations/{order.operation_id}/order.json is missing, and {there[0]} is there",
                remedy="Look into Opus which records were destroyed, and use a new Idempotency-Key for the others.",
            )
        return None

    async def _begin(self, mine: Opening, key: str | None) -> Opening:
        """Write down what is asked, with all that leads to it; return what stands there."""
        order, hold = mine.order, mine.state.hold
        claimed = await claim_key(self._store, order.kind, key, order.operation_id) if key else order.operation_id
        if claimed != order.operation_id:  # another caller of the same key was faster
            standing = await self._store.opening(claimed)
            if standing is None:
                raise Conflict("Another call with this Idempotency-Key has just begun.", remedy="Try again.")
            return standing
        await asyncio.gather(
            self._worker.wake(order.operation_id, delay=SAFETY_NET, watch=hold.owner if hold else None),
            self._store.announce(order),
            unless_unusable(_HOME, self._store.home(self._tools.place)),
            note_last_submit(self._store, order),
            self._archive.require_head(order.caller),
        )
        return await self._store.open(mine)

    async def _replay(self, standing: Opening, order: Order, *, wait: bool) -> OperationProgress:
        """Answer with an operation that is there; items of a submit that are unknown are taken up again."""
        self._check(standing.order, order)
        operation_id = standing.order.operation_id
        finished = await self._store.finished(operation_id)
        if finished is None:
            return await self._reader.unfinished(standing, replayed=True)
        if any(item.repeatable for item in finished.uncertain):
            if lease := await self._worker.take_again(standing):
                if wait:
                    await self._worker.execute(standing, lease, budget=self._window)
                else:
                    await self._worker.hand_over(operation_id, lease)
            progress = await self._reader.get(operation_id)
            if progress is None:
                raise AssertionError("an operation that was read a moment ago is there")
            return progress
        return OperationProgress(finished, None, replayed=True)

    def _check_enabled(self, order: Order) -> None:
        if order.kind == "destroy" and not self._tools.destroy_enabled():
            raise Forbidden("Destroying records is switched off.", remedy="Set OPUS_DESTROY_ENABLED to true.")

    def _check(self, standing: Order, order: Order) -> None:
        if standing.place and standing.place != order.place:
            raise Conflict(
                f"This Idempotency-Key belongs to operation {standing.operation_id} at {standing.place}.",
                remedy="Use a new key for a call to another place.",
            )
        if standing.fingerprint != order.fingerprint:
            raise KeyReused(
                "This Idempotency-Key belongs to another request.",
                target="Idempotency-Key",
                remedy="Use a new key for a new request.",
            )

    async def _execute(self, mine: Opening) -> OperationProgress:
        """Work on an operation that has just begun; a caller who goes away ends nothing."""
        lease = self._worker.lease(mine.order.operation_id, Versioned(mine.state, None), budget=self._window)
        fresh = any(batch.phase == "sent" for batch in mine.state.batches)
        operation = await _kept(self._worker.execute(mine, lease, budget=self._window, fresh=fresh))
        return OperationProgress(operation, None) if operation else await self._reader.unfinished(mine)

    def _first_state(self, order: Order, *, wait: bool) -> OperationState:
        """Return the state under the lease of whoever waits, with the batches that are sent first.

        A destroy that can be looked up is looked up before anything is marked. What nobody waits for is the queue's.
        """
        if not wait or not self._window:
            return OperationState.first(order, None)
        sent = 0 if order.can_be_looked_up else self._tools.marked(order)
        return OperationState.first(order, first_hold(self._tools.clock(), self._window), sent=sent)


async def _kept[T: Operation | None](work: Coroutine[None, None, T]) -> T:
    """Await work that goes on although its caller is cancelled."""
    task = asyncio.create_task(work)
    _at_work.add(task)
    task.add_done_callback(_at_work.discard)
    return await asyncio.shield(task)

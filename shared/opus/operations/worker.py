"""Takes operations under a lease, works on them, and hands over what is left. A message only says which one to look at.

A message on the queue carries no progress, so late, lost and doubled messages change nothing.
"""

import logging
import re
import uuid
from contextlib import suppress
from datetime import datetime, timedelta
from functools import partial

from shared.azure.bounded_map import bounded_map
from shared.azure.documents import Versioned
from shared.azure.lease import LASTS, Hold, Lease
from shared.azure.storage import Container, Queue
from shared.clock import awaited, is_recent
from shared.document import StoredDocument
from shared.errors import AppError, Conflict, DamagedDocument, StorageUnavailable
from shared.opus.evidence.archive import Archive
from shared.opus.evidence.documents import Evidence
from shared.opus.evidence.restoring import restore_resolutions
from shared.opus.ledger.documents import Batch, Opening, Operation, OperationState, Order
from shared.opus.ledger.store import path_of
from shared.opus.operations.execution import Execution
from shared.opus.operations.resolving import Resolving
from shared.opus.operations.rules import reopened
from shared.opus.operations.tools import Stop, Tools
from shared.telemetry.events import log_event
from shared.telemetry.spans import span

RUN_BUDGET = timedelta(minutes=4)
"""How long the queue function works before it hands over to itself."""

LEASE_GRACE = timedelta(seconds=60)
"""How long after its budget a batch in flight may still end under the lease."""

OPERATION_SILENCE = timedelta(minutes=5)
"""How long an operation that nobody holds may be quiet before the sweep wakes it up again."""

NOW = timedelta(0)
_AFTER_A_LEASE = LASTS + timedelta(seconds=30)
_STORAGE_AWAY = timedelta(minutes=1)
_ID = re.compile(r"[0-9a-f]{32}")

log = logging.getLogger(__name__)


class OperationMessage(StoredDocument):
    """Which operation to look at; ``watch`` names the lease that a message looks after."""

    operation_id: str
    watch: str | None = None


class Worker:
    """Works on operations."""

    def __init__(self, tools: Tools, archive: Archive, resolving: Resolving) -> None:
        self._tools = tools
        self._store = tools.store
        self._archive = archive
        self._resolving = resolving

    async def run(self, operation_id: str, *, watch: str | None = None) -> None:
        """Go on with an operation, as the queue asks for it; a late or doubled message changes nothing.

        Args:
            watch: The owner of a lease, for a message that only sees to it that somebody goes on when he does not.

        Raises:
            Misconfigured, VaultUnavailable: The queue shall try again.
        """
        try:
            opening = await self.unfinished(operation_id)
            if opening and await self._is_due(opening, watch) and (lease := await self.take(opening)):
                await self.execute(opening, lease, budget=RUN_BUDGET)
        except StorageUnavailable as error:  # it passes, and is not a failure of this operation
            log_event(log, "operation.storage_away", logging.WARNING, operation=operation_id, error=error)
            await self.wake(operation_id, delay=_STORAGE_AWAY)

    async def give_up(self, operation_id: str) -> None:
        """End an operation whose messages all failed: what was not sent failed, what was sent is uncertain."""
        if (opening := await self.unfinished(operation_id)) and (lease := await self.take(opening)):
            reason = lease.document.failure or "It was tried too often; the log of run_operation says why."
            log_event(log, "operation.given_up", logging.ERROR, operation=operation_id, reason=reason)
            await self.end(opening.order, lease, Stop("GivenUp", reason))

    async def revive(self, operation_id: str) -> None:
        """Wake up an operation that is open and has fallen silent."""
        now = self._tools.clock()
        opening = await self._store.opening(operation_id)
        if opening is None:
            since = await self._store.opened_at(operation_id)
            if since is None or not is_recent(since, within=OPERATION_SILENCE, now=now):
                await self._store.close(operation_id)  # somebody was stopped before he had written what is asked
            return
        if is_silent_operation(opening.order, (await self._store.state(opening)).value, now=now):
            await self.wake(operation_id, delay=NOW)
            log_event(log, "sweep.woken", logging.WARNING, operation=operation_id)

    async def unfinished(self, operation_id: str) -> Opening | None:
        """Return an operation that is not finished; where one is, whoever finished it may have left something to do."""
        finished = await self._store.first_result(operation_id)
        if finished and await self._store.opened_at(operation_id) is None:
            return None
        opening = await self._store.opening(operation_id)
        if opening is None:
            log_event(log, "operation.no_such_operation", logging.WARNING, operation=operation_id)
        elif finished:
            await self._resolving.complete(opening.order)
            return None
        return opening

    async def _is_due(self, opening: Opening, watch: str | None) -> bool:
        """Whether a message may go on with an operation now; a message that came too early waits on.

        Each worker sends one message that watches over its lease, and one when it hands over. So a message that watches
        is not needed any more once its worker has ended: without that, they would become more with every run.
        """
        state, now = (await self._store.state(opening)).value, self._tools.clock()
        operation_id = opening.order.operation_id
        if state.hold and (until := state.held_until(now)):
            if watch in {None, state.hold.owner}:
                await self.wake(operation_id, delay=until - now, watch=state.hold.owner)
            return False
        if state.hold is None and (resume_at := awaited(state.resume_at, now=now)):
            if watch is None:
                await self.wake(operation_id, delay=resume_at - now)
            return False
        return True

    async def take(self, opening: Opening) -> Lease[OperationState] | None:
        """Take the lease of an operation; ``None`` while somebody else has it, and looks after it."""
        operation_id = opening.order.operation_id
        standing = await self._store.state(opening)
        if standing.value.held_until(self._tools.clock()):
            return None
        lease = self.lease(operation_id, standing, budget=RUN_BUDGET)
        try:
            await lease.save(standing.value)
        except Conflict:
            return None
        await self.wake(operation_id, delay=_AFTER_A_LEASE, watch=lease.owner)
        return lease

    def lease(
        self, operation_id: str, standing: Versioned[OperationState], *, budget: timedelta
    ) -> Lease[OperationState]:
        """Return a lease on an operation: one that is still to be taken, or the one that was written with it."""
        tools, hold = self._tools, standing.value.hold if standing.etag is None else None
        return Lease(
            self._store.storage,
            Container.OPERATIONS,
            path_of(operation_id, "state"),
            standing,
            clock=tools.clock,
            ends=tools.clock() + budget + LEASE_GRACE,
            owner=hold.owner if hold else None,
        )

    async def take_again(self, opening: Opening) -> Lease[OperationState] | None:
        """Take up the repeatable items of a finished submit again; ``None`` when somebody else does.

        The lease of the worker that finished it may not be over yet; that worker does nothing more.
        """
        order, standing = opening.order, await self._store.state(opening)
        outcomes = await self._store.outcomes(order.operation_id, standing.value)
        round_ = standing.value.round + 1
        said = (await self._store.resolutions(order.operation_id)).value.entries
        resolved = {key for entry in said for key in entry.ids}
        batches = tuple(
            reopened(batch, outcomes[number], round_=round_, resolved=resolved)
            if number in outcomes
            else Batch(round=round_)
            for number, batch in enumerate(standing.value.batches)
        )
        await self._store.reopen(order)
        lease = self.lease(order.operation_id, standing, budget=RUN_BUDGET)
        try:
            await lease.save(standing.value.model_copy(update={"batches": batches, "round": round_, "failure": ""}))
        except Conflict:
            return None
        await self.wake(order.operation_id, delay=_AFTER_A_LEASE, watch=lease.owner)
        return lease

    async def execute(
        self, opening: Opening, lease: Lease[OperationState], *, budget: timedelta, fresh: bool = False
    ) -> Operation | None:
        """Work on an operation, in its trace; return it when it is finished, ``None`` when the rest is handed over."""
        order = opening.order
        with span("opus.operation", order.operation_id, operation=order.operation_id, kind=order.kind) as current:
            operation = await self._work_on(order, lease, budget=budget, fresh=fresh)
            current.set_attribute("status", operation.status if operation else "Running")
        return operation

    async def hand_over(self, operation_id: str, lease: Lease[OperationState]) -> None:
        """Let the queue go on with an operation that was taken."""
        await lease.give_back(lambda state: state)
        await self.wake(operation_id, delay=NOW)

    async def end(self, order: Order, lease: Lease[OperationState], stop: Stop) -> Operation:
        """End an operation that nobody works on: nothing more is sent."""
        if known := await self._archive.find(order, round_=lease.document.round):
            return await self._adopt(order, known)
        execution = Execution(order, lease, deadline=self._tools.clock(), tools=self._tools)
        await execution.end(stop)
        return await self._finish(order, execution, lease)

    async def wake(self, operation_id: str, *, delay: timedelta, watch: str | None = None) -> None:
        """Send the message that has an operation looked at, after a delay."""
        message = OperationMessage(operation_id=operation_id, watch=watch)
        text = message.model_dump_json(by_alias=True, exclude_defaults=True)
        await self._store.storage.enqueue(Queue.OPERATIONS, text, delay=max(delay, NOW))

    async def _work_on(
        self, order: Order, lease: Lease[OperationState], *, budget: timedelta, fresh: bool
    ) -> Operation | None:
        """Work until everything has an outcome or the time is over, and hand over what is left."""
        marked = range(self._marked(order)) if fresh else ()
        deadline = self._tools.clock() + budget
        execution = Execution(order, lease, deadline=deadline, tools=self._tools, marked=marked)
        try:
            async with lease.kept():
                if not fresh and (known := await self._archive.find(order, round_=lease.document.round)):
                    return await self._adopt(order, known)
                if not fresh:
                    await self._archive.require_head(order.caller)
                resume_at = await self._run(execution)
                if resume_at is None:
                    return await self._finish(order, execution, lease)
                await execution.release(resume_at=resume_at)
        except Conflict:
            log_event(log, "operation.overtaken", logging.WARNING, operation=order.operation_id)
            return None
        await self.wake(order.operation_id, delay=resume_at - self._tools.clock())
        log_event(log, "operation.handed_over", operation=order.operation_id, resume_at=resume_at)
        return None

    def _marked(self, order: Order) -> int:
        return min(self._tools.marked(order), order.batch_count)

    async def _run(self, execution: Execution) -> datetime | None:
        """Run, and write down what stood in the way, so that whoever gives up can say it."""
        try:
            return await execution.run()
        except Conflict:
            raise
        except Exception as error:  # whatever it was, whoever gives up has to be able to say it; it goes on
            text = error.text if isinstance(error, AppError) else "An unexpected error; see the log."
            with suppress(Conflict, StorageUnavailable):
                await execution.note_failure(text)
            raise

    async def _adopt(self, order: Order, known: Evidence) -> Operation:
        """Finish an operation by its evidence: after a restore, storage may not know that it has ended."""
        log_event(log, "operation.restored", logging.WARNING, operation=order.operation_id)
        await bounded_map(partial(self._store.record, order.operation_id), known.batches)
        operation = await self._store.finish(order, known.batches, round_=known.round)
        await restore_resolutions(self._store, order, await self._archive.resolutions_of(order))
        _tell_finished(order, operation)
        await self._store.close(order.operation_id)
        return operation

    async def _finish(self, order: Order, execution: Execution, lease: Lease[OperationState]) -> Operation:
        """Keep the evidence, and then tell."""
        outcomes, round_ = execution.all_outcomes, lease.document.round
        await self._archive.keep_operation(order, outcomes, round_=round_)
        operation = await self._store.finish(order, outcomes, round_=round_)
        _tell_finished(order, operation)
        await self._store.close(order.operation_id)
        return operation


def _tell_finished(order: Order, operation: Operation) -> None:
    """Log how an operation has ended, before its mark goes: nobody looks at it any more after that."""
    counts = operation.model_dump(include={"kind", "status", "requested", "succeeded", "skipped"})
    log_event(log, "operation.finished", operation=order.operation_id, **counts)


def is_operation_id(text: str) -> bool:
    """Whether a text can be the id of an operation."""
    return _ID.fullmatch(text) is not None


def parse_message(message: bytes) -> OperationMessage | None:
    """Return a message on the queue; ``None`` when it names no operation.

    Raises:
        NewerDocument: A newer version of the app sent it: it goes back to the queue.
    """
    try:
        parsed = OperationMessage.from_json(message)
    except DamagedDocument:
        return None
    return parsed if is_operation_id(parsed.operation_id) else None


def first_hold(now: datetime, budget: timedelta) -> Hold:
    """Return the lease with which an operation begins, written together with what is asked.

    Its owner makes each opening unlike every other: of equal bytes, each writer would think that they are its own.
    """
    return Hold(owner=uuid.uuid4().hex, until=now + min(LASTS, budget + LEASE_GRACE))


def is_silent_operation(order: Order, state: OperationState, *, now: datetime) -> bool:
    """Return whether nobody is sure to look after an operation by himself; pure."""
    if state.held_until(now) or awaited(state.resume_at, now=now):
        return False
    signs = filter(None, (order.created_at, state.hold.until if state.hold else None, state.resume_at))
    return not any(is_recent(sign, within=OPERATION_SILENCE, now=now) for sign in signs)

"""Operations: what a call asks of Opus, done once however often it is asked, and told at any time.

A message on the queue is only a poke: it says which operation to look at, and nothing about how far it is.
"""

import asyncio
import json
import logging
import re
import uuid
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from math import ceil

from shared.avepoint.opus import BATCH_SIZE
from shared.clock import Clock, Sleep
from shared.errors import AppError, Conflict, Forbidden, InvalidInput, KeyReused
from shared.events import log_event
from shared.opus.client import Opus, text_of
from shared.opus.dates import Dates
from shared.opus.documents import Claim, Operation, Order, told
from shared.opus.execution import Execution, Tools
from shared.opus.identity import fingerprint, operation_id
from shared.opus.inputs import DestroyInput, SubmitInput
from shared.opus.ledger import Held, Ledger, operation_id_of
from shared.opus.memory import remembered_key
from shared.settings import Settings
from shared.storage import Queue, Storage

RUN_BUDGET = timedelta(minutes=4)
"""How long the queue function works before it hands over to itself."""

CLAIM_GRACE = timedelta(seconds=60)
SAFETY_NET = timedelta(seconds=90)
"""The first look after an executor that may have died; its claim has to be over by then."""

PAGE = 100
_POLL = timedelta(seconds=5)
_LONGEST_POLL = timedelta(minutes=5)
_ID = re.compile(r"[0-9a-f]{32}")

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Call:
    """Who asks: ``client`` are the ids that the caller gave the call."""

    caller: str
    key: str | None
    client: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Progress:
    """An operation, and in how many seconds to ask again; ``None`` when it is finished."""

    operation: Operation
    retry_after: int | None


@dataclass(frozen=True, slots=True)
class Listing:
    """Some operations of one day, and the mark of the last one when there are more."""

    operations: tuple[Operation, ...]
    rest: str | None


class Operations:
    """The operations of this app."""

    def __init__(
        self,
        storage: Storage,
        opus: Opus,
        *,
        settings: Settings,
        dates: Dates,
        clock: Clock,
        sleep: Sleep,
        random: Callable[[], float],
    ) -> None:
        self._storage = storage
        self._ledger = Ledger(storage)
        self._settings = settings
        self._dates = dates
        self._clock = clock
        self._tools = Tools(self._ledger, opus, clock, sleep, random)

    async def submit(self, call: Call, connection: str, body: SubmitInput) -> Progress:
        """Submit records, as far as the synchronous window allows.

        Raises:
            TooLarge, InvalidInput: The records cannot be submitted.
            KeyReused: The idempotency key belongs to another request.
            Misconfigured, StorageUnavailable, VaultUnavailable: Not now; the operation goes on if it was begun.
        """
        body.check(most=self._settings.opus_submit_max_records)
        asked = fingerprint([connection, body.model_dump(mode="json", by_alias=True)])
        key = f"key:{call.key}" if call.key else await self._key_for(call.caller, asked)
        order = Order(
            operation_id=operation_id(call.caller, "submit", key),
            kind="submit",
            caller=call.caller,
            client=dict(call.client),
            fingerprint=asked,
            connection=connection,
            created_at=self._clock(),
            conflict_option=body.conflict_option,
            records=tuple(record.for_opus(self._dates) for record in body.records),
        )
        return await self._perform(order)

    async def destroy(self, call: Call, body: DestroyInput) -> Progress:
        """Mark records as destroyed, as far as the synchronous window allows; raises what ``submit`` raises.

        Raises:
            Forbidden: The settings do not allow it.
        """
        if not self._settings.opus_destroy_enabled:
            raise Forbidden("Destroying records is switched off.", remedy="Set OPUS_DESTROY_ENABLED to true.")
        if call.key is None:
            raise InvalidInput(
                "Destroying records needs the header Idempotency-Key.",
                target="Idempotency-Key",
                remedy="Send the same key with every repetition of a call, and another key with every other call.",
            )
        body.check(most=self._settings.opus_destroy_max_ids)
        order = Order(
            operation_id=operation_id(call.caller, "destroy", f"key:{call.key}"),
            kind="destroy",
            caller=call.caller,
            client=dict(call.client),
            fingerprint=fingerprint(body.model_dump(mode="json", by_alias=True)),
            connection=str(body.connection) if body.connection else None,
            created_at=self._clock(),
            ids=tuple(body.ids),
            before=self._dates.instant(body.before) if body.before else None,
        )
        return await self._perform(order)

    def rehearse_destroy(self, body: DestroyInput) -> list[dict[str, object]]:
        """What ``destroy`` would send to AvePoint: method, URL and body of each call.

        Raises:
            TooLarge, InvalidInput: The ids cannot be destroyed.
        """
        body.check(most=self._settings.opus_destroy_max_ids)
        batches = [body.ids[start : start + BATCH_SIZE] for start in range(0, len(body.ids), BATCH_SIZE)]
        requests = [self._tools.opus.destroy_request(batch) for batch in batches]
        return [{"method": each.method, "url": each.url, "body": json.loads(each.body or b"null")} for each in requests]

    async def get(self, operation_id: str) -> Progress | None:
        """How far an operation is; ``None`` when there is none of that id."""
        if not _ID.fullmatch(operation_id):
            return None
        if finished := await self._ledger.finished(operation_id):
            return Progress(finished, None)
        order = await self._ledger.order(operation_id)
        return await self._progress(order) if order else None

    async def of_date(self, day: date, *, after: str = "") -> Listing:
        """The operations created on ``day`` (UTC), in order of time, beyond the mark ``after``."""
        marks = await self._ledger.of_date(day, after=after, count=PAGE + 1)
        told_of = await asyncio.gather(*(self.get(operation_id_of(mark)) for mark in marks[:PAGE]))
        operations = tuple(progress.operation for progress in told_of if progress)
        return Listing(operations, marks[PAGE - 1] if len(marks) > PAGE else None)

    async def run(self, operation_id: str) -> None:
        """Go on with an operation, as the queue asks for it; a late or doubled poke changes nothing.

        Raises:
            Misconfigured, StorageUnavailable, VaultUnavailable: The queue shall try again.
        """
        if (order := await self._unfinished(operation_id)) and (held := await self._take(order)):
            await self._execute(order, held, budget=RUN_BUDGET)

    async def give_up(self, operation_id: str) -> None:
        """End an operation whose pokes all failed: what was not sent failed, what was sent is uncertain."""
        if (order := await self._unfinished(operation_id)) and (held := await self._take(order)):
            reason = held.state.trouble or "It was tried too often; the log of run_operation says why."
            execution = self._execution(order, held, budget=RUN_BUDGET)
            await execution.give_up(reason)
            await self._ledger.finish(order, execution.outcomes)
            log_event(log, "operation.given_up", logging.ERROR, operation=operation_id, reason=reason)

    async def _perform(self, order: Order) -> Progress:
        """Do what is asked, unless it was asked before."""
        known = await self._ledger.order(order.operation_id)
        if known is None:
            await self._poke(order.operation_id, delay=max(SAFETY_NET, self._window + CLAIM_GRACE + _POLL))
            known = await self._ledger.open(order)
        if known.fingerprint != order.fingerprint:
            raise KeyReused(
                "This Idempotency-Key belongs to another request.",
                target="Idempotency-Key",
                remedy="Use a new key for a new request.",
            )
        if finished := await self._ledger.finished(known.operation_id):
            return Progress(finished, None)
        held = await self._ledger.begin(known, self._claim(self._window))
        return await self._execute(known, held, budget=self._window) if held else await self._progress(known)

    async def _execute(self, order: Order, held: Held, *, budget: timedelta) -> Progress:
        """Work on a claimed operation and hand over what is left."""
        execution = self._execution(order, held, budget=budget)
        try:
            resume_at = await execution.run()
            if resume_at is None:
                return Progress(await self._finish(order, execution), None)
            await execution.release(resume_at=resume_at)
        except Conflict:
            log_event(log, "operation.overtaken", logging.WARNING, operation=order.operation_id)
            return await self._progress(order)
        except Exception as error:  # whatever it is, somebody else may go on, and the queue counts the attempts
            text = text_of(error) if isinstance(error, AppError) else "An unexpected error; see the log."
            with suppress(Conflict):
                await execution.release(resume_at=self._clock(), trouble=text)
            raise
        await self._poke(order.operation_id, delay=max(resume_at - self._clock(), timedelta(0)))
        log_event(log, "operation.handed_over", operation=order.operation_id, resume_at=resume_at)
        return await self._progress(order)

    async def _finish(self, order: Order, execution: Execution) -> Operation:
        operation = await self._ledger.finish(order, execution.outcomes)
        counts = operation.model_dump(include={"status", "requested", "succeeded", "skipped"})
        log_event(log, "operation.finished", operation=order.operation_id, **counts)
        return operation

    async def _unfinished(self, operation_id: str) -> Order | None:
        if await self._ledger.finished(operation_id):
            return None
        order = await self._ledger.order(operation_id)
        if order is None:
            log_event(log, "operation.no_such_operation", logging.WARNING, operation=operation_id)
        return order

    async def _take(self, order: Order) -> Held | None:
        """Claim an operation; while another claim is good, look again when it is over."""
        claim = self._claim(RUN_BUDGET)
        held = await self._ledger.held(order.operation_id)
        if held is None:
            return await self._ledger.begin(order, claim)
        if held.state.claim and held.state.claim.until > self._clock():
            await self._poke(order.operation_id, delay=held.state.claim.until - self._clock())
            return None
        state = held.state.model_copy(update={"claim": claim, "resume_at": None})
        try:
            return await self._ledger.replace(order.operation_id, held, state)
        except Conflict:
            return None

    async def _progress(self, order: Order) -> Progress:
        """How far an operation is that was not finished a moment ago."""
        held = await self._ledger.held(order.operation_id)
        if held is None:
            return Progress(told(order, [], begun=False, finished=False), self._poll_seconds(None))
        outcomes = await self._ledger.outcomes(order.operation_id, held.state.in_phase("sent", "done"))
        done = [outcomes[number] for number in sorted(outcomes)]
        operation = told(order, done, begun=held.state.begun, finished=False)
        return Progress(operation, self._poll_seconds(held.state.resume_at))

    def _poll_seconds(self, resume_at: datetime | None) -> int:
        wait = resume_at - self._clock() if resume_at else _POLL
        return ceil(min(max(wait, _POLL), _LONGEST_POLL).total_seconds())

    async def _key_for(self, caller: str, asked: str) -> str:
        return await remembered_key(caller, asked, storage=self._storage, ledger=self._ledger, now=self._clock())

    def _execution(self, order: Order, held: Held, *, budget: timedelta) -> Execution:
        return Execution(order, held, deadline=self._clock() + budget, tools=self._tools)

    def _claim(self, budget: timedelta) -> Claim:
        return Claim(owner=uuid.uuid4().hex, until=self._clock() + budget + CLAIM_GRACE)

    async def _poke(self, operation_id: str, *, delay: timedelta) -> None:
        await self._storage.poke(Queue.OPERATIONS, json.dumps({"operationId": operation_id}), delay=delay)

    @property
    def _window(self) -> timedelta:
        return timedelta(seconds=self._settings.opus_sync_seconds)


def poked(message: bytes) -> str | None:
    """The operation that a message on the queue names; ``None`` when it names none."""
    try:
        operation = json.loads(message)["operationId"]
    except (ValueError, LookupError, TypeError):
        return None
    return operation if isinstance(operation, str) and _ID.fullmatch(operation) else None

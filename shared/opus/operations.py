"""Operations: what a call asks of Opus, done once however often it is asked, and told at any time.

A message on the queue is only a poke: it says which operation to look at, and nothing about how far it is.
"""

import asyncio
import json
import logging
import re
import uuid
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import partial
from math import ceil

from shared.avepoint.opus import BATCH_SIZE
from shared.clock import Clock, Sleep
from shared.errors import AppError, Conflict, Forbidden, InvalidInput, KeyReused
from shared.events import log_event
from shared.opus.client import Opus
from shared.opus.dates import Dates
from shared.opus.documents import Claim, Opening, Operation, Order, State, told
from shared.opus.evidence import Archive, Subject, operation_evidence
from shared.opus.execution import Execution, Tools
from shared.opus.identity import fingerprint, operation_id
from shared.opus.inputs import DestroyInput, ResolveInput, SubmitInput
from shared.opus.ledger import Held, Ledger, operation_id_of
from shared.opus.memory import remembered_key
from shared.opus.resolving import Resolving
from shared.settings import Settings
from shared.storage import Queue, Storage
from shared.telemetry import span

RUN_BUDGET = timedelta(minutes=4)
"""How long the queue function works before it hands over to itself."""

CLAIM_GRACE = timedelta(seconds=60)
SAFETY_NET = timedelta(seconds=90)
"""The first look after an executor that may have died; its claim has to be over by then."""

SILENCE = timedelta(minutes=5)
"""How long an operation that nobody holds may be quiet before the sweep pokes it again."""

PAGE = 100
_POLL = timedelta(seconds=5)
_LONGEST_POLL = timedelta(minutes=5)
_NOW = timedelta(0)
_ID = re.compile(r"[0-9a-f]{32}")

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Call:
    """Who asks, and how.

    Attributes:
        client: The ids that the caller gave the call.
        wait: Whether the caller waits for the outcome, as long as the synchronous window allows.
        atomic: Whether one bad record stands in the way of all others.
    """

    caller: str
    key: str | None
    client: Mapping[str, str]
    wait: bool = True
    atomic: bool = False


@dataclass(frozen=True, slots=True)
class Progress:
    """An operation, and in how many seconds to ask again; ``None`` when it is finished."""

    operation: Operation
    retry_after: int | None


@dataclass(frozen=True, slots=True)
class Listing:
    """Some operations in order of time, and the mark of the last one when there are more."""

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
        self._archive = Archive(storage, self._ledger, sleep=sleep, random=random)
        self._settings = settings
        self._dates = dates
        self._clock = clock
        self._tools = Tools(self._ledger, opus, clock, sleep, random, submits_at_once=settings.throttle_concurrency)
        self._resolving = Resolving(self._ledger, self._archive, clock=clock)

    async def submit(self, call: Call, connection: str, body: SubmitInput) -> Progress:
        """Submit records, as far as the synchronous window allows.

        Raises:
            TooLarge, InvalidInput: The records cannot be submitted.
            KeyReused: The idempotency key belongs to another request.
            Misconfigured, StorageUnavailable, VaultUnavailable: Not now; the operation goes on if it was begun.
        """
        body.check(most=self._settings.opus_submit_max_records, atomic=call.atomic)
        asked = fingerprint([connection, body.asked()])
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
            dates=str(self._dates),
            records=body.for_opus(self._dates),
            refused=body.refused(),
        )
        return await self._perform(order, wait=call.wait)

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
        return await self._perform(order, wait=call.wait)

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
        opening = await self._ledger.opening(operation_id)
        return await self._progress(opening) if opening else None

    async def of_date(self, day: date, *, after: str = "") -> Listing:
        """The operations created on ``day`` (UTC), in order of time, beyond the mark ``after``."""
        return await self._listing(await self._ledger.of_date(day, after=after, count=PAGE + 1))

    async def uncertain(self, *, after: str = "") -> Listing:
        """The operations with items that wait for a person, in order of time, beyond the mark ``after``."""
        return await self._listing(await self._ledger.uncertain(after=after, count=PAGE + 1))

    async def resolve(self, operation_id: str, call: Call, body: ResolveInput) -> Operation | None:
        """Write down what a person says of uncertain items; ``None`` when there is no such operation.

        Raises:
            Conflict: The operation still runs, nothing is uncertain about it, or something else was said before.
            InvalidInput: An id that is named was never uncertain.
        """
        opening = await self._ledger.opening(operation_id) if _ID.fullmatch(operation_id) else None
        if opening is None:
            return None
        return await self._resolving.resolve(opening.order, body, caller=call.caller, client=call.client)

    async def run(self, operation_id: str) -> None:
        """Go on with an operation, as the queue asks for it; a late or doubled poke changes nothing.

        Raises:
            Misconfigured, StorageUnavailable, VaultUnavailable: The queue shall try again.
        """
        if (opening := await self._unfinished(operation_id)) and (held := await self._take(opening)):
            await self._execute(opening, held, budget=RUN_BUDGET)

    async def give_up(self, operation_id: str) -> None:
        """End an operation whose pokes all failed: what was not sent failed, what was sent is uncertain."""
        if (opening := await self._unfinished(operation_id)) and (held := await self._take(opening)):
            reason = held.document.trouble or "It was tried too often; the log of run_operation says why."
            execution = self._execution(opening.order, held, budget=RUN_BUDGET)
            await execution.give_up(reason)
            await self._finish(opening.order, execution)
            log_event(log, "operation.given_up", logging.ERROR, operation=operation_id, reason=reason)

    async def revive(self, operation_id: str) -> None:
        """Poke an operation that is open and has fallen silent."""
        now = self._clock()
        opening = await self._ledger.opening(operation_id)
        if opening is None:
            since = await self._ledger.opened_at(operation_id)
            if since is None or now - since > SILENCE:  # somebody was stopped before he had written what is asked
                await self._ledger.close(operation_id)
            return
        if now - _heard(opening.order, (await self._ledger.held(opening)).document) > SILENCE:
            await self._poke(operation_id, delay=_NOW)
            log_event(log, "sweep.poked", logging.WARNING, operation=operation_id)

    async def _perform(self, order: Order, *, wait: bool) -> Progress:
        """Do what is asked, unless it was asked before."""
        mine = Opening(order=order, state=self._first_state(order, wait=wait))
        opening = await self._ledger.opening(order.operation_id)
        if opening is None:
            net = max(SAFETY_NET, self._window + CLAIM_GRACE + _POLL)
            await asyncio.gather(self._poke(order.operation_id, delay=net), self._ledger.announce(order))
            opening = await self._ledger.open(mine)
        if opening.order.fingerprint != order.fingerprint:
            raise KeyReused(
                "This Idempotency-Key belongs to another request.",
                target="Idempotency-Key",
                remedy="Use a new key for a new request.",
            )
        if opening is not mine:
            finished = await self._ledger.finished(order.operation_id)
            return Progress(finished, None) if finished else await self._progress(opening)
        if mine.state.claim:
            return await self._execute(mine, Held(mine.state, None), budget=self._window, fresh=True)
        await self._poke(order.operation_id, delay=_NOW)
        return await self._progress(mine)

    async def _execute(
        self, opening: Opening, held: Held[State], *, budget: timedelta, fresh: bool = False
    ) -> Progress:
        """Work on a claimed operation, in the trace of that operation."""
        order = opening.order
        with span("opus.operation", order.operation_id, operation=order.operation_id, kind=order.kind) as current:
            progress = await self._work_on(opening, held, budget=budget, fresh=fresh)
            current.set_attribute("status", progress.operation.status)
        return progress

    async def _work_on(self, opening: Opening, held: Held[State], *, budget: timedelta, fresh: bool) -> Progress:
        """Work until everything has an outcome or the time is over, and hand over what is left."""
        order = opening.order
        execution = self._execution(order, held, budget=budget, fresh=fresh)
        try:
            resume_at = await execution.run()
            if resume_at is None:
                return Progress(await self._finish(order, execution), None)
            await execution.release(resume_at=resume_at)
        except Conflict:
            log_event(log, "operation.overtaken", logging.WARNING, operation=order.operation_id)
            return await self._progress(opening)
        except Exception as error:  # whatever it is, somebody else may go on, and the queue counts the attempts
            text = error.text if isinstance(error, AppError) else "An unexpected error; see the log."
            with suppress(Conflict):
                await execution.release(resume_at=self._clock(), trouble=text)
            raise
        await self._poke(order.operation_id, delay=max(resume_at - self._clock(), _NOW))
        log_event(log, "operation.handed_over", operation=order.operation_id, resume_at=resume_at)
        return await self._progress(opening)

    async def _finish(self, order: Order, execution: Execution) -> Operation:
        """Keep the evidence, and then tell."""
        outcomes = execution.outcomes
        await self._archive.keep(Subject.operation(order), partial(operation_evidence, order, outcomes))
        operation = await self._ledger.finish(order, outcomes)
        await self._ledger.close(order.operation_id)
        counts = operation.model_dump(include={"kind", "status", "requested", "succeeded", "skipped"})
        log_event(log, "operation.finished", operation=order.operation_id, **counts)
        return operation

    async def _unfinished(self, operation_id: str) -> Opening | None:
        """An operation that is not finished; where one is, whoever finished it may have left something to do."""
        finished = await self._ledger.told_first(operation_id)
        if finished and await self._ledger.opened_at(operation_id) is None:
            return None
        opening = await self._ledger.opening(operation_id)
        if opening is None:
            log_event(log, "operation.no_such_operation", logging.WARNING, operation=operation_id)
        elif finished:
            await self._resolving.complete(opening.order)
            return None
        return opening

    async def _take(self, opening: Opening) -> Held[State] | None:
        """Claim an operation; while another claim is good, look again when it is over."""
        operation_id = opening.order.operation_id
        held = await self._ledger.held(opening)
        if held.document.claim and held.document.claim.until > self._clock():
            await self._poke(operation_id, delay=held.document.claim.until - self._clock())
            return None
        state = held.document.model_copy(update={"claim": self._claim(RUN_BUDGET), "resume_at": None})
        try:
            return await self._ledger.replace(operation_id, held, state)
        except Conflict:
            return None

    async def _progress(self, opening: Opening) -> Progress:
        """How far an operation is that was not finished a moment ago."""
        state = (await self._ledger.held(opening)).document
        begun = [number for number, batch in enumerate(state.batches) if batch.phase in {"sent", "done"}]
        outcomes = await self._ledger.outcomes(opening.order.operation_id, begun)
        done = [outcomes[number] for number in sorted(outcomes)]
        operation = told(opening.order, done, begun=state.begun, finished_at=None)
        return Progress(operation, self._poll_seconds(opening.order, state))

    async def _listing(self, marks: Sequence[str]) -> Listing:
        told_of = await asyncio.gather(*(self.get(operation_id_of(mark)) for mark in marks[:PAGE]))
        operations = tuple(progress.operation for progress in told_of if progress)
        return Listing(operations, marks[PAGE - 1] if len(marks) > PAGE else None)

    def _poll_seconds(self, order: Order, state: State) -> int:
        """In how many seconds to ask again: when it goes on, and the more rarely the longer it has taken."""
        now = self._clock()
        wait = state.resume_at - now if state.resume_at else (now - order.created_at) / 5
        return ceil(min(max(wait, _POLL), _LONGEST_POLL).total_seconds())

    async def _key_for(self, caller: str, asked: str) -> str:
        return await remembered_key(caller, asked, storage=self._storage, ledger=self._ledger, now=self._clock())

    def _first_state(self, order: Order, *, wait: bool) -> State:
        """Under the claim of whoever waits, with the batches that he sends first; the queue takes what nobody does."""
        if not wait or not self._window:
            return State.first(order, None)
        return State.first(order, self._claim(self._window), sent=self._tools.marked(order))

    def _execution(self, order: Order, held: Held[State], *, budget: timedelta, fresh: bool = False) -> Execution:
        marked = range(min(self._tools.marked(order), order.batch_count)) if fresh else ()
        return Execution(order, held, deadline=self._clock() + budget, tools=self._tools, marked=marked)

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


def _heard(order: Order, state: State) -> datetime:
    """Until when somebody is sure to look after an operation by himself."""
    claimed = state.claim.until if state.claim else None
    return max(filter(None, (order.created_at, claimed, state.resume_at)))

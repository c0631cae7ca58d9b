"""Carries out an operation that was claimed: a few batches at a time, each marked as sent before it is sent.

Of a submit, the next batches are marked while the last ones are in flight, and answers are written down meanwhile, so
that Opus is never waited for storage. Of a destroy, one batch is dealt with to its end before the next one is touched.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from shared.clock import Clock, Sleep
from shared.errors import AppError, Misconfigured, Retry, StorageUnavailable, Wait
from shared.events import log_event, log_failure
from shared.opus.client import Opus
from shared.opus.documents import Batch, Order, Outcome, Phase, State, in_phase
from shared.opus.ledger import Held, Ledger
from shared.opus.rules import STOPPED, Work
from shared.opus.verdicts import Later, Unknown, Verdict
from shared.secrets import VaultUnavailable
from shared.throttling import PATIENCE, backoff

MARGIN = timedelta(seconds=5)
"""No answer is waited for beyond this time before the claim ends."""

OURS = (Misconfigured, StorageUnavailable, VaultUnavailable)
"""What is in the way before anything is sent, and is ours to put right."""

LEAST_MARKED = 4
"""How many batches of a submit are marked at once, at least, so that the state is not written for each."""

BACKLOG = 3
"""How many batches may be under way, as a multiple of those marked at once: sent, answered, or still to be written."""

log = logging.getLogger(__name__)
_kept: set[asyncio.Task[None]] = set()
"""What is in flight, held so that it is not lost when nobody waits for it any more."""


@dataclass(frozen=True, slots=True)
class Tools:
    """What an execution works with; ``submits_at_once`` is how many batches of a submit are in flight."""

    ledger: Ledger
    opus: Opus
    clock: Clock
    sleep: Sleep
    random: Callable[[], float]
    submits_at_once: int

    def at_once(self, order: Order) -> int:
        """How many batches of an operation are in flight: one of a destroy, so that a crash leaves little in doubt."""
        return self.submits_at_once if order.kind == "submit" else 1

    def marked(self, order: Order) -> int:
        """How many batches are marked as sent at once; of a submit, enough for two rounds."""
        return max(2 * self.submits_at_once, LEAST_MARKED) if order.kind == "submit" else 1


class Execution:
    """One executor at work on one operation.

    Args:
        held: The state, under the executor's own claim.
        deadline: No batch is started after it; those in flight are waited for.
        marked: Batches that the executor itself has marked as sent and not sent yet.
    """

    def __init__(
        self, order: Order, held: Held[State], *, deadline: datetime, tools: Tools, marked: Sequence[int] = ()
    ) -> None:
        self._order = order
        self._held = held
        self._batches = list(held.document.batches)
        self._deadline = deadline
        self._tools = tools
        self._marked = list(marked)
        self._unmarked: dict[int, Batch] = {}
        self._outcomes: dict[int, Outcome] = {}
        self._marked_at_once = tools.marked(order)
        self._backlog = BACKLOG * self._marked_at_once if order.kind == "submit" else 0
        self._slots = asyncio.Semaphore(tools.at_once(order))
        self._stopped = False
        self._resume_at: datetime | None = None
        self._failure: AppError | None = None

    @property
    def outcomes(self) -> list[Outcome]:
        """The outcomes there are, in the order of the batches."""
        return [self._outcomes[number] for number in sorted(self._outcomes)]

    async def run(self) -> datetime | None:
        """Work until everything has an outcome, or until the deadline or a long wait.

        Returns:
            When to come back, or ``None`` when nothing is left to do.

        Raises:
            Conflict: Somebody else has taken over; whatever is in flight stays theirs to find out.
            Misconfigured, StorageUnavailable, VaultUnavailable: The work cannot go on for now.
        """
        await self._recover()
        while self._marked or self._in_phase("pending", "unknown"):
            if self._is_late():
                return self._tools.clock()
            await self._step()
            if self._failure:
                raise self._failure
            if not await self._rested():
                return self._resume_at
        return None

    async def release(self, *, resume_at: datetime, trouble: str = "") -> None:
        """Let somebody else go on.

        Raises:
            Conflict: Somebody else has taken over already.
        """
        self._unmark(self._marked)
        await self._save(claim=None, resume_at=resume_at, trouble=trouble)

    async def give_up(self, reason: str) -> None:
        """Give every batch an outcome without sending anything."""
        await self._recover()
        for number in self._in_phase("pending", "unknown"):
            await self._follow(number, self._work(number).given_up(reason))

    async def _recover(self) -> None:
        """Find out what came of the batches of an earlier executor."""
        begun = [number for number in self._in_phase("sent", "done") if number not in self._marked]
        for number, outcome in (await self._tools.ledger.outcomes(self._order.operation_id, begun)).items():
            self._finish(number, outcome)
        for number in self._in_phase("sent"):
            if number not in self._marked:
                await self._follow(number, self._work(number).after(STOPPED))

    async def _step(self) -> None:
        self._resume_at = None
        if not self._marked and (unknown := self._in_phase("unknown")):
            await self._look_up(unknown[0])
        else:
            await self._send_pending()

    async def _rested(self) -> bool:
        """Sit out a short wait; ``False`` when the wait is one to hand back."""
        if self._resume_at is None:
            return True
        wait = self._resume_at - self._tools.clock()
        if wait > PATIENCE or self._resume_at >= self._deadline:
            return False
        await self._tools.sleep(max(wait.total_seconds(), 0))
        return True

    async def _send_pending(self) -> None:
        """Send what is pending until something says stop; what is in flight then ends, whatever happens here."""
        under_way: set[asyncio.Task[None]] = set()
        try:
            while self._may_send() and (numbers := await self._next()):
                started = [self._launch(number, under_way) for number in numbers]
                await started[len(numbers) // 2].wait()  # the next are marked while the rest of these are sent
                await _until_left(under_way, self._backlog)
            await _until_left(under_way, 0)
        except BaseException as error:  # being cancelled is no reason to send on; it is raised again
            self._stopped = True
            if under_way and isinstance(error, Exception):
                await asyncio.wait(under_way)
            raise

    async def _next(self) -> list[int]:
        """The batches to be sent next, which are marked as sent before they are."""
        if not self._marked and (numbers := self._in_phase("pending")[: self._marked_at_once]):
            await self._mark(numbers)
        marked, self._marked = self._marked, []
        return marked

    async def _mark(self, numbers: Sequence[int]) -> None:
        marks = {"phase": "sent", "sent_at": self._tools.clock()}
        for number in numbers:
            self._unmarked[number] = self._batches[number]
            self._batches[number] = self._batches[number].model_copy(update=marks)
        self._marked = list(numbers)
        await self._save()

    def _unmark(self, numbers: Sequence[int]) -> None:
        """These were marked as sent, and then not sent."""
        for number in numbers:
            self._batches[number] = self._unmarked.get(number, Batch())

    def _launch(self, number: int, under_way: set[asyncio.Task[None]]) -> asyncio.Event:
        """Send a batch as soon as there is room; the event says when that is."""
        started = asyncio.Event()
        task = asyncio.create_task(self._carry_out(number, started))
        under_way.add(task)
        _kept.add(task)
        task.add_done_callback(_let_go)
        return started

    async def _carry_out(self, number: int, started: asyncio.Event) -> None:
        """Send a batch, and write down what came of it, even if the executor is being stopped."""
        work = self._work(number)
        fields = {"operation": self._order.operation_id, "batch": number, "items": len(work.items)}
        async with self._slots:
            started.set()
            if not self._may_send():
                self._unmark([number])
                return
            log_event(log, "operation.batch_sent", **fields)
            verdict = await self._verdict(work)
        if verdict is None:
            self._unmark([number])
            return
        log_event(log, "operation.batch_answered", verdict=type(verdict).__name__, **fields)
        await self._follow(number, self._work(number).after(verdict), verdict)

    async def _verdict(self, work: Work) -> Verdict | None:
        """What sending a batch proves; ``None`` when it was not sent, because something of ours is in the way."""
        try:
            async with asyncio.timeout(self._seconds_left()):
                return await self._call(work)
        except TimeoutError:
            return Unknown("AvePoint did not answer in time.")
        except OURS as error:
            self._failure = error
            return None
        except Exception:  # noqa: BLE001 - the call may be out: whatever went wrong, it proves nothing
            log_failure(log, "operation.batch_broken", operation=self._order.operation_id)
            return Unknown("The answer could not be read.")

    async def _call(self, work: Work) -> Verdict:
        if self._order.kind == "destroy":
            return await self._tools.opus.destroy([key for _, key in work.items])
        if self._order.connection is None or self._order.conflict_option is None:
            raise AssertionError("a submit names a connection and a conflict option")
        records = [self._order.records[index] for index, _ in work.items]
        return await self._tools.opus.submit(self._order.connection, self._order.conflict_option, records)

    async def _look_up(self, number: int) -> None:
        """See which of the ids that are perhaps destroyed are still due."""
        work = self._work(number)
        if self._order.connection is None or self._order.before is None:
            raise AssertionError("only what can be looked up waits for it")
        try:
            async with asyncio.timeout(self._seconds_left()):
                due = await self._tools.opus.still_due(
                    self._order.connection, self._order.before, [key for _, key in work.items]
                )
        except OURS:
            raise
        except Wait as error:
            self._resume_at = error.until
        except (Retry, TimeoutError) as error:
            await self._follow(number, work.after_failed_lookup(str(error), again=True))
        except AppError as error:
            await self._follow(number, work.after_failed_lookup(str(error), again=False))
        else:
            await self._follow(number, work.after_lookup(due))

    async def _follow(self, number: int, follows: Outcome | Batch, verdict: Verdict | None = None) -> None:
        """Write an outcome down, or note how the batch goes on, and not before when."""
        if isinstance(follows, Outcome):
            self._finish(number, await self._tools.ledger.record(self._order.operation_id, follows))
            return
        self._batches[number] = follows
        pause = backoff(max(1, len(follows.troubles)), random=self._tools.random)
        until = verdict.until if isinstance(verdict, Later) else self._tools.clock() + pause
        self._resume_at = max(until, self._resume_at or until)

    def _finish(self, number: int, outcome: Outcome) -> None:
        self._outcomes[number] = outcome
        self._batches[number] = self._batches[number].model_copy(update={"phase": "done"})

    async def _save(self, **changes: object) -> None:
        state = self._held.document.model_copy(update={"batches": tuple(self._batches), **changes})
        self._held = await self._tools.ledger.replace(self._order.operation_id, self._held, state)

    def _in_phase(self, *phases: Phase) -> list[int]:
        return in_phase(self._batches, *phases)

    def _may_send(self) -> bool:
        return not (self._stopped or self._failure or self._resume_at or self._is_late())

    def _is_late(self) -> bool:
        return self._tools.clock() >= self._deadline

    def _work(self, number: int) -> Work:
        return Work(self._order, number, self._batches[number], self._tools.clock())

    def _seconds_left(self) -> float:
        """How long an answer may be waited for, so that nobody else has the claim by then."""
        claim = self._held.document.claim
        return (claim.until - MARGIN - self._tools.clock()).total_seconds() if claim else 0


async def _until_left(tasks: set[asyncio.Task[None]], most: int) -> None:
    """Wait until at most ``most`` tasks are left, and raise what one of them raised."""
    while True:
        done = {task for task in tasks if task.done()}
        tasks -= done
        for task in done:
            task.result()
        if len(tasks) <= most:
            return
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)


def _let_go(task: asyncio.Task[None]) -> None:
    """A task has ended; what it raised is the business of whoever waits for it, if anybody does."""
    _kept.discard(task)
    if not task.cancelled():
        task.exception()

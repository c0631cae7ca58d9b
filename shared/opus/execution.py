"""Carries out an operation that was claimed: a few batches at a time, each marked as sent before it is sent."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from shared.clock import Clock, Sleep
from shared.errors import AppError, Misconfigured, Retry, StorageUnavailable, Wait
from shared.events import log_event
from shared.opus.client import Opus
from shared.opus.documents import Batch, Order, Outcome, Phase
from shared.opus.ledger import Held, Ledger
from shared.opus.rules import STOPPED, Work
from shared.opus.verdicts import Later, Unknown, Verdict
from shared.secrets import VaultUnavailable
from shared.throttling import PATIENCE, backoff

AT_ONCE = {"submit": 4, "destroy": 1}
"""How many batches of one operation are in flight; one of a destroy, so that a crash leaves as little in doubt."""

MARGIN = timedelta(seconds=5)
"""No answer is waited for beyond this time before the claim ends."""

OURS = (Misconfigured, StorageUnavailable, VaultUnavailable)
"""What is in the way before anything is sent, and is ours to put right."""

log = logging.getLogger(__name__)
_in_flight: set[asyncio.Future[list[BaseException | None]]] = set()


@dataclass(frozen=True, slots=True)
class Tools:
    """What an execution works with."""

    ledger: Ledger
    opus: Opus
    clock: Clock
    sleep: Sleep
    random: Callable[[], float]


class Execution:
    """One executor at work on one operation.

    Args:
        held: The state, under the executor's own claim.
        deadline: No batch is started after it; those in flight are waited for.
    """

    def __init__(self, order: Order, held: Held, *, deadline: datetime, tools: Tools) -> None:
        self._order = order
        self._held = held
        self._state = held.state
        self._deadline = deadline
        self._tools = tools
        self._outcomes: dict[int, Outcome] = {}
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
        while self._state.in_phase("pending", "unknown"):
            if self._tools.clock() >= self._deadline:
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
        await self._save(claim=None, resume_at=resume_at, trouble=trouble)

    async def give_up(self, reason: str) -> None:
        """Give every batch an outcome without sending anything."""
        await self._recover()
        for number in self._state.in_phase("pending", "unknown"):
            await self._follow(number, self._work(number).given_up(reason))

    async def _recover(self) -> None:
        """Find out what came of the batches of an earlier executor."""
        begun = self._state.in_phase("sent", "done")
        for number, outcome in (await self._tools.ledger.outcomes(self._order.operation_id, begun)).items():
            self._finish(number, outcome)
        for number in self._state.in_phase("sent"):
            await self._follow(number, self._work(number).after(STOPPED))

    async def _step(self) -> None:
        self._resume_at = None
        if unknown := self._state.in_phase("unknown"):
            await self._look_up(unknown[0])
        else:
            await self._send(self._state.in_phase("pending")[: AT_ONCE[self._order.kind]])

    async def _rested(self) -> bool:
        """Sit out a short wait; ``False`` when the wait is one to hand back."""
        if self._resume_at is None:
            return True
        wait = self._resume_at - self._tools.clock()
        if wait > PATIENCE or self._resume_at >= self._deadline:
            return False
        await self._tools.sleep(max(wait.total_seconds(), 0))
        return True

    async def _send(self, numbers: Sequence[int]) -> None:
        """Mark batches as sent, send them, and write down what came of them, even if the executor is being stopped."""
        now = self._tools.clock()
        self._mark(numbers, phase="sent", sent_at=now)
        await self._save()
        sending = asyncio.gather(*(self._carry_out(number) for number in numbers), return_exceptions=True)
        _in_flight.add(sending)
        sending.add_done_callback(_in_flight.discard)
        for result in await asyncio.shield(sending):
            if isinstance(result, BaseException):
                raise result

    async def _carry_out(self, number: int) -> None:
        work = self._work(number)
        fields = {"operation": self._order.operation_id, "batch": number, "items": len(work.items)}
        log_event(log, "operation.batch_sent", **fields)
        verdict = await self._verdict(work)
        if verdict is None:
            self._mark([number], phase="pending")
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
        except Exception:  # the call may be out: whatever went wrong, it proves nothing
            log.exception("operation.batch_broken", extra={"operation": self._order.operation_id})
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
        self._state = self._state.with_batches({number: follows})
        pause = backoff(max(1, len(follows.troubles)), random=self._tools.random)
        until = verdict.until if isinstance(verdict, Later) else self._tools.clock() + pause
        self._resume_at = max(until, self._resume_at or until)

    def _finish(self, number: int, outcome: Outcome) -> None:
        self._outcomes[number] = outcome
        self._mark([number], phase="done")

    def _mark(self, numbers: Sequence[int], *, phase: Phase, **changes: object) -> None:
        update = {"phase": phase, **changes}
        marked = {number: self._state.batches[number].model_copy(update=update) for number in numbers}
        self._state = self._state.with_batches(marked)

    async def _save(self, **changes: object) -> None:
        self._state = self._state.model_copy(update=changes)
        self._held = await self._tools.ledger.replace(self._order.operation_id, self._held, self._state)

    def _work(self, number: int) -> Work:
        return Work(self._order, number, self._state.batches[number], self._tools.clock())

    def _seconds_left(self) -> float:
        """How long an answer may be waited for, so that nobody else has the claim by then."""
        claim = self._state.claim
        return (claim.until - MARGIN - self._tools.clock()).total_seconds() if claim else 0

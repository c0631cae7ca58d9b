"""Carries out an operation under its lease: a few batches at a time, each marked as sent before it is sent.

Of a submit, the next batches are marked while the last ones are in flight, and answers are written down meanwhile, so
that Opus is never waited for storage. Of a destroy, one batch is dealt with to its end before the next one is touched.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from shared.azure.lease import Lease
from shared.http.throttling import LONGEST_SLEEP
from shared.opus.client.verdicts import CallVerdict, Later, NotSentYet
from shared.opus.ledger.documents import Batch, OperationState, Order, Outcome, Phase, Sending, in_phase
from shared.opus.operations.lookups import look_after_doubt, look_before_sending
from shared.opus.operations.rules import RESTORED, Work, seen_as_missing, seen_as_stopped
from shared.opus.operations.sending import Sender
from shared.opus.operations.tools import Stop, Tools, reason_to_stop

if TYPE_CHECKING:
    from shared.errors import AppError

LEASE_MARGIN = timedelta(seconds=5)
"""No answer is waited for beyond this time before the lease ends."""


class Execution:
    """One worker on one operation.

    Args:
        lease: The lease on the state of the operation.
        deadline: No batch is started after it; those in flight are waited for.
        marked: Batches that the worker itself has marked as sent and not sent yet.
    """

    def __init__(
        self,
        order: Order,
        lease: Lease[OperationState],
        *,
        deadline: datetime,
        tools: Tools,
        marked: Sequence[int] = (),
    ) -> None:
        self.order = order
        self.tools = tools
        self.marked = list(marked)
        self.batches = list(lease.document.batches)
        self.outcomes: dict[int, Outcome] = {}
        self.failure: AppError | None = None
        self.resume_at: datetime | None = None
        self._lease = lease
        self._deadline = deadline
        self._unmarked: dict[int, Batch] = {}
        self._waits = lease.document.waits
        self._fresh = bool(marked)
        self.looked_at: set[int] = set()

    @property
    def all_outcomes(self) -> list[Outcome]:
        """The outcomes there are, in the order of the batches."""
        return [self.outcomes[number] for number in sorted(self.outcomes)]

    async def run(self) -> datetime | None:
        """Work until everything has an outcome, or until the deadline or a long wait.

        Returns:
            When to come back, or ``None`` when nothing is left to do.

        Raises:
            Conflict: Somebody else has taken over; whatever is in flight stays theirs to find out.
            Misconfigured, StorageUnavailable, VaultUnavailable: The work cannot go on for now.
        """
        await self._recover()
        while self.marked or self.in_phase("pending", "unknown"):
            if stop := await self._stop():
                await self.end(stop)
                return None
            if self.is_late():
                return self.tools.clock()
            await self._step()
            if self.failure:
                raise self.failure
            if not await self._paused():
                return self.resume_at
        return None

    async def release(self, *, resume_at: datetime) -> None:
        """Let somebody else go on.

        Raises:
            Conflict: Somebody else has taken over already.
        """
        self._unmark_all()
        changes = self._changes | {"resume_at": resume_at, "failure": ""}
        if self.outcomes:
            changes["attempts"] = 0
        await self._lease.give_back(lambda state: state.model_copy(update=changes))

    async def note_failure(self, failure: str) -> None:
        """Write down what stands in the way, and that what is marked was not sent; raises what ``release`` raises."""
        self._unmark_all()
        changes = self._changes | {"failure": failure}
        await self._lease.save_changed(lambda state: state.model_copy(update=changes))

    async def end(self, stop: Stop) -> None:
        """Give every batch an outcome without sending anything."""
        if self._fresh:
            self._unmark_all()
        await self._recover()
        for number in self.in_phase("pending", "unknown"):
            await self.follow(number, self.work(number).stopped(stop.code, stop.reason))

    async def follow(self, number: int, follows: Outcome | Batch, verdict: CallVerdict | None = None) -> None:
        """Write an outcome down, or note how the batch goes on, and not before when."""
        if isinstance(follows, Outcome):
            self.finish(number, await self.tools.store.record(self.order.operation_id, follows))
            return
        if isinstance(verdict, Later | NotSentYet):
            await self.take_back(number)  # nothing was sent, and no attempt was spent
            waits = self.count_wait(failed=isinstance(verdict, NotSentYet))
        else:
            self.batches[number] = follows
            waits = max(follows.attempts, len(self.in_phase("unknown")))
        pause = self.tools.clock() + self.tools.pause(waits)
        self.wait_until(verdict.until if isinstance(verdict, Later) else pause)

    def wait_until(self, instant: datetime) -> None:
        """Start nothing before an instant."""
        self.resume_at = max(instant, self.resume_at or instant)

    def finish(self, number: int, outcome: Outcome) -> None:
        """Note that a batch has an outcome."""
        self.outcomes[number] = outcome
        self.batches[number] = self.batches[number].model_copy(update={"phase": "done"})

    async def mark(self, numbers: Sequence[int]) -> None:
        """Mark batches as sent, before they are."""
        now = self.tools.clock()
        for number in numbers:
            batch = self._unmarked[number] = self.batches[number]
            first = batch.first_sent_at or now
            self.batches[number] = batch.model_copy(update={"phase": "sent", "sent_at": now, "first_sent_at": first})
        self.marked = list(numbers)
        await self.save()

    async def claim(self, number: int) -> bool:
        """Say for good that a batch is about to be sent; whether it may be: a destroy, once an attempt."""
        if self.order.kind == "submit":
            return True
        batch = self.batches[number]
        sending = Sending(by=self._lease.owner, at=batch.sent_at)
        return await self.tools.store.claim(self.order.operation_id, number, batch.attempts, sending)

    async def take_back(self, number: int) -> None:
        """Say that a batch that was to be sent was not."""
        if self.order.kind == "destroy":
            await self.tools.store.take_back(self.order.operation_id, number, self.batches[number].attempts)
        self.unmark(number)

    def unmark(self, number: int) -> None:
        """Take back the mark of a batch that was marked as sent and then not sent."""
        self.batches[number] = self._unmarked.get(number, Batch())

    async def save(self) -> None:
        """Write the state, and keep the lease with it."""
        changes = self._changes
        await self._lease.save_changed(lambda state: state.model_copy(update=changes))

    @property
    def _changes(self) -> dict[str, object]:
        return {"batches": tuple(self.batches), "waits": self._waits}

    def count_wait(self, *, failed: bool) -> int:
        """Return how often in a row nothing could be sent, for want of a token or of the list of due records."""
        self._waits = self._waits + 1 if failed else 0
        return self._waits

    def in_phase(self, *phases: Phase) -> list[int]:
        """Return the numbers of the batches in one of ``phases``."""
        return in_phase(self.batches, *phases)

    def is_late(self) -> bool:
        """Whether no batch may be started any more."""
        return self.tools.clock() >= self._deadline

    def work(self, number: int) -> Work:
        """Return a batch as it is now."""
        return Work(self.order, number, self.batches[number], self.tools.clock(), self.tools.limits)

    def seconds_left(self) -> float:
        """Return how long an answer may be waited for, so that nobody else has the lease by then."""
        return max((self._lease.ends - LEASE_MARGIN - self.tools.clock()).total_seconds(), 0)

    def may_start(self) -> bool:
        """Whether another batch may be started here and now."""
        destroy_off = self.order.kind == "destroy" and not self.tools.destroy_enabled()
        return not (self.failure or self.resume_at or self.is_late() or destroy_off)

    async def next_numbers(self) -> list[int]:
        """Return the batches to be sent next, marked as sent before they are; none where something stops it."""
        if not self.marked and await self._stop() is None:
            pending = self.in_phase("pending")[: self.tools.marked(self.order)]
            if pending:
                await self.mark(pending)
        numbers, self.marked, self._fresh = self.marked, [], False
        return numbers

    async def _stop(self) -> Stop | None:
        if self._fresh:  # asked and checked a moment ago
            return None
        return await reason_to_stop(self.order, self.tools)

    async def _recover(self) -> None:
        """Find out what came of the batches of an earlier worker."""
        if self._fresh:
            return
        found = await self.tools.store.outcomes(self.order.operation_id, self._lease.document)
        for number, outcome in found.items():
            self.finish(number, outcome)
        for number in self.in_phase("done"):
            if number not in self.outcomes:
                await self.follow(number, seen_as_missing(self.work(number)))
        for number in self.in_phase("sent"):
            await self.follow(number, seen_as_stopped(self.work(number)))
        await self._recover_forgotten()
        for number in self.in_phase("unknown"):
            self.batches[number] = self.work(number).with_credible_look()

    async def _recover_forgotten(self) -> None:
        """Count as sent what somebody was about to send, and what an older version of the state does not know."""
        pending = {number: self.batches[number] for number in self.in_phase("pending")}
        if self.order.kind == "destroy" and pending:
            for number in await self.tools.store.claimed(self.order.operation_id, pending):
                await self.follow(number, self.work(number).apply(RESTORED))

    async def _step(self) -> None:
        self.resume_at = None
        if not self.marked:
            await look_before_sending(self)
        if self.resume_at:
            return
        if due := self._lookups_due():
            await look_after_doubt(self, due)
        elif self.marked or self.in_phase("pending"):
            await Sender(self).send_pending()
        elif self.in_phase("unknown"):
            self.wait_until(min(self._look_at(number) for number in self.in_phase("unknown")))

    def _lookups_due(self) -> list[int]:
        now = self.tools.clock()
        return [number for number in self.in_phase("unknown") if self._look_at(number) <= now]

    def _look_at(self, number: int) -> datetime:
        return self.batches[number].look_at or self.tools.clock()

    async def _paused(self) -> bool:
        """Sit out a short wait; ``False`` when the wait is one to hand back."""
        if self.resume_at is None:
            return True
        wait = self.resume_at - self.tools.clock()
        if wait > LONGEST_SLEEP or self.resume_at >= self._deadline:
            return False
        await self.tools.sleep(max(wait, timedelta(0)).total_seconds())
        return True

    def _unmark_all(self) -> None:
        for number in self.marked:
            self.unmark(number)
        self.marked = []

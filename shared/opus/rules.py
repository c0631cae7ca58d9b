"""What follows from an answer: an outcome that is final, or a batch that goes on. Pure: no I/O, no clock.

A submit may be repeated, with Overwrite and with Skip alike; a destroy only when it is proven that it was not executed.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from shared.opus.documents import Batch, FailedItem, Order, Outcome, UncertainItem
from shared.opus.verdicts import Answered, Later, NotSent, Refused, Unknown, Verdict

TRIES = 8
"""How often a batch is tried; being asked for patience does not count."""

STOPPED = Unknown("The executor was stopped before it had the answer.")
"""What is known of a batch that is marked as sent and has no outcome."""


@dataclass(frozen=True)
class Work:
    """One batch of an order, looked at at one instant."""

    order: Order
    number: int
    batch: Batch
    now: datetime

    @cached_property
    def items(self) -> list[tuple[int, str]]:
        """Index and row key of what is sent: all but the items that are perhaps destroyed."""
        excluded = {item.index for item in self.batch.uncertain}
        return [(index, self.order.key(index)) for index in self.order.indexes(self.number) if index not in excluded]

    def after(self, verdict: Verdict) -> Outcome | Batch:
        """What follows from what a call proves."""
        match verdict:
            case Answered():
                return self._answered(verdict)
            case Refused(code, reason):
                return self._unprocessed(code, reason)
            case Later():
                return self._changed(phase="pending")
            case NotSent(reason):
                return self._again(reason) or self._unprocessed("UpstreamFailed", reason)
            case Unknown(reason) if self.order.kind == "submit":
                return self._again(reason, doubtful=True) or self._doubted(reason)
            case Unknown(reason) if self.order.connection is None or self.order.before is None:
                return self._doubted(reason)
            case Unknown(reason):
                return self._again(reason, phase="unknown") or self._doubted(reason)

    def after_lookup(self, still_due: Collection[str]) -> Outcome | Batch:
        """What follows from a look at what is still due: that was not destroyed, and may be sent again."""
        reason = f"{self.batch.troubles[-1]} It is not due any more, which does not prove that it was destroyed."
        lost = [_uncertain(index, key, reason) for index, key in self.items if key not in still_due]
        if len(lost) == len(self.items):
            return self._doubted(reason)
        return self._changed(phase="pending", uncertain=(*self.batch.uncertain, *lost))

    def after_failed_lookup(self, reason: str, *, again: bool) -> Outcome | Batch:
        """What follows when it could not be looked up what is still due; ``again``: another look may succeed."""
        follows = self._again(reason, phase="unknown") if again else None
        return follows or self._doubted(f"{self.batch.troubles[0]} What is still due cannot be looked up: {reason}")

    def given_up(self, reason: str) -> Outcome:
        """What follows when nobody will go on."""
        if self.batch.phase == "pending":
            return self._unprocessed("GivenUp", reason)
        return self._doubted(" ".join((*self.batch.troubles[-1:], reason)))

    def _answered(self, verdict: Answered) -> Outcome:
        """What failed now was perhaps processed by an earlier try."""
        reasons = verdict.processed.failed
        refused = [(index, key) for index, key in self.items if key in reasons]
        skipped = len(verdict.processed.skipped - reasons.keys())
        failed, uncertain = [], []
        if self.batch.doubtful:
            uncertain = [_uncertain(index, key, self._after_doubt(reasons[key])) for index, key in refused]
        else:
            failed = [_failed(index, key, "UpstreamRejected", reasons[key]) for index, key in refused]
        return self._outcome(
            succeeded=len(self.items) - len(refused) - skipped,
            skipped=skipped,
            failed=failed,
            uncertain=uncertain,
            status=verdict.status,
            answer=verdict.answer,
        )

    def _unprocessed(self, code: str, reason: str) -> Outcome:
        """The last try was certainly not executed; whether one before it was, is another question."""
        if self.batch.doubtful:
            return self._doubted(self._after_doubt(reason))
        return self._outcome(failed=[_failed(index, key, code, reason) for index, key in self.items], answer=reason)

    def _after_doubt(self, reason: str) -> str:
        return f"{self.batch.troubles[0]} The try after it came to nothing: {reason}"

    def _doubted(self, reason: str) -> Outcome:
        doubted = [_uncertain(index, key, reason) for index, key in self.items]
        return self._outcome(uncertain=doubted, answer=reason)

    def _outcome(
        self,
        *,
        succeeded: int = 0,
        skipped: int = 0,
        failed: Sequence[FailedItem] = (),
        uncertain: Sequence[UncertainItem] = (),
        status: int | None = None,
        answer: str,
    ) -> Outcome:
        return Outcome(
            batch=self.number,
            sent=tuple(key for _, key in self.items) if self.batch.sent_at else (),
            succeeded=succeeded,
            skipped=skipped,
            failed=tuple(failed),
            uncertain=(*self.batch.uncertain, *uncertain),
            sent_at=self.batch.sent_at,
            finished_at=self.now,
            status=status,
            answer=answer,
            troubles=self.batch.troubles,
        )

    def _again(self, reason: str, **changes: object) -> Batch | None:
        """The batch with one more trouble, unless it had its tries."""
        troubles = (*self.batch.troubles, reason)
        return self._changed(**{"phase": "pending", "troubles": troubles} | changes) if len(troubles) < TRIES else None

    def _changed(self, **changes: object) -> Batch:
        return self.batch.model_copy(update=changes)


def _failed(index: int, key: str, code: str, message: str) -> FailedItem:
    return FailedItem(index=index, id=key, code=code, message=message)


def _uncertain(index: int, key: str, reason: str) -> UncertainItem:
    return UncertainItem(index=index, id=key, reason=reason)

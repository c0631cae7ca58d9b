"""What follows from an answer: an outcome that is final, or a batch that goes on. Pure: no I/O, no clock.

A submit may be repeated, with Overwrite and with Skip alike. A destroy is repeated only when it is proven that it was
not executed, or when two lookups, apart and late enough, both show an item still due. Doubt about an item never ends:
what fails after it is uncertain, never failed.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property

from shared.clock import credible, is_recent
from shared.opus.client.due_list import StillDue
from shared.opus.client.verdicts import Answered, CallVerdict, Later, NotSent, NotSentYet, Refused, Unknown
from shared.opus.ledger.documents import Batch, FailedItem, Order, Outcome, UncertainItem

DOUBTS = 8
"""How often a destroy may be in doubt before its items are uncertain."""

STOPPED = Unknown("The worker stopped before it had the answer.")
"""What is known of a batch that is marked as sent and has no outcome."""

RESTORED = Unknown("Storage was restored, and it may have been sent after the point that it was restored to.")
"""What is known of a batch that was never seen as sent, once storage may have forgotten that it was."""

MISSING = "The documents of this batch are missing from storage."

_ATTEMPTS_KEPT = 8


@dataclass(frozen=True, slots=True)
class OperationLimits:
    """How long a batch is tried, and how long a call that was sent may still be running."""

    patience: timedelta
    settle: timedelta


@dataclass(frozen=True)
class Work:
    """One batch of an order, looked at at one instant."""

    order: Order
    number: int
    batch: Batch
    now: datetime
    limits: OperationLimits

    @cached_property
    def items(self) -> list[tuple[int, str]]:
        """Return index and row key of what is sent: all but the items whose outcome is known, or doubtful for good."""
        excluded = {item.index for item in self.batch.uncertain} | {*self.batch.not_due, *self.batch.confirmed}
        return [(index, self.order.key(index)) for index in self.order.indexes(self.number) if index not in excluded]

    @property
    def keys(self) -> list[str]:
        """Return the row keys of what is sent."""
        return [key for _, key in self.items]

    def apply(self, verdict: CallVerdict) -> Outcome | Batch:
        """Return what follows from what a call proves."""
        match verdict:
            case Answered():
                return self._answered(verdict)
            case Refused(code, reason):
                return self.unprocessed(code, reason)
            case Later() | NotSentYet():
                return self._changed(phase="pending")
            case NotSent(reason):
                return self._again(reason) or self.unprocessed("UpstreamFailed", reason)
            case Unknown(reason):
                return self._in_doubt(reason)

    def apply_first_look(self, due: StillDue) -> Outcome | Batch:
        """Return what follows from a look before anything was sent: what is not due is not sent.

        Of a list that is longer than what was read, it shows only what is due.
        """
        seen = tuple(index for index, key in self.items if key in due.ids)
        if not due.whole:
            return self._changed(seen_due=seen, look_at=None)
        not_due = tuple(index for index, key in self.items if key not in due.ids)
        batch = self._changed(seen_due=seen, not_due=not_due, look_at=None)
        return batch if seen else self._with(batch).unprocessed("NotDue", "")

    def apply_lookup(self, due: StillDue) -> Outcome | Batch:
        """Return what follows from a look after a lost answer: nothing from the first, the outcome from the second."""
        still = [index for index, key in self.items if key in due.ids]
        if self.batch.due_before is None:
            return self._changed(due_before=tuple(still), look_at=self.now + self.limits.settle)
        again = {index for index in still if index in self.batch.due_before}
        gone = {index for index, key in self.items if key not in due.ids | due.alike}
        known_gone = gone if due.whole else set[int]()
        confirmed = known_gone.intersection(self.batch.seen_due)
        lost = [
            _uncertain(index, key, self._after_lookup(key, due))
            for index, key in self.items
            if index not in again | confirmed
        ]
        batch = self._changed(
            phase="pending",
            uncertain=(*self.batch.uncertain, *lost),
            confirmed=(*self.batch.confirmed, *sorted(confirmed)),
            due_before=None,
            look_at=None,
        )
        if again:
            return batch
        return self._with(batch).outcome(answer="Looked up in the list of due records.", sent=self.keys)

    def with_credible_look(self) -> Batch:
        """Return the batch whose next look is no further away than the call may be running: else it settles anew."""
        latest = self.now + self.limits.settle
        if self.batch.look_at is None or credible(self.batch.look_at, now=latest):
            return self.batch
        return self._changed(look_at=latest)

    def apply_failed_lookup(self, reason: str, *, again: bool, first: bool) -> Outcome | Batch:
        """Return what follows from a look after a lost answer that came to nothing; ``again``: another may succeed."""
        later = self.look_later(first=first) if again else None
        return later or self.doubted(f"{self._first_reason} The due records cannot be looked up: {reason}")

    def look_later(self, *, first: bool) -> Batch | None:
        """Return the batch while there is patience, which counts from the first look in a row that came to nothing."""
        since = self.now if first or self.batch.look_at is None else self.batch.look_at
        recent = is_recent(since, within=self.limits.patience, now=self.now)
        return self._changed(look_at=since) if recent else None

    def unasked(self) -> Batch:
        """Return the batch when nothing could be asked: its patience has not begun."""
        return self._changed(look_at=self.now)

    def stopped(self, code: str, reason: str) -> Outcome:
        """Return what follows when nothing more is sent: what was never sent failed, the rest is uncertain."""
        if self.batch.phase == "pending":
            return self.unprocessed(code, reason, repeatable=code == "GivenUp")
        return self.doubted(" ".join((*self.batch.failed_attempts[-1:], reason)), repeatable=code == "GivenUp")

    def unprocessed(self, code: str, reason: str, *, repeatable: bool = True) -> Outcome:
        """Return that the last attempt was certainly not executed; whether an earlier one was, is another question."""
        if self.batch.maybe_executed:
            return self.doubted(self._after_doubt(reason), repeatable=repeatable)
        return self.outcome(failed=[_failed(index, key, code, reason) for index, key in self.items], answer=reason)

    def doubted(self, reason: str, *, repeatable: bool = True) -> Outcome:
        """Return that nobody can say what became of the items; a submit may be repeated by the caller."""
        repeatable = repeatable and self.order.kind == "submit"
        doubted = [_uncertain(index, key, reason, repeatable=repeatable) for index, key in self.items]
        return self.outcome(uncertain=doubted, answer=reason)

    def outcome(
        self,
        *,
        succeeded: int = 0,
        failed: Sequence[FailedItem] = (),
        uncertain: Sequence[UncertainItem] = (),
        status: int | None = None,
        answer: str,
        sent: Sequence[str] | None = None,
    ) -> Outcome:
        """Return the outcome of the batch, with what was known of some of its items before.

        Args:
            sent: The row keys of the last call, where they are not those whose outcome is still open.
        """
        return Outcome(
            batch=self.number,
            sent=tuple(self.keys if sent is None else sent) if self.batch.sent_at else (),
            succeeded=succeeded + len(self.batch.confirmed),
            skipped=0,
            failed=(*(self._not_due(index) for index in self.batch.not_due), *failed),
            uncertain=(*self.batch.uncertain, *uncertain),
            confirmed=tuple(self.order.key(index) for index in self.batch.confirmed),
            sent_at=self.batch.sent_at,
            finished_at=self.now,
            status=status,
            answer=answer,
            failed_attempts=self.batch.failed_attempts,
            attempts=self.batch.attempts,
            round=self.batch.round,
        )

    def _in_doubt(self, reason: str) -> Outcome | Batch:
        """Return what follows when the call may have been executed, or may still be."""
        if self.order.kind == "submit":
            return self._again(reason, maybe_executed=True) or self._with_attempt(reason).doubted(reason)
        if not self.order.can_be_looked_up or self.batch.attempts + 1 >= DOUBTS:
            return self._with_attempt(reason).doubted(reason)
        settled = self.now + self.limits.settle
        doubted = self._with_attempt(reason)
        return doubted._changed(phase="unknown", maybe_executed=True, look_at=settled, due_before=None)  # noqa: SLF001 - its own kind

    def _answered(self, verdict: Answered) -> Outcome:
        """Return the outcome; what failed now was perhaps processed by an earlier attempt."""
        reasons = verdict.processed.failed
        refused = [(index, key) for index, key in self.items if key in reasons]
        if self.batch.maybe_executed:
            repeatable, failed = self.order.kind == "submit", []
            uncertain = [
                _uncertain(index, key, self._after_doubt(reasons[key]), repeatable=repeatable) for index, key in refused
            ]
        else:
            failed, uncertain = [_failed(index, key, "UpstreamRejected", reasons[key]) for index, key in refused], []
        return self.outcome(
            succeeded=len(self.items) - len(refused),
            failed=failed,
            uncertain=uncertain,
            status=verdict.status,
            answer=verdict.answer,
        )

    def _not_due(self, index: int) -> FailedItem:
        before = f"{self.order.before:%Y-%m-%dT%H:%M:%SZ}"
        message = f"No record with exactly this id was due for disposal before {before}, so it was not sent."
        return _failed(index, self.order.key(index), "NotDue", message)

    def _after_lookup(self, key: str, due: StillDue) -> str:
        if key in due.ids:
            return f"{self._first_reason} It was not due at one lookup and due at the next."
        if key in due.alike:
            return f"{self._first_reason} The list of due records has its id in another spelling (case or blanks)."
        if not due.whole:
            return f"{self._first_reason} The list of due records is longer than a lookup reads (OPUS_LOOKUP_PAGES)."
        return f"{self._first_reason} It is no longer due, but this does not prove that it was destroyed."

    def _after_doubt(self, reason: str) -> str:
        return f"{self._first_reason} The attempt after it came to nothing: {reason}"

    @property
    def _first_reason(self) -> str:
        return self.batch.failed_attempts[0] if self.batch.failed_attempts else STOPPED.reason

    @property
    def _has_patience(self) -> bool:
        since = self.batch.first_sent_at or self.batch.sent_at or self.order.created_at
        return is_recent(since, within=self.limits.patience, now=self.now)

    def _again(self, reason: str, **changes: object) -> Batch | None:
        """Return the batch with one more attempt, while there is patience."""
        if not self._has_patience:
            return None
        return self._with_attempt(reason)._changed(**{"phase": "pending"} | changes)  # noqa: SLF001 - its own kind

    def _with_attempt(self, reason: str) -> "Work":
        attempts = (*self.batch.failed_attempts, reason)
        if len(attempts) > _ATTEMPTS_KEPT:
            attempts = (attempts[0], *attempts[2:])
        return self._with(self._changed(failed_attempts=attempts, attempts=self.batch.attempts + 1))

    def _with(self, batch: Batch) -> "Work":
        return Work(self.order, self.number, batch, self.now, self.limits)

    def _changed(self, **changes: object) -> Batch:
        return self.batch.model_copy(update=changes)


def reopened(batch: Batch, outcome: Outcome, *, round_: int, resolved: Collection[str] = ()) -> Batch:
    """Return the batch of an operation that is taken up again: from the beginning, if its outcome is repeatable.

    Args:
        resolved: Row keys of items that a person has resolved. Sent again, what was said of them might not hold.
    """
    if not any(item.repeatable and item.id not in resolved for item in outcome.uncertain):
        return batch.model_copy(update={"phase": "done"})
    return Batch(
        maybe_executed=True,
        failed_attempts=outcome.failed_attempts[:1],
        uncertain=tuple(item for item in outcome.uncertain if item.id in resolved),
        round=round_,
    )


def _failed(index: int, key: str, code: str, message: str) -> FailedItem:
    return FailedItem(index=index, id=key, code=code, message=message)


def _uncertain(index: int, key: str, reason: str, *, repeatable: bool = False) -> UncertainItem:
    return UncertainItem(index=index, id=key, reason=reason, repeatable=repeatable)


def seen_as_stopped(work: Work) -> Outcome | Batch:
    """Return what follows for a batch that is marked as sent and has no outcome."""
    return work.apply(STOPPED if work.batch.sent_at else RESTORED)


def seen_as_missing(work: Work) -> Outcome:
    """Return the outcome of a batch that is done and whose outcome is not in storage."""
    return work.doubted(MISSING)


def lookup_keys(works: Collection[Work]) -> set[str]:
    """Return the row keys that one lookup asks for."""
    return {key for work in works for key in work.keys}

"""What became of the parents of a child dataset: one that fails never stops the others. Pure."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Self

from shared.document import StoredValue

PATIENCE = timedelta(hours=1)
"""How long one parent that keeps failing may hold its dataset, while others succeed."""

IN_A_ROW = 3
"""So many parents that fail one after the other are no fault of theirs: the service is away."""

REASONS_NAMED = 100
REASON_LENGTH = 200


class FailedChain(StoredValue):
    """A chain of pages that was left out, and why."""

    chain: int
    reason: str


class DeferredChain(StoredValue):
    """A chain that is tried again after the others, and since when it fails."""

    chain: int
    since: datetime


class Outcomes(StoredValue):
    """The outcomes of the chains of one partition, by their numbers.

    Attributes:
        answered: How many chains have ended by themselves.
        refused: Those whose first page was answered with 404 or 410.
        failed: The first that were left out, with reasons; ``failed_more`` are the others.
        deferred: Those that are tried again when all others have ended, the next one first.
        in_a_row: How many were deferred one after the other.
    """

    answered: int = 0
    refused: tuple[int, ...] = ()
    failed: tuple[FailedChain, ...] = ()
    failed_more: tuple[int, ...] = ()
    deferred: tuple[DeferredChain, ...] = ()
    in_a_row: int = 0

    def with_answer(self, chain: int) -> Self:
        """Return the outcomes once a chain has ended by itself."""
        return self._without(chain).model_copy(update={"answered": self.answered + 1, "in_a_row": 0})

    def with_refusal(self, chain: int) -> Self:
        """Return the outcomes once the first page of a chain was not there."""
        return self._without(chain).model_copy(update={"refused": (*self.refused, chain), "in_a_row": 0})

    def with_failure(self, chain: int, reason: str) -> Self:
        """Return the outcomes once a chain is left out."""
        left = self._without(chain)
        if len(self.failed) >= REASONS_NAMED:
            return left.model_copy(update={"failed_more": (*self.failed_more, chain)})
        named = FailedChain(chain=chain, reason=reason[:REASON_LENGTH])
        return left.model_copy(update={"failed": (*self.failed, named)})

    def with_deferral(self, chain: int, *, now: datetime) -> Self:
        """Return the outcomes with a chain put off until the others have ended."""
        last = DeferredChain(chain=chain, since=self.failing_since(chain) or now)
        deferred = (*self._without(chain).deferred, last)
        return self.model_copy(update={"deferred": deferred, "in_a_row": self.in_a_row + 1})

    def retried(self, *, now: datetime) -> Self:
        """Return the outcomes with the chains that did not answer to be tried again."""
        again = tuple(DeferredChain(chain=chain, since=now) for chain in (*self.refused, *self.failures()))
        changes = {"refused": (), "failed": (), "failed_more": (), "deferred": (*self.deferred, *again), "in_a_row": 0}
        return self.model_copy(update=changes)

    def failing_since(self, chain: int) -> datetime | None:
        """Return since when a chain fails, or ``None``."""
        return next((one.since for one in self.deferred if one.chain == chain), None)

    def failures(self) -> dict[int, str]:
        """Return why each chain was left out; empty where only the number is kept."""
        return {one.chain: one.reason for one in self.failed} | dict.fromkeys(self.failed_more, "")

    def away(self, choices: int) -> list[int]:
        """Return the parents that were not there, whatever they were asked with.

        Args:
            choices: How many chains each parent has.
        """
        refusals = Counter(chain // choices for chain in self.refused)
        return [parent for parent, count in refusals.items() if count == choices]

    def _without(self, chain: int) -> Self:
        if all(one.chain != chain for one in self.deferred):
            return self
        return self.model_copy(update={"deferred": tuple(one for one in self.deferred if one.chain != chain)})


def reasons_by_parent(failures: dict[int, str], choices: int) -> dict[int, str]:
    """Return one reason for each parent of which any chain was left out."""
    reasons: dict[int, str] = {}
    for chain, reason in failures.items():
        reasons.setdefault(chain // choices, reason)
    return reasons


def nobody_answered(outcomes: Sequence[Outcomes]) -> bool:
    """Return whether parents were asked, and none of them answered."""
    asked = any(one.refused or one.failed for one in outcomes)
    return asked and not any(one.answered for one in outcomes)

"""What the workers of operations share."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from shared.clock import Clock, Sleep
from shared.opus.client.client import Opus
from shared.opus.ledger.documents import Order, Place, StopCode
from shared.opus.ledger.store import OperationStore
from shared.opus.operations.rules import OperationLimits

_LEAST_MARKED = 4
"""How many batches of a submit are marked at once, at least, so that the state is not written for each."""

_BACKLOG = 3
"""How many batches may be under way, as a multiple of those marked at once: sent, answered, or still to be written."""

_FIRST_PAUSE = timedelta(seconds=1)
_LONGEST_PAUSE = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Tools:
    """What a worker works with.

    Attributes:
        place: Where this app is: it carries on nothing that was asked elsewhere.
        destroy_enabled: Read before every batch of a destroy.
        submits_at_once: How many batches of a submit are in flight.
        lookup_pages: How many pages of due records a lookup reads.
    """

    store: OperationStore
    opus: Opus
    place: Place
    destroy_enabled: Callable[[], bool]
    clock: Clock
    sleep: Sleep
    random: Callable[[], float]
    limits: OperationLimits
    submits_at_once: int
    lookup_pages: int

    def at_once(self, order: Order) -> int:
        """Return how many batches are in flight: one of a destroy, so that a crash leaves little in doubt."""
        return self.submits_at_once if order.kind == "submit" else 1

    def marked(self, order: Order) -> int:
        """Return how many batches are marked as sent at once; of a submit, enough for two rounds."""
        return max(2 * self.submits_at_once, _LEAST_MARKED) if order.kind == "submit" else 1

    def backlog(self, order: Order) -> int:
        """Return how many batches may be under way while more are marked."""
        return _BACKLOG * self.marked(order) if order.kind == "submit" else 0

    def pause(self, attempts: int) -> timedelta:
        """Return how long to wait after so many attempts: up to five minutes, so that hours of them cost little."""
        longest: timedelta = min(_FIRST_PAUSE * 2 ** min(attempts, 10), _LONGEST_PAUSE)
        return longest * (0.5 + self.random() / 2)


@dataclass(frozen=True, slots=True)
class Stop:
    """Why nothing more of an operation is sent."""

    code: StopCode
    reason: str


async def reason_to_stop(order: Order, tools: Tools) -> Stop | None:
    """Return why nothing more of an operation may be sent, if anything stands in the way."""
    place = order.place or await tools.store.home(tools.place)
    if place != tools.place:
        return Stop("PlaceChanged", f"It belongs to {place}, and this app works for {tools.place}.")
    if order.kind == "destroy" and not tools.destroy_enabled():
        return Stop("DestroyDisabled", "Destroying records was switched off (OPUS_DESTROY_ENABLED).")
    if cancellation := await tools.store.cancellation(order.operation_id):
        return Stop("Cancelled", f"It was cancelled at {_written(cancellation.at)}.")
    return None


def _written(instant: datetime) -> str:
    return f"{instant:%Y-%m-%dT%H:%M:%SZ}"

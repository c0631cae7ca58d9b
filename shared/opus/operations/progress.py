"""How far operations are, read from what is stored."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from math import ceil

from shared.azure.bounded_map import bounded_map
from shared.azure.damage import unless_unusable
from shared.clock import Clock
from shared.errors import MissingDocument
from shared.opus.ledger.documents import Opening, Operation, OperationState, Order
from shared.opus.ledger.marks import operation_id_of
from shared.opus.ledger.reporting import operation_so_far
from shared.opus.ledger.store import OperationStore

PAGE = 100
_LOST = "Restore them, or read its evidence and look into Opus; then delete its mark below uncertain/."

type Read = Callable[[str], Awaitable[OperationProgress | None]]

_POLL = timedelta(seconds=5)
_LONGEST_POLL = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class OperationProgress:
    """An operation, and in how many seconds to ask again; ``None`` when it is finished.

    Attributes:
        replayed: The call did nothing: it was answered by an operation that was there before.
    """

    operation: Operation
    retry_after: int | None
    replayed: bool = False


@dataclass(frozen=True, slots=True)
class OperationPage:
    """Some operations in order of time, and the mark of the last one when there are more."""

    operations: tuple[Operation, ...]
    next_mark: str | None


class Reader:
    """Reads how far operations are."""

    def __init__(self, store: OperationStore, *, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def get(self, operation_id: str, *, replayed: bool = False) -> OperationProgress | None:
        """Return how far an operation is; ``None`` when there is none of that id."""
        if finished := await self._store.finished(operation_id):
            return OperationProgress(finished, None, replayed)
        opening = await self._store.opening(operation_id)
        return await self.unfinished(opening, replayed=replayed) if opening else None

    async def unfinished(self, opening: Opening, *, replayed: bool = False) -> OperationProgress:
        """Return how far an operation is that was not finished a moment ago."""
        state = (await self._store.state(opening)).value
        outcomes = await self._store.outcomes(opening.order.operation_id, state)
        done = [outcomes[number] for number in sorted(outcomes)]
        operation = operation_so_far(opening.order, done, begun=state.begun)
        return OperationProgress(operation, self._poll_seconds(opening.order, state), replayed)

    async def of_date(self, day: date, *, after: str) -> OperationPage:
        """Return the operations created on ``day`` (UTC), in order of time, beyond the mark ``after``."""
        return await self._page(await self._store.marks.of_date(day, after=after, count=PAGE + 1))

    async def uncertain(self, *, after: str) -> OperationPage:
        """Return the operations with items that wait for a person, in order of time, beyond the mark ``after``."""
        return await self._page(await self._store.marks.uncertain(after=after, count=PAGE + 1), read=self._existing)

    async def _existing(self, operation_id: str) -> OperationProgress:
        progress = await self.get(operation_id)
        if progress is None:
            raise MissingDocument("it waits for a person, and its documents are not there", remedy=_LOST)
        return progress

    async def _page(self, marks: Sequence[str], read: Read | None = None) -> OperationPage:
        """Return the operations of marks; what cannot be read is named in the details of health."""
        reading = read or self.get

        async def usable(operation_id: str) -> OperationProgress | None:
            return await unless_unusable(f"operations/{operation_id}", reading(operation_id))

        found = await bounded_map(usable, map(operation_id_of, marks[:PAGE]))
        operations = tuple(progress.operation for progress in found if progress)
        return OperationPage(operations, marks[PAGE - 1] if len(marks) > PAGE else None)

    def _poll_seconds(self, order: Order, state: OperationState) -> int:
        """In how many seconds to ask again: when it goes on, and the more rarely the longer it has taken."""
        now = self._clock()
        wait = state.resume_at - now if state.resume_at else (now - order.created_at) / 5
        return ceil(min(max(wait, _POLL), _LONGEST_POLL).total_seconds())

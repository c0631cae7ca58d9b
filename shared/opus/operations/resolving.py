"""Uncertain items: only a person who has looked into Opus can say what became of them. Nothing is sent for that."""

import logging
from collections.abc import Mapping, Sequence

from shared.clock import Clock
from shared.errors import Conflict, Detail
from shared.opus.evidence.archive import Archive
from shared.opus.intake.inputs import ResolveInput, refuse
from shared.opus.ledger.documents import Operation, Order, Resolution, Resolutions
from shared.opus.ledger.reporting import resolved
from shared.opus.ledger.store import OperationStore
from shared.telemetry.events import log_event

_TRIES = 5

log = logging.getLogger(__name__)


class Resolving:
    """Writes down what people say, with evidence."""

    def __init__(self, store: OperationStore, archive: Archive, *, clock: Clock) -> None:
        self._store = store
        self._archive = archive
        self._clock = clock

    async def resolve(self, order: Order, body: ResolveInput, *, caller: str, client: Mapping[str, str]) -> Operation:
        """Write down what is said of items of a finished operation, once however often it is said.

        Raises:
            Conflict: The operation still runs, nothing is uncertain about it, or something else was said before.
            InvalidInput: An id that is named was never uncertain.
        """
        first = await self._first_result(order)
        for _ in range(_TRIES):
            standing = await self._store.resolutions(order.operation_id)
            said = standing.value.entries
            if not (ids := unresolved(first, said, body)):
                return await self.complete(order)
            entry = Resolution(
                outcome=body.outcome,
                ids=ids,
                note=body.note,
                checked_by=body.checked_by,
                caller=caller,
                client=dict(client),
                at=self._clock(),
            )
            try:
                await self._store.resolve(order, standing, Resolutions(entries=(*said, entry)))
            except Conflict:
                continue
            return await self.complete(order)
        raise Conflict("Another call resolves this operation at the same time.", remedy="Try again.")

    async def complete(self, order: Order) -> Operation:
        """Write what follows from what was said, wherever somebody was stopped before he had; return the operation.

        Raises:
            Conflict: The operation is not finished.
        """
        said = (await self._store.resolutions(order.operation_id)).value.entries
        for number, entry in enumerate(said):
            if not await self._archive.has_resolution(order, number, entry):
                _tell_resolved(order, entry)
            await self._archive.keep_resolution(order, number, entry)
        operation = resolved(await self._first_result(order), said)
        if not operation.uncertain:
            await self._store.marks.settle(order)
        await self._store.close(order.operation_id)
        return operation

    async def _first_result(self, order: Order) -> Operation:
        first = await self._store.first_result(order.operation_id)
        if first is None:
            raise Conflict("The operation is still running.", remedy="Wait until it has ended.")
        return first


def _tell_resolved(order: Order, entry: Resolution) -> None:
    """Log what a person has said, before its evidence is there: nobody says it again after that."""
    log_event(
        log,
        "operation.resolved",
        operation=order.operation_id,
        kind=order.kind,
        outcome=entry.outcome,
        items=len(entry.ids),
    )


def unresolved(operation: Operation, said: Sequence[Resolution], body: ResolveInput) -> tuple[str, ...]:
    """Of which items a resolution says something new; of none when all of it was said before. Pure.

    Args:
        operation: The operation as it was when it finished.

    Raises:
        Conflict: Nothing was uncertain, or something else was said before.
        InvalidInput: An id that is named was never uncertain.
    """
    if not operation.uncertain:
        raise Conflict("Nothing is uncertain about this operation.")
    known = [item.id for item in operation.uncertain]
    if strangers := [(index, name) for index, name in enumerate(body.ids or ()) if name not in known]:
        details = [Detail(f"ids[{index}]", "NotUncertain", f"{name!r} is not uncertain") for index, name in strangers]
        refuse(details)
    earlier = {name: entry.outcome for entry in said for name in entry.ids}
    fresh = tuple(name for name in dict.fromkeys(body.ids or known) if name not in earlier)
    if body.ids is None:  # said again, it means the same items, which are not uncertain any more
        contradicts = not fresh and body.outcome not in earlier.values()
    else:
        contradicts = any(earlier.get(name, body.outcome) != body.outcome for name in body.ids)
    if contradicts:
        raise Conflict("These items were already resolved in another way.", remedy="Read the operation.")
    return fresh

"""The sweep of operations: what fell silent is poked, what is older than its key is kept is deleted. Evidence stays."""

import logging
from collections.abc import Callable, Coroutine, Iterable, Sequence
from contextlib import suppress
from datetime import date, datetime, timedelta
from functools import partial

from shared.azure.bounded_map import bounded_map
from shared.azure.storage import Container
from shared.errors import AppError, Conflict
from shared.opus.ledger.deduplication import forget_body
from shared.opus.ledger.marks import began_at, operation_id_of
from shared.opus.ledger.store import OperationStore
from shared.opus.operations.assembly import operations_of
from shared.services import Services
from shared.telemetry.events import log_event

OPERATIONS_KEPT = timedelta(days=30)
"""How long an idempotency key is remembered, and with it what is told of its operation."""
WRITTEN_AGAIN_EVERY_DAYS = 7
"""How often the documents of an uncertain operation are written: rules that delete take none younger than a month."""

log = logging.getLogger(__name__)


async def sweep_operations(services: Services) -> None:
    """Look after every operation that is kept."""
    store, operations = OperationStore(services.storage), operations_of(services)
    open_ones = await store.marks.unfinished()
    await _each(open_ones, operations.revive)
    waiting = [mark async for mark in store.marks.all_uncertain()]
    tell_uncertain(waiting, services.clock())
    now = services.clock()
    old = [operation_id_of(mark) for mark in waiting if (now - began_at(mark)).days % WRITTEN_AGAIN_EVERY_DAYS == 0]
    await _each(old, partial(_renew, store, written_before=now - timedelta(days=1)))
    await _forget_old(services, store, spared={*map(operation_id_of, waiting), *open_ones})


async def _renew(store: OperationStore, operation_id: str, *, written_before: datetime) -> None:
    """Write the documents of an operation again as they are, so that no rule takes them for old."""
    async for blob in store.storage.list_details(Container.OPERATIONS, f"operations/{operation_id}/"):
        if blob.modified < written_before:
            stored = await store.storage.read(Container.OPERATIONS, blob.path)
            with suppress(Conflict):  # whoever has just written it has made it young
                if stored:
                    await store.storage.write(Container.OPERATIONS, blob.path, stored.data, etag=stored.etag)


def tell_uncertain(waiting: Sequence[str], now: datetime) -> None:
    """Log how many operations wait for a person, and for how long the first of them does.

    One that began in the future counts by how far that is: it does not wait in silence until then.
    """
    if waiting:
        age = int(max(abs(now - began_at(mark)) for mark in waiting).total_seconds())
        log_event(log, "operations.uncertain", logging.WARNING, count=len(waiting), age=age)


async def _forget_old(services: Services, store: OperationStore, *, spared: set[str]) -> None:
    """Delete what is old and needed by nobody: uncertain operations stay until a person has resolved them."""
    oldest = (services.clock() - OPERATIONS_KEPT).date()
    for day in await store.marks.days():
        if day < oldest:
            marks = [mark async for mark in store.marks.of_day(day) if operation_id_of(mark) not in spared]
            await _each(marks, partial(_forget, services, store, day))


async def _forget(services: Services, store: OperationStore, day: date, mark: str) -> None:
    await forget_body(store, operation_id_of(mark), now=services.clock())
    await store.forget(day, mark)


async def _each(names: Iterable[str], work: Callable[[str], Coroutine[None, None, None]]) -> None:
    """Do the same for each, some at once; a failure of one is logged and left to the next sweep."""

    async def one(name: str) -> None:
        try:
            await work(name)
        except AppError as error:
            log_event(log, "sweep.failed", logging.WARNING, what=name, error=error)

    await bounded_map(one, names)

"""The sweep of operations: what fell silent is poked, what is older than its key is kept is deleted. Evidence stays."""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Iterable
from datetime import date, timedelta
from functools import partial

from shared.errors import AppError
from shared.events import log_event
from shared.opus.assembly import operations_of
from shared.opus.ledger import Ledger, operation_id_of
from shared.opus.memory import forget_body
from shared.services import Services

KEPT = timedelta(days=30)
"""How long an idempotency key is remembered, and with it what is told of its operation."""

_AT_ONCE = 16

log = logging.getLogger(__name__)


async def sweep_operations(services: Services) -> None:
    """Look after every operation that is kept."""
    ledger, operations = Ledger(services.storage), operations_of(services)
    open_ones = await ledger.unfinished()
    await _each(open_ones, operations.revive)
    waiting = {operation_id_of(mark) async for mark in ledger.uncertain_marks()}
    await _forget_old(services, ledger, spared=waiting | set(open_ones))


async def _forget_old(services: Services, ledger: Ledger, *, spared: set[str]) -> None:
    """Delete what is old and needed by nobody: uncertain operations stay until a person has resolved them."""
    oldest = (services.clock() - KEPT).date()
    for day in await ledger.days():
        if day < oldest:
            marks = [mark async for mark in ledger.marks_of(day) if operation_id_of(mark) not in spared]
            await _each(marks, partial(_forget, services, ledger, day))


async def _forget(services: Services, ledger: Ledger, day: date, mark: str) -> None:
    await forget_body(services.storage, ledger, operation_id_of(mark), now=services.clock())
    await ledger.forget(day, mark)


async def _each(names: Iterable[str], work: Callable[[str], Coroutine[None, None, None]]) -> None:
    """Do the same for each, some at once; a failure of one is logged and left to the next sweep."""
    slots = asyncio.Semaphore(_AT_ONCE)

    async def one(name: str) -> None:
        async with slots:
            try:
                await work(name)
            except AppError as error:
                log_event(log, "sweep.failed", logging.WARNING, what=name, error=error)

    await asyncio.gather(*(one(name) for name in names))

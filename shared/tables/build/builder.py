"""Builds the table of a dataset: a bounded unit of work, safe to call any number of times, by anybody, any time."""

import asyncio
import logging
from datetime import timedelta
from typing import Final

from shared.avepoint.catalog import Dataset, catalog
from shared.azure.lease import LASTS, Lease
from shared.azure.storage import Container
from shared.errors import Conflict, StoredFault
from shared.harvest.snapshots.table_builds import TableAddress, enqueue_build
from shared.services import Services
from shared.tables.build import names
from shared.tables.build.snapshots import is_waiting, newest_snapshot
from shared.tables.build.state import read_state
from shared.tables.build.worker import BuildEnding, TableWorker
from shared.telemetry.events import log_event
from shared.telemetry.spans import span

LONGEST_BUILD: Final = timedelta(minutes=25)
"""A worker that hangs keeps its lease no longer."""

_MARGIN: Final = timedelta(seconds=5)
_BUSY: Final = timedelta(seconds=15)
_PATIENCE_SECONDS: Final = 20.0

log = logging.getLogger(__name__)


_turn: Final = asyncio.Semaphore(1)
"""One build at a time in this process: its memory is that of one, and a harvest beside it is not slowed."""


def is_building() -> bool:
    """Whether a table is built in this process at the moment."""
    return _turn.locked()


async def advance_table(services: Services, address: TableAddress) -> BuildEnding:
    """Bring the table of a dataset up to date, or closer to it.

    Raises:
        Retry: Nothing could be done, for a reason that may pass; the same message should be tried again.
    """
    dataset = catalog().get((address.source, address.dataset))
    if dataset is None or not names.is_enabled(services.settings, dataset.source, dataset.name):
        return "off"
    try:
        async with asyncio.timeout(_PATIENCE_SECONDS):
            await _turn.acquire()
    except TimeoutError:
        await enqueue_build(services.storage, dataset.source, dataset.name, delay=_BUSY)
        return "busy"
    try:
        return await _build(services, dataset)
    except StoredFault as error:  # what only a person, or a newer version, can read: GET /datasets names it
        log_event(log, "table.failed", logging.ERROR, source=dataset.source, dataset=dataset.name, reason=error.text)
        return "failed"
    finally:
        _turn.release()


async def _build(services: Services, dataset: Dataset) -> BuildEnding:
    standing = await read_state(services.storage, dataset.source, dataset.name)
    now = services.clock()
    until = standing.value.held_until(now)
    if until is not None:
        await enqueue_build(services.storage, dataset.source, dataset.name, delay=until - now + _MARGIN)
        return "held by another"
    latest = await newest_snapshot(services.storage, dataset)
    if latest is None or not await is_waiting(services.storage, dataset, standing.value, latest, now=now):
        return "nothing to do"
    path = names.state_path(dataset.source, dataset.name)
    lease = Lease(
        services.storage, Container.HARVEST_STATE, path, standing, clock=services.clock, ends=now + LONGEST_BUILD
    )
    with span(
        "tables.build", f"{dataset.source}/{dataset.name}", source=dataset.source, dataset=dataset.name
    ) as current:
        try:
            await lease.save(standing.value.model_copy(update={"attempts": standing.value.attempts + 1}))
            await enqueue_build(services.storage, dataset.source, dataset.name, delay=LASTS + _MARGIN)
            async with lease.kept():
                ending = await TableWorker(services, dataset, lease).work()
        except Conflict:
            ending = "lost"
        current.set_attribute("outcome", ending if isinstance(ending, str) else "interrupted")
    if isinstance(ending, str):
        return ending
    raise ending

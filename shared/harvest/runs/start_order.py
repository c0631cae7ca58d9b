"""The order in which runs begin: each is announced after the one before it, and of several at once only one can be.

Whoever wants to start a run begins what was announced last, unless that has happened, and only then looks for what is
unfinished. A run that was announced is therefore seen by the next, even if its starter was killed on the way. Before
anything is written, a message is sent that comes a minute later and does what is still missing then.
"""

import logging
from datetime import datetime, timedelta
from functools import partial

from shared.avepoint.platform import Source
from shared.azure.bounded_map import bounded_map
from shared.azure.damage import note_unusable
from shared.azure.documents import create_document, read_document
from shared.azure.storage import Container, Storage
from shared.clock import check_past
from shared.errors import Conflict, DamagedDocument, FutureTime, StoredFault
from shared.harvest.plan import paths
from shared.harvest.plan.messages import enqueue, enqueue_run
from shared.harvest.plan.run import Run, mark_open, read_run
from shared.telemetry.events import log_event

FRESH = timedelta(hours=1)
"""How long an announced run may be begun; later its plan is out of date."""

SECOND_LOOK = timedelta(minutes=1)

log = logging.getLogger(__name__)


async def begin_announced(storage: Storage, source: Source, *, now: datetime) -> str | None:
    """Begin the run of ``source`` that was announced last, unless it has begun.

    Returns:
        The ETag to announce the next one after; ``None`` before the first.
    """
    try:
        announced = await read_document(storage, Container.HARVEST_STATE, paths.announced(source), Run)
    except DamagedDocument as fault:  # the next run that is announced takes its place
        note_unusable(paths.announced(source), fault)
        damaged = await storage.read(Container.HARVEST_STATE, paths.announced(source))
        return damaged.etag if damaged else None
    if announced is None:
        return None
    run = announced.value
    try:
        check_past(run.started_at, now=now, what=f"startedAt of {paths.announced(source)}")
    except FutureTime as fault:  # it is not begun; the next run that is announced takes its place
        note_unusable(paths.announced(source), fault)
        return announced.etag
    if now - run.started_at < FRESH and not await _has_begun(storage, run.run_id):
        await enqueue_run(storage, run, delay=SECOND_LOOK)
        await begin(storage, run)
    return announced.etag


async def _has_begun(storage: Storage, run_id: str) -> bool:
    try:
        return await read_run(storage, run_id) is not None
    except StoredFault as fault:
        note_unusable(paths.run_document(run_id), fault)
        return True


async def announce(storage: Storage, run: Run, *, after: str | None) -> bool:
    """Say that ``run`` is the next to begin after the one announced under the ETag ``after``; return whether it is."""
    await enqueue_run(storage, run, delay=SECOND_LOOK)
    try:
        await storage.write(Container.HARVEST_STATE, paths.announced(run.source), run.to_json(), etag=after)
    except Conflict:
        return False
    return True


async def begin(storage: Storage, run: Run) -> Run:
    """Write the run document, and wake a worker for each partition; the same run twice is one run.

    Returns:
        The run that stands: that of the first.
    """
    await mark_open(storage, run.run_id)
    standing = await create_document(storage, Container.HARVEST_STATE, paths.run_document(run.run_id), run)
    if standing is run:
        log_event(log, "run.started", run=run.run_id, trigger=run.trigger, datasets=len(run.datasets))
        await bounded_map(partial(enqueue, storage), run.addresses())
    return standing


async def wake_untaken(storage: Storage, run: Run) -> None:
    """Wake a worker for each partition that none has taken yet: its message may never have been sent."""
    folder = f"{paths.RUNS}{run.run_id}/"
    there = {path async for path in storage.list(Container.HARVEST_STATE, folder)}
    untaken = [
        address
        for address in run.addresses()
        if paths.checkpoint(address.run_id, address.source, address.dataset, address.partition) not in there
    ]
    await bounded_map(partial(enqueue, storage), untaken)

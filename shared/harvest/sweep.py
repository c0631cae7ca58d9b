"""The sweep: what fell silent is poked, what is over its time is ended, what nobody needs any more is deleted."""

import asyncio
import logging
from collections.abc import Iterable
from contextlib import suppress
from datetime import datetime, timedelta

from shared.avepoint.platform import SOURCES
from shared.errors import AppError, Misconfigured
from shared.events import log_event
from shared.harvest import paths
from shared.harvest.announcing import begin_announced
from shared.harvest.checkpoint import ENDED, Checkpoint, checkpoints_of, read_checkpoint
from shared.harvest.control import end, publish_all
from shared.harvest.inventory import tell_ages
from shared.harvest.runs import Address, Run, amend, poke, read_run, run_ids
from shared.harvest.snapshot import read_manifest
from shared.harvest.state import view
from shared.harvest.watermark import forget
from shared.services import Services
from shared.storage import Container, Storage

SILENCE = timedelta(minutes=5)
"""How long a partition that nobody holds may be quiet before it is poked again."""

KEPT = timedelta(days=30)
"""How long the state of a run is kept; its manifests and published parts are not touched."""

log = logging.getLogger(__name__)


async def sweep(services: Services) -> None:
    """Look after every run that is announced or kept, and say how old the snapshots are."""
    now = services.clock()
    for source in SOURCES:
        await begin_announced(services.storage, source, now=now)
    for run_id in await run_ids(services.storage):
        try:
            await _look_after(services, run_id, now)
        except AppError as error:
            log_event(log, "sweep.failed", logging.ERROR, what=run_id, error=error)
    await forget(services.storage, before=now - KEPT)
    with suppress(Misconfigured):  # the timer of the source says so
        await tell_ages(services)


async def _look_after(services: Services, run_id: str, now: datetime) -> None:
    run = await read_run(services.storage, run_id)
    if run is not None and run.finished_at is None:
        await _tend(services, run, now)
    elif paths.started_at(run_id) < now - KEPT:
        await _delete_state(services.storage, run_id, run)


async def _tend(services: Services, run: Run, now: datetime) -> None:
    """Bring a run to its end, or closer to it."""
    reason = run.stopped_because(now)
    if reason is not None:
        await end(services, run, reason=reason)
    else:
        for address in run.addresses():
            await _revive(services.storage, run, address, now)
        await publish_all(services.storage, run)
    seen = await view(services.storage, run)
    if seen.finished_at is not None:
        await _delete_orphans(services.storage, run)
        await amend(services.storage, run.run_id, if_still=run, finished_at=seen.finished_at)
        log_event(log, "run.finished", run=run.run_id, source=run.source, state=seen.state)


async def _revive(storage: Storage, run: Run, address: Address, now: datetime) -> None:
    checkpoint, _ = await read_checkpoint(storage, address)
    if is_silent(checkpoint, now=now, begun_at=run.started_at):
        await poke(storage, address)
        log_event(log, "sweep.poked", logging.WARNING, **address.fields())


def is_silent(checkpoint: Checkpoint, *, now: datetime, begun_at: datetime) -> bool:
    """Whether a partition waits for a poke that seems to be lost; pure."""
    if checkpoint.state in ENDED:
        return False
    heard = max(filter(None, (begun_at, checkpoint.touched_at, checkpoint.resume_at)))
    if checkpoint.claim is not None:
        heard = max(heard, checkpoint.claim.until)
    return now - heard > SILENCE


async def _delete_orphans(storage: Storage, run: Run) -> None:
    """Delete the parts that nothing names and nobody can name any more: what a worker wrote and then lost.

    What is there is listed before it is asked what is named: whoever resumes the run meanwhile loses nothing.
    """
    for planned in run.datasets:
        folder = paths.parts(run.run_id, run.source, planned.dataset)
        found = [path async for path in storage.list(Container.INVENTORY, folder)]
        named = await _named_parts(storage, run, planned.dataset) if found else None
        if named is not None:
            await _delete(storage, Container.INVENTORY, [path for path in found if path not in named])


async def _named_parts(storage: Storage, run: Run, dataset: str) -> frozenset[str] | None:
    """The parts that a manifest or a checkpoint names; ``None`` while a worker may still name others."""
    checkpoints = await checkpoints_of(storage, run.addresses(dataset))
    if any(checkpoint.state not in ENDED for checkpoint in checkpoints):
        return None
    manifest = await read_manifest(storage, run.run_id, run.source, dataset)
    named = [part for checkpoint in checkpoints for part in checkpoint.progress.parts]
    return frozenset(part.path for part in (*named, *(manifest.parts if manifest else ())))


async def _delete_state(storage: Storage, run_id: str, run: Run | None) -> None:
    """Delete what is kept of an old run, its document first: without it, nobody takes it for one without checkpoints.

    What a worker wrote that woke up after the end of the run goes with it.
    """
    if run is not None:
        await _delete_orphans(storage, run)
        await storage.delete(Container.HARVEST_STATE, paths.run_document(run_id))
    left = [path async for path in storage.list(Container.HARVEST_STATE, f"{paths.RUNS}{run_id}/")]
    await _delete(storage, Container.HARVEST_STATE, left)


async def _delete(storage: Storage, container: Container, found: Iterable[str]) -> None:
    await asyncio.gather(*(storage.delete(container, path) for path in found))

"""The sweep: what fell silent is poked, what is over its time is ended, what nobody needs any more is deleted."""

import asyncio
import logging
from datetime import datetime, timedelta

from shared.events import log_event
from shared.harvest import paths
from shared.harvest.checkpoint import ENDED, Checkpoint, read_checkpoint
from shared.harvest.control import end, publish_all
from shared.harvest.runs import Address, Run, amend, poke, read_run, run_ids
from shared.harvest.snapshot import read_manifest
from shared.harvest.state import view
from shared.services import Services
from shared.storage import Container, Storage

SILENCE = timedelta(minutes=5)
"""How long a partition that nobody holds may be quiet before it is poked again."""

KEPT = timedelta(days=30)
"""How long the state of a run is kept; its manifests and published parts are not touched."""

log = logging.getLogger(__name__)


async def sweep(services: Services) -> None:
    """Look after every run that is kept."""
    now = services.clock()
    for run_id in await run_ids(services.storage):
        run = await read_run(services.storage, run_id)
        if run is not None and run.finished_at is None:
            await _tend(services, run, now)
        elif paths.started_at(run_id) < now - KEPT:
            await _delete_state(services.storage, run_id)


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
        await amend(services.storage, run.run_id, finished_at=seen.finished_at)
        log_event(log, "run.finished", run=run.run_id, state=seen.state)


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
    """Delete the parts that no manifest names: what a worker wrote and then lost."""
    for dataset in run.datasets:
        manifest = await read_manifest(storage, run.run_id, run.source, dataset.dataset)
        named = {part.path for part in manifest.parts} if manifest else set()
        async for path in storage.list(Container.INVENTORY, paths.parts(run.run_id, run.source, dataset.dataset)):
            if path not in named:
                await storage.delete(Container.INVENTORY, path)


async def _delete_state(storage: Storage, run_id: str) -> None:
    folder = f"{paths.RUNS}{run_id}/"
    stored = [path async for path in storage.list(Container.HARVEST_STATE, folder)]
    await asyncio.gather(*(storage.delete(Container.HARVEST_STATE, path) for path in stored))

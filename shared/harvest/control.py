"""What a person, or the end of all attempts, does to a run: cancel it, fail a partition, resume what failed."""

import asyncio
import logging
from datetime import timedelta

from shared.avepoint.catalog import catalog
from shared.events import log_event
from shared.harvest.checkpoint import ENDED, Checkpoint, change_checkpoint, checkpoints_of
from shared.harvest.publishing import publish_if_complete
from shared.harvest.runs import Address, Run, amend, poke, read_run
from shared.harvest.state import view
from shared.services import Services
from shared.storage import Storage

log = logging.getLogger(__name__)


async def cancel(services: Services, run_id: str) -> Run | None:
    """Cancel a run: what has not ended fails, and workers notice within a page. ``None`` when there is no such run."""
    run = await read_run(services.storage, run_id)
    if run is None or (await view(services.storage, run)).finished_at is not None:
        return run
    run = await amend(services.storage, run_id, cancelled_at=run.cancelled_at or services.clock())
    if run is not None:
        await end(services, run, reason="the run was cancelled")
        log_event(log, "run.cancelled", logging.WARNING, run=run_id)
    return run


async def end(services: Services, run: Run, *, reason: str) -> None:
    """Fail every partition of a run that has not ended, and publish what had."""
    await asyncio.gather(
        *(fail_partition(services, address, reason=reason, remedy="Start a new run.") for address in run.addresses())
    )
    await publish_all(services.storage, run)


async def publish_all(storage: Storage, run: Run) -> None:
    """Publish every dataset of a run whose partitions have all ended."""
    for planned in run.datasets:
        dataset = catalog().get((run.source, planned.dataset))
        if dataset is not None and planned.skipped is None:
            await publish_if_complete(storage, run, dataset)


async def fail_partition(services: Services, address: Address, *, reason: str, remedy: str) -> None:
    """Fail a partition that has not ended, whoever works on it: a worker notices at its next save."""

    def failed(checkpoint: Checkpoint) -> Checkpoint | None:
        if checkpoint.state in ENDED:
            return None
        return checkpoint.ended("failed", now=services.clock(), reason=reason, remedy=remedy)

    await change_checkpoint(services.storage, address, failed)


async def spend(services: Services, address: Address) -> None:
    """All attempts at a partition are spent: say why the last one gave up, unless others do well there meanwhile."""
    run = await read_run(services.storage, address.run_id)
    dataset = catalog().get((address.source, address.dataset))
    if run is None or dataset is None or address not in run.addresses():
        return
    remedy = f"Remove the cause, then POST /api/runs/{run.run_id}/resume."

    def failed(checkpoint: Checkpoint) -> Checkpoint | None:
        now = services.clock()
        waits = checkpoint.resume_at is not None and checkpoint.resume_at > now
        if checkpoint.state in ENDED or waits or checkpoint.held_by_another(now):
            return None
        last = checkpoint.reason or "the worker ended without a word, five times; see the log"
        return checkpoint.ended("failed", now=now, reason=f"all attempts are spent: {last}", remedy=remedy)

    left = await change_checkpoint(services.storage, address, failed)
    log_event(log, "partition.given_up", logging.ERROR, **address.fields(), state=left.state, reason=left.reason)
    await publish_if_complete(services.storage, run, dataset)


async def resume(services: Services, run_id: str) -> Run | None:
    """Try again what failed in a run, from where it stopped. ``None`` when there is no such run."""
    deadline = services.clock() + timedelta(hours=services.settings.run_hours)
    run = await amend(services.storage, run_id, cancelled_at=None, finished_at=None, deadline=deadline)
    if run is None:
        return None
    for planned in run.datasets:
        await _reopen(services, run, planned.dataset)
    run = await amend(services.storage, run_id, finished_at=None) or run  # a sweep may have found nothing open yet
    addresses = run.addresses()
    checkpoints = await checkpoints_of(services.storage, addresses)
    open_again = [address for address, one in zip(addresses, checkpoints, strict=True) if one.state not in ENDED]
    await asyncio.gather(*(poke(services.storage, address) for address in open_again))
    log_event(log, "run.resumed", run=run_id, partitions=len(open_again))
    return run


async def _reopen(services: Services, run: Run, dataset: str) -> None:
    """Let the failed partitions of a dataset go on; the manifest that says it failed gives way to what comes of it."""

    def reopened(checkpoint: Checkpoint) -> Checkpoint | None:
        return checkpoint.reopened(now=services.clock()) if checkpoint.state == "failed" else None

    for address in run.addresses(dataset):
        await change_checkpoint(services.storage, address, reopened)

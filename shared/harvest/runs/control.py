"""What a person, or the end of all attempts, does to a run: cancel it, fail a partition, resume what failed."""

import logging
from datetime import datetime, timedelta
from functools import partial

from shared.avepoint.catalog import Dataset, catalog
from shared.azure.bounded_map import bounded_map
from shared.azure.damage import unless_unusable
from shared.clock import awaited
from shared.errors import GiveUp
from shared.harvest.plan import paths
from shared.harvest.plan.messages import enqueue
from shared.harvest.plan.run import Address, Run, amend, mark_open, read_run
from shared.harvest.runs.state import held, view
from shared.harvest.slices.checkpoint import (
    ENDED,
    Checkpoint,
    change_checkpoint,
    checkpoint_path,
    checkpoints_of,
    read_checkpoint,
)
from shared.harvest.slices.publishing.publication import publish_if_complete
from shared.harvest.snapshots.manifest import read_latest, read_manifest
from shared.harvest.snapshots.superseding import Superseded, check_is_newest, check_not_superseded
from shared.harvest.snapshots.watermark import read_watermark
from shared.services import Services
from shared.telemetry.events import log_event

AFTER_POISON = timedelta(minutes=1)
LONGEST_RUN = timedelta(days=30)
"""How far back a run that is resumed looks for others that are not finished."""

log = logging.getLogger(__name__)


async def cancel(services: Services, run_id: str) -> Run | None:
    """Cancel a run: what has not ended fails, and workers notice within a page. ``None`` when there is no such run."""
    run = await read_run(services.storage, run_id)
    if run is None or (await view(services.storage, run)).finished_at is not None:
        return run
    run = await amend(services.storage, run_id, cancelled_at=run.cancelled_at or services.clock())
    if run is not None and (stopped := run.stopped_because(services.clock())) is not None:
        await end(services, run, stopped)
        log_event(log, "run.cancelled", logging.WARNING, run=run_id)
    return run


async def end(services: Services, run: Run, stopped: GiveUp) -> None:
    """Fail every partition of a run that has not ended, and publish what had."""

    async def fail(address: Address) -> None:
        failing = fail_partition(services, address, reason=str(stopped), remedy=stopped.remedy)
        await unless_unusable(checkpoint_path(address), failing)

    await bounded_map(fail, run.addresses())
    await publish_all(services, run)


async def publish_all(services: Services, run: Run) -> None:
    """Publish every dataset of a run whose partitions have all ended."""
    for planned in run.datasets:
        dataset = catalog().get((run.source, planned.dataset))
        if dataset is not None and planned.skipped is None:
            await publish_if_complete(services.storage, run, dataset, now=services.clock())


async def fail_partition(services: Services, address: Address, *, reason: str, remedy: str) -> None:
    """Fail a partition that has not ended, whoever works on it: a worker notices at its next save."""
    was_open = False

    def failed(checkpoint: Checkpoint) -> Checkpoint | None:
        nonlocal was_open
        was_open = checkpoint.state not in ENDED
        if not was_open:
            return None
        why = f"{reason} while it waited for this to pass: {checkpoint.waits_for}" if checkpoint.waits_for else reason
        return checkpoint.ended("failed", now=services.clock(), reason=why, remedy=remedy)

    standing = await change_checkpoint(services.storage, address, failed)
    if was_open:
        progress = {"pages": standing.progress.pages, "items": standing.progress.items}
        fields = {**address.fields(), **progress, "epoch": standing.epoch}
        log_event(log, "partition.failed", **fields, reason=standing.reason)


async def fail_exhausted(services: Services, address: Address) -> None:
    """Look after a partition whose message was taken five times in vain.

    What stood in its way may be storage itself, and passes: so the partition gets a new message, unless it has ended,
    waits, or is at work. A partition that cannot succeed says so in its checkpoint, where attempts are counted.
    """
    run = await read_run(services.storage, address.run_id)
    dataset = catalog().get((address.source, address.dataset))
    if run is None or dataset is None or address not in run.addresses():
        return
    checkpoint = (await read_checkpoint(services.storage, address)).value
    if checkpoint.state in ENDED:
        await publish_if_complete(services.storage, run, dataset, now=services.clock())
        return
    now = services.clock()
    if awaited(checkpoint.resume_at, now=now) is None and checkpoint.held_until(now) is None:
        await enqueue(services.storage, address, delay=AFTER_POISON)
        log_event(log, "partition.woken_after_poison", logging.ERROR, **address.fields(), attempts=checkpoint.attempts)


async def resume(services: Services, run_id: str) -> Run | None:
    """Try again what failed in a run, from where it stopped. ``None`` when there is no such run."""
    deadline = services.clock() + timedelta(hours=services.settings.run_hours)
    if await read_run(services.storage, run_id) is None:
        return None
    await mark_open(services.storage, run_id)
    run = await amend(services.storage, run_id, cancelled_at=None, finished_at=None, told=None, deadline=deadline)
    if run is None:
        return None
    holders = await held(services.storage, run.source, within=LONGEST_RUN, now=services.clock(), apart_from=run_id)
    for planned in run.datasets:
        dataset = catalog().get((run.source, planned.dataset))
        if dataset is not None and planned.skipped is None:
            holder = holders.get((dataset.name, False)) or holders.get((dataset.name, True))
            await _reopen(services, run, dataset, holder)
    run = (
        await amend(services.storage, run_id, finished_at=None, told=None) or run
    )  # a sweep may have found nothing open yet
    await mark_open(services.storage, run_id)  # nor that it had ended: it deletes the mark then
    addresses = run.addresses()
    checkpoints = await checkpoints_of(services.storage, addresses)
    open_again = [address for address, one in zip(addresses, checkpoints, strict=True) if one.state not in ENDED]
    await bounded_map(partial(enqueue, services.storage), open_again)
    log_event(log, "run.resumed", run=run_id, partitions=len(open_again))
    return run


async def _reopen(services: Services, run: Run, dataset: Dataset, holder: str | None) -> None:
    """Let the failed partitions of a dataset go on; the manifest that says it failed gives way to what comes of it.

    What a newer run has harvested, or is harvesting, is left as it is, and says so.
    """
    standing = await unless_unusable(
        paths.manifest(run.run_id, run.source, dataset.name),
        read_manifest(services.storage, run.run_id, run.source, dataset.name),
    )
    if standing is not None and standing.verdict != "failed":
        return
    try:
        await _check_may_go_on(services, run, dataset, holder)
    except GiveUp as error:
        reason, remedy, now = str(error), error.remedy, services.clock()
        change = partial(_stays_failed, now=now, reason=reason, remedy=remedy)
    else:
        change = partial(_reopened, now=services.clock())
    for address in run.addresses(dataset.name):
        await unless_unusable(checkpoint_path(address), change_checkpoint(services.storage, address, change))
    await publish_if_complete(services.storage, run, dataset, now=services.clock())


async def _check_may_go_on(services: Services, run: Run, dataset: Dataset, holder: str | None) -> None:
    """See that no newer run has harvested the list of a dataset, and no other one has, or is harvesting, its window.

    Raises:
        GiveUp: One has, or is.
    """
    if dataset.window is None:
        check_is_newest(run, await read_latest(services.storage, run.source, dataset.name))
        return
    watermark = await read_watermark(services.storage, run.source, dataset.name, now=services.clock())
    check_not_superseded(run, dataset, watermark)
    if holder is not None:
        raise Superseded(
            f"the unfinished run {holder} is harvesting this window",
            remedy="Wait for that run to end. If it fails, resume this one or start a new one.",
        )


def _reopened(checkpoint: Checkpoint, *, now: datetime) -> Checkpoint | None:
    return checkpoint.reopened(now=now) if checkpoint.state == "failed" else None


def _stays_failed(checkpoint: Checkpoint, *, now: datetime, reason: str, remedy: str) -> Checkpoint | None:
    if checkpoint.state != "failed":
        return None
    return checkpoint.ended("failed", now=now, reason=reason, remedy=remedy)

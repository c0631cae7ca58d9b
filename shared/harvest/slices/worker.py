"""A worker takes the partition that a message names, does one slice of it, and gives it back."""

import logging
from datetime import timedelta
from typing import Literal

from shared.avepoint.catalog import Dataset, catalog
from shared.azure.damage import unless_unusable
from shared.azure.lease import LASTS, Lease
from shared.azure.storage import Container
from shared.clock import awaited
from shared.errors import Conflict
from shared.harvest.plan.messages import enqueue
from shared.harvest.plan.run import Address, Run, read_run
from shared.harvest.slices.checkpoint import ENDED, Checkpoint, checkpoint_path, read_checkpoint
from shared.harvest.slices.checkpoint_writer import SliceEnding
from shared.harvest.slices.publishing.publication import publish_if_complete
from shared.harvest.slices.slice import SLICE_MARGIN, Slice
from shared.services import Services
from shared.telemetry.events import log_event
from shared.telemetry.spans import span

EARLY = timedelta(seconds=30)
"""A message may come this much too early for its partition: the clocks of two instances differ."""

log = logging.getLogger(__name__)

type PutOff = Literal["held by another", "taken since", "too early"]
type WorkEnding = SliceEnding | PutOff | Literal["ended before", "lost", "unknown"]


async def work(services: Services, address: Address, *, guards: int | None = None) -> WorkEnding:
    """Do one slice of the partition at ``address``; safe to call any number of times, by anybody, at any moment.

    A partition whose documents cannot be used is logged and left alone: its run says that it has failed.

    Args:
        guards: The epoch whose work the message goes on with, if it names one.

    Raises:
        StorageUnavailable: Nothing could be done; the same message should be tried again.
    """
    return await unless_unusable(checkpoint_path(address), _work(services, address, guards)) or "unknown"


async def _work(services: Services, address: Address, guards: int | None) -> WorkEnding:
    run = await read_run(services.storage, address.run_id)
    dataset = catalog().get((address.source, address.dataset))
    if run is None or dataset is None or address not in run.addresses():
        log_event(log, "slice.no_such_partition", logging.WARNING, **address.fields())
        return "unknown"
    standing = await read_checkpoint(services.storage, address)
    if standing.value.state in ENDED:
        await publish_if_complete(services.storage, run, dataset, now=services.clock())
        return "ended before"
    put_off = await _put_off(services, address, standing.value, guards)
    if put_off is not None:
        return put_off
    now, epoch = services.clock(), standing.value.epoch + 1
    ends = now + services.settings.slice_budget + SLICE_MARGIN
    path = checkpoint_path(address)
    lease = Lease(services.storage, Container.HARVEST_STATE, path, standing, clock=services.clock, ends=ends)
    with span("harvest.slice", run.run_id, **address.fields(), epoch=epoch) as current:
        ending = await _leased(services, run, dataset, address, lease)
        current.set_attribute("outcome", ending)
        if ending == "finished":
            await publish_if_complete(services.storage, run, dataset, now=services.clock())
    return ending


async def _put_off(services: Services, address: Address, checkpoint: Checkpoint, guards: int | None) -> PutOff | None:
    """Leave a partition that another worker holds, or that has to wait, to a message that comes later.

    A message that meets a lease goes on to its end only if it guards that lease, or if nothing does (the first release
    sent no guards). One that goes on with an epoch is worth nothing once that is over: the next one has messages of
    its own. So they do not grow in number, however long a harvest waits.
    """
    now = services.clock()
    if (until := checkpoint.held_until(now)) is not None and checkpoint.hold is not None:
        if guards == checkpoint.epoch or not checkpoint.hold.guarded:
            await enqueue(services.storage, address, delay=until - now, guards=checkpoint.epoch)
        return "held by another"
    if guards is not None and guards != checkpoint.epoch:
        return "taken since"
    resume_at = awaited(checkpoint.resume_at, now=now)
    if resume_at is not None and resume_at > now + EARLY:
        await enqueue(services.storage, address, delay=resume_at - now, guards=checkpoint.epoch)
        return "too early"
    return None


async def _leased(
    services: Services, run: Run, dataset: Dataset, address: Address, lease: Lease[Checkpoint]
) -> WorkEnding:
    """Take the lease, its guard first, and harvest under it."""
    taken = lease.document.taken(now=services.clock())
    try:
        await enqueue(services.storage, address, delay=LASTS + timedelta(seconds=1), guards=taken.epoch)
        await lease.save(taken)
        async with lease.kept():
            return await Slice(services, run, dataset, address, lease).work()
    except Conflict:
        log_event(log, "slice.lost", **address.fields())
        return "lost"

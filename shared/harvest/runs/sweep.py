"""The sweep: what fell silent is poked, what is over its time is ended, what nobody needs any more is deleted."""

import logging
from collections.abc import Awaitable, Iterable
from collections.abc import Set as AbstractSet
from contextlib import suppress
from datetime import datetime, timedelta
from functools import partial
from zlib import crc32

from shared.avepoint.platform import SOURCES
from shared.azure.bounded_map import bounded_map
from shared.azure.damage import unless_unusable
from shared.azure.storage import Container, Storage
from shared.clock import TOLERANCE, awaited, is_recent, rfc3339
from shared.errors import Misconfigured
from shared.harvest.plan import paths
from shared.harvest.plan.messages import enqueue
from shared.harvest.plan.run import Address, Run, amend, mark_open, marked_open, read_run, run_ids, unmark
from shared.harvest.runs.control import end, publish_all
from shared.harvest.runs.expiring import delete_expired
from shared.harvest.runs.start_order import begin_announced
from shared.harvest.runs.state import RunView, view
from shared.harvest.slices.checkpoint import ENDED, Checkpoint, checkpoint_path, checkpoints_of, read_checkpoint
from shared.harvest.snapshots.inventory import tell_ages
from shared.harvest.snapshots.manifest import read_manifest
from shared.harvest.snapshots.watermark import forget
from shared.services import Services
from shared.telemetry.events import log_event

PARTITION_SILENCE = timedelta(minutes=5)
"""How long a partition that nobody holds may be quiet before it is poked again."""

RUN_STATE_KEPT = timedelta(days=30)
"""How long the state of a run is kept; its manifests and published parts are not touched."""

TURN_LASTS = timedelta(minutes=10)
TURNS = 149
"""Of the runs without a mark, one in so many is read in each turn; a prime, so that any schedule meets them all."""

log = logging.getLogger(__name__)


async def sweep(services: Services) -> None:
    """Look after every run that is announced or due for a look, and say how old the snapshots are."""
    now, storage = services.clock(), services.storage
    for source in SOURCES:
        await _unless_it_fails(f"announced/{source}", begin_announced(storage, source, now=now))
    marked = await marked_open(storage)
    lasts = timedelta(hours=services.settings.run_hours)
    runs = sorted({*await run_ids(storage), *marked}, reverse=True)
    for run_id in due_for_a_look(runs, marked=marked, lasts=lasts, now=now):
        await _unless_it_fails(run_id, _look_after(services, run_id, now, is_marked=run_id in marked))
    await _unless_it_fails(paths.WATERMARKS, forget(storage, before=now - RUN_STATE_KEPT))
    await _unless_it_fails(paths.MANIFESTS, delete_expired(storage, now=now))
    with suppress(Misconfigured):  # the timer of the source says so
        await tell_ages(services)


def due_for_a_look(runs: Iterable[str], *, marked: AbstractSet[str], lasts: timedelta, now: datetime) -> list[str]:
    """Return which runs a sweep reads: those that may be open, those that may be old, and some others in turn; pure.

    A run may be younger than its id says, and an open one may have lost its mark.
    """
    recent, old = paths.stamp(now - lasts - TOLERANCE), paths.stamp(now - RUN_STATE_KEPT)
    turn = int(now.timestamp() / TURN_LASTS.total_seconds()) % TURNS
    return [run for run in runs if run in marked or not old <= run < recent or crc32(run.encode()) % TURNS == turn]


async def _unless_it_fails(what: str, doing: Awaitable[object]) -> None:
    """Do one thing; whatever goes wrong with it, the sweep goes on with the next."""
    try:
        await doing
    except Exception as error:  # noqa: BLE001 - one run that nobody foresaw must not keep others from being looked after
        log_event(log, "sweep.failed", logging.ERROR, what=what, error=error)


async def _look_after(services: Services, run_id: str, now: datetime, *, is_marked: bool) -> None:
    run = await read_run(services.storage, run_id)
    if run is not None and run.finished_at is None:
        if not is_marked:
            await mark_open(services.storage, run_id)
        await _tend(services, run, now)
    elif (run.started_at if run else paths.started_at(run_id)) < now - RUN_STATE_KEPT:
        await _delete_state(services.storage, run_id, run)
    elif run is not None and is_marked:
        await unmark(services.storage, run_id)


async def _tend(services: Services, run: Run, now: datetime) -> None:
    """Bring a run to its end, or closer to it."""
    latest = now + timedelta(hours=services.settings.run_hours)
    if run.deadline > latest + TOLERANCE:
        log_event(log, "run.deadline_ahead_of_time", logging.WARNING, run=run.run_id, deadline=rfc3339(run.deadline))
        run = await amend(services.storage, run.run_id, deadline=latest) or run
    stopped = run.stopped_because(now)
    if stopped is not None:
        await end(services, run, stopped)
    else:
        for address in run.addresses():
            await unless_unusable(checkpoint_path(address), _revive(services.storage, run, address, now))
        await publish_all(services, run)
    seen = await view(services.storage, run)
    if seen.finished_at is not None:
        await _delete_orphans(services.storage, run)
        await _end(services.storage, run, seen)
        log_event(log, "run.finished", run=run.run_id, source=run.source, state=seen.state)


async def _end(storage: Storage, run: Run, seen: RunView) -> None:
    """Write down how a run has ended, and delete its mark first: nothing is left behind by whoever dies in between."""
    await storage.delete(Container.HARVEST_STATE, paths.open_run(run.run_id))
    told = seen.model_dump(mode="json", by_alias=True)
    standing = await amend(storage, run.run_id, if_still=run, finished_at=seen.finished_at, told=told)
    if standing is not None and standing.finished_at is None:  # somebody resumes it at this moment
        await mark_open(storage, run.run_id)


async def _revive(storage: Storage, run: Run, address: Address, now: datetime) -> None:
    standing = await read_checkpoint(storage, address)
    if is_silent_partition(standing.value, now=now, begun_at=run.started_at):
        await enqueue(storage, address)
        log_event(log, "sweep.woken", logging.WARNING, **address.fields())


def is_silent_partition(checkpoint: Checkpoint, *, now: datetime, begun_at: datetime) -> bool:
    """Whether a partition waits for a message that seems to be lost; pure."""
    if checkpoint.state in ENDED:
        return False
    if checkpoint.held_until(now) is not None or awaited(checkpoint.resume_at, now=now) is not None:
        return False
    held_until = checkpoint.hold.until if checkpoint.hold else None
    signs = filter(None, (begun_at, checkpoint.touched_at, checkpoint.resume_at, held_until))
    return not any(is_recent(sign, within=PARTITION_SILENCE, now=now) for sign in signs)


async def _delete_orphans(storage: Storage, run: Run) -> None:
    """Delete the parts that nothing names and nobody can name any more: what a worker wrote and then lost.

    What is there is listed before it is asked what is named: whoever resumes the run meanwhile loses nothing.
    """
    for planned in run.datasets:
        folder = paths.parts(run.run_id, run.source, planned.dataset)
        found = [path async for path in storage.list(Container.INVENTORY, folder)]
        naming = _named_parts(storage, run, planned.dataset)
        named = await unless_unusable(f"{run.run_id}: {run.source}/{planned.dataset}", naming)
        if named is not None:
            await _delete(storage, Container.INVENTORY, [path for path in found if path not in named])


async def _named_parts(storage: Storage, run: Run, dataset: str) -> frozenset[str] | None:
    """Return the parts that a manifest or a checkpoint names; ``None`` while a worker may still name others."""
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
    await _delete(storage, Container.HARVEST_STATE, [*left, paths.open_run(run_id)])


async def _delete(storage: Storage, container: Container, found: Iterable[str]) -> None:
    await bounded_map(partial(storage.delete, container), found)

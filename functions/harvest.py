"""Harvesting: the timers that start it, the worker on the queue, and the sweep."""

import asyncio
import logging
from datetime import UTC, datetime

import azure.functions as func
from azure.functions.timer import TimerRequest

from shared.avepoint.platform import Source
from shared.errors import BadAnswer
from shared.events import log_event, log_failure
from shared.harvest.control import spend
from shared.harvest.runs import Address
from shared.harvest.slice import work
from shared.harvest.starting import start_scheduled
from shared.harvest.sweep import sweep as sweep_runs
from shared.opus.sweep import sweep_operations
from shared.services import services

bp = func.Blueprint()
log = logging.getLogger(__name__)


@bp.timer_trigger(arg_name="timer", schedule="%HARVEST_ENPOWER_SCHEDULE%", run_on_startup=False, use_monitor=True)
async def harvest_enpower(timer: TimerRequest) -> None:
    """Start the configured datasets of the EnPower Web API."""
    await _start("enpower", timer)


@bp.timer_trigger(arg_name="timer", schedule="%HARVEST_GRAPH_SCHEDULE%", run_on_startup=False, use_monitor=True)
async def harvest_graph(timer: TimerRequest) -> None:
    """Start the configured datasets of the AvePoint Graph API."""
    await _start("graph", timer)


@bp.timer_trigger(arg_name="timer", schedule="%HARVEST_ELEMENTS_SCHEDULE%", run_on_startup=False, use_monitor=True)
async def harvest_elements(timer: TimerRequest) -> None:
    """Start the configured datasets of the Elements API."""
    await _start("elements", timer)


@bp.timer_trigger(arg_name="timer", schedule="%SWEEP_SCHEDULE%", run_on_startup=False, use_monitor=True)
async def sweep(timer: TimerRequest) -> None:  # noqa: ARG001 - the binding wants it
    """Revive what fell silent, end what is over its time, delete what nobody needs."""
    app = await services()
    await asyncio.gather(sweep_runs(app), sweep_operations(app))


@bp.queue_trigger(arg_name="msg", queue_name="harvest-slices", connection="INVENTORY_STORAGE")
async def harvest_slice(msg: func.QueueMessage) -> None:
    """Do one slice of a partition."""
    address = _address(msg)
    if address is not None:
        await work(await services(), address)


@bp.queue_trigger(arg_name="msg", queue_name="harvest-slices-poison", connection="INVENTORY_STORAGE")
async def harvest_slice_poison(msg: func.QueueMessage) -> None:
    """All attempts at a slice are spent: write the reason where the run is read."""
    address = _address(msg)
    if address is not None:
        await spend(await services(), address)


async def _start(source: Source, timer: TimerRequest) -> None:
    run = await start_scheduled(await services(), source, due=_due(timer))
    log_event(log, "timer.fired", source=source, run=run.run_id if run else None)


def _due(timer: TimerRequest) -> datetime | None:
    """``ScheduleStatus.Next``; the host writes the year 1 when it has none."""
    text = str(timer.schedule_status.get("Next", "")) if timer.schedule_status else ""
    try:
        due = datetime.fromisoformat(text)
    except ValueError:
        return None
    due = due if due.tzinfo else due.replace(tzinfo=UTC)
    return due if due.year > 1 else None


def _address(msg: func.QueueMessage) -> Address | None:
    """The partition a message names; what cannot be read can never be worked on, so it is logged and dropped."""
    try:
        return Address.from_json(msg.get_body())
    except BadAnswer:
        log_failure(log, "slice.poke_malformed", message_id=msg.id)
        return None

"""Harvesting: the timers that start it, the worker on the queue, and the sweep."""

import asyncio
import logging
from datetime import UTC, datetime

import azure.functions as func
from azure.functions.timer import TimerRequest

from shared.avepoint.platform import Source
from shared.doctor.calls import tell_missed_calls
from shared.doctor.verifying.sweep import sweep_anchors, sweep_stored
from shared.errors import DamagedDocument
from shared.harvest.plan.messages import WakeUp
from shared.harvest.runs.control import fail_exhausted
from shared.harvest.runs.starting import start_scheduled
from shared.harvest.runs.sweep import sweep as sweep_runs
from shared.harvest.runs.waking import receive
from shared.opus.operations.sweep import sweep_operations
from shared.services import services
from shared.tables.build.requests import sweep_tables
from shared.telemetry.events import log_event, log_failure

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
    """Revive what fell silent, end what is over its time, delete what nobody needs, then verify what is stored."""
    app = await services()
    calls = tell_missed_calls(app.storage, now=app.clock())
    parts = (sweep_runs(app), sweep_operations(app), sweep_tables(app), calls, sweep_anchors(app))
    ended = await asyncio.gather(*parts, return_exceptions=True)  # what fails must not keep others from their end
    await sweep_stored(app)
    for failure in filter(None, ended):
        raise failure


@bp.queue_trigger(arg_name="msg", queue_name="harvest-slices", connection="INVENTORY_STORAGE")
async def harvest_slice(msg: func.QueueMessage) -> None:
    """Do one slice of a partition."""
    message = _message(msg)
    if message is not None:
        await receive(await services(), message)


@bp.queue_trigger(arg_name="msg", queue_name="harvest-slices-poison", connection="INVENTORY_STORAGE")
async def harvest_slice_poison(msg: func.QueueMessage) -> None:
    """Look after a partition whose message was taken five times in vain."""
    message = _message(msg)
    if message is not None and message.address is not None:
        await fail_exhausted(await services(), message.address)


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


def _message(msg: func.QueueMessage) -> WakeUp | None:
    """Read a message; one that is damaged can never be worked on, so it is logged and dropped.

    Raises:
        NewerDocument: A newer version of the app sent it: the queue keeps it for that version.
    """
    try:
        return WakeUp.from_json(msg.get_body())
    except DamagedDocument:
        log_failure(log, "slice.message_malformed", message_id=msg.id)
        return None

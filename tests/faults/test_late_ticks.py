"""Promise 2 and "Run id" of the design: a tick that is called late is one run, named after the newest tick that is due.

After a gap the host calls a timer once, with the oldest tick that was missed.
"""

from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial

import pytest

from shared.azure.storage import Container
from shared.harvest.plan.run import Run, run_ids
from shared.harvest.runs.starting import start_requested, start_scheduled, tick_of
from shared.harvest.runs.sweep import sweep
from shared.schedule import Schedule
from tests.faults.process import Errand
from tests.faults.scenarios import Scenario, check_published, standing
from tests.faults.world import BEGIN, Host, Simulation

ONE = Scenario("one dataset", simulation={"items": 3})
NIGHTLY = Schedule.parse("0 0 2 * * *")


@pytest.mark.parametrize(
    ("due", "now", "tick"),
    [
        ("03-20T02:00:00", "03-20T02:00:01", "03-20T02:00:00"),
        ("03-20T02:00:00", "03-20T01:59:59", "03-20T02:00:00"),
        ("03-20T02:00:00", "03-20T01:58:59", None),
        ("03-20T02:00:00", "03-20T02:01:21", "03-20T02:00:00"),
        ("03-20T02:00:00", "03-21T01:59:59", "03-20T02:00:00"),
        ("03-20T02:00:00", "03-21T02:00:00", "03-21T02:00:00"),
        ("03-20T02:00:00", "03-25T09:30:00", "03-25T02:00:00"),
        ("03-20T02:00:00", "04-29T09:30:00", "04-29T02:00:00"),
        (None, "03-20T02:00:00", None),
    ],
)
def test_the_tick_that_a_run_is_named_after(due: str | None, now: str, tick: str | None) -> None:
    assert tick_of(_moment(due), _present(now), NIGHTLY) == _moment(tick)


@pytest.mark.parametrize("late", [timedelta(minutes=1), timedelta(hours=22), timedelta(days=5), timedelta(days=40)])
async def test_a_late_tick_holds_its_datasets_as_any_other_does(simulation: Simulation, late: timedelta) -> None:
    """Whoever asks for a dataset while it runs gets the run of the tick."""
    world = ONE.world(simulation)
    world.clock.advance(seconds=late.total_seconds())
    host = Host(world)
    first = await host.run(_tick(BEGIN))
    second = await host.run(partial(start_requested, source="graph", names=["enpower-powerapps"]))
    assert first is not None
    assert first.run_id == f"{NIGHTLY.latest(world.clock.now):%Y%m%dT%H%M%SZ}-graph"
    assert (first.trigger, second.run_id) == ("timer", first.run_id)


async def test_a_run_named_after_a_tick_of_last_month_is_not_cleaned_up_before_its_time(
    simulation: Simulation,
) -> None:
    """Its age counts from when it began: it is held, goes on, ends, and its state is kept as long as any other."""
    world = replace(ONE, settings={"graph_schedule": "0 0 2 1 1 *"}).world(simulation)
    world.clock.advance(days=40)
    host = Host(world)
    run = await host.run(_tick(BEGIN))
    assert run is not None
    assert run.run_id == "20260320T020000Z-graph"
    await host.attempt(sweep)
    await host.settle()
    await host.attempt(sweep)
    assert await run_ids(world.storage) == [run.run_id]
    await check_published(world, await standing(world, run.run_id), ONE.datasets)
    world.clock.advance(days=31)
    await host.attempt(sweep)
    assert await run_ids(world.storage) == []


async def test_the_tick_called_again_sends_the_messages_that_are_missing(simulation: Simulation) -> None:
    """The host is gone, and its messages with it; a minute later the tick comes again, past due."""
    world = ONE.world(simulation)
    host = Host(world)
    run = await host.run(_tick(BEGIN))
    for message in world.messages:
        world.drop(message)
    world.clock.advance(seconds=60)
    assert await host.run(_tick(BEGIN)) == run
    assert world.messages
    await host.settle()
    assert run is not None
    await check_published(world, await standing(world, run.run_id), ONE.datasets)


async def test_a_folder_without_run_document_goes_when_it_is_old(simulation: Simulation) -> None:
    world = ONE.world(simulation)
    await world.storage.write(Container.HARVEST_STATE, "runs/20260101T020000Z-graph/left.json", b"{}", etag=None)
    await Host(world).attempt(sweep)
    assert await run_ids(world.storage) == []


def _tick(due: datetime) -> Errand[Run | None]:
    return partial(start_scheduled, source="graph", due=due)


def _present(text: str) -> datetime:
    return datetime.fromisoformat(f"2026-{text}+00:00")


def _moment(text: str | None) -> datetime | None:
    return _present(text) if text else None

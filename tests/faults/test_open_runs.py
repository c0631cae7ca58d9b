"""What has not ended is found without reading all that has, and no lost mark leaves a run alone (promises 2 and 9)."""

import asyncio
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from functools import partial
from random import Random

import pytest

from shared.azure.storage import Container
from shared.harvest.plan import paths
from shared.harvest.plan.run import Run, marked_open, read_run
from shared.harvest.runs.control import resume
from shared.harvest.runs.starting import start_requested
from shared.harvest.runs.sweep import RUN_STATE_KEPT, TURN_LASTS, TURNS, due_for_a_look, sweep
from tests.faults.chaos import Turmoil, attempt
from tests.faults.points import DeathBefore, unharmed
from tests.faults.scenarios import APPS, Scenario
from tests.faults.test_missing_documents import stands
from tests.faults.world import Host, Simulation, World

NAMES = ["enpower-powerapps"]
ONE = Scenario("one dataset", settings={"slice_seconds": 0.001}, simulation={"items": 45})
LASTS = timedelta(hours=20)
NOW = datetime(2026, 3, 20, 2, 0, tzinfo=UTC)
RUNS = [paths.run_id("graph", NOW - timedelta(hours=hours)) for hours in range(24, 29 * 24)]


def looked_at(now: datetime, marked: Iterable[str] = ()) -> list[str]:
    return due_for_a_look(RUNS, marked=frozenset(marked), lasts=LASTS, now=now)


async def begun(host: Host) -> Run:
    return await host.run(partial(start_requested, source="graph", names=NAMES))


async def ended(world: World, host: Host, *, count: int) -> None:
    """A run that has ended, and as many copies of it, of an hour each, that are older."""
    run = await begun(host)
    await host.settle()
    document = world.storage.blobs[Container.HARVEST_STATE][paths.run_document(run.run_id)].data
    for hours in range(24, 24 + count):
        other = paths.run_id("graph", run.started_at - timedelta(hours=hours))
        data = document.replace(run.run_id.encode(), other.encode())
        await world.storage.write(Container.HARVEST_STATE, paths.run_document(other), data, etag=None)


async def reads(world: World, host: Host) -> int:
    before = world.storage.transactions["read"]
    await host.run(sweep)
    return world.storage.transactions["read"] - before


class TestWhichRunsASweepReads:
    def test_those_that_are_marked_or_may_be_under_way_or_are_old(self) -> None:
        young, old = paths.run_id("graph", NOW - LASTS), paths.run_id("graph", NOW - RUN_STATE_KEPT - TURN_LASTS)
        looked = due_for_a_look([young, *RUNS, old], marked=frozenset(RUNS[5:6]), lasts=LASTS, now=NOW)
        assert {young, RUNS[5], old} <= set(looked)

    def test_a_small_part_of_the_others(self) -> None:
        assert len(looked_at(NOW)) < 4 * len(RUNS) / TURNS

    @pytest.mark.parametrize("every", [timedelta(seconds=30), TURN_LASTS, timedelta(hours=1), timedelta(days=1)])
    def test_all_of_them_in_turn_whatever_the_schedule(self, every: timedelta) -> None:
        sweeps = TURNS * max(1, round(TURN_LASTS / every))
        seen = {run for number in range(sweeps) for run in looked_at(NOW + number * every)}
        assert seen >= set(RUNS)


async def test_a_sweep_and_a_start_do_not_read_what_has_ended(simulation: Simulation) -> None:
    world = await ONE.opened(simulation)
    host = Host(world)
    few, before = await reads(world, host), world.storage.transactions["read"]
    await ended(world, host, count=600)

    assert await reads(world, host) < few + 40
    assert await marked_open(world.storage) == frozenset()
    before = world.storage.transactions["read"]
    await begun(host)
    assert world.storage.transactions["read"] - before < 40


@pytest.mark.parametrize("days", [0, 3])
async def test_a_run_whose_mark_is_lost_goes_on(simulation: Simulation, days: int) -> None:
    """As after a restore; its messages are lost as well, and days have passed."""
    world = await ONE.opened(simulation)
    host = Host(world)
    run = await begun(host)
    await world.storage.delete(Container.HARVEST_STATE, paths.open_run(run.run_id))
    for message in world.messages:
        world.drop(message)
    world.clock.advance(days=days)

    before = world.clock.now
    await host.settle()

    assert (await stands(world, run)).state == ("failed" if days else "done")
    assert world.clock.now - before < timedelta(days=1.1 if days else 0.1)


@pytest.mark.parametrize("seed", range(30))
async def test_whoever_resumes_a_run_while_the_sweep_takes_it_for_ended_leaves_a_mark(
    simulation: Simulation, seed: int
) -> None:
    world = await ONE.opened(simulation)
    simulation.fault(path=APPS, status=403)
    host = Host(world)
    run = await begun(host)
    while (await stands(world, run)).state != "failed":
        await host.step()
    world.avepoint.calm()
    assert await marked_open(world.storage) == {run.run_id}

    fate = Turmoil(Random(seed), mortality=0)  # noqa: S311 - chance, no secret
    await asyncio.gather(attempt(world, sweep, fate), attempt(world, partial(resume, run_id=run.run_id), fate))

    standing = await read_run(world.storage, run.run_id)
    assert standing is not None
    assert standing.finished_at is not None or run.run_id in await marked_open(world.storage)
    await host.settle()
    assert (await stands(world, run)).published


@pytest.mark.parametrize("place", ["run.json", "open/"])
async def test_a_start_that_dies_before_it_has_written_the_run_is_begun_again(
    simulation: Simulation, place: str
) -> None:
    world = await ONE.opened(simulation)
    await attempt(world, partial(start_requested, source="graph", names=NAMES), DeathBefore("create", place))
    host = Host(world)
    await host.settle()
    run = await begun(host)
    await host.settle()
    assert (await stands(world, run)).published


async def test_who_resumes_a_run_that_there_is_not_leaves_nothing(simulation: Simulation) -> None:
    world = await ONE.opened(simulation)
    run_id = paths.run_id("graph", world.clock.now)
    assert await attempt(world, partial(resume, run_id=run_id), unharmed) == [None]
    assert await marked_open(world.storage) == frozenset()

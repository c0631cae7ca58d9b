"""The table of a dataset is asked for once a night, and a message that is lost is made good for."""

from functools import partial

import pytest

from shared.azure.storage import Queue
from shared.harvest.runs.starting import start_requested
from shared.harvest.snapshots.table_builds import TableAddress
from shared.tables.build.requests import BUILD_SILENCE, sweep_tables
from tests.faults.points import DeathBefore, Fate, unharmed
from tests.faults.test_publishers import CHILD, LAUNCHES
from tests.faults.world import Host, Simulation, World


async def night(world: World, fate: Fate = unharmed) -> Host:
    """Harvest a list below several parents, from its start to the sweep that finds that the run has ended."""
    world.storage.queues[Queue.TABLES].clear()
    host = Host(world, fate)
    run = await host.run(partial(start_requested, source="graph", names=[LAUNCHES]))
    assert len(run.addresses()) > 1
    await host.settle()
    return host


def messages(world: World) -> list[str]:
    """The datasets whose tables are asked for."""
    return [TableAddress.from_json(one.body.encode()).dataset for one in world.storage.queues[Queue.TABLES]]


async def test_a_table_is_asked_for_once_whoever_looks_at_what_was_published() -> None:
    world = await CHILD.opened(Simulation.create())
    for _ in range(2):
        await night(world)
        assert messages(world) == [LAUNCHES]
        world.clock.advance(days=1)


@pytest.mark.parametrize("what", ["latest/graph/", "watermarks/graph/"])
async def test_a_publisher_that_dies_on_the_way_has_asked_or_leaves_it_to_the_next_one(what: str) -> None:
    world = await CHILD.opened(Simulation.create())
    host = await night(world, DeathBefore("create", what))
    assert host.deaths == 1
    assert messages(world) == [LAUNCHES]


async def test_the_sweep_asks_where_the_publisher_died_before_it_could() -> None:
    world = await CHILD.opened(Simulation.create())
    host = await night(world, DeathBefore("enqueue", Queue.TABLES))
    assert host.deaths == 1
    assert messages(world) == []
    world.clock.now += BUILD_SILENCE
    await host.run(sweep_tables)
    assert LAUNCHES in messages(world)

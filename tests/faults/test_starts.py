"""Promises 2 and 3: several starts at once, and deaths between, begin one run that holds each dataset."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from functools import partial
from random import Random

import pytest

from shared.azure.storage import Container
from shared.harvest.plan import paths
from shared.harvest.plan.run import Run, run_ids
from shared.harvest.runs.starting import start_requested, start_scheduled
from tests.faults.chaos import Turmoil, attempt
from tests.faults.points import DeathAt, DeathBefore, Fate, unharmed
from tests.faults.process import Errand
from tests.faults.scenarios import Scenario, check_published, standing
from tests.faults.world import BEGIN, Host, Simulation, World

ONE = Scenario("one dataset", simulation={"items": 3})
TWO = Scenario("two datasets", ("enpower-powerapps", "aos-jobs"), simulation={"items": 3})

REQUESTED: Errand[Run | None] = partial(start_requested, source="graph", names=["enpower-powerapps"])
CONFIGURED: Errand[Run | None] = partial(start_requested, source="graph", names=None)
TICK: Errand[Run | None] = partial(start_scheduled, source="graph", due=BEGIN)


@pytest.mark.parametrize("seed", range(40))
async def test_callers_who_ask_for_the_same_get_the_same_run(simulation: Simulation, seed: int) -> None:
    """Callers retry and deliver twice, at any distance; all of them get the run that goes on."""
    world = ONE.world(simulation)
    runs = await all_at_once(world, [REQUESTED] * 5, [crowded(seed)] * 5)
    assert len({run.run_id for run in runs if run}) == 1
    assert await run_ids(world.storage) == [runs[0].run_id if runs[0] else None]


@pytest.mark.parametrize("seed", range(40))
async def test_no_dataset_is_held_by_two_runs(simulation: Simulation, seed: int) -> None:
    """A tick of the timer, twice, meets callers who ask for a part of it and for all."""
    world = TWO.world(simulation)
    await all_at_once(world, [TICK, TICK, REQUESTED, CONFIGURED, REQUESTED], [crowded(seed)] * 5)
    assert set((await held(world)).values()) == {1}


@pytest.mark.parametrize("others", [0, 1])
@pytest.mark.parametrize("errand", [REQUESTED, TICK], ids=["requested", "tick"])
async def test_a_start_that_dies_is_made_good(simulation: Simulation, errand: Errand[Run | None], others: int) -> None:
    """Once a run is announced, whoever starts another or the sweep brings it to its end."""
    calm = DeathAt()
    await all_at_once(ONE.world(simulation), [errand], [calm])
    assert calm.reached > 0
    for number in range(1, calm.reached + 1):
        world, death = ONE.world(simulation), DeathAt(number)
        await all_at_once(world, [errand] * (1 + others), [death, *[unharmed] * others])
        announced = await world.storage.read(Container.HARVEST_STATE, paths.announced("graph"))
        host = Host(world)
        await host.sweep()
        await host.settle()
        begun = await run_ids(world.storage)
        assert len(begun) == (1 if announced else 0), death.place
        for run_id in begun:
            await check_published(world, await standing(world, run_id), ONE.datasets)


async def test_what_has_begun_is_not_begun_again(simulation: Simulation) -> None:
    world = ONE.world(simulation)
    for _ in range(2):
        await all_at_once(world, [TICK], [unharmed])
    (run_id,) = await run_ids(world.storage)
    await Host(world).settle()
    await check_published(world, await standing(world, run_id), ONE.datasets)


async def test_what_was_announced_long_ago_is_not_begun(simulation: Simulation) -> None:
    """Its windows and its parents are out of date, and whoever waited for it does so no more."""
    world = ONE.world(simulation)
    await all_at_once(world, [REQUESTED], [DeathBefore("create", "run.json")])
    world.clock.advance(hours=1)
    await Host(world).sweep()
    assert await run_ids(world.storage) == []
    runs = await all_at_once(world, [REQUESTED], [unharmed])
    assert await run_ids(world.storage) == [run.run_id for run in runs if run]


def crowded(seed: int) -> Fate:
    """Lets processes get in each other's way, and nobody die."""
    return Turmoil(Random(seed), mortality=0)  # noqa: S311 - chance, no secret


async def all_at_once(world: World, errands: Sequence[Errand[Run | None]], fates: Sequence[Fate]) -> list[Run | None]:
    """Do each errand in a process of its own; what a dead one brought home is left out."""
    done = await asyncio.gather(*(attempt(world, *pair) for pair in zip(errands, fates, strict=True)))
    return [run for runs in done for run in runs]


async def held(world: World) -> Counter[str]:
    """How many runs hold each dataset."""
    runs = [await standing(world, run_id) for run_id in await run_ids(world.storage)]
    return Counter(dataset.dataset for run in runs for dataset in run.datasets if dataset.skipped is None)

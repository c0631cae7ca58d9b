"""Promises 1 and 2: a process may die between any two requests, and nothing is lost, doubled or half-published."""

import pytest

from tests.faults.points import DeathAt
from tests.faults.scenarios import SCENARIOS, Scenario
from tests.faults.world import Simulation

MARKS = {"test": (), "test-all": (pytest.mark.slow,)}
LIVED_THROUGH = [pytest.param(one, id=one.name, marks=MARKS[one.suite]) for one in SCENARIOS if one.suite in MARKS]


@pytest.mark.parametrize("scenario", LIVED_THROUGH)
async def test_death_at_every_point(scenario: Scenario, simulation: Simulation) -> None:
    """By turns the message comes back to another worker, and is lost with the dead one, and only the sweep helps."""
    calm = DeathAt()
    await scenario.play(simulation, calm)
    assert calm.reached > 30
    broken = {}
    for number in range(1, calm.reached + 1):
        death = DeathAt(number)
        try:
            await scenario.play(simulation, death, forgetful=number % 2 == 0)
        except AssertionError as error:
            broken[death.place] = error
    assert not broken, "\n".join(f"{place}: {error}" for place, error in broken.items())

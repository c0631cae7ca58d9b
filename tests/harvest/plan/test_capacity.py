"""The formula against the real budget, in virtual time."""

import asyncio
import random
from datetime import timedelta

import pytest

from shared.errors import Throttled
from shared.harvest.plan.capacity import Pace, estimate, fewest_requests
from shared.transport.budget import Budget, Limits
from tests.shared import virtual_time
from tests.shared.memory import Memory

HOUR = timedelta(hours=1)
AVEPOINT = Limits(15_000, HOUR, reserved_percent=10)
ORIGIN = "https://graph-us.avepoint.example"


async def simulated(requests: int, pace: Pace, limits: Limits) -> timedelta:
    """How long the chains take that share ``requests``, each asking as soon as it is answered and allowed to."""
    ledger, chance = Memory(), random.Random(0)  # noqa: S311 - spreads collisions, guards nothing
    budgets = [
        Budget(
            ledger,
            limits,
            client_id=lambda _: "client",
            clock=virtual_time.clock,
            sleep=asyncio.sleep,
            random=chance.random,
        )
        for _ in range(pace.instances)
    ]
    places = [asyncio.Semaphore(pace.concurrency) for _ in budgets]
    left = iter(range(requests))

    async def chain(number: int) -> None:
        instance = number % pace.instances
        for _ in left:
            async with places[instance]:
                await _allowed(budgets[instance])
                await asyncio.sleep(pace.latency.total_seconds())

    began = virtual_time.clock()
    async with asyncio.TaskGroup() as chains:
        for number in range(pace.chains):
            chains.create_task(chain(number))
    return virtual_time.clock() - began


async def _allowed(budget: Budget) -> None:
    """Wait until the budget lets one ask, as a harvest does: it comes again when it is told to."""
    while True:
        try:
            return await budget.consume("avepoint", ORIGIN, "harvest")
        except Throttled as error:
            await asyncio.sleep((error.until - virtual_time.clock()).total_seconds())


@pytest.mark.parametrize(
    ("requests", "pace", "limits"),
    [
        (300, Pace(timedelta(milliseconds=200)), AVEPOINT),
        (3_000, Pace(timedelta(milliseconds=200), chains=8), AVEPOINT),
        (3_000, Pace(timedelta(milliseconds=200), chains=24, instances=2), AVEPOINT),
        (3_000, Pace(timedelta(seconds=7), chains=8), Limits(900, timedelta(minutes=10), reserved_percent=20)),
        (3_000, Pace(timedelta(milliseconds=100), chains=8), Limits(900, timedelta(minutes=10), reserved_percent=20)),
        (900, Pace(timedelta(seconds=1), chains=4, instances=2, concurrency=4), Limits(100, timedelta(minutes=1), 10)),
    ],
    ids=["one chain", "eight chains", "two instances", "slower than its budget", "waits for windows", "two wait"],
)
def test_a_harvest_lasts_as_long_as_the_formula_says(requests: int, pace: Pace, limits: Limits) -> None:
    lasts = virtual_time.run(simulated(requests, pace, limits))
    assert lasts / estimate(requests, pace, limits).lasts == pytest.approx(1, rel=0.03)


@pytest.mark.parametrize(
    ("items", "page_size", "lists", "requests"),
    [(0, 1000, 1, 1), (1000, 1000, 1, 1), (1001, 1000, 1, 2), (10, 1000, 500, 500), (100_000, 100, 8, 1000)],
)
def test_every_list_takes_a_request(items: int, page_size: int, lists: int, requests: int) -> None:
    assert fewest_requests(items, page_size=page_size, lists=lists) == requests


def test_what_binds_is_named() -> None:
    slow = Pace(timedelta(seconds=1))
    assert estimate(3_000, slow, AVEPOINT).bound_by == "latency"
    assert estimate(30_000, slow, AVEPOINT).bound_by == "latency"
    fast = Pace(timedelta(milliseconds=200), chains=8)
    assert estimate(13_500, fast, AVEPOINT).bound_by == "latency"
    beyond = estimate(13_501, fast, AVEPOINT)
    assert (beyond.bound_by, beyond.by_budget, beyond.lasts) == ("budget", HOUR, HOUR + fast.latency)


def test_nothing_takes_no_time() -> None:
    assert estimate(0, Pace(timedelta(seconds=1)), AVEPOINT).lasts == timedelta(0)


def test_more_instances_help_as_long_as_there_are_chains_for_them() -> None:
    def lasts(instances: int) -> timedelta:
        return estimate(1_000, Pace(timedelta(seconds=1), chains=12, instances=instances), AVEPOINT).lasts

    assert lasts(1) == timedelta(seconds=125)
    assert lasts(2) == lasts(3) == timedelta(seconds=84)

"""Timers as Azure runs them: what is missed is called once, past due; lock and tick outlive a killed host.

The simulation begins on 2025-03-01 at 12:00.
"""

import asyncio
from collections.abc import Coroutine
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from sandbox.host.timers.status import NEVER, Status, is_frequent
from shared.schedule import Schedule
from tests.recordings import recorded
from tests.sandbox.host.timing import Call, World
from tests.shared.virtual_time import BEGIN, run

NIGHTLY = "0 0 2 * * *"
DAY = 24 * 3600.0


def due(day: int, month: int = 3) -> datetime:
    return datetime(2025, month, day, 2, tzinfo=UTC)


def calls_of(story: Coroutine[None, None, World]) -> list[tuple[datetime, bool, datetime]]:
    """When the function was called, whether past due, and for which tick."""
    return [(call.at, call.past_due, call.due) for call in run(story).calls]


def test_a_timer_fires_on_schedule() -> None:
    async def story() -> World:
        world = World(NIGHTLY)
        host = world.start()
        await asyncio.sleep(3 * DAY)
        await host.end()
        return world

    assert calls_of(story()) == [(due(day), False, due(day)) for day in (2, 3, 4)]


@pytest.mark.parametrize("days", [1, 5, 40])
def test_what_was_missed_is_called_once_with_the_oldest_tick(days: int) -> None:
    async def story() -> World:
        world = World(NIGHTLY)
        await world.start().end()
        host = world.start()
        await asyncio.sleep(1)
        await host.end()
        await asyncio.sleep(days * DAY)
        host = world.start()
        await asyncio.sleep(DAY)
        await host.end()
        return world

    late, then = calls_of(story())
    assert late == (BEGIN + timedelta(days=days, seconds=1), True, due(2))
    following = due(2) + timedelta(days=days)
    assert then == (following, False, following)


def test_a_timer_that_has_never_run_catches_nothing_up_but_what_came_after_its_first_start() -> None:
    async def story() -> World:
        world = World(NIGHTLY)
        await asyncio.sleep(3 * DAY)
        host = world.start()
        await asyncio.sleep(60)
        await host.kill()
        await asyncio.sleep(DAY)
        host = world.start()
        await asyncio.sleep(60)
        await host.end()
        return world

    assert calls_of(story()) == [(BEGIN + timedelta(days=4, seconds=60), True, due(5))]


def test_a_schedule_that_changed_meanwhile_is_not_caught_up() -> None:
    async def story() -> World:
        world = World(NIGHTLY)
        host = world.start()
        await asyncio.sleep(1)
        await host.end()
        await asyncio.sleep(5 * DAY)
        world.schedule = "0 30 4 * * *"
        host = world.start()
        await asyncio.sleep(DAY)
        await host.end()
        return world

    tick = datetime(2025, 3, 7, 4, 30, tzinfo=UTC)
    assert calls_of(story()) == [(tick, False, tick)]


def test_the_lock_of_a_killed_host_moves_and_its_tick_comes_again_past_due() -> None:
    async def killer(call: Call) -> None:
        if call.host == "first":
            await asyncio.Event().wait()

    async def story() -> World:
        world = World(NIGHTLY, killer)
        first, second = world.start("first"), world.start("second")
        await asyncio.sleep((due(2) - BEGIN).total_seconds() + 5)
        await first.kill()
        await asyncio.sleep(DAY / 2)
        await second.end()
        return world

    first, second = run(story()).calls
    assert (first.host, first.due, first.past_due) == ("first", due(2), False)
    assert (second.host, second.due, second.past_due) == ("second", due(2), True)
    assert 43 <= (second.at - first.at).total_seconds() - 5 <= 81


def test_of_two_hosts_one_runs_the_timer_and_gives_the_lock_back_when_it_ends() -> None:
    async def story() -> World:
        world = World("0 * * * * *")
        first, second = world.start("first"), world.start("second")
        await asyncio.sleep(125)
        await first.end()
        await asyncio.sleep(180)
        await second.end()
        return world

    calls = run(story()).calls
    assert [call.host for call in calls] == ["first"] * 2 + ["second"] * 3
    assert len({call.due for call in calls}) == 5
    assert not any(call.past_due for call in calls)


def test_a_tick_missed_while_the_function_ran_comes_right_after_but_never_at_once() -> None:
    running: list[int] = []

    async def slow(_: Call) -> None:
        running.append(len(running))
        await asyncio.sleep(150)
        running.pop()
        assert not running

    async def story() -> World:
        world = World("0 * * * * *", slow)
        host = world.start()
        await asyncio.sleep(400)
        await host.end()
        return world

    seen = calls_of(story())
    assert [(at - BEGIN).total_seconds() for at, *_ in seen] == [60, 210, 360]
    assert [(tick - BEGIN).total_seconds() for *_, tick in seen] == [60, 120, 240]


def test_a_timer_of_less_than_a_minute_keeps_no_status() -> None:
    async def story() -> World:
        world = World("*/30 * * * * *")
        host = world.start()
        await asyncio.sleep(61)
        await host.kill()
        assert await world.statuses.read() is None
        return world

    assert [call.status for call in run(story()).calls] == [{}, {}]


def test_a_run_on_startup_is_not_past_due() -> None:
    async def story() -> World:
        world = World(NIGHTLY)
        host = world.start(runOnStartup=True)
        await asyncio.sleep(1)
        await host.end()
        return world

    assert calls_of(story()) == [(BEGIN, False, due(2))]


@pytest.mark.parametrize(
    ("stored", "expected"),
    [
        (Status(NEVER, due(2), BEGIN), Status(NEVER, due(2), BEGIN)),
        (Status(due(2), due(3), due(2)), Status(due(2), due(3), due(2))),
        (Status(due(2), due(3), NEVER), Status(due(2), due(3), NEVER)),
        (Status(due(2), due(2), due(2)), Status(NEVER, due(3), due(2))),
        (Status(NEVER, due(9), NEVER), Status(NEVER, due(3), due(2))),
    ],
    ids=["first", "ran", "without LastUpdated", "of another schedule", "of no schedule"],
)
def test_a_stored_status_holds_while_its_schedule_is_the_same(stored: Status, expected: Status) -> None:
    assert stored.at_start(Schedule.parse(NIGHTLY), now=due(2)) == expected


@pytest.mark.parametrize(
    "case",
    [case for case in recorded("host/ncrontab") if case["kind"] == "six"],
    ids=lambda case: repr(case["expression"]),
)
def test_timers_that_keep_no_status_are_those_recorded(case: dict[str, Any]) -> None:
    assert is_frequent(Schedule.parse(case["expression"]), BEGIN) != case["monitored"]

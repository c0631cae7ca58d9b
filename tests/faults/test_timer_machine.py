"""Timer, kills of hosts and gaps in any order: every due period has exactly one run, and none is missing.

Real parts: the timer of the local host, with status and lock, and what the app does with a call. Time is virtual.
"""

import asyncio
from collections.abc import Coroutine
from contextlib import suppress
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from sandbox.memory_storage import MemoryStorage
from shared.harvest.plan.run import read_run, run_ids
from shared.harvest.runs.starting import start_scheduled
from shared.harvest.runs.sweep import sweep
from shared.schedule import Schedule
from tests.faults.points import DeathAt, Fate, Killed, unharmed
from tests.faults.process import Process
from tests.faults.world import Simulation, settings_with
from tests.sandbox.host.timing import Call, Host, World
from tests.shared import virtual_time
from tests.shared.exploring import explore

SCHEDULES = ["0 0 2 * * *", "0 0 */6 * * *", "0 30 4 * * MON", "0 0 0 1 * *", "0 */7 * * * *"]
LOCK_MOVES = 81  # seconds, at most
SIMULATION = Simulation.create()


class TimerMachine(RuleBasedStateMachine):
    """Hosts come, go and die; meanwhile the schedule goes on."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = virtual_time.VirtualLoop()
        self.hosts: list[Host] = []
        self.fate: Fate = unharmed
        self.called: set[str] = set()
        self.seen: set[str] = set()
        self.died = 0
        self.kept_since: datetime | None = None  # when the first host had written a status

    @initialize(schedule=st.sampled_from(SCHEDULES))
    def begin(self, schedule: str) -> None:
        self.schedule = Schedule.parse(schedule)
        self.settings = settings_with({"graph_datasets": ("enpower-powerapps",), "graph_schedule": schedule})
        self.world = World(schedule, self._call)
        self.storage = MemoryStorage(virtual_time.clock)

    # What the function of the timer does.

    async def _call(self, call: Call) -> None:
        named = max(call.due, self.schedule.latest(call.at) or call.due)
        run_id = f"{named:%Y%m%dT%H%M%SZ}-graph"
        self.called.add(run_id)
        process, self.fate = self._process(self.fate), unharmed
        try:
            run = await process.run(partial(start_scheduled, source="graph", due=call.due))
        except Killed:
            self.died += 1
            host = next(host for host in self.hosts if host.name == call.host)
            host.ending = asyncio.create_task(host.kill())
            await asyncio.Event().wait()
        assert run is not None
        assert (run.run_id, run.trigger) == (run_id, "timer")
        await process.close()

    def _process(self, fate: Fate) -> Process:
        return Process(
            self.settings, self.storage, SIMULATION.http, clock=virtual_time.clock, sleep=asyncio.sleep, fate=fate
        )

    # What happens.

    @property
    def alive(self) -> list[Host]:
        return [host for host in self.hosts if not host.dead and not host.stop.is_set()]

    @rule()
    @precondition(lambda self: len(self.alive) < 2)
    def start_a_host(self) -> None:
        async def start() -> None:
            self.hosts.append(self.world.start(f"host {len(self.hosts)}"))
            await asyncio.sleep(0)

        self.run(start())

    @rule(number=st.integers(0, 1))
    @precondition(lambda self: self.alive)
    def kill_a_host(self, number: int) -> None:
        self.run(self.alive[number % len(self.alive)].kill())

    @rule(number=st.integers(0, 1))
    @precondition(lambda self: self.alive)
    def stop_a_host(self, number: int) -> None:
        with suppress(asyncio.CancelledError):  # a call under way may die, and its host with it
            self.run(self.alive[number % len(self.alive)].end())

    @rule(point=st.integers(1, 25))
    def let_the_next_call_die(self, point: int) -> None:
        self.fate = DeathAt(point)

    @rule(seconds=st.sampled_from([1, 20, 60, 600, 7200, 21600]))
    def wait(self, seconds: int) -> None:
        self.run(asyncio.sleep(seconds))

    @rule()
    def wait_for_the_next_tick(self) -> None:
        tick = self.schedule.next(self.now())
        assert tick
        self.run(asyncio.sleep(min((tick - self.now()).total_seconds(), 21600)))

    @rule(gap=st.sampled_from([timedelta(minutes=1), timedelta(days=1), timedelta(days=5), timedelta(days=40)]))
    def stand_still(self, gap: timedelta) -> None:
        for host in self.alive:
            self.run(host.kill())
        self.run(asyncio.sleep(gap.total_seconds()))

    @rule()
    @precondition(lambda self: self.alive)
    def sweep(self) -> None:
        self.run(self._process(unharmed).run(sweep))

    @rule()
    @precondition(lambda self: self.hosts)
    def settle(self) -> None:
        """A host is there and nothing happens to it: by then the newest tick that was due has its run.

        Where the next tick comes before the lock of a dead host has moved, that one is the newest.
        """
        newest = self.schedule.latest(self.now())
        self.fate, died = unharmed, -1
        while died != self.died:  # a call that is under way may still be doomed
            died = self.died
            if not self.alive:
                self.start_a_host()
            self.run(asyncio.sleep(2 * LOCK_MOVES))
        self.look()
        if newest is not None and self.kept_since is not None and newest > self.kept_since:
            assert max(self.seen, default="") >= f"{newest:%Y%m%dT%H%M%SZ}-graph"

    # What holds at any time.

    @invariant()
    def look(self) -> None:
        """No run but those that a call asked for; each began after its tick and is not taken for old."""
        if not hasattr(self, "storage"):
            return
        if self.kept_since is None and self.run(self.world.statuses.read()):
            self.kept_since = self.now()
        for run_id in self.run(run_ids(self.storage)):
            run = self.run(read_run(self.storage, run_id))
            if run is not None:
                assert run_id in self.called
                assert run.deadline > run.started_at
                self.seen.add(run_id)

    @invariant()
    def every_call_has_a_period_of_its_own(self) -> None:
        """A call for a later tick never names an earlier run, and a tick comes again only if its host died."""
        calls = self.world.calls if hasattr(self, "world") else []
        assert [call.due for call in calls] == sorted(call.due for call in calls)
        again = len(calls) - len({call.due for call in calls})
        assert again <= self.died + sum(host.dead for host in self.hosts)

    def teardown(self) -> None:
        if self.hosts:
            self.settle()
        self.run(self._end())
        self.loop.close()

    async def _end(self) -> None:
        left = asyncio.all_tasks() - {asyncio.current_task()}
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)

    def now(self) -> datetime:
        async def clock() -> datetime:
            return virtual_time.clock()

        return self.run(clock())

    def run[T](self, work: Coroutine[Any, Any, T]) -> T:
        return self.loop.run_until_complete(work)


def test_every_due_period_has_exactly_one_run() -> None:
    explore(TimerMachine, examples=12, steps=12)


@pytest.mark.slow
def test_every_due_period_has_exactly_one_run_at_length() -> None:
    explore(TimerMachine, examples=100, steps=30)

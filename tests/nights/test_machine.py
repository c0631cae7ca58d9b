"""Nights of harvests in any order: what comes, changes and goes, what AvePoint does wrong, and hosts that die.

Real parts: the worker, the sweep, the queue's behaviour, the simulated AvePoint. Time, storage and wire are in memory.
"""

import asyncio
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from sandbox.avepoint import AvePoint
from sandbox.avepoint.app import create_app
from shared.azure.storage import Container
from shared.harvest.plan.run import Run
from shared.harvest.runs.control import resume
from shared.harvest.runs.starting import start_scheduled
from shared.harvest.snapshots.manifest import read_manifest
from tests.faults.points import Killed, Point
from tests.faults.promises import check, lines, require
from tests.faults.scenarios import seen
from tests.faults.world import Clock, Host, Simulation, World, settings_with
from tests.loopback import Loopback
from tests.nights.model import APPS, AUDIT, CHILDREN, DATASETS, JOBS, LAUNCHES, USERS, Model, Mood, Served, path_of
from tests.shared.exploring import explore

HTML = "<html>Service unavailable</html>"
LISTS = st.sampled_from(["null", "empty", "absent", "kept"])


@dataclass
class Deaths:
    """Kills whoever comes to one of these points of a night, before each request."""

    numbers: frozenset[int]
    reached: int = 0

    async def __call__(self, point: Point) -> None:
        self.reached += point.side == "before"
        if point.side == "before" and self.reached in self.numbers:
            raise Killed


@dataclass(frozen=True)
class Trouble:
    """What a list does wrong tonight, in the words of ``POST /_sandbox/faults``."""

    mood: Mood = "well"
    rules: tuple[Mapping[str, object], ...] = ()
    switches: Mapping[str, object] = field(default_factory=dict)


PASSING: list[dict[str, object]] = [
    {"status": 502, "body": HTML, "seconds": 60},
    {"status": 503, "seconds": 600},
    {"status": 429, "headers": {"Retry-After": "90"}, "times": 1},
    {"status": 200, "body": HTML, "times": 2},
    {"status": 401, "times": 1},
    {"cut": 0, "times": 2},
    {"cut": 40, "times": 4},
    {"truncateGzip": True, "times": 1},
    *({"failure": {"status": 500, "list": kind}, "times": 2} for kind in ("null", "empty", "absent", "kept")),
]


@st.composite
def passing(draw: st.DrawFn) -> Trouble:
    """Draw something that passes in the same night."""
    return Trouble("troubled", ({**draw(st.sampled_from(PASSING)), "skip": draw(st.integers(0, 3))},))


REFUSING = LISTS.map(lambda kind: Trouble("refusing", ({"failure": {"status": 403, "list": kind}, "times": None},)))
SHIFTING = st.sampled_from([-1, 1]).map(lambda rows: Trouble("shifting", switches={"rowShift": {APPS: rows}}))
WELL = st.just(Trouble())


@dataclass(frozen=True)
class Night:
    """What is drawn for one night."""

    apps: int
    passed: int
    trouble: Mapping[str, Trouble]
    away: int
    how_away: str
    odd: tuple[str, ...]
    deaths: frozenset[int]
    forgetful: bool


@st.composite
def nights(draw: st.DrawFn) -> Night:
    """Draw a night; most lists are well on most nights."""
    named = draw(st.sets(st.sampled_from(DATASETS), max_size=3))
    moods = WELL | passing() | REFUSING
    trouble = {name: draw(moods | SHIFTING if name == APPS else moods) for name in sorted(named)}
    return Night(
        apps=draw(st.integers(0, 7) | st.integers(20, 25)),
        passed=draw(st.integers(0, 2)),
        trouble=trouble,
        away=draw(st.integers(0, 2)),
        how_away=draw(st.sampled_from(["404", "500"])),
        odd=draw(st.sampled_from([(), ("surrogate",), ("nan", "surrogate")])),
        deaths=draw(st.frozensets(st.integers(1, 400), max_size=4)),
        forgetful=draw(st.booleans()),
    )


class NightMachine(RuleBasedStateMachine):
    """One tenant, night after night."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.clock = Clock()
        avepoint = AvePoint(clock=self._seconds)
        changes = {"graph_datasets": DATASETS, "page_size": 7, "slice_seconds": 30.0}
        self.world = World(Simulation(avepoint, Loopback(create_app(avepoint))), settings_with(changes), self.clock)
        self.night = 0
        self.runs: list[Run] = []

    def _seconds(self) -> float:
        return self.clock.now.timestamp()

    @initialize(
        filters_by=st.sampled_from(["start", "within"]),
        lasts=st.sampled_from([0, 420, 1200]),
        end=st.sampled_from(["empty", "null", "n/a", "link"]),
    )
    def begin(self, filters_by: str, lasts: int, end: str) -> None:
        """Choose how this AvePoint behaves where the documents leave it open."""
        self.model = Model(ended_only=filters_by == "within")
        items = {APPS: 5, USERS: 9, LAUNCHES: 40, JOBS: 90, AUDIT: 90}
        choices = {"runningMinutes": {JOBS: lasts}, "windowFilter": filters_by, "endMarker": end}
        self.world.avepoint.change({"items": items, "everyMinutes": 720, **choices})

    @rule(night=nights())
    def a_night(self, night: Night) -> None:
        """Let the timer tick, and compare what is there in the morning with the model."""
        self.run(self._night(night))

    @rule(days=st.integers(1, 4))
    def stand_still(self, days: int) -> None:
        """No host is there for some days."""
        self.clock.now += timedelta(days=days)

    @rule(number=st.integers(0, 20))
    @precondition(lambda self: self.runs)
    def resume_what_is_covered(self, number: int) -> None:
        """Resume an old run of which a newer one has published everything: nothing changes."""
        self.run(self._resume_covered(self.runs[number % len(self.runs)]))

    async def _night(self, night: Night) -> None:
        avepoint, host = self.world.avepoint, Host(self.world, Deaths(night.deaths), forgetful=night.forgetful)
        self.night += night.passed
        avepoint.change(
            {
                "items": {APPS: night.apps},
                "night": self.night,
                "oddItems": {APPS: list(night.odd)},
            }
        )
        asked = self.model.apps
        away = frozenset((asked or ())[: night.away])
        served = self._served().children[USERS]
        if night.how_away == "500" and served.keys().isdisjoint((asked or ())[night.away :]):
            away = frozenset()  # where nobody answers it is an outage, which is waited for all day
        for name, trouble in night.trouble.items():
            for one in trouble.rules:
                self.world.simulation.fault(path=path_of(name), **one)
            avepoint.change(trouble.switches)
        for app in sorted(away):
            if night.how_away == "404":
                avepoint.change({"goneParents": sorted(away)})
            else:
                self.world.simulation.fault(path=f"*/{app}/*", status=500, times=None)
        before = self._served()
        run = await host.insist(partial(start_scheduled, source="graph", due=self.clock.now))
        assert run is not None
        self.runs.append(run)
        await host.settle(steps=3000)
        await self._compare(run, night, asked, away, before)
        avepoint.faults.clear()
        avepoint.change({"rowShift": {APPS: 0}, "goneParents": []})
        await host.close()
        self.clock.now = self.clock.now.replace(hour=2, minute=0, second=0, microsecond=0) + timedelta(days=1)

    def _served(self) -> Served:
        """Look at what AvePoint holds, as if nobody were out of sight."""
        avepoint = self.world.avepoint
        gone = avepoint.settings.gone_parents
        avepoint.change({"goneParents": []})
        served = Served.by(avepoint)
        avepoint.change({"goneParents": sorted(gone)})
        return served

    async def _compare(
        self, run: Run, night: Night, asked: Sequence[str] | None, away: frozenset[str], before: Served
    ) -> None:
        await check(self.world.storage)
        require((await seen(self.world, run)).finished_at, "the run has not ended")
        after, model = self._served(), self.model
        for name in DATASETS:
            manifest = await read_manifest(self.world.storage, run.run_id, "graph", name)
            read = await lines(self.world.storage, manifest) if manifest else []
            mood = night.trouble.get(name, Trouble()).mood
            if name == APPS:
                model.expect_apps(manifest, read, mood, after)
            elif name not in CHILDREN:
                model.expect_window(name, manifest, read, mood, before=before, after=after)
            elif asked is not None:
                model.expect_child(name, manifest, read, mood, asked=asked, away=away, served=after)
            if manifest is not None and manifest.published:
                model.published[name].append(manifest)

    async def _resume_covered(self, run: Run) -> None:
        for name in DATASETS:
            newest = self.model.published[name][-1:]
            if not newest or newest[0].run_id < run.run_id:
                return
        before = dict(self.world.storage.blobs[Container.INVENTORY])
        host = Host(self.world)
        await host.attempt(partial(resume, run_id=run.run_id))
        await host.settle()
        await host.close()
        after = self.world.storage.blobs[Container.INVENTORY]
        changed = {path for path in before | after if before.get(path) != after.get(path) and path[:4] != "mani"}
        require(not changed, f"a run that is covered has changed {sorted(changed)}")

    def run[T](self, work: Coroutine[object, object, T]) -> T:
        return self.loop.run_until_complete(work)

    def teardown(self) -> None:
        self.loop.close()


def test_what_is_published_is_what_was_served() -> None:
    explore(NightMachine, examples=4, steps=5)


@pytest.mark.slow
def test_what_is_published_is_what_was_served_at_length() -> None:
    explore(NightMachine, examples=50, steps=8)

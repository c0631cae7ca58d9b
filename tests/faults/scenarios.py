"""Harvests that are worth dying in, each with what it has to publish in the end."""

from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import Literal, Protocol

from sandbox.avepoint import AvePoint
from sandbox.avepoint.items import TENANTS
from shared.avepoint.catalog import catalog
from shared.avepoint.platform import Source
from shared.azure.storage import Container, Storage
from shared.harvest.plan.run import Run, read_run
from shared.harvest.runs.control import cancel, resume
from shared.harvest.runs.starting import start_requested, start_scheduled
from shared.harvest.runs.state import RunView, view
from shared.harvest.runs.sweep import RUN_STATE_KEPT
from shared.harvest.slices.worker import work
from shared.harvest.snapshots.manifest import Manifest, read_latest, read_manifest
from tests.conftest import Simulator
from tests.faults.points import Fate, unharmed
from tests.faults.promises import check, check_remembered, lines, require
from tests.faults.world import BEGIN, Host, Simulation, World, settings_with
from tests.harvest import every

APPS = "/smp/powerplatform/powerapps"
A_PAGE_A_SLICE = {"slice_seconds": 0.001}
A_PAGE_A_PART = {"part_seconds": 0.001}


class Place(Protocol):
    """Where something was harvested, and from whom."""

    @property
    def storage(self) -> Storage:
        """The storage account."""

    @property
    def avepoint(self) -> AvePoint:
        """The simulated AvePoint."""


type Story = Callable[[Host, "Scenario"], Awaitable[None]]


async def night(host: Host, scenario: "Scenario") -> Run:
    """A tick of the timer, and everything that follows from it, up to what has to be there in the morning."""
    run = await begun(host, scenario)
    await host.settle()
    await check_published(host.world, run, scenario.datasets)
    return run


async def harvest_before(world: World, scenario: "Scenario") -> None:
    """What the scenario takes for granted."""
    host = Host(world)
    await host.run(partial(start_requested, source=scenario.source, names=scenario.parents))
    await host.settle()
    await host.close()
    world.clock.advance(hours=1)


async def begun(host: Host, scenario: "Scenario") -> Run:
    """The run of a tick; a tick that was missed is made up for."""
    due = host.world.clock.now
    run = await host.insist(partial(start_scheduled, source=scenario.source, due=due))
    require(run, "nothing is configured")
    return run  # type: ignore[return-value]  # required above


async def one_night(host: Host, scenario: "Scenario") -> None:
    """One harvest."""
    await night(host, scenario)


async def two_nights(host: Host, scenario: "Scenario") -> None:
    """A harvest, and a day later another one of a list that has changed."""
    first = await night(host, scenario)
    tomorrow(host.world)
    second = await night(host, scenario)
    require(first.run_id != second.run_id, "the second night had no run of its own")
    await check_increments(host.world, scenario.datasets, (first, second))


async def a_night_with_help(host: Host, scenario: "Scenario") -> None:
    """A harvest that somebody resumes where it has failed."""
    run = await begun(host, scenario)
    await host.settle()
    if (await seen(host.world, run)).state == "failed":
        await host.insist(partial(resume, run_id=run.run_id))
        await host.settle()
    await check_published(host.world, run, scenario.datasets)


async def cancelled_and_resumed(host: Host, scenario: "Scenario") -> None:
    """A harvest that somebody cancels after its first slice, and resumes; they ask once, and come back a day later."""
    run = await begun(host, scenario)
    await host.step()
    await host.attempt(partial(cancel, run_id=run.run_id))
    await host.settle()
    state = (await seen(host.world, run)).state
    require(state == "cancelled" or (host.deaths and state == "succeeded"), f"the cancelled run is {state}")
    await check(host.world.storage)
    await host.attempt(partial(resume, run_id=run.run_id))
    await host.settle()
    await check(host.world.storage)
    host.world.clock.advance(days=1)
    if (await seen(host.world, run)).state != "succeeded":
        require(host.deaths, "resume has not helped")
        await host.insist(partial(resume, run_id=run.run_id))
        await host.settle()
    await check_published(host.world, run, scenario.datasets)


async def two_nights_and_a_month(host: Host, scenario: "Scenario") -> None:
    """Two harvests, of whose state nothing is left in the end that nobody needs."""
    await two_nights(host, scenario)
    host.world.clock.now += RUN_STATE_KEPT + timedelta(days=1)
    await host.sweep()
    await host.sweep()
    await check(host.world.storage)
    await check_remembered(host.world.storage)


async def a_month_later(host: Host, scenario: "Scenario") -> None:
    """A harvest whose state is old enough to be deleted, while messages about it still come."""
    run = await night(host, scenario)
    host.world.clock.now += RUN_STATE_KEPT + timedelta(days=1)
    host.world.avepoint.change({"items": 3})
    while [path async for path in host.world.storage.list(Container.HARVEST_STATE, "runs/")]:
        await host.sweep()
        for address in run.addresses():
            await host.insist(partial(work, address=address))
    await check(host.world.storage)
    await check_latest(host.world, run, scenario.datasets)


def tomorrow(world: World) -> None:
    """The same time a day later, with something new in every list."""
    world.clock.now = world.clock.now.replace(hour=BEGIN.hour, minute=0, second=0) + timedelta(days=1)
    world.avepoint.change({"items": world.avepoint.settings.items["*"] + 7, "now": world.clock.now.isoformat()})


async def check_published(world: Place, run: Run, datasets: Sequence[str]) -> None:
    """The run went well, and nothing else lies about."""
    await check_run(world, run, datasets)
    await check(world.storage)


async def check_run(world: Place, run: Run, datasets: Sequence[str]) -> None:
    """The run went well, each of its datasets holds what was served, and ``latest`` names it."""
    standing = await seen(world, run)
    reasons = [one.reason for one in standing.datasets]
    require(standing.state == "succeeded", f"the run is {standing.state}: {reasons}")
    for dataset in datasets:
        manifest = await published(world, run, dataset)
        await check_content(world, manifest)
    await check_latest(world, run, datasets)


async def seen(world: Place, run: Run) -> RunView:
    """The run as callers see it now."""
    return await view(world.storage, await standing(world, run.run_id))


async def standing(world: Place, run_id: str) -> Run:
    """The document of a run that has to be there."""
    stored = await read_run(world.storage, run_id)
    if stored is None:
        raise AssertionError(f"{run_id} is gone")
    return stored


async def check_latest(world: Place, run: Run, datasets: Iterable[str]) -> None:
    """``latest`` of each dataset names the run."""
    for dataset in datasets:
        pointer = await read_latest(world.storage, run.source, dataset)
        require(pointer and pointer.run_id == run.run_id, f"latest of {dataset} is {pointer}, not {run.run_id}")


async def published(world: Place, run: Run, dataset: str) -> Manifest:
    """The manifest of a published dataset."""
    manifest = await read_manifest(world.storage, run.run_id, run.source, dataset)
    if manifest is None or not manifest.published:
        raise AssertionError(f"{dataset} was not published: {manifest}")
    return manifest


async def check_content(world: Place, manifest: Manifest) -> None:
    """A full snapshot holds what was served, in its order; a window what happened in it, each event at most once.

    The parents of a child dataset come in any order.
    """
    read, expected = await lines(world.storage, manifest), served(world, manifest)
    if manifest.parents is not None:
        read, expected = sorted(read), sorted(expected)
    if manifest.window is None:
        require(read == expected, f"{manifest.dataset} holds {len(read)} items, not the {len(expected)} served")
        require(manifest.duplicates == 0, f"{manifest.dataset} has duplicates")
        return
    require(not Counter(read) - Counter(expected), f"{manifest.dataset} holds what did not happen in its window")
    if manifest.previous_run_id is None:
        require(len(read) == len(expected), f"{manifest.dataset} holds {len(read)} events, not {len(expected)}")


async def check_increments(world: Place, datasets: Iterable[str], runs: Sequence[Run]) -> None:
    """The windows of several runs hold together what happened in all that time, each event once."""
    for dataset in datasets:
        manifests = [await published(world, run, dataset) for run in runs]
        if manifests[0].window is None or manifests[-1].window is None:
            continue
        span = (manifests[0].window.from_, manifests[-1].window.to)
        read = Counter([line for manifest in manifests for line in await lines(world.storage, manifest)])
        require(read == Counter(world.avepoint.items(dataset, window=span)), f"{dataset}: the windows have gaps")


def served(world: Place, manifest: Manifest) -> list[bytes]:
    """What the simulated AvePoint serves of a dataset, byte for byte, one partition after the other."""
    simulator = Simulator(world.avepoint, "")
    span = (manifest.window.from_, manifest.window.to) if manifest.window else (None, None)
    if not manifest.tenants:
        return every.served(simulator, manifest.source, manifest.dataset, span)
    resource = every.resource_of(catalog()[manifest.source, manifest.dataset])
    return [item for tenant in manifest.tenants for item in world.avepoint.items(resource, tenant=tenant)]


type Suite = Literal["test", "test-all", "soak"]


@dataclass(frozen=True, slots=True)
class Scenario:
    """A harvest: what is asked for, under which settings, of an AvePoint in which mood.

    Attributes:
        settings: Fields of ``Settings``.
        simulation: Settings of the simulated AvePoint.
        parents: Datasets that were harvested before, without any harm.
        faults: What it does wrong on the way, in the words of ``POST /_sandbox/faults``.
        story: What happens, and what has to hold at the end.
        suite: The first suite in which a worker dies at each of its points; the soak lives through all scenarios.
    """

    name: str
    datasets: tuple[str, ...] = ("enpower-powerapps",)
    source: Source = "graph"
    settings: Mapping[str, object] = field(default_factory=dict)
    simulation: Mapping[str, object] = field(default_factory=dict)
    parents: tuple[str, ...] = ()
    faults: tuple[Mapping[str, object], ...] = ()
    story: Story = one_night
    suite: Suite = "test"

    def world(self, simulation: Simulation) -> World:
        """The world in which it happens, before anything has."""
        simulation.reset({"items": 25, "now": BEGIN.isoformat(), **self.simulation})
        for rule in self.faults:
            simulation.fault(**rule)
        changes = {"page_size": 10, f"{self.source}_datasets": self.datasets, **self.settings}
        return World(simulation, settings_with(changes))

    async def opened(self, simulation: Simulation) -> World:
        """The same, with the parents harvested."""
        world = self.world(simulation)
        if self.parents:
            await harvest_before(world, self)
        return world

    async def play(self, simulation: Simulation, fate: Fate = unharmed, *, forgetful: bool = False) -> None:
        """Live through the story with one host, whose processes have this fate.

        Raises:
            AssertionError: Something does not hold that has to.
        """
        host = Host(await self.opened(simulation), fate, forgetful=forgetful)
        try:
            await self.story(host, self)
        finally:
            await host.close()


SCENARIOS = (
    Scenario("one slice", suite="soak"),
    Scenario("a part a page", settings=A_PAGE_A_PART),
    Scenario("a slice a page", settings=A_PAGE_A_SLICE, suite="soak"),
    Scenario("two tenants", settings={"tenants": TENANTS, **A_PAGE_A_SLICE}, suite="test-all"),
    Scenario("two datasets", ("enpower-powerapps", "aos-jobs"), simulation={"items": 12}, suite="soak"),
    Scenario("two nights", simulation={"items": 8}, story=two_nights, suite="soak"),
    Scenario(
        "a window of two spans",
        ("aos-audit",),
        settings={"window_days": 8, "page_size": 30},
        simulation={"items": 300, "everyMinutes": 480},
        story=two_nights_and_a_month,
        suite="test-all",
    ),
    Scenario(
        "a window in slices",
        ("aos-audit",),
        settings={"window_days": 10, **A_PAGE_A_SLICE},
        simulation={"items": 300, "everyMinutes": 480},
        story=two_nights_and_a_month,
        suite="soak",
    ),
    Scenario(
        "told to wait",
        faults=({"path": APPS, "status": 429, "headers": {"Retry-After": "60"}, "skip": 1},),
    ),
    Scenario(
        "a link that died",
        settings=A_PAGE_A_SLICE,
        faults=({"path": APPS, "status": 410, "skip": 2},),
        suite="soak",
    ),
    Scenario(
        "a child dataset",
        ("enpower-powerapp-launched-users",),
        settings=A_PAGE_A_PART,
        simulation={"items": {"enpower-powerapps": 2, "enpower-powerapp-launched-users": 5}},
        parents=("enpower-powerapps",),
    ),
    Scenario(
        "cancelled and resumed",
        settings=A_PAGE_A_SLICE,
        simulation={"items": 15},
        story=cancelled_and_resumed,
        suite="test-all",
    ),
    Scenario("a month later", settings=A_PAGE_A_PART, simulation={"items": 15}, story=a_month_later, suite="test-all"),
)

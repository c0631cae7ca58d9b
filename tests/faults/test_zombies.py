"""Promise 2: whoever stands still in the middle of something, and goes on when others have done it, changes nothing."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial

import pytest

from shared.azure.storage import Container
from shared.errors import AppError
from shared.harvest.plan.run import Run
from shared.harvest.runs.control import cancel, resume
from shared.harvest.runs.sweep import RUN_STATE_KEPT, sweep
from shared.harvest.slices.worker import work
from shared.services import Services
from tests.faults.points import Point
from tests.faults.promises import check, check_whole, require
from tests.faults.scenarios import A_PAGE_A_SLICE, APPS, Scenario, begun, check_run, seen
from tests.faults.world import Clock, Host, Simulation, World

REFUSED = {"path": APPS, "status": 403, "skip": 1}
A_LIST = Scenario("a list", simulation={"items": 15})
SLICES = Scenario("slices", settings=A_PAGE_A_SLICE, simulation={"items": 15})
FAILING = Scenario("refused once", simulation={"items": 15}, faults=(REFUSED,))


@dataclass
class PauseAt:
    """Lets whoever comes to a point stand still there until it may go on."""

    number: int
    reached: int = 0
    place: str = "nowhere"
    paused: asyncio.Event = field(default_factory=asyncio.Event)
    awake: asyncio.Event = field(default_factory=asyncio.Event)

    async def __call__(self, point: Point) -> None:
        self.reached += point.side == "before"
        if point.side == "before" and self.reached == self.number:
            self.place = f"point {self.number}, {point}"
            self.paused.set()
            await self.awake.wait()


type Errand = Callable[[Services, Run], Awaitable[object]]
type Meanwhile = Callable[[Host, Run], Awaitable[None]]


async def one_slice(services: Services, run: Run) -> object:
    return await work(services, run.addresses()[0])


async def swept(services: Services, _: Run) -> None:
    await sweep(services)


async def cancelled(services: Services, run: Run) -> object:
    return await cancel(services, run.run_id)


async def resumed(services: Services, run: Run) -> object:
    return await resume(services, run.run_id)


async def everything(host: Host, run: Run) -> None:
    """An hour goes by, and others bring the run to a good end."""
    host.world.clock.advance(hours=1)
    await host.settle()
    await succeeded(host, run)


async def the_same(host: Host, run: Run) -> None:
    """At the same moment another worker gets the same message."""
    await host.insist(partial(work, address=run.addresses()[0]))


async def nothing(_: Host, __: Run) -> None:
    """Nobody has done anything yet."""


async def drained(host: Host, _: Run) -> None:
    """All messages have been brought, and the sweep has not come by."""
    while host.world.messages:
        await host.deliver(host.world.messages[0])


async def ended(host: Host, _: Run) -> None:
    """The run has come to an end, and the sweep has seen it."""
    await host.settle()


async def begun_again(host: Host, run: Run) -> None:
    """The run comes to a bad end, and somebody resumes it."""
    await host.settle()
    await host.insist(partial(resume, run_id=run.run_id))


async def begun_unheard(host: Host, run: Run) -> None:
    """The run comes to a bad end, somebody resumes it, and the messages about that are lost."""
    await begun_again(host, run)
    for message in host.world.messages:
        host.world.drop(message)


async def a_sweep(host: Host, _: Run) -> None:
    """The sweep comes by."""
    await host.sweep()


async def succeeded(host: Host, run: Run) -> None:
    """Resume a run that has ended badly until it ends well."""
    await host.settle()
    if (await seen(host.world, run)).state != "succeeded":
        await host.insist(partial(resume, run_id=run.run_id))
        await host.settle()


@dataclass(frozen=True, slots=True)
class Sleeper:
    """Who stands still, in which harvest, and what others do meanwhile.

    Attributes:
        before: What has happened before.
        stopped_clock: Whether the sleeper believes that no time has passed.
    """

    name: str
    errand: Errand
    meanwhile: Meanwhile
    scenario: Scenario = A_LIST
    before: Meanwhile = nothing
    stopped_clock: bool = False


SLEEPERS = (
    Sleeper("a worker, while others finish", one_slice, everything),
    Sleeper("a worker whose clock stood still", one_slice, everything, stopped_clock=True),
    Sleeper("a worker that meets another", one_slice, the_same),
    Sleeper("a worker that hands over, and meets another", one_slice, the_same, SLICES),
    Sleeper("a worker that fails, while others resume", one_slice, everything, FAILING),
    Sleeper("a worker that fails, while others resume and begin", one_slice, begun_again, FAILING),
    Sleeper("the sweep, while a run ends", swept, everything),
    Sleeper("the sweep, while others resume", swept, everything, FAILING, drained),
    Sleeper("the sweep, while others resume and begin", swept, begun_again, FAILING, drained),
    Sleeper("the sweep, while others resume and nobody hears", swept, begun_unheard, FAILING, drained),
    Sleeper("cancel, while the run ends", cancelled, everything),
    Sleeper("resume, while the sweep comes by", resumed, a_sweep, FAILING, drained),
    Sleeper("resume of what has ended, while the sweep comes by", resumed, a_sweep, FAILING, ended),
)


def state(world: World) -> Mapping[tuple[Container, str], bytes]:
    """Everything that is stored, but for the ledger of the request budget."""
    return {
        (container, path): stored.data
        for container, blobs in world.storage.blobs.items()
        for path, stored in blobs.items()
        if not path.startswith("budget/")
    }


async def stand_still(sleeper: Sleeper, simulation: Simulation, pause: PauseAt) -> bool:
    """Live through it; whether there was such a point."""
    scenario = sleeper.scenario
    host = Host(scenario.world(simulation))
    world = host.world
    run = await begun(host, scenario)
    await sleeper.before(host, run)
    world.clock.advance(minutes=1)
    process = world.process(pause, clock=Clock(world.clock.now) if sleeper.stopped_clock else None)
    sleeping = asyncio.ensure_future(process.run(lambda services: sleeper.errand(services, run)))
    pausing = asyncio.ensure_future(pause.paused.wait())
    await asyncio.wait({sleeping, pausing}, return_when=asyncio.FIRST_COMPLETED)
    pausing.cancel()
    if not pause.paused.is_set():
        await sleeping
        return False
    await sleeper.meanwhile(host, run)
    before = state(world)
    pause.awake.set()
    await asyncio.gather(sleeping, return_exceptions=True)
    error = None if sleeping.cancelled() else sleeping.exception()
    require(error is None or isinstance(error, AppError), f"it ended with {error!r}")
    if sleeper.meanwhile is everything and sleeper.errand is one_slice:
        changed = {path for path, data in before.items() if state(world).get(path) != data}
        require(not changed, f"changed {changed}")
    await host.settle()
    await check_whole(world.storage)
    if sleeper.errand is cancelled:
        await succeeded(host, run)
    await check_latest_and_content(host, scenario, run)
    await process.close()
    await host.close()
    return True


async def check_latest_and_content(host: Host, scenario: Scenario, run: Run) -> None:
    """All is well, and what the sleeper left lying about is gone when the state of the run is deleted."""
    await check_run(host.world, run, scenario.datasets)
    host.world.clock.now += RUN_STATE_KEPT + timedelta(days=1)
    await host.sweep()
    await check(host.world.storage)


@pytest.mark.slow
@pytest.mark.parametrize("sleeper", SLEEPERS, ids=lambda one: one.name)
async def test_standing_still_at_every_point(sleeper: Sleeper, simulation: Simulation) -> None:
    broken = {}
    number = 1
    while True:
        pause = PauseAt(number)
        try:
            if not await stand_still(sleeper, simulation, pause):
                break
        except AssertionError as error:
            broken[pause.place] = str(error)
        number += 1
    assert not broken, "\n".join(f"{place}: {error}" for place, error in broken.items())
    assert number > 5

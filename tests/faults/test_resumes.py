"""Resumes do nothing twice (promise 2), whatever has happened since a run failed."""

from collections import Counter
from datetime import timedelta
from functools import partial

from sandbox.avepoint.items import TENANTS
from shared.harvest.plan.run import Run
from shared.harvest.runs.control import resume
from shared.harvest.runs.starting import start_requested
from shared.harvest.runs.state import DatasetView, view
from tests.faults.promises import lines, snapshots
from tests.faults.scenarios import A_PAGE_A_SLICE, APPS, Scenario, begun
from tests.faults.world import Host, Simulation, World

AUDIT = "aos-audit"
WINDOWED = Scenario(
    "audit",
    (AUDIT,),
    settings={"window_days": 3, "page_size": 30},
    simulation={"items": 300, "everyMinutes": 60},
)


async def night(world: World, host: Host, *, settle: bool = True) -> Run:
    world.clock.now = world.clock.now.replace(hour=2, minute=0, second=0, microsecond=0) + timedelta(days=1)
    world.avepoint.change({"now": world.clock.now.isoformat()})
    run = await host.run(partial(start_requested, source="graph", names=[AUDIT]))
    if settle:
        await host.settle()
    return run


async def stands(world: World, run: Run) -> DatasetView:
    return (await view(world.storage, run)).datasets[0]


async def doubled(world: World) -> int:
    """How many lines stand more than once in all published snapshots."""
    seen = Counter[bytes]()
    for manifest in (await snapshots(world.storage)).values():
        if manifest.published:
            seen.update(await lines(world.storage, manifest))
    return seen.total() - len(seen)


async def failed_night(simulation: Simulation, world: World, host: Host) -> Run:
    simulation.fault(path="/aos/audit", status=403)
    run = await night(world, host)
    world.avepoint.calm()
    assert (await stands(world, run)).state == "failed"
    return run


async def test_a_window_that_a_newer_run_has_harvested_is_not_published_again() -> None:
    simulation = Simulation.create()
    world = await WINDOWED.opened(simulation)
    host = Host(world)
    await night(world, host)
    failed = await failed_night(simulation, world, host)
    newer = await night(world, host)
    simulation.avepoint.log.clear()

    await host.run(partial(resume, run_id=failed.run_id))
    await host.settle()

    seen = await stands(world, failed)
    assert (seen.state, seen.published) == ("failed", False)
    assert (seen.reason or "").startswith(f"the run {newer.run_id} has harvested this window since, up to ")
    assert (seen.remedy or "").startswith("You do not have to do anything")
    assert simulation.avepoint.log.entries("/aos/audit") == []
    assert await doubled(world) == 0


async def test_a_list_that_a_newer_run_has_harvested_is_not_harvested_again() -> None:
    simulation = Simulation.create()
    scenario = Scenario("list")
    world = await scenario.opened(simulation)
    host = Host(world)
    simulation.fault(path=APPS, status=403)
    failed = await begun(host, scenario)
    await host.settle()
    world.clock.advance(days=1)
    newer = await begun(host, scenario)
    await host.settle()
    simulation.avepoint.log.clear()

    await host.run(partial(resume, run_id=failed.run_id))
    await host.settle()

    seen = await stands(world, failed)
    assert (seen.state, seen.reason) == ("failed", f"the run {newer.run_id} has harvested this list since")
    assert simulation.avepoint.log.entries(APPS) == []
    assert (await stands(world, newer)).published


async def test_a_window_that_a_newer_run_is_harvesting_is_left_to_it() -> None:
    simulation = Simulation.create()
    world = await WINDOWED.opened(simulation)
    host = Host(world)
    await night(world, host)
    failed = await failed_night(simulation, world, host)
    newer = await night(world, host, settle=False)

    await host.run(partial(resume, run_id=failed.run_id))
    assert f"the unfinished run {newer.run_id} is harvesting" in ((await stands(world, failed)).reason or "")
    await host.settle()

    assert (await stands(world, newer)).published
    assert await doubled(world) == 0


async def test_a_window_that_nobody_has_harvested_since_is_resumed() -> None:
    simulation = Simulation.create()
    world = await WINDOWED.opened(simulation)
    host = Host(world)
    await night(world, host)
    failed = await failed_night(simulation, world, host)

    await host.run(partial(resume, run_id=failed.run_id))
    await host.settle()

    assert (await stands(world, failed)).published
    await night(world, host)
    assert await doubled(world) == 0


async def test_two_failed_runs_of_overlapping_windows_are_resumed_once() -> None:
    simulation = Simulation.create()
    world = await WINDOWED.opened(simulation)
    host = Host(world)
    await night(world, host)
    first = await failed_night(simulation, world, host)
    second = await failed_night(simulation, world, host)

    for run in (first, second):
        await host.run(partial(resume, run_id=run.run_id))
        await host.settle()

    assert (await stands(world, first)).published
    assert f"the run {first.run_id} has harvested this window since" in ((await stands(world, second)).reason or "")
    await night(world, host)
    assert await doubled(world) == 0


async def test_a_dead_link_that_is_asked_once_more_begins_the_list_again() -> None:
    simulation = Simulation.create()
    scenario = Scenario("dead", settings=A_PAGE_A_SLICE)
    world = await scenario.opened(simulation)
    host = Host(world)
    run = await begun(host, scenario)
    for _ in range(3):
        simulation.avepoint.calm()
        simulation.fault(path=APPS, status=410, skip=1)
        await _until_gone(host, simulation)
    await host.settle()
    assert (await stands(world, run)).state == "failed"
    simulation.avepoint.calm()
    simulation.fault(path=APPS, status=410)

    await host.run(partial(resume, run_id=run.run_id))
    await host.settle()

    seen = await stands(world, run)
    assert (seen.verdict, seen.items) == ("complete", 250)


async def _until_gone(host: Host, simulation: Simulation) -> None:
    before = len(simulation.avepoint.log.entries(APPS))
    for _ in range(20):
        await host.step()
        if any(entry.status == 410 for entry in simulation.avepoint.log.entries(APPS)[before:]):
            return
    raise AssertionError("no link was dead")


async def test_a_tenant_named_twice_is_one_partition() -> None:
    twice = (TENANTS[0], TENANTS[0].upper(), TENANTS[1])
    world = await Scenario("tenants", settings={"tenants": twice}).opened(Simulation.create())
    host = Host(world)
    run = await begun(host, Scenario("tenants"))
    await host.settle()
    seen = await stands(world, run)
    assert (seen.partitions, seen.verdict) == (2, "complete")
    assert await doubled(world) == 0

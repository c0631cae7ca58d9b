"""Promise 1: a snapshot is judged by what the server said of it, and what is held back stays for inspection."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

import pytest

from sandbox.avepoint.items import TENANTS
from shared.harvest.plan.run import Run
from shared.harvest.runs.control import resume
from shared.harvest.snapshots.manifest import Manifest, Verdict, read_manifest
from tests.faults.promises import check, latest, lines
from tests.faults.scenarios import APPS, Scenario, begun, check_run, seen, served, tomorrow
from tests.faults.world import Host, Simulation

UNTOTALLED = Scenario("no totals", ("customers",), "elements", simulation={"items": 5})


def saying(total: int, *, skip: int = 0, times: int | None = None) -> Mapping[str, object]:
    """A server that says another total."""
    return {"path": APPS, "total": total, "skip": skip, "times": times}


@dataclass(frozen=True)
class Told:
    name: str
    totals: tuple[Mapping[str, object], ...]
    verdict: Verdict
    bounds: tuple[int, int]


@pytest.mark.parametrize(
    "told",
    [
        Told("the same on every page", (), "complete", (25, 25)),
        Told("more at first", (saying(40, times=1),), "complete", (25, 40)),
        Told("less in the middle", (saying(9, skip=1, times=1),), "complete", (9, 25)),
        Told("less on every page", (saying(20),), "surplus", (20, 20)),
        Told("more on every page", (saying(26),), "short", (26, 26)),
        Told("more and more", (saying(40, times=1), saying(50, times=1), saying(60)), "short", (40, 60)),
    ],
    ids=lambda told: told.name,
)
async def test_totals_that_move_while_paging(simulation: Simulation, told: Told) -> None:
    host, run = await ended(simulation, Scenario(told.name, faults=told.totals))
    manifest = await manifest_of(host, run)
    assert (manifest.verdict, manifest.items) == (told.verdict, 25)
    assert manifest.server_total is not None
    assert (manifest.server_total.min, manifest.server_total.max) == told.bounds
    assert await lines(host.world.storage, manifest) == served(host.world, manifest)
    assert (await seen(host.world, run)).state == ("partial" if told.verdict == "short" else "succeeded")


async def test_a_short_snapshot_stays_for_inspection_and_the_old_one_the_newest(simulation: Simulation) -> None:
    scenario = Scenario("short")
    host, first = await ended(simulation, scenario)
    tomorrow(host.world)
    simulation.fault(**saying(99))
    second = await begun(host, scenario)
    await host.settle()
    await host.sweep()
    manifest = await manifest_of(host, second)
    assert (manifest.verdict, manifest.published) == ("short", False)
    assert manifest.remedy
    assert await lines(host.world.storage, manifest) == served(host.world, manifest)
    assert [pointer.run_id for pointer in (await latest(host.world.storage)).values()] == [first.run_id]
    await check(host.world.storage)


async def test_a_snapshot_that_shrinks_to_nothing_is_held_back_where_no_total_says_so(simulation: Simulation) -> None:
    host, first = await ended(simulation, UNTOTALLED)
    tomorrow(host.world)
    host.world.avepoint.change({"items": 0})
    second = await begun(host, UNTOTALLED)
    await host.settle()
    manifest = await manifest_of(host, second)
    assert (manifest.verdict, manifest.published, manifest.items) == ("suspect_empty", False, 0)
    assert (await seen(host.world, second)).state == "partial"
    assert [pointer.run_id for pointer in (await latest(host.world.storage)).values()] == [first.run_id]


async def test_a_snapshot_that_shrinks_to_nothing_is_published_where_the_total_says_so(simulation: Simulation) -> None:
    scenario = Scenario("emptied")
    host, _ = await ended(simulation, scenario)
    tomorrow(host.world)
    host.world.avepoint.change({"items": 0})
    second = await begun(host, scenario)
    await host.settle()
    manifest = await manifest_of(host, second)
    assert (manifest.verdict, manifest.items, len(manifest.parts)) == ("complete", 0, 1)
    await check_run(host.world, second, scenario.datasets)


async def test_items_that_come_twice_are_counted_by_their_key(simulation: Simulation) -> None:
    host, run = await ended(simulation, Scenario("links that lead back", simulation={"linkOverlap": 2}))
    manifest = await manifest_of(host, run)
    read = await lines(host.world.storage, manifest)
    assert manifest.duplicates == len(read) - len(set(read)) == 2 * (manifest.pages - 1)
    assert set(read) == set(served(host.world, manifest))


async def test_resume_asks_only_for_what_failed(simulation: Simulation) -> None:
    refused = {"path": APPS, "status": 403, "skip": 3}
    host, run = await ended(simulation, Scenario("one of two", settings={"tenants": TENANTS}, faults=(refused,)))
    assert (await seen(host.world, run)).state == "failed"
    host.world.avepoint.log.clear()
    await host.insist(partial(resume, run_id=run.run_id))
    await host.settle()
    asked = host.world.avepoint.log.entries(APPS)
    assert asked
    assert not [entry for entry in asked if TENANTS[0] in entry.query]
    await check_run(host.world, run, ["enpower-powerapps"])


async def ended(simulation: Simulation, scenario: Scenario) -> tuple[Host, Run]:
    host = Host(scenario.world(simulation))
    run = await begun(host, scenario)
    await host.settle()
    return host, run


async def manifest_of(host: Host, run: Run) -> Manifest:
    manifest = await read_manifest(host.world.storage, run.run_id, run.source, run.datasets[0].dataset)
    assert manifest is not None
    return manifest

"""A past stretch is harvested again: nothing twice, and the watermark stays where it is (promise 2)."""

import json
from collections import Counter
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial

import pytest

from shared.azure.storage import Container
from shared.errors import InvalidInput
from shared.harvest.plan.run import Run
from shared.harvest.plan.windows import Window
from shared.harvest.runs.control import resume
from shared.harvest.runs.starting import plan_requested, start_requested
from shared.harvest.runs.state import DatasetView, view
from shared.harvest.snapshots.manifest import Manifest, read_manifest
from shared.harvest.snapshots.watermark import Watermark, read_watermark
from tests.faults.promises import lines, snapshots
from tests.faults.scenarios import Scenario
from tests.faults.test_publishers import CHILD
from tests.faults.world import Host, Simulation, World

AUDIT, LAUNCHES = "aos-audit", "enpower-powerapp-launches"
BY_DATES = "m365-backup-jobs"
WINDOWED = Scenario("audit", (AUDIT,), settings={"window_days": 3}, simulation={"items": 960, "everyMinutes": 60})


async def opened() -> tuple[World, Host]:
    world = await WINDOWED.opened(Simulation.create())
    return world, Host(world)


async def night(world: World, host: Host) -> Run:
    world.clock.now += timedelta(days=1)
    world.avepoint.change({"now": world.clock.now.isoformat()})
    run = await host.run(partial(start_requested, source="graph", names=[AUDIT]))
    await host.settle()
    return run


async def backfill(
    world: World, host: Host, *, days: tuple[float, float], name: str = AUDIT
) -> tuple[Manifest, Window]:
    stretch = stretch_of(world.clock.now, days)
    run = await begin(host, stretch, name=name)
    await host.settle()
    manifest = await read_manifest(world.storage, run.run_id, "graph", name)
    assert manifest is not None, await stands(world, run)
    return manifest, stretch


async def begin(host: Host, stretch: Window, *, name: str = AUDIT) -> Run:
    return await host.run(partial(start_requested, source="graph", names=[name], stretch=stretch))


def stretch_of(now: datetime, days: tuple[float, float]) -> Window:
    """From so many days ago to so many."""
    return Window(from_=now - timedelta(days=days[0]), to=now - timedelta(days=days[1]))


async def stands(world: World, run: Run) -> DatasetView:
    return (await view(world.storage, run)).datasets[0]


async def parents_of(world: World, manifest: Manifest) -> list[str]:
    """The parents that a snapshot was asked for."""
    assert manifest.parents is not None
    assert manifest.parents.path is not None
    listed = world.storage.blobs[Container.INVENTORY][manifest.parents.path]
    return [json.loads(line)["appId"] for line in listed.data.splitlines()]


async def mark(world: World) -> Watermark | None:
    return await read_watermark(world.storage, "graph", AUDIT, now=world.clock.now)


async def stored(world: World) -> list[bytes]:
    """Every line of all published snapshots."""
    return [
        line
        for manifest in (await snapshots(world.storage)).values()
        if manifest.published
        for line in await lines(world.storage, manifest)
    ]


async def test_a_stretch_is_published_as_an_increment_in_the_spans_that_the_api_wants() -> None:
    world, host = await opened()
    await night(world, host)
    before = await mark(world)
    world.avepoint.log.clear()

    manifest, stretch = await backfill(world, host, days=(30, 10))

    assert (manifest.published, manifest.kind, manifest.backfill) == (True, "window", True)
    assert manifest.window == stretch
    assert len(await lines(world.storage, manifest)) == manifest.items == 20 * 24
    asked = {str(entry.query) for entry in world.avepoint.log.entries("/aos/audit")}
    assert len(asked) >= 3
    assert await mark(world) == before


@pytest.mark.parametrize("order", ["backfill first", "backfill between", "backfill last", "twice"])
async def test_overlaps_double_nothing_in_a_list_without_key(order: str) -> None:
    world, host = await opened()
    await night(world, host)
    if order != "backfill last":
        await backfill(world, host, days=(8, 0.01))
    await night(world, host)
    if order == "backfill between":
        await backfill(world, host, days=(4, 1))
    await night(world, host)
    if order in {"backfill last", "twice"}:
        await backfill(world, host, days=(10, 0))

    seen = Counter(await stored(world))

    assert seen.total() == len(seen)
    assert len(seen) >= 24 * 8


async def test_a_night_and_a_stretch_at_once_are_two_runs() -> None:
    world, host = await opened()
    await night(world, host)
    world.clock.now += timedelta(days=1)
    world.avepoint.change({"now": world.clock.now.isoformat()})

    stretch = stretch_of(world.clock.now, (8, 0))
    past = await begin(host, stretch)
    again = await begin(host, stretch)
    tonight = await host.run(partial(start_requested, source="graph", names=[AUDIT]))
    await host.settle()

    assert past.run_id == again.run_id != tonight.run_id
    assert (await stands(world, past)).published
    assert (await stands(world, tonight)).published
    seen = Counter(await stored(world))
    assert seen.total() == len(seen)


@pytest.mark.parametrize("last_day", ["start", "end"])
async def test_of_a_list_that_is_bounded_by_dates_whole_days_are_harvested_and_none_twice(last_day: str) -> None:
    """Whether the last day is included is not documented, and the list cannot tell the hours of a day apart."""
    settings = {"items": 960, "everyMinutes": 60, "windowDay": last_day}
    world = await replace(WINDOWED, datasets=(BY_DATES,), simulation=settings).opened(Simulation.create())
    host, today = Host(world), world.clock.now.replace(hour=0, minute=0, second=0, microsecond=0)
    windows: list[Window] = []
    for begin_hour, end_hour in ((0, 10), (34, 58), (60, 72)):
        stretch = Window(
            from_=today - timedelta(days=15 - begin_hour / 24), to=today - timedelta(days=15 - end_hour / 24)
        )
        run = await begin(host, stretch, name=BY_DATES)
        await host.settle()
        manifest = await read_manifest(world.storage, run.run_id, "graph", BY_DATES)
        assert manifest is not None
        assert manifest.window is not None
        windows.append(manifest.window)

    assert [(today - one.from_, today - one.to) for one in windows] == [
        (timedelta(days=15), timedelta(days=14)),
        (timedelta(days=14), timedelta(days=12)),
        (timedelta(days=13), timedelta(days=12)),
    ]
    seen = Counter(await stored(world))
    assert seen.total() == len(seen)
    expected = world.avepoint.items(BY_DATES, window=(windows[0].from_, windows[-1].to))
    assert set(expected) <= set(seen)


async def test_a_first_night_of_part_of_a_day_doubles_nothing_in_a_list_that_is_bounded_by_dates() -> None:
    """The stretch before it ends with that day, where AvePoint includes the last one."""
    settings = {"items": 960, "everyMinutes": 60, "windowDay": "end"}
    halves = replace(WINDOWED, datasets=(BY_DATES,), settings={"window_days": 2.5}, simulation=settings)
    world = await halves.opened(Simulation.create())
    host, today = Host(world), world.clock.now.replace(hour=0, minute=0, second=0, microsecond=0)
    stretch = Window(from_=today - timedelta(days=9), to=today - timedelta(days=3))
    await begin(host, stretch, name=BY_DATES)
    await host.settle()
    await host.run(partial(start_requested, source="graph", names=[BY_DATES]))
    await host.settle()

    seen = Counter(await stored(world))
    assert seen.total() == len(seen) >= 9 * 24


async def test_today_is_left_to_the_nights_in_a_list_that_is_bounded_by_dates() -> None:
    world = await replace(WINDOWED, datasets=(BY_DATES,)).opened(Simulation.create())
    host = Host(world)
    seen = await stands(world, await begin(host, stretch_of(world.clock.now, (0.02, 0)), name=BY_DATES))
    assert (seen.state, seen.reason) == ("skipped", "the harvests of every night hold this stretch, or will")


async def test_children_are_asked_for_the_whole_stretch() -> None:
    world = await replace(CHILD, settings={**CHILD.settings, "window_days": 7}).opened(Simulation.create())
    host = Host(world)
    await host.run(partial(start_requested, source="graph", names=[LAUNCHES]))
    await host.settle()
    before = await read_watermark(world.storage, "graph", LAUNCHES, now=world.clock.now)

    manifest, stretch = await backfill(world, host, days=(15, 5), name=LAUNCHES)

    assert manifest.published
    assert manifest.window == stretch
    assert manifest.items > 0 < manifest.duplicates
    assert await read_watermark(world.storage, "graph", LAUNCHES, now=world.clock.now) == before


async def test_each_run_asks_the_parents_that_were_asked_for_least_of_the_stretch() -> None:
    world = await CHILD.opened(Simulation.create())
    host = Host(world)
    asked: list[list[str]] = []
    for _ in range(3):
        manifest, _ = await backfill(world, host, days=(15, 5), name=LAUNCHES)
        asked.append(await parents_of(world, manifest))
    assert [len(one) for one in asked] == [2, 2, 2]
    assert len({parent for one in asked for parent in one}) == 6
    manifest, _ = await backfill(world, host, days=(19, 16), name=LAUNCHES)
    assert await parents_of(world, manifest) == asked[0]


async def test_a_parent_that_failed_comes_first_again() -> None:
    world = await CHILD.opened(Simulation.create())
    host = Host(world)
    world.simulation.fault(path="/smp/powerplatform/powerapps/*/launches", status=403, times=1)
    first, _ = await backfill(world, host, days=(15, 5), name=LAUNCHES)
    second, _ = await backfill(world, host, days=(15, 5), name=LAUNCHES)
    assert first.parents is not None
    assert [one.parent["appId"] for one in first.parents.failed] == (await parents_of(world, second))[:1]


async def test_what_the_nights_hold_is_left_to_them() -> None:
    world, host = await opened()
    await night(world, host)
    seen = await stands(world, await begin(host, stretch_of(world.clock.now, (0.02, 0))))
    assert (seen.state, seen.reason) == ("skipped", "the harvests of every night hold this stretch, or will")


@pytest.mark.parametrize(
    ("names", "days", "target"),
    [
        ([AUDIT], (1, 2), "window"),
        ([AUDIT], (1, -1), "window"),
        (["aos-jobs"], (2, 1), "datasets"),
        (["enpower-*"], (2, 1), "datasets"),
    ],
)
async def test_what_cannot_be_harvested_so_is_refused(names: list[str], days: tuple[float, float], target: str) -> None:
    world, host = await opened()
    stretch = stretch_of(world.clock.now, days)
    for errand in (start_requested, plan_requested):
        with pytest.raises(InvalidInput) as refused:
            await host.run(partial(errand, source="graph", names=names, stretch=stretch))
        assert refused.value.target == target


async def test_an_ended_run_is_told_as_it_was_whatever_becomes_of_its_documents() -> None:
    """What has ended is not derived again: one read, however many datasets a run has."""
    world, host = await opened()
    run = await night(world, host)
    told = await stands(world, run)
    world.storage.transactions.clear()
    kept = next(iter(await _runs(world)))
    assert (await view(world.storage, kept)).state == "succeeded"
    assert world.storage.transactions["read"] == 0
    assert (await view(world.storage, kept)).datasets[0] == told


async def _runs(world: World) -> list[Run]:
    state = world.storage.blobs[Container.HARVEST_STATE]
    return [Run.from_json(one.data) for path, one in state.items() if path.endswith("/run.json")]


async def test_a_list_is_harvested_for_one_stretch_at_a_time() -> None:
    world, host = await opened()
    await night(world, host)
    first = await begin(host, stretch_of(world.clock.now, (9, 6)))
    second = await begin(host, stretch_of(world.clock.now, (8, 5)))
    assert (await stands(world, second)).reason == f"the unfinished run {first.run_id} still holds it"


async def test_before_the_first_night_it_waits_for_the_stretch() -> None:
    world, host = await opened()
    past = await begin(host, stretch_of(world.clock.now, (9, 0)))
    tonight = await host.run(partial(start_requested, source="graph", names=[AUDIT]))
    assert (await stands(world, tonight)).reason == f"the unfinished run {past.run_id} still holds it"


async def test_a_stretch_that_another_run_has_published_since_is_not_published_when_it_is_resumed() -> None:
    world, host = await opened()
    await night(world, host)
    stretch = stretch_of(world.clock.now, (9, 6))
    world.simulation.fault(path="/aos/audit", status=403, times=1)
    late = await begin(host, stretch)
    await host.settle()
    assert (await stands(world, late)).state == "failed"
    await backfill(world, host, days=(8, 5))

    await host.run(partial(resume, run_id=late.run_id))
    await host.settle()

    assert (await stands(world, late)).state == "failed"
    assert "has published lines of this window since" in ((await stands(world, late)).reason or "")
    seen = Counter(await stored(world))
    assert seen.total() == len(seen)

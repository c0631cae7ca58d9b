"""Jobs and runs are followed to their end: the last state of each is stored (promise 9)."""

import json
from datetime import datetime, timedelta
from functools import partial

import pytest

from shared.avepoint.catalog import Dataset, catalog
from shared.avepoint.fields import fields_of
from shared.harvest.plan.run import Run
from shared.harvest.plan.windows import Window
from shared.harvest.runs.control import resume
from shared.harvest.runs.starting import start_requested
from shared.harvest.runs.state import view
from shared.harvest.snapshots.manifest import Manifest, read_manifest
from shared.harvest.snapshots.watermark import read_watermark
from tests.faults.promises import lines
from tests.faults.scenarios import Scenario
from tests.faults.world import BEGIN, Host, Simulation, World

FOLLOWED = [dataset for dataset in catalog().values() if dataset.window and fields_of(dataset).ending]


def scenario(dataset: Dataset, parents: int = 2, /, **settings: object) -> Scenario:
    names = (dataset.parent.dataset,) if dataset.parent else ()
    items = {dataset.name: 200, **dict.fromkeys(names, parents)}
    return Scenario(
        "jobs", (dataset.name,), parents=names, settings=settings, simulation={"items": items, "everyMinutes": 60}
    )


async def night(world: World, host: Host, dataset: Dataset) -> Manifest:
    world.avepoint.change({"now": world.clock.now.isoformat()})
    run = await host.run(partial(start_requested, source="graph", names=[dataset.name]))
    await host.settle()
    manifest = await read_manifest(world.storage, run.run_id, "graph", dataset.name)
    assert manifest is not None, (await view(world.storage, run)).datasets
    assert manifest.published
    world.clock.now = world.clock.now.replace(hour=2, minute=0, second=0, microsecond=0) + timedelta(days=1)
    return manifest


async def last_states(world: World, manifests: list[Manifest], dataset: Dataset) -> dict[object, dict[str, object]]:
    """The last line of each item, by its parent and key."""
    states: dict[object, dict[str, object]] = {}
    for manifest in manifests:
        for line in await lines(world.storage, manifest):
            item = json.loads(line)
            states[(json.dumps(item.get("_parent")), *(str(item[key]) for key in dataset.key))] = item
    return states


@pytest.mark.parametrize("filters_by", ["start", "within"])
@pytest.mark.parametrize("dataset", FOLLOWED, ids=lambda dataset: dataset.name)
async def test_what_ends_after_the_tick_is_stored_with_its_end(dataset: Dataset, filters_by: str) -> None:
    world = await scenario(dataset).opened(Simulation.create())
    world.avepoint.change({"runningMinutes": 420, "windowFilter": filters_by})
    host = Host(world)
    nights = [await night(world, host, dataset) for _ in range(3)]

    ending = fields_of(dataset).ending
    assert ending is not None
    states = await last_states(world, nights, dataset)
    long_ago = (world.clock.now - timedelta(days=1, hours=30)).isoformat()
    old = [item for item in states.values() if str(item["startTime"]).replace(" ", "T") < long_ago]
    assert len(old) > 12
    assert [item for item in old if not ending.has_ended(item)] == []
    if filters_by == "start":
        assert (nights[0].open or 0) > 0


async def test_a_window_reaches_back_to_the_oldest_job_that_has_not_ended_and_no_further_than_allowed() -> None:
    dataset = catalog()["graph", "iaas-backup-jobs"]
    world = await scenario(dataset, open_days=4).opened(Simulation.create())
    world.avepoint.change({"runningMinutes": 60 * 60})
    host = Host(world)
    begins = []
    for _ in range(8):
        now = world.clock.now
        manifest = await night(world, host, dataset)
        assert manifest.window is not None
        assert manifest.open
        begins.append((now - manifest.window.from_) / timedelta(days=1))
    assert begins[0] > 29
    assert all(3.4 < days < 5.1 for days in begins[3:]), begins


async def test_jobs_of_every_parent_are_followed_whichever_part_they_stand_in() -> None:
    dataset = next(one for one in FOLLOWED if one.parent)
    world = await scenario(dataset, 12, page_size=40).opened(Simulation.create())
    world.avepoint.change({"runningMinutes": 30 * 60, "windowFilter": "start"})
    host = Host(world)
    nights = [await night(world, host, dataset) for _ in range(3)]

    ending = fields_of(dataset).ending
    assert ending is not None
    states = await last_states(world, nights, dataset)
    long_ago = (world.clock.now - timedelta(days=1, hours=36)).isoformat()
    old = [item for item in states.values() if str(item["startTime"]).replace(" ", "T") < long_ago]
    assert len(old) > 200
    assert [item for item in old if not ending.has_ended(item)] == []


async def test_where_all_have_ended_a_day_is_enough_and_nothing_comes_twice() -> None:
    dataset = catalog()["graph", "iaas-backup-jobs"]
    world = await scenario(dataset).opened(Simulation.create())
    host = Host(world)
    first, second = [await night(world, host, dataset) for _ in range(2)]
    assert (first.open, second.open) == (0, 0)
    assert first.window is not None
    assert second.window is not None
    assert second.window.from_ == first.window.to - timedelta(days=1)
    read = [*await lines(world.storage, first), *await lines(world.storage, second)]
    assert len(read) == len(set(read))


async def test_nothing_ends_in_an_audit_log() -> None:
    dataset = catalog()["graph", "aos-audit"]
    world = await scenario(dataset).opened(Simulation.create())
    host = Host(world)
    first, second = [await night(world, host, dataset) for _ in range(2)]
    assert (first.open, second.open) == (None, None)
    assert first.window is not None
    assert second.window is not None
    assert second.window.from_ == first.window.to - timedelta(hours=1)


AUDIT = "aos-audit"


async def audit_log(**settings: object) -> World:
    """An app whose runs last an hour, and an event an hour."""
    hurried = {"window_days": 28, "run_hours": 1, "slice_seconds": 0.001, **settings}
    world = await scenario(catalog()["graph", AUDIT], **hurried).opened(Simulation.create())
    world.avepoint.change({"items": {AUDIT: 28 * 24}, "everyMinutes": 60, "now": BEGIN.isoformat()})
    return world


async def cut_short(world: World, host: Host, *, after: int = 2, stretch: Window | None = None) -> Run:
    """A run that comes to its deadline when it has asked for so many pages of a span each."""
    world.avepoint.change({"now": world.clock.now.isoformat()})
    world.avepoint.log.clear()
    begun: datetime = world.clock.now
    run = await host.run(partial(start_requested, source="graph", names=[AUDIT], stretch=stretch))
    for _ in range(20):
        if len(world.avepoint.log.entries("/aos/audit")) == after:
            break
        await host.step()
    world.clock.now = begun + timedelta(hours=1, minutes=5)
    await host.settle()
    return run


async def test_whole_spans_are_published_at_the_deadline_and_the_next_run_goes_on() -> None:
    world = await audit_log()
    host = Host(world)
    run = await cut_short(world, host)

    first = await read_manifest(world.storage, run.run_id, "graph", AUDIT)
    assert first is not None
    assert first.published
    assert first.window is not None
    assert first.window.to - first.window.from_ == timedelta(days=7)
    assert "publishes the window up to this point" in (first.reason or "")
    assert "the next run continues" in (first.remedy or "")
    seen = (await view(world.storage, run)).datasets[0]
    assert (seen.state, seen.published, seen.reason) == ("done", True, first.reason)

    world.clock.now += timedelta(hours=1)
    second = await night(world, host, catalog()["graph", AUDIT])
    assert second.window is not None
    assert second.window.from_ == first.window.to - timedelta(hours=1)
    read = [*await lines(world.storage, first), *await lines(world.storage, second)]
    assert len(read) == len(set(read)) >= 28 * 24 - 2


async def test_at_the_deadline_of_a_past_stretch_the_rest_is_left_to_whoever_asked() -> None:
    world = await audit_log()
    stretch = Window(from_=BEGIN - timedelta(days=28), to=BEGIN - timedelta(days=1))
    run = await cut_short(world, Host(world), stretch=stretch)

    manifest = await read_manifest(world.storage, run.run_id, "graph", AUDIT)
    assert manifest is not None
    assert manifest.published
    assert manifest.window == Window(from_=stretch.from_, to=stretch.from_ + timedelta(days=7))
    assert manifest.remedy == "Start a run for the rest of the period, from 2026-02-27T02:00:00Z on."


async def test_a_run_that_comes_no_further_than_the_last_one_fails_and_can_be_resumed() -> None:
    """The overlap is longer than a span: what was harvested of it is no progress."""
    world = await audit_log(window_overlap_minutes=15 * 24 * 60)
    host = Host(world)
    await cut_short(world, host, after=1000)
    before = await read_watermark(world.storage, "graph", AUDIT, now=world.clock.now)
    world.clock.now += timedelta(days=1)
    run = await cut_short(world, host)

    held_back = await read_manifest(world.storage, run.run_id, "graph", AUDIT)
    assert held_back is not None
    assert (held_back.verdict, held_back.published) == ("failed", False)
    assert "HARVEST_WINDOW_OVERLAP_MINUTES" in (held_back.remedy or "")
    assert await read_watermark(world.storage, "graph", AUDIT, now=world.clock.now) == before

    await host.run(partial(resume, run_id=run.run_id))
    await host.settle()
    after = await read_watermark(world.storage, "graph", AUDIT, now=world.clock.now)
    assert before is not None
    assert after is not None
    assert after.to - before.to > timedelta(days=1)

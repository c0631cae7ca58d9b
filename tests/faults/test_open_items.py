"""Jobs and runs are followed to their end: the last state of each is stored (promise 9)."""

import json
from datetime import datetime, timedelta
from functools import partial

import pytest

from shared.avepoint.catalog import Dataset, catalog
from shared.avepoint.fields import fields_of
from shared.harvest.runs.starting import start_requested
from shared.harvest.runs.state import view
from shared.harvest.snapshots.manifest import Manifest, read_manifest
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


async def test_whole_spans_are_published_at_the_deadline_and_the_next_run_goes_on() -> None:
    dataset = catalog()["graph", "aos-audit"]
    long = {"window_days": 28, "run_hours": 1, "slice_seconds": 0.001}
    world = await scenario(dataset, **long).opened(Simulation.create())
    world.avepoint.change({"items": {"aos-audit": 28 * 24}, "everyMinutes": 60, "now": BEGIN.isoformat()})
    world.avepoint.log.clear()
    host = Host(world)
    begun: datetime = world.clock.now
    run = await host.run(partial(start_requested, source="graph", names=["aos-audit"]))
    for _ in range(20):
        if len(world.avepoint.log.entries("/aos/audit")) == 2:
            break
        await host.step()
    world.clock.now = begun + timedelta(hours=1, minutes=5)
    await host.settle()

    first = await read_manifest(world.storage, run.run_id, "graph", "aos-audit")
    assert first is not None
    assert first.published
    assert first.window is not None
    assert first.window.to - first.window.from_ == timedelta(days=7)
    assert "publishes the window up to this point" in (first.reason or "")
    seen = (await view(world.storage, run)).datasets[0]
    assert (seen.state, seen.published, seen.reason) == ("done", True, first.reason)

    world.clock.now += timedelta(hours=1)
    second = await night(world, host, dataset)
    assert second.window is not None
    assert second.window.from_ == first.window.to - timedelta(hours=1)
    read = [*await lines(world.storage, first), *await lines(world.storage, second)]
    assert len(read) == len(set(read)) >= 28 * 24 - 2

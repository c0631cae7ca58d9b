"""Not there is not nothing, and damage is local (promise 9)."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from hashlib import sha256

import pytest

from shared.avepoint.catalog import catalog
from shared.azure.damage import unusable
from shared.azure.storage import Container, Stored
from shared.harvest.plan import paths
from shared.harvest.plan.run import Run
from shared.harvest.runs.control import resume
from shared.harvest.runs.starting import start_requested
from shared.harvest.runs.state import DatasetView, view
from shared.harvest.runs.sweep import sweep
from shared.harvest.slices.publishing.publication import publish_if_complete
from shared.harvest.snapshots.inventory import list_inventory
from shared.harvest.snapshots.manifest import read_latest, read_manifest
from shared.harvest.snapshots.watermark import Watermark
from tests.faults.scenarios import Scenario
from tests.faults.test_publishers import CHILD
from tests.faults.world import Host, Simulation, World

APPS, LAUNCHES, AUDIT = "enpower-powerapps", "enpower-powerapp-launches", "aos-audit"
APP_LIST = Scenario("apps", settings={"slice_seconds": 0.001}, simulation={"items": 25})
WINDOWED = Scenario("audit", (AUDIT,), settings={"window_days": 3}, simulation={"items": 90, "everyMinutes": 60})

type Damage = Callable[[World], None]


async def night(world: World, host: Host, name: str) -> Run:
    world.clock.advance(days=1)
    world.avepoint.change({"now": world.clock.now.isoformat()})
    run = await host.run(partial(start_requested, source="graph", names=[name]))
    await host.settle()
    return run


async def stands(world: World, run: Run) -> DatasetView:
    return (await view(world.storage, run)).datasets[0]


def delete(world: World, container: Container, prefix: str, suffix: str = "") -> None:
    blobs = world.storage.blobs[container]
    found = [path for path in blobs if path.startswith(prefix) and path.endswith(suffix)]
    assert found, prefix
    for path in found:
        del blobs[path]


def overwrite(world: World, container: Container, path: str, data: bytes) -> None:
    world.storage.blobs[container][path] = Stored(data, f"etag of {sha256(data).hexdigest()}")
    world.storage._modified[container, path] = world.clock.now  # noqa: SLF001 - somebody else's hand


async def opened(scenario: Scenario) -> tuple[World, Host]:
    world = await scenario.opened(Simulation.create())
    return world, Host(world)


@pytest.mark.parametrize(
    ("what", "prefix", "told"),
    [
        ("manifest", f"manifests/graph/{APPS}/", "is named as a published snapshot, and is not there"),
        ("part", f"raw/graph/{APPS}/", "is not there"),
    ],
)
async def test_parents_that_are_not_there_fail_their_children_and_the_old_snapshot_stays(
    what: str, prefix: str, told: str
) -> None:
    world, host = await opened(CHILD)
    await night(world, host, LAUNCHES)
    before = await read_latest(world.storage, "graph", LAUNCHES)
    delete(world, Container.INVENTORY, prefix)

    seen = await stands(world, await night(world, host, LAUNCHES))

    assert (seen.state, seen.published) == ("failed", False), what
    assert told in (seen.reason or "")
    assert seen.remedy
    assert before is not None
    assert await read_latest(world.storage, "graph", LAUNCHES) == before


@pytest.mark.parametrize("damage", [b"", b"{", b'{"schema": 2}'], ids=["empty", "cut", "newer"])
async def test_a_pointer_to_parents_that_cannot_be_read_is_not_taken_for_none(damage: bytes) -> None:
    world, host = await opened(CHILD)
    await night(world, host, LAUNCHES)
    overwrite(world, Container.INVENTORY, paths.latest("graph", APPS), damage)

    seen = await stands(world, await night(world, host, LAUNCHES))

    assert (seen.state, seen.published) == ("failed", False)
    assert f"inventory/latest/graph/{APPS}.json" in (seen.reason or "")
    assert seen.remedy


@pytest.mark.parametrize("damage", [b"", b"{", b'{"parents": [], "left_out": "x"}'], ids=["empty", "cut", "odd"])
async def test_chosen_parents_that_cannot_be_read_fail_their_dataset_by_name(damage: bytes) -> None:
    world, host = await opened(CHILD)
    world.clock.advance(days=1)
    run = await host.run(partial(start_requested, source="graph", names=[LAUNCHES]))
    path = paths.parents(run.run_id, "graph", LAUNCHES)
    while path not in world.storage.blobs[Container.HARVEST_STATE]:
        await host.step()
    overwrite(world, Container.HARVEST_STATE, path, damage)
    await host.settle()

    seen = await stands(world, run)

    assert (seen.state, seen.published) == ("failed", False)
    assert f"harvest-state/{path} is not a list of parents" in (seen.reason or "")
    assert seen.remedy == "Start a new run."


async def test_chosen_parents_that_are_not_there_are_not_taken_for_none() -> None:
    world, host = await opened(CHILD)
    run = await night(world, host, LAUNCHES)
    path = paths.parents(run.run_id, "graph", LAUNCHES)
    world.storage.changed = lambda *_: None  # as if the run had not published yet
    delete(world, Container.HARVEST_STATE, path)
    delete(world, Container.INVENTORY, paths.manifest(run.run_id, "graph", LAUNCHES))
    delete(world, Container.INVENTORY, paths.latest("graph", LAUNCHES))

    await publish_if_complete(world.storage, run, catalog()["graph", LAUNCHES], now=world.clock.now)

    manifest = await read_manifest(world.storage, run.run_id, "graph", LAUNCHES)
    assert manifest is not None
    assert (manifest.verdict, manifest.published) == ("failed", False)
    assert manifest.reason == f"harvest-state/{path} is not there"


@pytest.mark.parametrize("path", [paths.watermark("graph", AUDIT), paths.latest("graph", AUDIT)])
async def test_a_document_that_cannot_be_read_has_a_remedy(path: str) -> None:
    world, host = await opened(WINDOWED)
    await night(world, host, AUDIT)
    container = Container.HARVEST_STATE if path.startswith("watermarks/") else Container.INVENTORY
    overwrite(world, container, path, b"{")

    seen = await stands(world, await night(world, host, AUDIT))

    assert (seen.state, seen.published) == ("failed", False)
    assert f"{container}/{path}" in (seen.reason or "")
    assert "doctor --repair" in (seen.remedy or "")


@pytest.mark.parametrize("name", [AUDIT, LAUNCHES])
async def test_a_watermark_whose_hashes_are_not_there_fails_its_dataset(name: str) -> None:
    world, host = await opened(CHILD if name == LAUNCHES else WINDOWED)
    await night(world, host, name)
    before = await read_latest(world.storage, "graph", name)
    delete(world, Container.HARVEST_STATE, f"watermarks/graph/{name}/", ".bin")

    seen = await stands(world, await night(world, host, name))

    assert (seen.state, seen.published) == ("failed", False)
    assert f"harvest-state/watermarks/graph/{name}/" in (seen.reason or "")
    assert "doctor --repair" in (seen.remedy or "")
    assert await read_latest(world.storage, "graph", name) == before


async def test_keys_that_are_not_there_are_not_counted_as_no_duplicates() -> None:
    world, host = await opened(APP_LIST)
    world.clock.advance(days=1)
    run = await host.run(partial(start_requested, source="graph", names=[APPS]))
    keys = f"runs/{run.run_id}/keys/"
    while not any(path.startswith(keys) for path in world.storage.blobs[Container.HARVEST_STATE]):
        await host.step()
    delete(world, Container.HARVEST_STATE, keys)
    await host.settle()

    seen = await stands(world, run)

    assert (seen.state, seen.published) == ("failed", False)
    assert f"harvest-state/runs/{run.run_id}/keys/" in (seen.reason or "")


async def test_a_pointer_from_the_future_is_an_error_by_name() -> None:
    world, host = await opened(APP_LIST)
    await night(world, host, APPS)
    latest = await read_latest(world.storage, "graph", APPS)
    assert latest is not None
    ahead = latest.model_copy(update={"finished_at": latest.finished_at + timedelta(days=365)})
    overwrite(world, Container.INVENTORY, paths.latest("graph", APPS), ahead.to_json())

    run = await night(world, host, APPS)
    seen = await stands(world, run)

    assert (seen.state, seen.published) == ("failed", False)
    assert f"finishedAt of latest/graph/{APPS}.json is " in (seen.reason or "")
    ages = await host.run(list_inventory)
    assert next(one for one in ages if one.name == APPS).age_seconds is None

    overwrite(world, Container.INVENTORY, paths.latest("graph", APPS), latest.to_json())
    await host.run(partial(resume, run_id=run.run_id))
    await host.run(sweep)
    assert (await stands(world, run)).published


async def test_a_watermark_from_the_future_is_an_error_by_name() -> None:
    world, host = await opened(WINDOWED)
    await night(world, host, AUDIT)
    path = paths.watermark("graph", AUDIT)
    stored = Watermark.from_json(world.storage.blobs[Container.HARVEST_STATE][path].data)
    ahead = stored.model_copy(update={"to": stored.to + timedelta(days=365)})
    overwrite(world, Container.HARVEST_STATE, path, ahead.to_json())

    run = await night(world, host, AUDIT)
    seen = await stands(world, run)

    assert (seen.state, seen.published) == ("failed", False)
    assert f"to of {path} is " in (seen.reason or "")
    assert "doctor --repair" in (seen.remedy or "")
    assert (await view(world.storage, run)).state == "failed"


async def test_a_watermark_at_the_beginning_of_time_keeps_no_other_dataset_from_its_harvest() -> None:
    world, host = await opened(WINDOWED)
    await night(world, host, AUDIT)
    path = paths.watermark("graph", AUDIT)
    stored = Watermark.from_json(world.storage.blobs[Container.HARVEST_STATE][path].data)
    long_ago = stored.model_copy(update={"to": datetime.min.replace(tzinfo=UTC)})
    overwrite(world, Container.HARVEST_STATE, path, long_ago.to_json())

    run = await host.run(partial(start_requested, source="graph", names=[AUDIT, "aos-jobs"]))
    await host.settle()
    seen = {one.dataset: one for one in (await view(world.storage, run)).datasets}

    assert seen["aos-jobs"].published
    assert seen[AUDIT].state == "failed"
    assert f"to of {path} is 0001-01-01" in (seen[AUDIT].reason or "")
    assert "doctor --repair" in (seen[AUDIT].remedy or "")


FOREIGN: dict[str, tuple[Container, str, bytes]] = {
    "run": (Container.HARVEST_STATE, "runs/20260101T000000Z-graph/run.json", b"{"),
    "folder": (Container.HARVEST_STATE, "runs/copy of yesterday/run.json", b"{}"),
    "announced": (Container.HARVEST_STATE, "announced/graph.json", b"{"),
    "latest": (Container.INVENTORY, "latest/graph/aos-jobs.json", b"{}"),
    "foreign latest": (Container.INVENTORY, "latest/readme.txt", b"hello"),
    "remembered": (Container.HARVEST_STATE, "watermarks/graph/aos-audit/somebody's file", b"1"),
    "watermark": (Container.HARVEST_STATE, "watermarks/graph/aos-jobs.json", b"{"),
}


@pytest.mark.parametrize("name", FOREIGN)
async def test_what_cannot_be_read_is_passed_over_and_everything_else_goes_on(name: str) -> None:
    world, host = await opened(APP_LIST)
    await night(world, host, APPS)
    overwrite(world, *FOREIGN[name])

    run = await night(world, host, APPS)

    assert (await stands(world, run)).published
    calls: list[Callable[..., Awaitable[object]]] = [sweep, list_inventory]
    for call in calls:
        await host.run(call)
    seen = {one.name: one for one in await host.run(list_inventory)}
    assert seen[APPS].latest_run == run.run_id
    stored = await host.run(partial(start_requested, source="graph", names=[APPS]))
    assert stored.run_id != run.run_id


@pytest.mark.parametrize("damage", [b"", b"{", b'{"schema": 2}'], ids=["empty", "cut", "newer"])
async def test_the_last_run_cannot_be_read_and_another_one_starts(damage: bytes) -> None:
    world, host = await opened(APP_LIST)
    last = await host.run(partial(start_requested, source="graph", names=[APPS]))
    await host.settle()
    overwrite(world, Container.HARVEST_STATE, paths.run_document(last.run_id), damage)

    run = await host.run(partial(start_requested, source="graph", names=[APPS]))
    await host.settle()

    assert (await stands(world, run)).published
    assert paths.run_document(last.run_id) in unusable()


async def test_a_checkpoint_that_cannot_be_read_fails_its_dataset_alone() -> None:
    world, host = await opened(Scenario("two", (APPS, "enpower-cloudflows")))
    world.clock.advance(days=1)
    run = await host.run(partial(start_requested, source="graph", names=[APPS, "enpower-cloudflows"]))
    overwrite(world, Container.HARVEST_STATE, paths.checkpoint(run.run_id, "graph", APPS, "all"), b"{")
    await host.settle()

    seen = {one.dataset: one for one in (await view(world.storage, run)).datasets}

    assert seen[APPS].state == "failed"
    assert "a stored Checkpoint cannot be read" in (seen[APPS].reason or "")
    assert seen["enpower-cloudflows"].published
    await host.run(sweep)

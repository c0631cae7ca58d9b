"""What the first release has stored stays readable, and its unfinished run goes on (promises 1 and 2).

``fixtures/first-release.jsonl`` is a storage account as the first release left it: one finished night, and a second one
in the middle, after one slice of each partition. Its first line is the time and the messages that were on the queue.
"""

import json
from base64 import b64decode
from datetime import datetime
from pathlib import Path

import pytest

from shared.azure.storage import Container, Queue
from shared.harvest.plan.run import read_run, run_ids
from shared.harvest.runs.state import view
from shared.harvest.slices.checkpoint import read_checkpoint
from shared.harvest.snapshots.manifest import read_latest, read_manifest
from shared.harvest.snapshots.watermark import read_watermark
from tests.faults.scenarios import Scenario
from tests.faults.world import Host, Simulation, World

FIXTURE = Path(__file__).parent / "fixtures" / "first-release.jsonl"
DATASETS = ("enpower-powerapps", "aos-audit")


@pytest.fixture
async def world(simulation: Simulation) -> World:
    first, *blobs = map(json.loads, FIXTURE.read_text().splitlines())
    settings = {"slice_seconds": 0.001, "page_size": 10}
    scenario = Scenario("old", DATASETS, settings=settings, simulation={"items": 25, "everyMinutes": 480})
    world = await scenario.opened(simulation)
    world.clock.now = datetime.fromisoformat(first["now"])
    world.avepoint.change({"now": first["now"]})
    guard, world.storage.changed = world.storage.changed, lambda *_: None  # all of it was there at once
    for blob in blobs:
        await world.storage.write(Container(blob["container"]), blob["path"], b64decode(blob["data"]), etag=None)
    world.storage.changed = guard
    for message in first["messages"]:
        await world.storage.enqueue(Queue.SLICES, message)
    return world


async def test_its_documents_are_read(world: World) -> None:
    newest, oldest = await run_ids(world.storage)
    run = await read_run(world.storage, newest)
    assert run is not None
    assert (await view(world.storage, run)).state == "running"
    checkpoints = [(await read_checkpoint(world.storage, address)).value for address in run.addresses()]
    assert [one.epoch for one in checkpoints] == [1, 1]
    for dataset in DATASETS:
        latest = await read_latest(world.storage, "graph", dataset)
        assert latest is not None
        manifest = await read_manifest(world.storage, latest.run_id, "graph", dataset)
        assert manifest is not None
        assert manifest.published
    assert oldest < newest
    assert await read_watermark(world.storage, "graph", "aos-audit", now=world.clock.now) is not None


async def test_its_unfinished_run_goes_on_and_is_published(world: World) -> None:
    host = Host(world)
    await host.settle()
    await host.close()
    newest, _ = await run_ids(world.storage)
    run = await read_run(world.storage, newest)
    assert run is not None
    seen = await view(world.storage, run)
    assert (seen.state, {one.published for one in seen.datasets}) == ("succeeded", {True})
    for dataset in DATASETS:
        latest = await read_latest(world.storage, "graph", dataset)
        assert latest is not None
        assert latest.run_id == newest

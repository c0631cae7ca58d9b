"""A clock that was ahead has written times that are still to come: no silence until then (promise 9)."""

import logging
from datetime import timedelta
from functools import partial
from typing import Any

import pytest

from shared.azure.damage import unusable
from shared.azure.lease import Hold
from shared.azure.storage import Container, Queue
from shared.harvest.plan import paths
from shared.harvest.plan.run import Address, Run, read_run, run_ids
from shared.harvest.runs.starting import start_requested
from shared.harvest.runs.state import DatasetView, view
from shared.harvest.runs.sweep import sweep
from shared.harvest.slices import worker
from shared.harvest.slices.checkpoint import Checkpoint, checkpoint_path
from tests.faults.scenarios import A_PAGE_A_SLICE, Scenario
from tests.faults.test_missing_documents import APPS, night, overwrite, stands
from tests.faults.world import Host, Simulation, World

YEAR = timedelta(days=365)
SLICES = Scenario("slices", settings=A_PAGE_A_SLICE, simulation={"items": 45})


@pytest.fixture
def world() -> World:
    return SLICES.world(Simulation.create())


@pytest.fixture
def host(world: World) -> Host:
    return Host(world)


async def begun(host: Host) -> Run:
    """A run of which one slice is done, and whose messages are lost."""
    run = await host.run(partial(start_requested, source="graph", names=[APPS]))
    await host.run(partial(worker.work, address=run.addresses()[0]))
    host.world.storage.queues[Queue.SLICES].clear()
    return run


def change_checkpoint(world: World, address: Address, **changes: Any) -> None:  # noqa: ANN401 - any field
    path = checkpoint_path(address)
    standing = Checkpoint.from_json(world.storage.blobs[Container.HARVEST_STATE][path].data)
    overwrite(world, Container.HARVEST_STATE, path, standing.model_copy(update=changes).to_json())


def change_run(world: World, path: str, **changes: Any) -> None:  # noqa: ANN401 - any field
    standing = Run.from_json(world.storage.blobs[Container.HARVEST_STATE][path].data)
    overwrite(world, Container.HARVEST_STATE, path, standing.model_copy(update=changes).to_json())


async def dataset_of(world: World, run_id: str) -> DatasetView:
    run = await read_run(world.storage, run_id)
    assert run is not None
    return (await view(world.storage, run)).datasets[0]


@pytest.mark.parametrize("field", ["hold", "resume_at", "touched_at"])
async def test_a_partition_goes_on_before_the_time_comes(
    world: World, host: Host, field: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "shared")
    run, ahead = await begun(host), world.clock.now + YEAR
    value = Hold(owner="somebody", until=ahead, guarded=True) if field == "hold" else ahead
    change_checkpoint(world, run.addresses()[0], **{field: value})
    before = world.clock.now

    await host.settle()

    assert (await stands(world, run)).published
    assert world.clock.now - before < timedelta(hours=1)
    told = [record.message for record in caplog.records if record.message.startswith("lease.ahead_of_time")]
    assert len(told) == (field == "hold")


async def test_a_run_that_is_still_to_begin_ends_by_name_and_holds_nothing(world: World, host: Host) -> None:
    run = await begun(host)
    change_run(world, paths.run_document(run.run_id), started_at=run.started_at + YEAR)

    assert (await stands(world, await night(world, host, APPS))).published
    await host.run(sweep)

    ended = await dataset_of(world, run.run_id)
    assert (ended.state, ended.published) == ("failed", False)
    assert "startedAt of the run is 2027-" in (ended.reason or "")
    assert ended.remedy == "Start a new run."


async def test_a_deadline_that_is_years_away_is_set_right(
    world: World, host: Host, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "shared")
    run = await begun(host)
    change_run(world, paths.run_document(run.run_id), deadline=run.deadline + YEAR)

    await host.run(sweep)

    standing = await read_run(world.storage, run.run_id)
    assert standing is not None
    assert standing.deadline - world.clock.now < timedelta(hours=21)
    assert "run.deadline_ahead_of_time" in caplog.text
    await host.settle()
    assert (await stands(world, run)).published


async def test_a_run_that_was_announced_for_years_ahead_is_not_begun(world: World, host: Host) -> None:
    run = await begun(host)
    path = paths.announced("graph")
    ahead = {"run_id": paths.run_id("graph", run.started_at + YEAR), "started_at": run.started_at + YEAR}
    change_run(world, path, **ahead)

    later = await night(world, host, APPS)

    assert await run_ids(world.storage) == [later.run_id, run.run_id]
    assert "is 2027-" in unusable()[path]


async def test_what_ended_in_years_to_come_is_not_published(world: World, host: Host) -> None:
    run = await begun(host)
    ahead = {"state": "done", "finished_at": world.clock.now + YEAR}
    change_checkpoint(world, run.addresses()[0], **ahead)

    await host.run(sweep)

    seen = await stands(world, run)
    assert (seen.state, seen.published) == ("failed", False)
    assert "the end of its last partition is 2027-" in (seen.reason or "")
    assert (await stands(world, await night(world, host, APPS))).published


async def test_a_worker_whose_clock_is_ahead_does_not_hold_up_the_others(world: World, host: Host) -> None:
    run = await begun(host)
    fast = type(world.clock)(world.clock.now + timedelta(hours=5))
    ending = await world.process(clock=fast).run(partial(worker.work, address=run.addresses()[0]))

    assert ending == "handed over"
    before = world.clock.now
    await host.settle()

    assert (await stands(world, run)).published
    assert world.clock.now - before < timedelta(hours=1)

"""Promise 7: the switch, a cancellation and another place stop an operation before its next batch, for good."""

import pytest

from shared.azure.storage import Container
from shared.errors import Conflict
from shared.opus.evidence.documents import Evidence
from shared.opus.intake.inputs import DestroyInput
from tests.opus.world import Host, Killed, Mood, World, call

IDS = [f"r{number:03d}" for number in range(40)]


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def host(world: World) -> Host:
    return Host(world, world.mine)


async def waiting(world: World, host: Host) -> str:
    """A destroy of which the first batch is done, and the second waits."""
    world.mine.moods = ["well", "throttled"]
    progress = await host.destroy("key", IDS)
    assert (progress.operation.status, progress.operation.succeeded) == ("Running", 15)
    return progress.operation.operation_id


async def test_a_destroy_that_is_switched_off_sends_no_further_batch(world: World, host: Host) -> None:
    operation_id = await waiting(world, host)
    host.destroy_enabled = False

    operation = (await world.finish(host, operation_id)).operation

    assert (operation.status, operation.succeeded) == ("PartiallySucceeded", 15)
    assert {item.code for item in operation.failed} == {"DestroyDisabled"}
    assert [sent.ids for sent in world.mine.log] == [tuple(IDS[:15])]
    host.destroy_enabled = True
    again = await host.destroy("key", IDS)
    assert (again.operation, again.replayed) == (operation, True)
    assert await world.problems() == []


async def test_the_switch_is_read_before_every_batch(host: Host) -> None:
    enabled = iter([True, True, True, False])
    operations = host.operations
    tools = operations._tools  # noqa: SLF001 - the switch turns while the call is carried out
    object.__setattr__(tools, "destroy_enabled", lambda: next(enabled, False))

    progress = await operations.destroy(call("key"), DestroyInput(ids=IDS))

    assert (progress.operation.status, progress.operation.succeeded) == ("PartiallySucceeded", 15)
    assert {item.code for item in progress.operation.failed} == {"DestroyDisabled"}


async def test_a_cancelled_operation_that_waits_ends_at_once(world: World, host: Host) -> None:
    operation_id = await waiting(world, host)

    cancelled = await host.operations.cancel(operation_id, call(None))

    assert cancelled is not None
    assert (cancelled.retry_after, cancelled.operation.succeeded) == (None, 15)
    assert {item.code for item in cancelled.operation.failed} == {"Cancelled"}
    piece = Evidence.from_json(next(iter(world.storage.blobs[Container.EVIDENCE].values())).data)
    assert piece.cancellation is not None
    assert piece.cancellation.caller == "key"
    while await world.deliver(host):
        pass
    assert len(world.mine.log) == 1
    assert await host.operations.cancel(operation_id, call(None)) == cancelled
    assert await world.problems() == []


async def test_an_operation_whose_worker_was_killed_is_cancelled_with_doubt(world: World, host: Host) -> None:
    world.mine.moods = ["killed after"]
    with pytest.raises(Killed):
        await host.destroy("key", IDS)
    running = await host.destroy("key", IDS)
    at_once = await host.operations.cancel(running.operation.operation_id, call(None))
    assert at_once is not None
    assert at_once.retry_after is not None, "its lease still holds: a batch may be in flight"

    operation = (await world.finish(host, running.operation.operation_id)).operation

    assert [item.id for item in operation.uncertain] == IDS[:15]
    assert {item.code for item in operation.failed} == {"Cancelled"}
    assert len(world.mine.log) == 1


async def test_a_submit_is_cancelled_too(world: World, host: Host) -> None:
    world.mine.moods = ["unheard"]
    running = await host.submit("key", IDS[:3])

    cancelled = await host.operations.cancel(running.operation.operation_id, call(None))

    if running.retry_after is not None:
        assert cancelled is not None
        assert all(not item.repeatable for item in cancelled.operation.uncertain)


async def test_nothing_goes_on_under_another_tenant(world: World, host: Host) -> None:
    operation_id = await waiting(world, host)
    moved = Host(world, world.theirs)

    with pytest.raises(Conflict, match=operation_id):
        await moved.destroy("key", IDS)
    operation = (await world.finish(moved, operation_id)).operation

    assert world.theirs.log == []
    assert operation.succeeded == 15
    assert {item.code for item in operation.failed} == {"PlaceChanged"}
    assert "https://mine.example" in operation.failed[0].message


async def test_nothing_goes_on_on_a_copied_account(world: World, host: Host) -> None:
    operation_id = await waiting(world, host)
    copy = World()
    for container in (Container.OPERATIONS, Container.EVIDENCE):
        copy.restore(container, world.backup(container))
    drill = Host(copy, copy.mine, account="copy")
    copy.now = world.now

    shown = await drill.operations.get(operation_id)
    copy.now = copy.now.replace(hour=20)
    await drill.operations.revive(operation_id)
    ended = await copy.finish(drill, operation_id)

    assert shown is not None
    assert shown.operation.succeeded == 15
    assert {item.code for item in ended.operation.failed} == {"PlaceChanged"}
    assert copy.mine.log == []
    assert (await world.finish(host, operation_id)).operation.status == "Succeeded"


@pytest.mark.parametrize("mood", ["no token", "no connection"])
async def test_a_vault_that_is_away_for_minutes_ends_no_destroy(world: World, host: Host, mood: Mood) -> None:
    world.mine.moods = [mood] * 12

    progress = await host.destroy("key", ["a", "b"])
    operation = (await world.finish(host, progress.operation.operation_id)).operation

    assert (operation.status, operation.succeeded) == ("Succeeded", 2)
    assert len(world.mine.log) == 1


async def test_a_call_that_ends_late_is_waited_for(world: World, host: Host) -> None:
    world.mine.moods = ["late"]

    progress = await host.destroy("key", ["a", "b"], looked_up=True)
    operation = (await world.finish(host, progress.operation.operation_id)).operation

    assert (operation.status, operation.confirmed) == ("Succeeded", ("a", "b"))
    assert len(world.mine.log) == 1


async def test_what_fails_after_doubt_is_uncertain(world: World, host: Host) -> None:
    world.mine.moods = ["unheard", "refused"]

    progress = await host.destroy("key", ["a"], looked_up=True)
    operation = (await world.finish(host, progress.operation.operation_id)).operation

    assert operation.status == "Uncertain"
    assert len(world.mine.log) == 2

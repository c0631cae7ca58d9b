"""Nothing is destroyed twice when the state of an operation goes back, or is lost, while a batch is in flight."""

import logging
from collections.abc import Iterator, Sequence

import pytest

from shared.azure.storage import Container
from shared.opus.ledger.documents import Operation
from tests.opus.world import SETTLE, Host, Killed, Mood, World

IDS = [f"r{number:03d}" for number in range(31)]
STORIES: dict[str, Sequence[Mood]] = {
    "the first batch": ["killed after"],
    "the second batch": ["well", "killed after"],
    "the last batch": ["well", "well", "killed after"],
    "after a pause": ["throttled", "killed after"],
    "a second attempt": ["no connection", "killed after"],
}


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


async def stopped(moods: Sequence[Mood], *, looked_up: bool) -> tuple[World, str, list[bytes | None]]:
    """An operation whose worker died in flight, and every version that its state had before, the missing one first."""
    world = World()
    versions: list[bytes | None] = [None]

    def changed(container: Container, path: str, _: bytes | None, data: bytes | None) -> None:
        if container == Container.OPERATIONS and path.endswith("/state.json"):
            versions.append(data)

    world.storage.changed = changed
    world.mine.moods = list(moods)
    host = Host(world, world.mine)
    try:
        running = await host.destroy("key", IDS, looked_up=looked_up)
        await world.finish(host, running.operation.operation_id)
    except Killed:
        world.now += SETTLE
    (path,) = (path for path in world.backup(Container.OPERATIONS) if path.endswith("/order.json"))
    return world, path.split("/")[1], versions


@pytest.mark.parametrize("looked_up", [False, True])
@pytest.mark.parametrize("story", STORIES)
async def test_no_older_state_lets_a_batch_be_sent_again(story: str, *, looked_up: bool) -> None:
    _, _, versions = await stopped(STORIES[story], looked_up=looked_up)
    assert versions
    for number in range(len(versions)):
        world, operation_id, versions = await stopped(STORIES[story], looked_up=looked_up)
        blobs, version = world.storage.blobs[Container.OPERATIONS], versions[number]
        blobs.pop(f"operations/{operation_id}/state.json", None)
        if version is not None:
            world.storage._put(Container.OPERATIONS, f"operations/{operation_id}/state.json", version)  # noqa: SLF001 - somebody else's hand

        ended = (await world.finish(Host(world, world.mine), operation_id)).operation

        agrees_with_what_opus_did(world, ended)


def agrees_with_what_opus_did(world: World, ended: Operation) -> None:
    """No id is in two calls, and none that was destroyed is said to be not."""
    for key in IDS:
        calls = [sent for sent in world.mine.log if key in sent.ids]
        assert len(calls) <= 1, key
        assert not (calls and any(item.id == key for item in ended.failed)), key

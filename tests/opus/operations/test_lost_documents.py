"""Not there is not nothing: whichever document is lost, or is older than it was, nothing is destroyed twice.

Every later call is served, and ``verify`` finds nothing but what the loss itself explains.
"""

import logging
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta

import pytest

from shared.azure.damage import unusable
from shared.azure.storage import Container
from shared.errors import DamagedDocument, StoredFault
from shared.opus.ledger.store import _homes
from tests.opus.world import Host, World

IDS = [f"r{number:03d}" for number in range(31)]


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


async def history(*, looked_up: bool) -> World:
    """A submit that ended, and a destroy that waits with its first batch done."""
    world = World()
    host = Host(world, world.mine)
    await host.submit("submit", ["s1", "s2"])
    world.mine.moods = ["well", "throttled"]
    await host.destroy("destroy", IDS, looked_up=looked_up)
    return world


async def worlds(*, looked_up: bool) -> AsyncIterator[tuple[str, World]]:
    """The history, once for each document that is lost."""
    whole = await history(looked_up=looked_up)
    for container in (Container.OPERATIONS, Container.EVIDENCE):
        for path in whole.backup(container):
            world = await history(looked_up=looked_up)
            del world.storage.blobs[container][path]
            yield path, world


@pytest.mark.parametrize("looked_up", [False, True])
async def test_a_lost_document_destroys_nothing_twice_and_stops_nobody(*, looked_up: bool) -> None:
    async for path, world in worlds(looked_up=looked_up):
        host = Host(world, world.mine)
        try:
            progress = await host.destroy("destroy", IDS, looked_up=looked_up)
            await world.finish(host, progress.operation.operation_id)
        except StoredFault:
            pass
        for sent in IDS:
            done = [one for one in world.mine.log if one.kind == "destroy" and sent in one.ids and one.done_at]
            assert len(done) <= 1, f"{sent} is in two calls without {path}"
        later = await host.submit("later", ["s3"])
        assert later.operation.status == "Succeeded", path


async def test_an_older_version_of_any_document_destroys_nothing_twice() -> None:
    whole = await history(looked_up=False)
    before = whole.backup(Container.OPERATIONS)
    host = Host(whole, whole.mine)
    running = await host.destroy("destroy", IDS)
    await whole.finish(host, running.operation.operation_id)
    after = whole.backup(Container.OPERATIONS)
    for path in (path for path, data in after.items() if before.get(path) != data):
        world = World()
        world.now, world.mine.log = whole.now, list(whole.mine.log)
        world.restore(Container.EVIDENCE, whole.backup(Container.EVIDENCE))
        older = {**after, **({path: before[path]} if path in before else {})}
        if path not in before:
            del older[path]
        world.restore(Container.OPERATIONS, older)
        host = Host(world, world.mine)
        try:
            progress = await host.destroy("destroy", IDS)
            await world.finish(host, progress.operation.operation_id)
        except StoredFault:
            pass
        calls = [one for one in world.mine.log if one.kind == "destroy"]
        assert len(calls) == 3, f"sent again after {path} was turned back"
        assert (await host.submit("later", ["s3"])).operation.status == "Succeeded", path


@pytest.mark.parametrize("content", [b"", b"{}", b"\xff"], ids=["empty", "object", "no text"])
@pytest.mark.parametrize("name", ["remembered/", "connections/", "place.json"])
async def test_a_damaged_memory_of_submits_stops_none_of_them(name: str, content: bytes) -> None:
    world = World()
    await Host(world, world.mine).submit(None, ["a"])
    for path in [path for path in world.storage.blobs[Container.OPERATIONS] if path.startswith(name)]:
        world.storage._put(Container.OPERATIONS, path, content)  # noqa: SLF001 - storage was damaged from outside
    world.now += timedelta(minutes=1)
    _homes._values.clear()  # noqa: SLF001 - another process has not read it yet
    host = Host(world, world.mine)

    for keys in (["a"], ["b"]):
        assert (await host.submit(None, keys)).operation.status == "Succeeded"
    assert (await host.submit("key", ["c"])).operation.status == "Succeeded"
    assert (await host.destroy("key", ["d"])).operation.status == "Succeeded"

    assert [path for path in unusable() if path.startswith(f"opus-operations/{name}")] != []
    assert await world.problems() == []


async def test_nothing_is_sent_while_the_head_of_the_evidence_cannot_be_read() -> None:
    world = await history(looked_up=False)
    blobs, sent = world.storage.blobs[Container.OPERATIONS], len(world.mine.log)
    (head,) = [path for path in blobs if path.startswith("chains/")]
    (waiting,) = [path.removeprefix("open/") for path in blobs if path.startswith("open/")]
    whole = blobs[head].data
    world.storage._put(Container.OPERATIONS, head, b"{}")  # noqa: SLF001 - storage was damaged from outside
    host = Host(world, world.mine)

    with pytest.raises(DamagedDocument, match="chains/"):
        await host.submit(None, ["b"])
    with pytest.raises(DamagedDocument, match="chains/"):
        await host.destroy("new", ["c"])
    world.now += timedelta(minutes=10)
    with pytest.raises(DamagedDocument, match="chains/"):
        await host.operations.run(waiting)
    assert len(world.mine.log) == sent

    world.storage._put(Container.OPERATIONS, head, whole)  # noqa: SLF001 - as above
    assert (await host.submit(None, ["b"])).operation.status == "Succeeded"
    assert (await host.destroy("new", ["c"])).operation.status == "Succeeded"

"""After a restore, operations and evidence that do not fit are told and set right; nothing is sent a second time."""

import logging
from collections.abc import Collection, Iterator
from datetime import timedelta

import pytest

from shared.azure.misfits import Repair
from shared.azure.storage import Container
from shared.errors import StoredFault
from shared.opus.evidence.archive import Archive, _memories
from shared.opus.evidence.documents import Evidence
from shared.opus.intake.inputs import ResolveInput
from shared.opus.ledger.store import OperationStore
from shared.opus.restoring.chains import chain_repairs
from shared.opus.restoring.operations import operation_repairs
from tests.opus.world import SETTLE, Host, World, call

IDS = [f"r{number:03d}" for number in range(31)]

HARMLESS = ("remembered/", "connections/", "place.json")
"""Without these a submit is repeated at most, and the place is read from the next operation."""

NOT_NEEDED = ("/outcomes/", "/sent/")
"""Of an operation that has ended, its evidence tells what they told."""


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


async def found(world: World, *, is_off: bool = True, apply: bool = True) -> list[Repair]:
    """What does not fit, as another process sees it; with ``apply`` set right."""
    _memories._values.clear()  # noqa: SLF001 - another process remembers nothing
    store = OperationStore(world.storage)
    archive = Archive(store, clock=lambda: world.now, sleep=world.sleep, random=lambda: 0.5)
    repairs = []
    for looked in (
        chain_repairs(world.storage, archive, now=world.now, is_off=is_off),
        operation_repairs(store, archive, now=world.now, is_off=is_off),
    ):
        async for one in looked:
            repairs.append(one)
            if apply:
                await one.apply()
    _memories._values.clear()  # noqa: SLF001 - and the app starts anew
    return repairs


async def history(world: World | None = None) -> World:
    """A submit and two destroys that ended, one of them uncertain until a person had looked."""
    world = world or World()
    host = Host(world, world.mine)
    await host.submit("submit", ["s1", "s2"])
    await host.destroy("first", IDS)
    world.mine.moods = ["lost"]
    lost = await host.destroy("lost", ["x1", "x2"])
    body = ResolveInput.model_validate({"outcome": "Succeeded", "ids": ["x1"], "note": "seen", "checkedBy": "Ann"})
    await host.operations.resolve(lost.operation.operation_id, call(None), body)
    world.now += 3 * SETTLE
    return world


def twice(world: World) -> set[str]:
    """The ids that are in two destroy calls."""
    calls = [sent for sent in world.mine.log if sent.kind == "destroy" and sent.done_at]
    return {key for sent in calls for key in sent.ids if sum(key in other.ids for other in calls) > 1}


async def served(world: World, keys: Collection[str] = ("first", "lost")) -> None:
    """Every call is asked again, and one is new."""
    host = Host(world, world.mine)
    for key in keys:
        try:
            progress = await host.destroy(key, IDS if key == "first" else ["x1", "x2"])
            await world.finish(host, progress.operation.operation_id)
        except StoredFault:
            assert key
    assert (await host.submit("later", ["s3"])).operation.status == "Succeeded"
    assert twice(world) == set()


async def test_what_fits_is_left_alone() -> None:
    world = await history()
    assert await found(world, apply=False) == []
    assert await found(world, is_off=False, apply=False) == []


async def test_any_document_that_is_lost_is_told_and_set_right() -> None:
    whole = await history()
    for container in (Container.OPERATIONS, Container.EVIDENCE):
        for path in whole.backup(container):
            world = await history()
            del world.storage.blobs[container][path]
            world.now += 3 * SETTLE
            told = await found(world, is_off=False, apply=False)
            if not path.startswith(HARMLESS) and not any(part in path for part in NOT_NEEDED):
                assert told or path.endswith("state.json"), path
            repaired = await found(world)
            assert repaired or path.startswith(HARMLESS) or any(part in path for part in NOT_NEEDED) or not told, path
            assert await found(world) == [], path
            assert await world.problems() == [], path
            await served(world)


async def test_a_ledger_that_was_restored_is_told_from_evidence() -> None:
    world = World()
    before = world.backup(Container.OPERATIONS)
    await history(world)
    after = world.backup(Container.OPERATIONS)
    world.restore(Container.OPERATIONS, before)

    repaired = await found(world)

    assert [one.words for one in repaired].count("write it again from its evidence") == 3
    again = world.backup(Container.OPERATIONS)
    for path in (path for path in after if path.endswith("/operation.json") or path.startswith(("keys/", "dates/"))):
        assert again[path] == after[path], path
    host = Host(world, world.mine)
    lost = (await host.destroy("lost", ["x1", "x2"])).operation
    assert [item.id for item in lost.uncertain] == ["x2"]
    assert await world.problems() == []
    await served(world)


@pytest.mark.parametrize("looked_up", [False, True])
async def test_what_may_have_been_sent_since_is_not_sent_again_unseen(*, looked_up: bool) -> None:
    world = World()
    host = Host(world, world.mine)
    world.mine.moods = ["well", "throttled"]
    running = await host.destroy("key", IDS, looked_up=looked_up)
    before = {container: world.backup(container) for container in (Container.OPERATIONS, Container.EVIDENCE)}
    await world.finish(host, running.operation.operation_id)
    for container, blobs in before.items():
        world.restore(container, blobs)
    world.now += SETTLE

    (one,) = await found(world)

    assert "may have been sent" in str(one.misfit.fault)
    ended = (await world.finish(host, running.operation.operation_id)).operation
    assert twice(world) == set()
    if looked_up:
        assert (ended.succeeded, ended.confirmed) == (31, tuple(IDS[15:]))
    else:
        assert (ended.succeeded, [item.id for item in ended.uncertain]) == (15, IDS[15:])
        assert "Storage was restored" in ended.uncertain[0].reason
    assert await world.problems() == []


async def test_a_chain_with_a_hole_and_a_fork_declares_both_once() -> None:
    world = World()
    host = Host(world, world.mine)
    await host.submit("one", ["s1"])
    await host.submit("two", ["s2"])
    before = world.backup(Container.OPERATIONS)
    await host.submit("three", ["s3"])
    pieces = world.storage.blobs[Container.EVIDENCE]
    second = next(path for path, stored in pieces.items() if Evidence.from_json(stored.data).chain.sequence == 2)
    third = {path: stored for path, stored in pieces.items() if Evidence.from_json(stored.data).chain.sequence == 3}
    world.restore(Container.OPERATIONS, before)
    for path in third:
        del pieces[path]
    _memories._values.clear()  # noqa: SLF001 - another process remembers nothing
    await host.submit("fork", ["s4"])
    pieces.update(third)
    del pieces[second]
    assert len(await world.problems()) > 1

    chain, *operations = await found(world)

    assert "gap at link 2" in str(chain.misfit.fault)
    assert "fork at link 3" in str(chain.misfit.fault)
    assert len(operations) == 1
    assert await world.problems() == []
    assert await found(world) == []


async def test_the_head_of_a_chain_that_was_quiet_for_months_is_written_again() -> None:
    world = await history()
    world.now += timedelta(days=90)
    world.storage.blobs[Container.OPERATIONS].clear()
    assert len(await world.problems()) == 1

    (one,) = await found(world)

    assert "has pieces and no head" in str(one.misfit.fault)
    assert await world.problems() == []
    assert await found(world) == []


@pytest.mark.parametrize("content", [b"{", b'{"schema": 99}'], ids=["damaged", "newer"])
async def test_a_head_that_cannot_be_read_keeps_nothing_else_from_being_set_right(content: bytes) -> None:
    world = await history()
    (head,) = [path for path in world.storage.blobs[Container.OPERATIONS] if path.startswith("chains/")]
    world.storage._put(Container.OPERATIONS, head, content)  # noqa: SLF001 - somebody else has written it
    order = next(path for path in world.storage.blobs[Container.OPERATIONS] if path.endswith("/order.json"))
    del world.storage.blobs[Container.OPERATIONS][order]
    world.now += 3 * SETTLE
    told = [one.misfit.path for one in await found(world, is_off=False, apply=False)]
    assert {head, order} <= {*told}

    chain, *others = await found(world)

    assert (chain.misfit.path, chain.is_left) == (head, content != b"{")
    assert order in [one.misfit.path for one in others]
    if content == b"{":
        assert await found(world) == []
        assert await world.problems() == []
        await served(world)
    else:
        assert world.storage.blobs[Container.OPERATIONS][head].data == content
        assert len(await found(world)) == 1


async def test_a_forged_piece_is_not_excused() -> None:
    world = await history()
    pieces = world.storage.blobs[Container.EVIDENCE]
    path = min(pieces)
    forged = pieces[path].data.replace(b'"outcome', b'"Outcome', 1).replace(b"key", b"kez", 1)
    world.storage._put(Container.EVIDENCE, path, forged)  # noqa: SLF001 - somebody else's hand
    await found(world)
    assert await world.problems() != []

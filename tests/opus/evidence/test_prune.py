"""A verified beginning of a chain may be deleted once the chain says so; a hole that is younger is found."""

import asyncio
import os
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from hashlib import sha256

import pytest

from sandbox.azurite import Azurite
from shared.azure.storage import Container
from shared.opus import prune, verify
from shared.opus.evidence.archive import Archive
from shared.opus.evidence.findings import problems
from shared.opus.ledger.store import OperationStore
from shared.opus.prune import declare
from shared.opus.verify import gather_evidence
from tests.opus.conftest import Bench, records
from tests.opus.world import Host, World


async def aged() -> tuple[World, Archive]:
    """A chain of four pieces on four days, which the ledger has forgotten."""
    world = World()
    host = Host(world, world.mine)
    for day in range(4):
        await host.submit(f"key {day}", ["a"])
        world.now += timedelta(days=1)
    kept = {path: data for path, data in world.backup(Container.OPERATIONS).items() if path.startswith("chains/")}
    world.restore(Container.OPERATIONS, kept)
    world.now += timedelta(days=400)
    return world, Archive(OperationStore(world.storage), clock=host.clock, sleep=asyncio.sleep, random=lambda: 0.5)


async def test_a_declared_beginning_may_go_and_a_younger_hole_may_not() -> None:
    world, archive = await aged()
    pieces = sorted(world.storage.blobs[Container.EVIDENCE])
    before = (world.now - timedelta(days=402)).date()

    wrong, lines = await declare(
        OperationStore(world.storage), archive, before=before, today=world.now.date(), apply=True
    )

    assert wrong == []
    assert lines == [f"key: links 1 to 2, the last is {pieces[1]}"]
    for path in pieces[:2]:
        del world.storage.blobs[Container.EVIDENCE][path]
    assert await world.problems() == []
    await Host(world, world.mine).submit("next", ["b"])
    assert await world.problems() == []
    del world.storage.blobs[Container.EVIDENCE][pieces[2]]
    assert len(await world.problems()) == 1


async def test_an_anchor_misses_what_was_not_pruned_and_nothing_else() -> None:
    world, archive = await aged()
    evidence = world.storage.blobs[Container.EVIDENCE]
    anchor = {path: frozenset({sha256(stored.data).hexdigest()}) for path, stored in evidence.items()}
    pieces = sorted(evidence)
    before = (world.now - timedelta(days=402)).date()
    await declare(OperationStore(world.storage), archive, before=before, today=world.now.date(), apply=True)

    async def missed(anchor: Mapping[str, frozenset[str]]) -> list[str]:
        found = problems(await gather_evidence(world.storage, today=world.now.date(), anchor=anchor))
        return [line.partition(":")[0] for line in found if "according to the anchor" in line]

    for path in pieces[:2]:
        del evidence[path]
    assert await missed(anchor) == []
    of_another_chain = f"{pieces[0][:15]}/{'0' * 32}.json"
    assert await missed({**anchor, of_another_chain: frozenset({"0" * 64})}) == sorted([*pieces[:2], of_another_chain])
    del evidence[pieces[2]]
    assert await missed(anchor) == [pieces[2]]


async def test_without_apply_nothing_is_written() -> None:
    world, archive = await aged()

    _, lines = await declare(
        OperationStore(world.storage), archive, before=world.now.date(), today=world.now.date(), apply=False
    )

    assert len(lines) == 1
    assert len(world.storage.blobs[Container.EVIDENCE]) == 4


async def test_the_command_needs_the_storage_account_alone(
    azurite: Azurite, bench: Bench, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    await bench.submit(records(1))
    for name in os.environ:
        if name.startswith(("AVEPOINT_", "OPUS_", "HARVEST_", "INVENTORY_", "SWEEP_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("INVENTORY_STORAGE", azurite.connection_string)

    tomorrow = (bench.clock.now + timedelta(days=1)).date().isoformat()
    assert await asyncio.to_thread(prune.main, ["--before", tomorrow]) == 0

    assert "links 1 to 1, the last is " in capsys.readouterr().out


@pytest.mark.parametrize(("main", "option"), [(prune.main, "--before"), (verify.main, "--since")])
def test_a_day_that_is_not_one_is_refused_with_an_example(
    main: Callable[[Sequence[str]], int], option: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main([option, "yesterday"])
    assert f"{option}: 'yesterday' is not a day: write it as YYYY-MM-DD" in capsys.readouterr().err

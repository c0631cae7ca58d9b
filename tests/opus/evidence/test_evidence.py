"""Evidence is chained, whoever finishes when, and whoever is stopped where."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256

import pytest

from shared.azure.storage import Container
from shared.opus.evidence.archive import Archive, head_path
from shared.opus.evidence.documents import Head, Link, Previous, ResolutionEvidence
from shared.opus.ledger.store import OperationStore
from shared.opus.verify import read_anchor
from tests.opus.conftest import Bench, call, ids, records
from tests.opus.evidence.chains import SAID, chain, chain_problems, raw
from tests.opus.operations.test_destroy import LOST_BEFORE_EXECUTION


async def test_every_piece_names_the_one_before_it_by_path_and_hash(bench: Bench) -> None:
    for key in "abc":
        await bench.submit(records(1), key=key)

    first, second, third = await chain(bench)

    assert first.chain == Link(caller="key", sequence=1, previous=None)
    for earlier, later in ((first, second), (second, third)):
        previous = later.chain.previous
        assert previous is not None
        assert previous.path.endswith(f"/{earlier.order.operation_id}.json")
        assert previous.sha256 == sha256(await raw(bench.services.storage, previous.path)).hexdigest()
    assert await chain_problems(bench) == []


async def test_callers_have_chains_of_their_own(bench: Bench) -> None:
    body = records(1)
    for caller in ("key", "entra:1", "entra:1"):
        bench.clock.advance(seconds=1)
        given = call(f"{bench.clock.now}")
        await bench.operations.submit(type(given)(caller, given.key, given.client), "c", body)

    links = sorted((one.chain.caller, one.chain.sequence) for one in await bench.evidence())

    assert links == [("entra:1", 1), ("entra:1", 2), ("key", 1)]
    assert await chain_problems(bench) == []


async def test_those_who_finish_at_once_stand_one_behind_the_other(bench: Bench) -> None:
    await asyncio.gather(*(bench.submit(records(1), key=str(number)) for number in range(12)))

    assert [one.chain.sequence for one in await chain(bench)] == list(range(1, 13))
    assert await chain_problems(bench) == []


async def test_two_processes_that_finish_at_once_do_not_fork_the_chain(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shared.opus.evidence.archive._Memory.turn", lambda *_: asyncio.Lock())

    await asyncio.gather(*(bench.submit(records(1), key=str(number)) for number in range(6)))

    assert [one.chain.sequence for one in await chain(bench)] == list(range(1, 7))
    assert await chain_problems(bench) == []


@dataclass
class Stopped(BaseException):
    """The process is gone."""


@pytest.fixture
def stop_before(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Let the process die before the next write of a path that holds a text."""
    write = bench.services.storage.write
    doomed: list[str] = []

    async def dying(container: Container, path: str, data: bytes, *, etag: str | None) -> str:
        if doomed and doomed[0] in path:
            doomed.clear()
            raise Stopped
        return await write(container, path, data, etag=etag)

    monkeypatch.setattr(bench.services.storage, "write", dying)
    return doomed.append


async def test_whoever_comes_next_writes_what_a_dead_one_has_only_reserved(
    bench: Bench, stop_before: Callable[[str], None]
) -> None:
    stop_before("date=")
    with pytest.raises(Stopped):
        await bench.submit(records(2), key="dead")
    assert await bench.evidence() == []

    await bench.submit(records(1), key="next")

    dead, after = await chain(bench)
    assert (dead.order.client["idempotency-key"], dead.operation.succeeded) == ("dead", 2)
    assert (dead.chain.sequence, after.chain.sequence) == (1, 2)
    assert await chain_problems(bench) == []


@pytest.mark.parametrize("where", ["date=", "/operation.json"])
async def test_the_next_executor_finishes_what_a_dead_one_has_begun_to_finish(
    bench: Bench, stop_before: Callable[[str], None], where: str, caplog: pytest.LogCaptureFixture
) -> None:
    stop_before(where)
    with pytest.raises(Stopped):
        await bench.submit(records(2), key="dead")
    waiting = await bench.submit(records(2), key="dead")
    bench.clock.advance(seconds=90)

    with caplog.at_level(logging.INFO):
        operation = (await bench.finish(waiting.operation.operation_id)).operation

    told = f"operation.finished operation={operation.operation_id} kind=submit status=Succeeded requested=2 succeeded=2"
    assert caplog.text.count(told) == 1
    assert (operation.status, len(bench.calls())) == ("Succeeded", 1)
    assert [one.chain.sequence for one in await chain(bench)] == [1]
    assert await chain_problems(bench) == []
    assert not [path for path in await bench.paths() if path.startswith("open/")]


async def test_the_end_is_told_before_the_mark_of_an_open_operation_goes(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def dying(*_: object) -> None:
        raise Stopped

    monkeypatch.setattr(bench.services.storage, "delete", dying)
    with caplog.at_level(logging.INFO), pytest.raises(Stopped):
        await bench.submit(records(2), key="dead")
    assert "operation.finished" in caplog.text


async def test_a_resolution_has_evidence_of_its_own_in_the_chain_of_who_passed_it_on(bench: Bench) -> None:
    keys = await bench.fill(1)
    bench.fault(**LOST_BEFORE_EXECUTION)
    operation_id = (await bench.destroy(ids(keys))).operation.operation_id

    await bench.operations.resolve(operation_id, call(None), SAID)

    paths = await bench.paths(Container.EVIDENCE)
    path = next(path for path in paths if "resolution" in path)
    said = ResolutionEvidence.from_json(await raw(bench.services.storage, path))
    assert path.endswith(f"/{operation_id}-resolution-000.json")
    assert (said.operation_id, said.chain.sequence) == (operation_id, 3)
    assert (said.resolution.checked_by, said.resolution.note, said.resolution.ids) == ("Jane", SAID.note, tuple(keys))
    assert await chain_problems(bench) == []


def told_resolved(caplog: pytest.LogCaptureFixture) -> list[tuple[object, ...]]:
    """What the log tells of what people have said: of which operation, its kind, the outcome, and how many items."""
    told = [vars(record) for record in caplog.records if record.message.startswith("operation.resolved")]
    return [tuple(one[name] for name in ("operation", "kind", "outcome", "items")) for one in told]


async def test_a_resolution_is_told_once(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    keys = await bench.fill(2)
    bench.fault(**LOST_BEFORE_EXECUTION)
    operation_id = (await bench.destroy(ids(keys))).operation.operation_id
    caplog.set_level(logging.INFO)
    first, second = (SAID.model_copy(update={"ids": [key]}) for key in keys)

    for said in (first, first, second):
        await bench.operations.resolve(operation_id, call(None), said)

    assert told_resolved(caplog) == [(operation_id, "destroy", "Failed", 1)] * 2


async def test_a_resolution_that_was_cut_off_is_completed_by_the_queue(
    bench: Bench, stop_before: Callable[[str], None], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    keys = await bench.fill(1)
    bench.fault(**LOST_BEFORE_EXECUTION)
    operation_id = (await bench.destroy(ids(keys))).operation.operation_id
    stop_before("resolution-000")
    with pytest.raises(Stopped):
        await bench.operations.resolve(operation_id, call(None), SAID)

    await bench.operations.run(operation_id)

    assert len(await bench.paths(Container.EVIDENCE)) == 3
    assert (operation_id, "destroy", "Failed", 1) in told_resolved(caplog)
    assert (await bench.operations.uncertain()).operations == ()
    assert not [path for path in await bench.paths() if path.startswith("open/")]
    assert await chain_problems(bench) == []


async def test_an_executor_that_was_overtaken_while_finishing_makes_no_second_link(bench: Bench) -> None:
    operation = (await bench.submit(records(1))).operation
    storage = bench.services.storage
    store = OperationStore(storage)
    opening = await store.opening(operation.operation_id)
    assert opening is not None
    archive = Archive(store, clock=bench.clock, sleep=bench.clock.sleep, random=lambda: 0.5)
    await bench.submit(records(1), key="another")

    outcomes = await store.outcomes(operation.operation_id, opening.state)
    await archive.keep_operation(opening.order, list(outcomes.values()))

    stored = await storage.read(Container.OPERATIONS, head_path("key"))
    assert stored is not None
    assert Head.from_json(stored.data).link.sequence == 2
    assert await chain_problems(bench) == []
    assert isinstance(Head.from_json(stored.data).link.previous, Previous)


async def test_each_piece_is_told_outside_of_the_account(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    for key in "ab":
        await bench.submit(records(1), key=key)

    anchor = read_anchor("\n".join(record.getMessage() for record in caplog.records))

    paths = await bench.paths(Container.EVIDENCE)
    assert anchor == {path: frozenset({sha256(await raw(bench.services.storage, path)).hexdigest()}) for path in paths}

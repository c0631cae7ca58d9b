"""The sweep revives what fell silent and forgets what is old."""

import pytest

from shared.azure.damage import unusable
from shared.azure.storage import Container
from shared.opus.intake.inputs import ResolveInput
from shared.opus.operations.sweep import sweep_operations
from tests.opus.conftest import Bench, Reopen, call, ids, records
from tests.opus.dying import Killed, dying
from tests.opus.operations.test_destroy import LOST_BEFORE_EXECUTION


async def swept(bench: Bench) -> list[str]:
    """Sweep with all messages lost, and say what was poked."""
    await bench.lose_messages()
    await sweep_operations(bench.services)
    return await bench.pokes()


async def test_an_operation_whose_messages_are_lost_is_poked(bench: Bench) -> None:
    with pytest.raises(Killed):
        await dying(bench).submit(records(1))
    operation_id = (await bench.submit(records(1))).operation.operation_id

    assert await swept(bench) == [], "its executor may still live"
    bench.clock.advance(minutes=7)
    assert await swept(bench) == [operation_id]

    assert (await bench.finish(operation_id)).operation.status == "Succeeded"
    bench.clock.advance(minutes=7)
    assert await swept(bench) == []


async def test_one_that_waits_for_its_time_is_left_alone(bench: Bench) -> None:
    bench.fault(method="POST", status=429, headers={"Retry-After": "1200"})
    operation_id = (await bench.submit(records(1))).operation.operation_id

    bench.clock.advance(minutes=20)
    assert await swept(bench) == []
    bench.clock.advance(minutes=6)
    assert await swept(bench) == [operation_id]


async def uncertain_one(bench: Bench) -> str:
    """An operation that nobody can say anything about but a person."""
    keys = await bench.fill(1)
    bench.fault(**LOST_BEFORE_EXECUTION)
    operation_id = (await bench.destroy(ids(keys))).operation.operation_id
    assert (await bench.finish(operation_id)).operation.status == "Uncertain"
    return operation_id


async def test_documents_of_an_uncertain_operation_never_get_old(bench: Bench) -> None:
    """A rule of the storage account deletes what was not written for a month or more."""
    operation_id = await uncertain_one(bench)
    folder = f"operations/{operation_id}/"
    listed = bench.services.storage.list_details
    before = {one.path: one async for one in listed(Container.OPERATIONS, folder)}
    content = [await bench.services.storage.read(Container.OPERATIONS, path) for path in before]

    bench.clock.advance(days=6)
    await swept(bench)
    after = {one.path: one async for one in listed(Container.OPERATIONS, folder)}
    assert after == before

    bench.clock.advance(days=1)
    await swept(bench)
    renewed = [await bench.services.storage.read(Container.OPERATIONS, path) for path in before]
    assert [one.data for one in renewed if one] == [one.data for one in content if one]
    assert {one.etag for one in renewed if one}.isdisjoint({one.etag for one in content if one})


async def test_an_uncertain_operation_whose_documents_are_gone_is_named(bench: Bench) -> None:
    operation_id = await uncertain_one(bench)
    for path in await bench.paths():
        if path.startswith("operations/"):
            await bench.services.storage.delete(Container.OPERATIONS, path)
    assert (await bench.operations.uncertain()).operations == ()
    assert "its documents are not there" in unusable()[f"operations/{operation_id}"]


async def test_what_was_announced_and_never_written_is_forgotten(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    async def dead(*_: object) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr("shared.opus.ledger.store.OperationStore.open", dead)
        with pytest.raises(Killed):
            await bench.submit(records(1))
    assert [path for path in await bench.paths() if path.startswith("open/")]

    bench.clock.advance(minutes=7)
    await swept(bench)

    assert not [path for path in await bench.paths() if path.startswith("open/")]
    assert (await bench.operations.of_date(bench.clock.now.date())).operations == ()


async def test_a_finished_operation_is_not_open(bench: Bench) -> None:
    await bench.submit(records(1))

    assert not [path for path in await bench.paths() if path.startswith("open/")]


async def test_after_30_days_the_key_is_free_and_the_evidence_stays(bench: Bench) -> None:
    old = await bench.submit(records(1))
    await bench.submit(records(2), key=None)
    bench.clock.advance(days=30)
    await swept(bench)
    assert (await bench.submit(records(1))).operation == old.operation
    young = await bench.submit(records(1), key="young")

    bench.clock.advance(days=2)
    await swept(bench)

    not_of_one = ("chains/", "connections/", "keys/", "place.json")
    kept = {path for path in await bench.paths() if not path.startswith(not_of_one)}
    assert len([path for path in await bench.paths() if path.startswith("keys/")]) == 1
    assert all(young.operation.operation_id in path for path in kept)
    assert await bench.operations.get(young.operation.operation_id) == young
    assert len(await bench.paths(Container.EVIDENCE)) == 3
    assert (await bench.submit(records(1))).operation.created_at > old.operation.created_at


async def test_what_is_uncertain_is_kept_until_it_is_resolved(reopen: Reopen) -> None:
    bench = reopen()
    keys = await bench.fill(1)
    bench.fault(**LOST_BEFORE_EXECUTION)
    operation_id = (await bench.destroy(ids(keys))).operation.operation_id
    bench.clock.advance(days=40)
    await swept(bench)
    (waiting,) = (await bench.operations.uncertain()).operations

    word = ResolveInput(outcome="Succeeded", note="Gone from Opus.", checkedBy="Jane")
    await bench.operations.resolve(operation_id, call(None), word)
    await swept(bench)

    assert waiting.operation_id == operation_id
    assert await bench.operations.get(operation_id) is None

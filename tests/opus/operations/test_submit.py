"""Submit against the simulated AvePoint and Azurite."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from shared.azure.storage import Container, Queue
from shared.errors import KeyReused, TooLarge
from shared.opus.intake.inputs import ResolveInput
from shared.opus.ledger.deduplication import SPAN
from shared.opus.ledger.documents import OperationKind
from shared.opus.ledger.keys import claim_key
from shared.opus.ledger.store import OperationStore
from tests.opus.conftest import CONNECTION, Bench, Reopen, call, records
from tests.opus.dying import Killed, dying
from tests.opus.world import Host, World
from tests.opus.world import call as world_call
from tests.opus.world import records as world_records
from tests.waiting import until


@pytest.mark.parametrize("count", [1, 15, 16, 100])
async def test_every_record_is_submitted_once_in_calls_of_15(bench: Bench, count: int) -> None:
    progress = await bench.submit(records(count))

    assert progress.retry_after is None
    operation = progress.operation
    assert (operation.status, operation.requested, operation.succeeded) == ("Succeeded", count, count)
    assert (operation.failed, operation.uncertain, operation.skipped) == ((), (), 0)
    assert {record.submitted for record in bench.avepoint.avepoint.opus.records} == {1}
    assert sorted(key for keys in bench.calls() for key in keys) == [f"record-{n:04d}" for n in range(count)]
    assert max(len(keys) for keys in bench.calls()) <= 15


async def test_only_the_failed_items_of_a_418_failed(bench: Bench) -> None:
    bench.fault(method="POST", times=None, failRowKeys="record-000[37]")

    operation = (await bench.submit(records(20))).operation

    assert (operation.status, operation.succeeded) == ("PartiallySucceeded", 18)
    assert [(item.index, item.id, item.code, item.message) for item in operation.failed] == [
        (3, "record-0003", "UpstreamRejected", "Term not found."),
        (7, "record-0007", "UpstreamRejected", "Term not found."),
    ]


async def test_a_refused_batch_failed_and_the_others_did_not(bench: Bench) -> None:
    bench.fault(method="POST", status=400, body={"statusCode": 400, "message": "Bad."})

    operation = (await bench.submit(records(16))).operation

    assert (operation.status, len(operation.failed) + operation.succeeded) == ("PartiallySucceeded", 16)
    assert {item.code for item in operation.failed} == {"UpstreamRejected"}


async def test_missing_rights_fail_every_item_and_say_what_to_do(bench: Bench) -> None:
    bench.fault(method="POST", times=None, status=403)

    operation = (await bench.submit(records(2))).operation

    assert operation.status == "Failed"
    assert {item.code for item in operation.failed} == {"UpstreamUnauthorized"}
    assert "records.readwrite.all" in operation.failed[0].message


async def test_the_same_key_and_body_again_is_told_and_not_done(bench: Bench) -> None:
    first = await bench.submit(records(16))
    again = await bench.submit(records(16))

    assert (again.operation, again.replayed, first.replayed) == (first.operation, True, False)
    assert len(bench.calls()) == 2


async def test_the_same_key_at_the_same_time_is_done_once(bench: Bench) -> None:
    bench.avepoint.avepoint.change({"latencyMs": 50})

    told = await asyncio.gather(*(bench.submit(records(16)) for _ in range(4)))

    assert len({progress.operation.operation_id for progress in told}) == 1
    assert sorted(progress.retry_after is None for progress in told) == [False, False, False, True]
    assert len(bench.calls()) == 2
    assert len(await bench.evidence()) == 1


async def test_the_same_key_with_another_body_is_refused(bench: Bench) -> None:
    await bench.submit(records(1))

    with pytest.raises(KeyReused):
        await bench.submit(records(2))

    assert len(bench.calls()) == 1


async def test_another_key_is_another_operation(bench: Bench) -> None:
    one = await bench.submit(records(1), key="one")
    other = await bench.submit(records(1), key="other")

    assert one.operation.operation_id != other.operation.operation_id
    assert len(bench.calls()) == 2


async def test_a_body_without_a_key_is_remembered_for_two_hours(bench: Bench) -> None:
    first = await bench.submit(records(1), key=None)
    bench.clock.now += SPAN * 0.99
    again = await bench.submit(records(1), key=None)
    bench.clock.now += SPAN * 0.02
    later = await bench.submit(records(1), key=None)

    assert (again.operation, again.replayed, later.replayed) == (first.operation, True, False)
    assert later.operation.operation_id != first.operation.operation_id
    assert len(bench.calls()) == 2


async def test_a_body_without_a_key_that_came_to_nothing_may_be_sent_again(bench: Bench) -> None:
    bench.fault(method="POST", status=403)
    first = await bench.submit(records(1), key=None)
    bench.clock.advance(seconds=1)
    again = await bench.submit(records(1), key=None)

    assert (first.operation.status, again.operation.status) == ("Failed", "Succeeded")


@pytest.mark.parametrize("option", ["Overwrite", "Skip"])
@pytest.mark.parametrize("fault", [{"cut": 0, "execute": True}, {"status": 500}, {"cut": 5}, {"body": "<html>"}])
async def test_a_submit_without_a_readable_answer_is_repeated(
    bench: Bench, option: str, fault: dict[str, object]
) -> None:
    bench.fault(method="POST", **fault)

    operation = (await bench.submit(records(3, option=option))).operation

    assert (operation.status, operation.succeeded) == ("Succeeded", 3)
    assert bench.asked("POST") == 2
    assert len(bench.slept) == 1


@pytest.mark.parametrize("key", ["key-1", None])
async def test_a_submit_that_is_never_answered_is_tried_for_hours_and_then_repeatable(
    reopen: Reopen, key: str | None
) -> None:
    bench = reopen(opus_submit_hours=1.5)
    bench.fault(method="POST", times=None, cut=0, execute=True)
    started, begun = await bench.submit(records(2), key=key), bench.clock.now

    operation = (await bench.finish(started.operation.operation_id)).operation

    assert bench.clock.now - begun >= timedelta(hours=1.5)
    assert (operation.status, operation.failed) == ("Uncertain", ())
    assert [(item.index, item.id, item.repeatable) for item in operation.uncertain] == [
        (0, "record-0000", True),
        (1, "record-0001", True),
    ]
    bench.avepoint.avepoint.faults.clear()
    again = await bench.submit(records(2), key=key)
    assert (again.operation.operation_id, again.operation.status) == (operation.operation_id, "Succeeded")
    assert again.replayed is False
    repeated = await bench.submit(records(2), key=key)
    assert (repeated.operation, repeated.replayed) == (again.operation, True)
    assert (await bench.operations.uncertain()).operations == ()
    assert len(await bench.evidence()) == 2


async def test_opus_that_is_away_for_minutes_ends_no_submit(bench: Bench) -> None:
    bench.fault(method="POST", times=None, status=502)
    started = await bench.submit(records(40))
    for _ in range(4):
        bench.clock.advance(seconds=60)
        await bench.operations.run(started.operation.operation_id)
    bench.avepoint.avepoint.faults.clear()

    operation = (await bench.finish(started.operation.operation_id)).operation

    assert (operation.status, operation.succeeded) == ("Succeeded", 40)


async def test_a_body_without_a_key_is_a_new_call_when_another_was_submitted_since(bench: Bench) -> None:
    first = await bench.submit(records(1), key=None)
    bench.clock.advance(seconds=1)
    await bench.submit(records(1, name="other"), key=None)
    bench.clock.advance(seconds=1)

    again = await bench.submit(records(1), key=None)

    assert again.operation.operation_id != first.operation.operation_id
    assert again.replayed is False
    assert len(bench.calls()) == 3


async def test_a_key_belongs_to_the_app_and_not_to_its_caller(bench: Bench) -> None:
    first = await bench.submit(records(1))
    other = replace(call("key-1"), caller="entra:somebody")

    again = await bench.operations.submit(other, CONNECTION, records(1))

    assert (again.operation, again.replayed) == (first.operation, True)
    assert len(bench.calls()) == 1


async def test_a_refusal_after_a_lost_answer_leaves_doubt(bench: Bench) -> None:
    bench.fault(method="POST", cut=0, execute=True)
    bench.fault(method="POST", status=400)

    operation = (await bench.submit(records(1))).operation

    assert operation.status == "Uncertain"


async def test_an_item_that_fails_after_a_lost_answer_is_in_doubt_and_the_others_are_not(bench: Bench) -> None:
    bench.fault(method="POST", cut=0, execute=True)
    bench.fault(method="POST", failRowKeys="record-0001")

    operation = (await bench.submit(records(3))).operation

    assert (operation.status, operation.succeeded, operation.failed) == ("PartiallySucceeded", 2, ())
    (item,) = operation.uncertain
    assert (item.index, item.id) == (1, "record-0001")
    assert item.reason.endswith("The attempt after it came to nothing: Term not found.")


async def test_a_throttled_submit_goes_on_later(bench: Bench) -> None:
    bench.fault(method="POST", status=429, headers={"Retry-After": "40"})

    progress = await bench.submit(records(1))

    assert (progress.operation.status, progress.retry_after) == ("Running", 40)
    bench.clock.advance(seconds=40)
    assert (await bench.finish(progress.operation.operation_id)).operation.status == "Succeeded"
    assert len(bench.calls()) == 1


async def test_what_does_not_fit_the_window_is_done_by_the_queue(reopen: Reopen) -> None:
    bench = reopen(opus_sync_seconds=0)

    progress = await bench.submit(records(16))

    assert (progress.operation.status, progress.retry_after) == ("NotStarted", 5)
    operation_id = progress.operation.operation_id
    assert await bench.pokes() == [operation_id]
    await bench.operations.run(operation_id)
    finished = await bench.operations.get(operation_id)
    assert finished is not None
    assert (finished.operation.status, finished.operation.succeeded) == ("Succeeded", 16)
    assert (await bench.submit(records(16))).operation == finished.operation


async def test_two_executors_at_once_send_everything_once(reopen: Reopen) -> None:
    bench = reopen(opus_sync_seconds=0)
    operation_id = (await bench.submit(records(100))).operation.operation_id
    bench.avepoint.avepoint.change({"latencyMs": 20})

    await asyncio.gather(*(bench.operations.run(operation_id) for _ in range(3)))

    assert {record.submitted for record in bench.avepoint.avepoint.opus.records} == {1}
    assert len(bench.calls()) == 7


async def test_a_running_operation_is_told_with_what_is_done(reopen: Reopen) -> None:
    bench = reopen(opus_sync_seconds=25)
    bench.fault(method="POST", skip=4, times=None, status=429, headers={"Retry-After": "40"})

    progress = await bench.submit(records(100))

    assert (progress.operation.status, progress.operation.succeeded) == ("Running", 60)


async def test_opus_is_not_waited_for_storage(reopen: Reopen, monkeypatch: pytest.MonkeyPatch) -> None:
    bench = reopen(throttle_concurrency=2)
    written = asyncio.Event()
    write = bench.services.storage.write

    async def slow(container: Container, path: str, data: bytes, *, etag: str | None) -> str:
        if "/outcomes/" in path:
            await written.wait()
        return await write(container, path, data, etag=etag)

    monkeypatch.setattr(bench.services.storage, "write", slow)
    submitting = asyncio.create_task(bench.submit(records(90)))

    async def all_sent() -> bool:
        return bench.asked("POST") == 6

    await until(all_sent)
    written.set()

    assert (await submitting).operation.succeeded == 90


async def test_what_is_marked_ahead_and_not_sent_is_not_in_doubt(bench: Bench) -> None:
    bench.fault(method="POST", times=1, status=429, headers={"Retry-After": "40"})
    progress = await bench.submit(records(200))

    bench.fault(method="POST", times=None, status=400)
    bench.clock.advance(seconds=40)
    operation = (await bench.finish(progress.operation.operation_id)).operation

    assert operation.uncertain == ()
    assert operation.succeeded + len(operation.failed) == 200


async def test_too_many_records_are_refused_and_nothing_is_stored(reopen: Reopen) -> None:
    bench = reopen(opus_submit_max_records=3)

    with pytest.raises(TooLarge):
        await bench.submit(records(4))

    assert await bench.paths() == []


async def test_evidence_says_who_asked_what_and_what_opus_answered(bench: Bench) -> None:
    bench.fault(method="POST", failRowKeys="record-0001")
    operation = (await bench.submit(records(2))).operation

    (evidence,) = await bench.evidence()

    assert await bench.paths(Container.EVIDENCE) == [f"date={bench.clock.now:%Y-%m-%d}/{operation.operation_id}.json"]
    assert evidence.operation == operation
    assert evidence.order.client == {"x-ms-client-request-id": "request-1", "idempotency-key": "key-1"}
    assert [record["rowKey"] for record in evidence.order.records] == ["record-0000", "record-0001"]
    (batch,) = evidence.batches
    assert (batch.status, batch.sent_at) == (418, bench.clock.now)
    assert "Term not found." in batch.answer


async def test_operations_are_listed_by_the_day_they_began(bench: Bench) -> None:
    one = await bench.submit(records(1), key="one")
    bench.clock.advance(seconds=1)
    other = await bench.submit(records(1), key="other")
    today = bench.clock.now.date()

    found = await bench.operations.of_date(today)

    assert found.operations == (one.operation, other.operation)
    assert found.next_mark is None


@pytest.fixture
def delays(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """In how many seconds the queue is asked to look, in the order of asking."""
    seen: list[float] = []
    enqueue = bench.services.storage.enqueue

    async def noted(queue: Queue, message: str, *, delay: timedelta = timedelta(0)) -> None:
        seen.append(delay.total_seconds())
        await enqueue(queue, message, delay=delay)

    monkeypatch.setattr(bench.services.storage, "enqueue", noted)
    return seen


async def test_a_safety_net_is_spread_before_the_work(bench: Bench, delays: list[float]) -> None:
    with pytest.raises(Killed):
        await dying(bench).submit(records(1))

    assert delays == [90]


async def test_a_message_under_a_live_lease_looks_again_when_it_is_over(bench: Bench, delays: list[float]) -> None:
    with pytest.raises(Killed):
        await dying(bench).submit(records(1))
    operation_id = (await bench.submit(records(1))).operation.operation_id
    bench.clock.advance(seconds=15)

    await bench.operations.run(operation_id)

    assert delays == [90, 45]
    assert bench.calls() == []


async def test_a_long_wait_is_handed_to_the_queue(bench: Bench, delays: list[float]) -> None:
    bench.fault(method="POST", status=429, headers={"Retry-After": "40"})

    await bench.submit(records(1))

    assert delays == [90, 40]


async def test_whoever_does_not_wait_is_answered_before_unknown_items_are_taken_up() -> None:
    world = World()
    host = Host(world, world.mine, patience=timedelta(seconds=1))
    world.mine.moods = ["unheard", "unheard"]
    operation_id = (await host.submit("key", ["a"])).operation.operation_id
    await world.finish(host, operation_id)
    sent = len(world.mine.log)

    again = await host.operations.submit(replace(world_call("key"), wait=False), CONNECTION, world_records(["a"]))

    assert (again.operation.finished_at, again.replayed, len(world.mine.log)) == (None, False, sent)
    assert again.retry_after is not None
    assert (await world.finish(host, operation_id)).operation.status == "Succeeded"
    assert len(world.mine.log) == sent + 1
    assert await world.problems() == []


async def test_of_two_callers_of_one_key_the_slower_one_gets_what_the_other_one_got(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = World()
    host = Host(world, world.mine)
    faster = replace(world_call("key"), caller="entra:faster")
    answers = []

    async def overtaken(store: OperationStore, kind: OperationKind, key: str, operation: str) -> str:
        monkeypatch.undo()
        answers.append(await host.operations.submit(faster, CONNECTION, world_records(["a"])))
        return await claim_key(store, kind, key, operation)

    monkeypatch.setattr("shared.opus.operations.starting.claim_key", overtaken)

    slower = await host.submit("key", ["a"])

    assert [slower] == [replace(answer, replayed=True) for answer in answers]
    assert len(world.mine.log) == 1


async def test_what_a_person_has_resolved_is_not_sent_again_with_the_rest() -> None:
    """Sent again, it may be processed after all, and what the person said of it would be wrong."""
    world = World()
    host = Host(world, world.mine, patience=timedelta(seconds=1))
    world.mine.moods = ["unheard", "unheard"]
    operation_id = (await host.submit("key", ["a", "b"])).operation.operation_id
    await world.finish(host, operation_id)
    word = ResolveInput.model_validate({"outcome": "Failed", "note": "n", "checkedBy": "Jane", "ids": ["a"]})
    await host.operations.resolve(operation_id, world_call(None), word)
    sent = len(world.mine.log)

    again = await host.submit("key", ["a", "b"])

    assert [one.ids for one in world.mine.log[sent:]] == [("b",)]
    assert (again.operation.status, again.operation.succeeded) == ("PartiallySucceeded", 1)
    assert [(item.id, item.code) for item in again.operation.failed] == [("a", "NotExecuted")]
    assert (await host.submit("key", ["a", "b"])).replayed
    assert await world.problems() == []

"""Destroy against the simulated AvePoint and Azurite: nothing acts twice, and nothing uncertain is called done."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared.azure.storage import Container
from shared.credentials.secrets import VaultUnavailable
from shared.errors import (
    AppError,
    BadResponse,
    BrokenChain,
    Forbidden,
    InvalidInput,
    KeyReused,
    Misconfigured,
    Problem,
    TokenUnavailable,
    UpstreamFailed,
)
from shared.opus.client.verdicts import CallVerdict
from shared.opus.operations.assembly import opus_of
from shared.opus.operations.execution import LEASE_MARGIN
from tests.opus import world as opus_world
from tests.opus.conftest import BEFORE, CONNECTION, Bench, Reopen, call, ids, records
from tests.opus.dying import Killed, dying
from tests.opus.world import Host, Mood, World
from tests.waiting import until

LOST_AFTER_EXECUTION = {"method": "DELETE", "cut": 0, "execute": True}
LOST_BEFORE_EXECUTION = {"method": "DELETE", "cut": 0}


@pytest.mark.parametrize("count", [1, 15, 16, 40])
async def test_every_record_is_destroyed_once_in_calls_of_15(bench: Bench, count: int) -> None:
    keys = await bench.fill(count)

    operation = (await bench.destroy(ids(keys))).operation

    assert (operation.kind, operation.status, operation.succeeded) == ("destroy", "Succeeded", count)
    assert bench.destroyed() == dict.fromkeys(keys, 1)
    assert [key for call in bench.calls() for key in call] == keys
    assert max(len(call) for call in bench.calls()) <= 15


async def test_only_the_failed_items_of_a_418_failed(bench: Bench) -> None:
    keys = await bench.fill(3)

    operation = (await bench.destroy(ids([*keys, "unknown"]))).operation

    assert (operation.status, operation.succeeded) == ("PartiallySucceeded", 3)
    assert [(item.index, item.id) for item in operation.failed] == [(3, "unknown")]


async def test_the_same_key_again_destroys_nothing(bench: Bench) -> None:
    keys = await bench.fill(2)

    first = await bench.destroy(ids(keys))
    again = await bench.destroy(ids(keys))

    assert (again.operation, again.replayed) == (first.operation, True)
    assert bench.asked("DELETE") == 1
    with pytest.raises(KeyReused):
        await bench.destroy(ids(keys[:1]))


async def test_the_same_key_at_the_same_time_destroys_once(bench: Bench) -> None:
    keys = await bench.fill(20)
    bench.avepoint.avepoint.change({"latencyMs": 50})

    await asyncio.gather(*(bench.destroy(ids(keys)) for _ in range(4)))

    assert bench.asked("DELETE") == 2
    assert bench.destroyed() == dict.fromkeys(keys, 1)


@pytest.mark.parametrize(
    "fault",
    [
        LOST_AFTER_EXECUTION,
        LOST_BEFORE_EXECUTION,
        {"method": "DELETE", "cut": 5},
        {"method": "DELETE", "status": 500},
        {"method": "DELETE", "status": 503, "headers": {"Retry-After": "1"}},
        {"method": "DELETE", "status": 409},
        {"method": "DELETE", "status": 410},
        {"method": "DELETE", "status": 200, "body": "<html>"},
        {"method": "DELETE", "status": 418, "body": {"message": "Some failed."}},
        {"method": "DELETE", "truncateGzip": True},
    ],
)
async def test_without_proof_a_destroy_is_uncertain_and_never_repeated(bench: Bench, fault: dict[str, object]) -> None:
    keys = await bench.fill(2)
    bench.fault(**fault)

    operation = (await bench.destroy(ids(keys))).operation
    await bench.operations.run(operation.operation_id)
    again = (await bench.destroy(ids(keys))).operation

    assert again == operation
    assert (operation.status, operation.succeeded, operation.failed) == ("Uncertain", 0, ())
    assert [(item.index, item.id) for item in operation.uncertain] == list(enumerate(keys))
    assert all(item.reason for item in operation.uncertain)
    assert bench.asked("DELETE") == 1


@pytest.mark.parametrize(
    ("status", "code"),
    [(400, "UpstreamRejected"), (403, "UpstreamUnauthorized"), (404, "UpstreamRejected"), (413, "UpstreamRejected")],
)
async def test_a_refusal_proves_that_nothing_was_destroyed(bench: Bench, status: int, code: str) -> None:
    keys = await bench.fill(1)
    bench.fault(method="DELETE", status=status)

    operation = (await bench.destroy(ids(keys))).operation

    assert (operation.status, [item.code for item in operation.failed]) == ("Failed", [code])


async def test_a_throttled_destroy_is_sent_when_its_time_has_come(bench: Bench) -> None:
    keys = await bench.fill(2)
    bench.fault(method="DELETE", status=429, headers={"Retry-After": "60"})

    progress = await bench.destroy(ids(keys))

    assert (progress.operation.status, progress.retry_after) == ("Running", 60)
    bench.clock.advance(seconds=60)
    assert (await bench.finish(progress.operation.operation_id)).operation.status == "Succeeded"
    assert bench.destroyed() == dict.fromkeys(keys, 1)


async def test_what_is_still_due_was_not_destroyed_and_is_sent_again(bench: Bench) -> None:
    keys = await bench.fill(3)
    bench.fault(**LOST_BEFORE_EXECUTION)

    started = await bench.destroy(ids(keys, opusConnectionId=CONNECTION, before=BEFORE))
    lost_at = bench.clock.now
    operation = (await bench.finish(started.operation.operation_id)).operation

    assert (operation.status, operation.succeeded, operation.uncertain) == ("Succeeded", 3, ())
    assert bench.clock.now - lost_at >= 2 * timedelta(seconds=300)
    assert bench.asked("DELETE") == 2
    assert bench.destroyed() == dict.fromkeys(keys, 1)


async def test_what_this_app_saw_due_and_is_gone_was_destroyed(bench: Bench) -> None:
    keys = await bench.fill(3)
    bench.fault(**LOST_AFTER_EXECUTION)

    started = await bench.destroy(ids(keys, opusConnectionId=CONNECTION, before=BEFORE))
    operation = (await bench.finish(started.operation.operation_id)).operation

    assert (operation.status, operation.succeeded, operation.confirmed) == ("Succeeded", 3, tuple(keys))
    (piece,) = [piece for piece in await bench.evidence() if piece.order.kind == "destroy"]
    assert piece.batches[0].confirmed == tuple(keys)
    assert piece.batches[0].sent == tuple(keys)
    assert bench.asked("DELETE") == 1


async def test_what_this_app_did_not_see_due_stays_uncertain_when_it_is_gone(reopen: Reopen) -> None:
    bench = reopen(opus_lookup_pages=1)
    keys = await bench.fill(101)
    bench.fault(**LOST_AFTER_EXECUTION)

    started = await bench.destroy(ids(keys[95:101], opusConnectionId=CONNECTION, before=BEFORE))
    operation = (await bench.finish(started.operation.operation_id)).operation

    assert [item.id for item in operation.uncertain] == keys[100:]
    assert operation.confirmed == tuple(keys[95:100])
    assert bench.asked("DELETE") == 1


async def test_what_is_not_due_is_not_sent(bench: Bench) -> None:
    keys = await bench.fill(20)

    asked = ids([*keys, "unknown"], opusConnectionId=CONNECTION, before=BEFORE)
    operation = (await bench.destroy(asked)).operation

    assert (operation.status, operation.succeeded) == ("PartiallySucceeded", 20)
    assert [(item.index, item.id, item.code) for item in operation.failed] == [(20, "unknown", "NotDue")]
    assert "unknown" not in {key for sent in bench.calls() for key in sent}


async def test_where_nothing_is_due_nothing_is_sent(bench: Bench) -> None:
    asked = ids(["a", "b"], opusConnectionId=CONNECTION, before=BEFORE)

    operation = (await bench.destroy(asked)).operation

    assert (operation.status, {item.code for item in operation.failed}) == ("Failed", {"NotDue"})
    assert bench.asked("DELETE") == 0


@pytest.mark.parametrize("fault", [{"status": 400}, {"status": 403}, {"status": 404}])
async def test_where_opus_refuses_to_say_what_is_due_nothing_is_sent(bench: Bench, fault: dict[str, object]) -> None:
    keys = await bench.fill(1)
    bench.fault(method="GET", **fault)

    operation = (await bench.destroy(ids(keys, opusConnectionId=CONNECTION, before=BEFORE))).operation

    assert operation.status == "Failed"
    assert "cannot be looked up" in operation.failed[0].message
    assert bench.asked("DELETE") == 0


async def test_of_a_lost_answer_only_what_is_still_due_is_sent_again(bench: Bench) -> None:
    keys = await bench.fill(4)
    bench.fault(**LOST_AFTER_EXECUTION, failRowKeys="record-000[02]")

    started = await bench.destroy(ids(keys, opusConnectionId=CONNECTION, before=BEFORE))
    operation = (await bench.finish(started.operation.operation_id)).operation

    assert (operation.status, operation.succeeded) == ("Succeeded", 4)
    assert operation.confirmed == (keys[1], keys[3])
    assert bench.calls() == [tuple(keys), (keys[0], keys[2])]
    assert bench.destroyed() == dict.fromkeys(keys, 1)


@pytest.mark.parametrize("fault", [{"status": 400}, {"status": 200, "body": {}}])
async def test_what_cannot_be_looked_up_stays_uncertain(reopen: Reopen, fault: dict[str, object]) -> None:
    bench = reopen(opus_submit_hours=0.2)
    keys = await bench.fill(1)
    bench.fault(**LOST_BEFORE_EXECUTION)
    started = await bench.destroy(ids(keys, opusConnectionId=CONNECTION, before=BEFORE))
    bench.fault(method="GET", times=None, **fault)

    operation = (await bench.finish(started.operation.operation_id)).operation

    assert operation.status == "Uncertain"
    assert "cannot be looked up" in operation.uncertain[0].reason
    assert bench.asked("DELETE") == 1


async def test_a_throttled_lookup_waits(bench: Bench) -> None:
    keys = await bench.fill(1)
    bench.fault(**LOST_BEFORE_EXECUTION)
    bench.fault(method="GET", status=429, headers={"Retry-After": "60"})

    progress = await bench.destroy(ids(keys, opusConnectionId=CONNECTION, before=BEFORE))

    assert (progress.operation.status, progress.retry_after) == ("Running", 60)
    bench.clock.advance(seconds=60)
    assert (await bench.finish(progress.operation.operation_id)).operation.status == "Succeeded"


@pytest.mark.parametrize("executes", [False, True])
async def test_killed_in_the_middle_of_a_call_it_is_uncertain(bench: Bench, *, executes: bool) -> None:
    keys = await bench.fill(20)
    with pytest.raises(Killed):
        await dying(bench, executes=executes).destroy(ids(keys))
    again = await bench.destroy(ids(keys))
    assert (again.operation.status, again.operation.succeeded) == ("Running", 0)
    operation_id = again.operation.operation_id

    await bench.operations.run(operation_id)
    untouched = await bench.operations.get(operation_id)
    assert untouched is not None
    assert untouched.operation.status == "Running", "the claim of the dead executor is still good"
    bench.clock.advance(seconds=90)
    await bench.operations.run(operation_id)
    finished = await bench.operations.get(operation_id)

    assert finished is not None
    assert (finished.operation.status, finished.operation.succeeded) == ("PartiallySucceeded", 5)
    assert [item.index for item in finished.operation.uncertain] == list(range(15))
    assert max(bench.destroyed().values()) == 1
    assert bench.asked("DELETE") == (2 if executes else 1)


@pytest.mark.parametrize("executes", [False, True])
async def test_a_killed_submit_is_sent_again(bench: Bench, *, executes: bool) -> None:
    with pytest.raises(Killed):
        await dying(bench, executes=executes).submit(records(20))
    bench.clock.advance(seconds=90)
    operation_id = (await bench.submit(records(20))).operation.operation_id

    operation = (await bench.finish(operation_id)).operation

    assert (operation.status, operation.succeeded, operation.uncertain) == ("Succeeded", 20, ())


async def test_a_fault_of_our_own_proves_nothing(bench: Bench) -> None:
    keys = await bench.fill(1)

    operation = (await dying(bench, RuntimeError("boom")).destroy(ids(keys))).operation

    assert (operation.status, operation.uncertain[0].reason) == ("Uncertain", "The answer could not be read.")


async def test_without_a_credential_nothing_is_sent_and_the_work_goes_on_later(bench: Bench) -> None:
    keys = await bench.fill(2)
    with pytest.raises(VaultUnavailable):
        await dying(bench, VaultUnavailable("Key Vault is away")).destroy(ids(keys))

    waiting = (await bench.destroy(ids(keys))).operation
    assert waiting.status == "NotStarted"
    assert (await bench.finish(waiting.operation_id)).operation.status == "Succeeded"
    assert bench.asked("DELETE") == 1


async def test_what_was_in_the_way_is_told_when_it_is_given_up(bench: Bench) -> None:
    keys = await bench.fill(1)
    problem = Problem("KEY_VAULT_URL", "there is no such secret", "Check the vault.")
    with pytest.raises(Misconfigured):
        await dying(bench, Misconfigured([problem])).destroy(ids(keys))
    operation_id = (await bench.destroy(ids(keys))).operation.operation_id

    await bench.operations.give_up(operation_id)

    ended = await bench.operations.get(operation_id)
    assert ended is not None
    assert ended.operation.failed[0].message == "KEY_VAULT_URL: there is no such secret. Check the vault."


@pytest.mark.parametrize("mood", ["well", "lost"])
async def test_a_look_that_a_fault_of_our_own_prevents_is_made_later(mood: Mood) -> None:
    host, operation_id = await first_look_ahead(mood)
    problem = Problem("KEY_VAULT_URL", "there is no such secret", "Check the vault.")
    host.tenant.unlisted = [Misconfigured([problem])]
    with pytest.raises(Misconfigured):
        await host.world.finish(host, operation_id)

    assert (await host.world.finish(host, operation_id)).operation.status == "Succeeded"
    assert len(host.tenant.log) == 1


@pytest.mark.parametrize("mood", ["well", "lost"])
async def test_a_token_that_is_away_for_hours_is_no_reason_to_give_up(mood: Mood) -> None:
    host, operation_id = await first_look_ahead(mood)
    host.tenant.unlisted = [TokenUnavailable("the identity service is away")] * 100

    assert (await host.world.finish(host, operation_id)).operation.status == "Succeeded"
    assert len(host.tenant.log) == 1


@pytest.mark.parametrize("mood", ["well", "lost"])
@pytest.mark.parametrize("error", [BadResponse("it is not JSON"), BrokenChain("the list repeats its records")])
async def test_a_list_that_cannot_be_read_now_is_read_later(mood: Mood, error: AppError) -> None:
    host, operation_id = await first_look_ahead(mood)
    host.tenant.unlisted = [error]

    assert (await host.world.finish(host, operation_id)).operation.status == "Succeeded"
    assert len(host.tenant.log) == 1


@pytest.mark.parametrize("mood", ["well", "lost"])
async def test_looks_that_come_to_nothing_become_rarer(mood: Mood) -> None:
    host, operation_id = await first_look_ahead(mood)
    host.tenant.unlisted = [UpstreamFailed("Opus answered 502", status=502)] * 10_000
    before = host.tenant.looks

    operation = (await host.world.finish(host, operation_id)).operation

    assert operation.status == ("Failed" if mood == "well" else "Uncertain")
    assert 20 < host.tenant.looks - before < 60


@pytest.mark.parametrize("away", [timedelta(minutes=10), timedelta(days=3)])
async def test_what_was_in_flight_is_looked_up_however_long_the_app_was_away(away: timedelta) -> None:
    world = World()
    host = Host(world, world.mine)
    world.mine.moods = ["well", "killed after"]
    ids = [f"r{number:02d}" for number in range(20)]
    with pytest.raises(opus_world.Killed):
        await host.destroy("key", ids, looked_up=True)
    world.now += away
    world.mine.unlisted = [UpstreamFailed("Opus answered 502", status=502)] * 3

    operation_id = (await host.destroy("key", ids, looked_up=True)).operation.operation_id
    operation = (await world.finish(host, operation_id)).operation

    assert (operation.status, operation.confirmed) == ("Succeeded", tuple(ids[15:]))
    assert len(world.mine.log) == 2


async def test_a_destroy_that_waited_long_is_not_given_up_at_the_first_look_that_comes_to_nothing() -> None:
    host, operation_id = await first_look_ahead("well")
    host.world.now += timedelta(days=3)
    host.tenant.unlisted = [UpstreamFailed("Opus answered 502", status=502)] * 3

    assert (await host.world.finish(host, operation_id)).operation.status == "Succeeded"


async def first_look_ahead(mood: Mood) -> tuple[Host, str]:
    """A destroy that looks next, for the first time or after its call."""
    world = World()
    host = Host(world, world.mine, sync_seconds=25 if mood == "lost" else 0)
    world.mine.moods = [mood]
    progress = await host.destroy("key", ["a"], looked_up=True)
    assert progress.operation.status == ("Running" if mood == "lost" else "NotStarted")
    return host, progress.operation.operation_id


async def test_no_answer_is_waited_for_beyond_the_lease(reopen: Reopen, monkeypatch: pytest.MonkeyPatch) -> None:
    bench = reopen(opus_sync_seconds=0.1)
    monkeypatch.setattr("shared.opus.operations.worker.LEASE_GRACE", LEASE_MARGIN + timedelta(seconds=0.1))
    keys = ["a"]
    bench.fault(method="DELETE", latencyMs=2000)

    operation = (await bench.destroy(ids(keys))).operation

    assert (operation.status, operation.uncertain[0].reason) == ("Uncertain", "AvePoint did not answer in time.")


async def test_an_executor_that_was_overtaken_sends_nothing_more(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    keys = await bench.fill(40)
    opus, answered, overtaken = opus_of(bench.services), asyncio.Event(), asyncio.Event()
    destroy = opus.destroy

    async def destroy_slowly(keys: Sequence[str]) -> CallVerdict:
        verdict = await destroy(keys)
        answered.set()
        await overtaken.wait()
        return verdict

    monkeypatch.setattr(opus, "destroy", destroy_slowly)
    slow = asyncio.create_task(bench.operations_with(opus).destroy(call("key-1"), ids(keys)))
    await answered.wait()
    bench.clock.advance(seconds=86)  # its claim is over, though it lives

    operation = (await bench.finish((await bench.destroy(ids(keys))).operation.operation_id)).operation
    overtaken.set()
    await slow

    assert bench.destroyed() == dict.fromkeys(keys, 1)
    assert bench.asked("DELETE") == 3
    assert (operation.succeeded, len(operation.uncertain)) == (25, 15)


async def test_a_cancelled_caller_does_not_cancel_what_is_in_flight(bench: Bench) -> None:
    keys = await bench.fill(15)
    bench.fault(method="DELETE", latencyMs=100)
    caller = asyncio.create_task(bench.destroy(ids(keys)))
    await bench.fault_struck()

    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller

    async def told() -> int:
        return (await bench.destroy(ids(keys))).operation.succeeded

    await until(told)
    bench.clock.advance(seconds=90)
    operation_id = (await bench.destroy(ids(keys))).operation.operation_id

    assert (await bench.finish(operation_id)).operation.status == "Succeeded"
    assert bench.asked("DELETE") == 1


async def test_a_batch_is_dealt_with_to_its_end_before_the_next_is_touched(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = await bench.fill(31)
    asked: list[int] = []
    write = bench.services.storage.write

    async def noted(container: Container, path: str, data: bytes, *, etag: str | None) -> str:
        if "/outcomes/" in path:
            await asyncio.sleep(0.05)
            asked.append(bench.asked("DELETE"))
        return await write(container, path, data, etag=etag)

    monkeypatch.setattr(bench.services.storage, "write", noted)
    await bench.destroy(ids(keys))

    assert asked == [1, 2, 3]


async def test_what_cannot_go_on_is_ended_with_its_reason(reopen: Reopen) -> None:
    bench = reopen(opus_sync_seconds=0)
    keys = await bench.fill(2)
    operation_id = (await bench.destroy(ids(keys))).operation.operation_id

    await bench.operations.give_up(operation_id)

    ended = await bench.operations.get(operation_id)
    assert ended is not None
    assert (ended.operation.status, ended.retry_after) == ("Failed", None)
    assert {item.code for item in ended.operation.failed} == {"GivenUp"}
    assert len(await bench.evidence()) == 1
    await bench.operations.run(operation_id)
    assert bench.asked("DELETE") == 0


async def test_what_was_sent_and_cannot_go_on_is_uncertain(bench: Bench) -> None:
    keys = await bench.fill(20)
    with pytest.raises(Killed):
        await dying(bench).destroy(ids(keys))
    bench.clock.advance(seconds=90)
    operation_id = (await bench.destroy(ids(keys))).operation.operation_id

    await bench.operations.give_up(operation_id)

    ended = await bench.operations.get(operation_id)
    assert ended is not None
    assert ended.operation.status == "Uncertain"
    assert (len(ended.operation.uncertain), len(ended.operation.failed)) == (15, 5)


async def test_it_has_to_be_switched_on(reopen: Reopen) -> None:
    bench = reopen(opus_destroy_enabled=False)

    with pytest.raises(Forbidden):
        await bench.destroy(ids(["a"]))

    assert await bench.paths() == []


async def test_it_needs_a_key(bench: Bench) -> None:
    with pytest.raises(InvalidInput) as caught:
        await bench.destroy(ids(["a"]), key=None)

    assert caught.value.target == "Idempotency-Key"
    assert await bench.paths() == []


def test_a_rehearsal_names_the_calls_and_sends_nothing(bench: Bench) -> None:
    calls = bench.operations.rehearse_destroy(call("k"), ids([f"r{n}" for n in range(16)]))

    assert [one["method"] for one in calls] == ["DELETE", "DELETE"]
    assert calls[1]["body"] == {"disposalIds": ["r15"]}
    assert bench.asked("DELETE") == 0


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    faults=st.lists(
        st.sampled_from([{}, LOST_AFTER_EXECUTION, LOST_BEFORE_EXECUTION, {"method": "DELETE", "status": 400}]),
        max_size=4,
    )
)
async def test_whatever_happens_nothing_is_destroyed_twice_or_told_wrongly(
    bench: Bench, faults: Sequence[dict[str, object]]
) -> None:
    bench.avepoint.avepoint.faults.clear()
    bench.clock.advance(seconds=1)
    stamp = f"{bench.clock.now.timestamp():.0f}"
    body = records(40, name=stamp)
    await bench.submit(body, key=f"fill-{stamp}")
    for fault in faults:
        bench.fault(**(fault or {"method": "DELETE", "latencyMs": 1}))

    keys = [record.row_key for record in body.records]
    progress = await bench.destroy(ids(keys, opusConnectionId=CONNECTION, before=BEFORE), key=f"destroy-{stamp}")
    operation = (await bench.finish(progress.operation.operation_id)).operation

    destroyed = bench.destroyed()
    assert {destroyed[key] for key in keys} <= {0, 1}
    doubtful = {item.id for item in operation.uncertain}
    failed = {item.id for item in operation.failed}
    assert all(destroyed[key] == 1 for key in keys if key not in doubtful | failed)
    assert all(destroyed[key] == 0 for key in failed)
    assert operation.succeeded + len(failed) + len(doubtful) == len(keys)

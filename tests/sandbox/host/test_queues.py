import base64
from collections.abc import AsyncIterator
from contextlib import suppress
from itertools import pairwise
from typing import Any
from uuid import uuid4

import httpx
import pytest
from azure.core.exceptions import ResourceExistsError
from azure.storage.queue.aio import QueueServiceClient

from sandbox.azurite import Azurite
from sandbox.host.process import RunningHost, running_host
from sandbox.host.queues.listener import pauses
from tests.recordings import recorded
from tests.sandbox.host.conftest import App, write_app
from tests.waiting import until

APP = """
def entry(message):
    return dict(text=message.get_body().decode(), attempt=message.dequeue_count, at=time.time(), id=message.id,
                inserted=message.insertion_time, expires=message.expiration_time, receipt=message.pop_receipt)

@app.queue_trigger("message", "%QUEUE%", "STORE")
async def take(message: func.QueueMessage) -> None:
    record(name="take", **entry(message))

@app.queue_trigger("message", "bodies", "STORE")
async def read(message: func.QueueMessage) -> None:
    record(name="read", **entry(message))

@app.queue_trigger("message", "failing", "STORE")
async def fail(message: func.QueueMessage) -> None:
    record(name="fail", **entry(message))
    raise RuntimeError("on purpose")

@app.queue_trigger("message", "failing-poison", "STORE")
async def poisoned(message: func.QueueMessage) -> None:
    record(name="poisoned", **entry(message))
    raise RuntimeError("a poison message that fails comes again when its invisibility ends")

@app.queue_trigger("message", "long", "STORE")
async def outlive(message: func.QueueMessage) -> None:
    record(name="outlive", **entry(message))
    await asyncio.sleep(1.6)
    record(name="outlived")

@app.queue_trigger("message", "busy", "STORE")
async def busy(message: func.QueueMessage) -> None:
    record(name="busy", change=1)
    await asyncio.sleep(0.3)
    record(name="busy", change=-1)

@app.route("forward")
@app.queue_output("out", "%QUEUE%", "STORE")
async def forward(req: func.HttpRequest, out: func.Out[str]) -> str:
    out.set(req.get_body().decode())
    return "sent"

@app.queue_trigger("message", "fan-in", "STORE")
@app.queue_output("$return", "%QUEUE%", "STORE")
async def fan_out(message: func.QueueMessage):
    return message.get_body().decode().split(",")
"""
HOST_JSON: dict[str, object] = {
    "extensions": {
        "queues": {
            "batchSize": 2,
            "maxPollingInterval": "00:00:00.2",
            "newBatchThreshold": 1,
            "maxDequeueCount": 2,
            "visibilityTimeout": "00:00:01",
        }
    }
}


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> App:
    return write_app(tmp_path_factory.mktemp("queues"), APP, HOST_JSON)


@pytest.fixture(scope="module")
async def host(app: App, storage: Azurite) -> AsyncIterator[RunningHost]:
    env = app.environment(STORE=storage.connection_string, QUEUE="taking", SANDBOX_INVISIBILITY_SECONDS="1")
    async with running_host(app=app.path, env=env, log=app.log) as host:
        yield host


@pytest.fixture(scope="module")
async def service(storage: Azurite, host: RunningHost) -> AsyncIterator[QueueServiceClient]:
    """Queues are made after the host has started: a missing one is no error."""
    assert host.process.child.returncode is None
    async with QueueServiceClient.from_connection_string(storage.connection_string) as service:
        yield service


async def put(service: QueueServiceClient, queue: str, *texts: str, encoded: bool = True) -> None:
    client = service.get_queue_client(queue)
    with suppress(ResourceExistsError):
        await client.create_queue()
    for text in texts:
        await client.send_message(base64.b64encode(text.encode()).decode() if encoded else text, time_to_live=-1)


async def waiting(service: QueueServiceClient, queue: str) -> int:
    """How many messages the queue holds, hidden ones too."""
    return (await service.get_queue_client(queue).get_queue_properties()).approximate_message_count or 0


async def test_a_message_is_decoded_with_its_metadata_and_deleted(app: App, service: QueueServiceClient) -> None:
    text = f"ünïcode {uuid4()}"
    await put(service, "taking", text)
    (taken,) = await app.recorded(name="take", text=text)
    assert taken["attempt"] == 1
    assert taken["id"]
    assert taken["receipt"]
    assert taken["inserted"][:2] == "20"
    assert taken["expires"][:5] == "9999-"
    await _emptied(service, "taking")


async def test_a_failing_message_is_tried_again_after_the_delay_and_then_poisoned(
    app: App, service: QueueServiceClient
) -> None:
    await put(service, "failing", "bad")
    (poisoned, *_) = await app.recorded(name="poisoned", text="bad")
    attempts = app.records(name="fail", text="bad")
    assert [attempt["attempt"] for attempt in attempts] == [1, 2]
    assert attempts[1]["at"] - attempts[0]["at"] >= 0.9
    assert poisoned["attempt"] == 1
    assert poisoned["at"] - attempts[1]["at"] < 0.9, "the last failure poisons at once"
    await _emptied(service, "failing")
    assert await waiting(service, "failing-poison") >= 1


@pytest.mark.parametrize("case", recorded("host/queue-bodies"), ids=lambda case: repr(case["content"]))
async def test_every_recorded_body_is_taken_as_recorded(
    app: App, service: QueueServiceClient, case: dict[str, Any]
) -> None:
    await put(service, "bodies-poison")
    before = len(app.records(name="read"))
    await put(service, "bodies", case["content"], encoded=False)
    await _emptied(service, "bodies")
    read = app.records(name="read")[before:]
    poison = [message.content async for message in service.get_queue_client("bodies-poison").receive_messages()]
    await service.get_queue_client("bodies-poison").clear_messages()
    if case["outcome"] == "run":
        assert ([entry["text"] for entry in read], poison) == ([case["text"]], [])
    else:
        assert (read, poison) == ([], [case["content"]])


async def test_a_function_of_a_poison_queue_is_called_again_without_end(app: App, service: QueueServiceClient) -> None:
    await put(service, "failing-poison", "for ever")
    calls = await app.recorded(4, name="poisoned", text="for ever")
    assert [call["attempt"] for call in calls[:4]] == [1, 2, 3, 4], "more often than maxDequeueCount"
    assert all(later["at"] - earlier["at"] >= 0.9 for earlier, later in pairwise(calls))


async def test_what_cannot_be_decoded_stays_on_a_poison_queue(service: QueueServiceClient) -> None:
    await put(service, "failing-poison", "not base64!", encoded=False)
    seen: set[int] = set()

    async def taken_often() -> bool:
        for message in await service.get_queue_client("failing-poison").peek_messages(32):
            if message.content == "not base64!":
                seen.add(message.dequeue_count or 0)
        return max(seen, default=0) > 3

    await until(taken_often)


async def test_a_message_stays_hidden_while_its_function_outlives_the_invisibility(
    app: App, service: QueueServiceClient
) -> None:
    await put(service, "long", "x")
    await app.recorded(name="outlived")
    await _emptied(service, "long")
    assert len(app.records(name="outlive")) == 1


async def test_no_more_run_at_once_than_batch_size_and_threshold_allow(app: App, service: QueueServiceClient) -> None:
    await put(service, "busy", *map(str, range(8)))
    await app.recorded(8, name="busy", change=-1)
    running, most = 0, 0
    for entry in app.records(name="busy"):
        running += entry["change"]
        most = max(most, running)
    assert 2 <= most <= 3


async def test_a_queue_output_sends_what_an_http_function_sets(app: App, host: RunningHost) -> None:
    async with httpx.AsyncClient(base_url=host.url) as client:
        assert (await client.post("/api/forward?code=k", content="from http")).text == "sent"
    await app.recorded(name="take", text="from http")


async def test_a_returned_list_becomes_one_message_each(app: App, service: QueueServiceClient) -> None:
    await put(service, "fan-in", "one,two")
    await app.recorded(name="take", text="one")
    await app.recorded(name="take", text="two")


async def test_an_admin_invocation_runs_a_queue_function_with_its_input(app: App, host: RunningHost) -> None:
    async with httpx.AsyncClient(base_url=host.url) as client:
        answer = await client.post("/admin/functions/take?code=k", json={"input": "by hand"})
    assert answer.status_code == 202
    assert (await app.recorded(name="take", text="by hand"))[0]["attempt"] is None


@pytest.mark.parametrize(
    ("longest", "azure_pace", "expected"),
    [
        (5, True, (0.1, 0.2, 0.3, 0.55, 0.9, 1.6, 3.5, 5)),
        (0.3, True, (0.1, 0.2, 0.3)),
        (5, False, (0.05, 0.1, 0.2, 0.4, 0.8, 1.0)),
        (0.2, False, (0.05, 0.1, 0.2)),
    ],
)
def test_an_idle_queue_is_asked_less_and_less_often(
    longest: float, *, azure_pace: bool, expected: tuple[float, ...]
) -> None:
    assert pauses(longest, azure_pace=azure_pace) == expected


async def _emptied(service: QueueServiceClient, queue: str) -> None:
    async def empty() -> bool:
        return await waiting(service, queue) == 0

    await until(empty)

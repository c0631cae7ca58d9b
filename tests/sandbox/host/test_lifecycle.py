import asyncio
import socket
from pathlib import Path

import httpx
import pytest
from azure.storage.queue import TextBase64EncodePolicy
from azure.storage.queue.aio import QueueClient

from sandbox.azurite import Azurite
from sandbox.host import server
from sandbox.host.process import running_host
from sandbox.host.runtime import Function, Outcome, Runtime
from sandbox.host.server import Host
from sandbox.host.settings import HostJson
from sandbox.serving import listen
from tests.sandbox.host.conftest import App, write_app
from tests.waiting import until

APP = """
@app.queue_trigger("message", "%QUEUE%", "STORE")
async def work(message: func.QueueMessage) -> None:
    record(event="begin", attempt=message.dequeue_count)
    await asyncio.sleep(float(os.environ["WORK_SECONDS"]))
    record(event="end", attempt=message.dequeue_count)

@app.queue_trigger("message", "%QUEUE%-stuck", "STORE")
async def stuck(message: func.QueueMessage) -> None:
    if message.dequeue_count > 1:
        record(event="again", function="stuck")
        return
    for _ in range(80):
        record(event="still writing")
        await asyncio.sleep(0.05)

@app.queue_trigger("message", "%QUEUE%-beside", "STORE")
async def beside(message: func.QueueMessage) -> None:
    record(event="again" if message.dequeue_count > 1 else "beside", function="beside")
    await asyncio.sleep(0 if message.dequeue_count > 1 else 60)

@app.route("wait")
async def wait(req: func.HttpRequest) -> str:
    record(event="asked")
    await asyncio.sleep(float(os.environ["WORK_SECONDS"]))
    return "answered"
"""


@pytest.fixture
def app(tmp_path: Path) -> App:
    return write_app(tmp_path, APP)


@pytest.fixture
async def queue(storage: Azurite, request: pytest.FixtureRequest) -> QueueClient:
    """A queue of this test's own, with one message in it."""
    name = str(request.node.name).replace("_", "-")[:50].rstrip("-")
    policy = TextBase64EncodePolicy()
    client = QueueClient.from_connection_string(storage.connection_string, name, message_encode_policy=policy)
    await client.create_queue()
    await client.send_message("x")
    return client


def settings(app: App, storage: Azurite, queue: QueueClient, seconds: float) -> dict[str, str]:
    return app.environment(
        STORE=storage.connection_string,
        QUEUE=queue.queue_name,
        WORK_SECONDS=str(seconds),
        SANDBOX_INVISIBILITY_SECONDS="1",
    )


@pytest.mark.slow
async def test_a_killed_host_leaves_its_message_to_the_next_one(app: App, storage: Azurite, queue: QueueClient) -> None:
    env = settings(app, storage, queue, seconds=60)
    async with queue:
        async with running_host(app=app.path, env=env, log=app.log) as killed:
            await app.recorded(event="begin")
            await killed.process.kill()
        env = settings(app, storage, queue, seconds=0)
        async with running_host(app=app.path, env=env, log=app.log):
            (end,) = await app.recorded(event="end")
    assert end["attempt"] == 2


async def test_sigterm_lets_work_finish_and_takes_no_more(app: App, storage: Azurite, queue: QueueClient) -> None:
    env = settings(app, storage, queue, seconds=1)
    async with queue, running_host(app=app.path, env=env, log=app.log) as host, httpx.AsyncClient() as client:
        asked = asyncio.create_task(client.get(f"{host.url}/api/wait?code=k"))
        await app.recorded(event="asked")
        await app.recorded(event="begin")
        stopping = asyncio.create_task(host.process.stop(within=5))
        await until(lambda: _refused(host.url))
        await queue.send_message("too late")
        assert (await asked).text == "answered"
        assert await stopping == 0
        assert len(app.records(event="begin")) == len(app.records(event="end")) == 1
        assert [message.content async for message in queue.receive_messages()] == ["dG9vIGxhdGU="]


@pytest.mark.slow
async def test_a_function_past_its_time_writes_on_while_its_message_is_taken_again_and_its_neighbours_fail(
    tmp_path: Path, storage: Azurite, queue: QueueClient
) -> None:
    queues = {"maxDequeueCount": 3, "visibilityTimeout": "00:00:01"}
    app = write_app(tmp_path, APP, {"functionTimeout": "00:00:02", "extensions": {"queues": queues}})
    env = settings(app, storage, queue, seconds=0)
    async with queue, running_host(app=app.path, env=env, log=app.log) as host, httpx.AsyncClient() as client:
        for name in ("stuck", "beside"):
            another = QueueClient.from_connection_string(storage.connection_string, f"{queue.queue_name}-{name}")
            async with another:
                await another.create_queue()
                await another.send_message("eA==")
            await app.recorded(event="still writing")
        await app.recorded(event="beside")
        assert (await client.get(f"{host.url}/api/wait?code=k")).text == "answered"
        again = await app.recorded(2, event="again")
        written = len(app.records(event="still writing"))
        await app.recorded(written + 1, event="still writing")
    assert {entry["function"] for entry in again} == {"stuck", "beside"}
    log = host.process.output()
    assert "'Functions.stuck'" in log.partition("ran longer than functionTimeout")[0].splitlines()[-1]
    assert "'Functions.beside'" in log.partition("is lost with its worker")[0].splitlines()[-1]


async def test_what_outlasts_the_drain_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "DRAIN_SECONDS", 0.2)
    began, stop = asyncio.Event(), asyncio.Event()

    class Endless(Runtime):
        async def invoke(self, *_: object) -> Outcome:
            began.set()
            await asyncio.Event().wait()
            return Outcome(succeeded=True)

    bindings = ({"type": "timerTrigger", "name": "timer", "schedule": "0 0 0 1 1 *", "runOnStartup": True},)
    host = Host(Endless((Function("endless", "1", bindings),)), HostJson(version="2.0"), {})
    serving = asyncio.create_task(host.serve(socket.create_server(("127.0.0.1", 0)), stop))
    await began.wait()
    stop.set()
    assert not await serving


async def test_a_disabled_function_does_not_run_by_itself_and_has_no_route() -> None:
    ran, stop = list[str](), asyncio.Event()

    class Noting(Runtime):
        async def invoke(self, function: Function, *_: object) -> Outcome:
            ran.append(function.name)
            return Outcome(succeeded=True)

    timer = {"type": "timerTrigger", "name": "timer", "schedule": "0 0 0 1 1 *", "runOnStartup": True}
    route = {"type": "httpTrigger", "name": "req", "methods": ["GET"], "authLevel": "ANONYMOUS"}
    functions = [Function(name, name, (timer,)) for name in ("nightly", "off", "off_too")]
    functions += [Function(name, name, ({**route, "route": name},)) for name in ("closed", "open")]
    switches = {"off": "1", "off_too": "TRUE", "closed": "true", "open": "0", "nightly": ""}
    environ = {f"AzureWebJobs.{name}.Disabled": value for name, value in switches.items()}
    host = Host(Noting(tuple(functions)), HostJson(version="2.0"), environ | {"SANDBOX_FUNCTION_KEY": "k"})
    listening = listen(0)
    serving = asyncio.create_task(host.serve(listening, stop))
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{listening.getsockname()[1]}") as client:
        assert [(await client.get(f"/api/{name}")).status_code for name in ("closed", "open")] == [404, 204]
        await until(lambda: "nightly" in ran)
        assert set(ran) == {"nightly", "open"}
        assert (await client.post("/admin/functions/off", headers={"x-functions-key": "k"}, json={})).status_code == 202
        await until(lambda: "off" in ran)
    stop.set()
    assert await serving


def _refused(url: str) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", int(url.rpartition(":")[2]))) != 0

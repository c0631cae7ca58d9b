import asyncio
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import pytest
from azure.storage.blob.aio import ContainerClient

from sandbox.azurite import Azurite
from sandbox.host.process import RunningHost, running_host
from sandbox.host.timers.storage import CONTAINER, BlobLock
from tests.sandbox.host.conftest import App, write_app
from tests.waiting import until

APP = """
@app.timer_trigger("timer", "%EVERY_SECOND%", use_monitor=True)
async def tick(timer: func.TimerRequest) -> None:
    record(name="tick", at=time.time(), past_due=timer.past_due, status=timer.schedule_status)

@app.timer_trigger("timer", "* * * * * *", use_monitor=False)
async def slow(timer: func.TimerRequest) -> None:
    record(name="slow", event="begin")
    await asyncio.sleep(1.2)
    record(name="slow", event="end")

@app.timer_trigger("timer", "0 0 0 1 1 *", run_on_startup=True)
async def yearly(timer: func.TimerRequest) -> None:
    record(name="yearly", **timer.schedule_status)
"""
MONTHLY = """
@app.timer_trigger("timer", "0 0 0 1 * *")
async def monthly(timer: func.TimerRequest) -> None:
    record(name="monthly", past_due=timer.past_due, **timer.schedule_status)
"""
KEY = {"x-functions-key": "k"}


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> App:
    return write_app(tmp_path_factory.mktemp("timers"), APP)


@pytest.fixture(scope="module")
async def host(app: App) -> AsyncIterator[RunningHost]:
    env = app.environment(EVERY_SECOND="* * * * * *")
    async with running_host(app=app.path, env=env, log=app.log) as host:
        yield host


@pytest.fixture
async def blobs(storage: Azurite) -> AsyncIterator[ContainerClient]:
    async with ContainerClient.from_connection_string(storage.connection_string, CONTAINER) as container:
        yield container


@pytest.mark.usefixtures("host")
async def test_a_timer_fires_on_schedule(app: App) -> None:
    ticks = (await app.recorded(3, name="tick"))[:3]
    seconds = [int(tick["at"]) for tick in ticks]
    assert [later - earlier for earlier, later in pairwise(seconds)] == [1, 1]
    assert [(tick["past_due"], tick["status"]) for tick in ticks] == [(False, {})] * 3


@pytest.mark.usefixtures("host")
async def test_a_timer_that_outlasts_its_schedule_never_overlaps_itself(app: App) -> None:
    await app.recorded(2, name="slow", event="end")
    events = [entry["event"] for entry in app.records(name="slow")]
    assert events == (["begin", "end"] * len(events))[: len(events)]


async def test_run_on_startup_and_admin_invocations_pass_the_stored_status_whose_next_lies_ahead(
    app: App, host: RunningHost
) -> None:
    await app.recorded(name="yearly")
    async with httpx.AsyncClient(base_url=host.url, headers=KEY) as client:
        answer = await client.post("/admin/functions/yearly", json={})
    assert (answer.status_code, answer.content) == (202, b"")
    at_start, by_hand = await app.recorded(2, name="yearly")
    assert datetime.fromisoformat(at_start["Next"]) > datetime.now(UTC)
    assert by_hand["Next"] == at_start["Next"]
    assert at_start["Last"].startswith("0001-")
    assert not by_hand["Last"].startswith("0001-")


@pytest.mark.parametrize(
    ("path", "headers", "body", "status"),
    [
        ("tick", {}, b"{}", 401),
        ("unknown", KEY, b"{}", 404),
        ("tick", KEY, b"[]", 400),
        ("tick", KEY, b"{", 400),
        ("tick", KEY, b"", 400),
        ("tick", KEY, b"{}", 202),
    ],
)
async def test_admin_invocation_answers(
    host: RunningHost, path: str, headers: dict[str, str], body: bytes, status: int
) -> None:
    async with httpx.AsyncClient(base_url=host.url) as client:
        assert (await client.post(f"/admin/functions/{path}", headers=headers, content=body)).status_code == status


@pytest.mark.slow
async def test_the_status_is_a_blob_and_what_was_missed_is_called_past_due_with_the_next_start(
    tmp_path: Path, storage: Azurite, blobs: ContainerClient
) -> None:
    app = write_app(tmp_path, MONTHLY)
    env = app.environment(AzureWebJobsStorage=storage.connection_string, AzureFunctionsWebHost__hostid="one")
    path = "timers/one/monthly/status"
    async with running_host(app=app.path, env=env, log=app.log):
        first = await _status(blobs, path)
    assert first.keys() == {"Last", "Next", "LastUpdated"}
    assert datetime.fromisoformat(first["Next"]) > datetime.now(UTC)
    missed = {
        "Last": "0001-01-01T00:00:00",
        "Next": "2025-03-01T00:00:00Z",
        "LastUpdated": "2025-02-11T11:11:11.1234567Z",
    }
    await blobs.upload_blob(path, json.dumps(missed), overwrite=True)
    async with running_host(app=app.path, env=env, log=app.log):
        (called,) = await app.recorded(name="monthly")
        assert (called["past_due"], called["Next"]) == (True, "2025-03-01T00:00:00+00:00")

        async def updated() -> bool:
            last = (await _status(blobs, path))["Last"]
            return last != missed["Last"] and datetime.fromisoformat(last) > datetime.now(UTC) - timedelta(hours=1)

        await until(updated)
    async with running_host(app=app.path, env=env, log=app.log):
        await _status(blobs, path)
    assert len(app.records(name="monthly")) == 1


async def test_the_lock_is_a_lease_that_one_host_holds(blobs: ContainerClient) -> None:
    ours, theirs = BlobLock(blobs, "locks/two/t.Listener"), BlobLock(blobs, "locks/two/t.Listener")
    lease = await ours.acquire(60)
    assert lease
    assert await theirs.acquire(60) is None
    await lease.renew()
    await lease.release()
    assert await theirs.acquire(60)


@pytest.mark.slow
async def test_the_timer_of_a_killed_host_moves_to_another_one(tmp_path: Path, storage: Azurite) -> None:
    app = write_app(tmp_path, MONTHLY.replace("0 0 0 1 * *", "0 * * * * *") + "    await asyncio.sleep(3600)")
    env = app.environment(AzureWebJobsStorage=storage.connection_string)
    loop = asyncio.get_running_loop()
    async with running_host(app=app.path, env=env, log=app.path / "first.log") as first:
        await until(lambda: bool(app.records(name="monthly")), within=90)
        async with running_host(app=app.path, env=env, log=app.path / "second.log") as second:
            await first.process.kill()
            killed = loop.time()
            await until(lambda: len(app.records(name="monthly")) == 2, within=90)
            assert 40 <= loop.time() - killed <= 85
            await second.process.kill()
    before, after = app.records(name="monthly")
    assert (before["past_due"], after["past_due"]) == (False, True)
    assert before["Next"] == after["Next"]


async def _status(blobs: ContainerClient, path: str) -> dict[str, Any]:
    """Wait for the status of a timer and return it."""

    async def there() -> bool:
        return await blobs.get_blob_client(path).exists()

    await until(there)
    status: dict[str, Any] = json.loads(await (await blobs.download_blob(path)).readall())
    return status

"""A probe is answered within five seconds, whatever is away, and with nothing but the state and the version."""

import asyncio
import os
import socket
import time
from collections.abc import AsyncIterator

import httpx
import pytest

from sandbox.azurite import Azurite
from sandbox.host.process import RunningHost, running_host
from shared.doctor.check import PATIENCE_SECONDS
from shared.version import VERSION
from tests.conftest import Simulator, app_settings
from tools.commands.__main__ import main


@pytest.fixture(scope="module")
async def without_storage(
    azurite: Azurite, simulator: Simulator, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[RunningHost]:
    """A host whose storage takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        silence = (
            "DefaultEndpointsProtocol=http;AccountName=a;AccountKey=YQ==;"
            f"BlobEndpoint=http://127.0.0.1:{port}/a;QueueEndpoint=http://127.0.0.1:{port}/a;"
        )
        settings = app_settings(azurite, simulator) | {"AzureWebJobsStorage": azurite.connection_string}
        settings |= {"INVENTORY_STORAGE": silence}
        log = tmp_path_factory.mktemp("host") / "host.log"
        # What waits for silent storage would be drained for half a minute.
        async with running_host(log=log, env={**os.environ, **settings}, stop_seconds=2) as running:
            yield running


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_health_answers_while_storage_is_silent(without_storage: RunningHost, method: str) -> None:
    began = time.monotonic()
    async with httpx.AsyncClient(timeout=30) as probe:
        answer = await probe.request(method, f"{without_storage.url}/api/health?cachebuster=1")
    assert (answer.status_code, "retry-after" in answer.headers) == (503, False)
    assert time.monotonic() - began < PATIENCE_SECONDS  # four, on a machine that has nothing else to do
    assert answer.content == b"" if method == "HEAD" else answer.json() == {"status": "unhealthy", "version": VERSION}


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.usefixtures("services")
async def test_health_answers_when_all_is_well(client: httpx.AsyncClient, method: str) -> None:
    answer = await client.request(method, "health")
    assert answer.status_code == 200
    assert answer.content == b"" if method == "HEAD" else answer.json() == {"status": "ok", "version": VERSION}


@pytest.mark.parametrize("name", ["doctor", "datasets", "runs"])
@pytest.mark.usefixtures("services")
async def test_a_command_asks_the_app_itself(
    host: RunningHost, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    monkeypatch.setenv("APP_KEY", host.key)
    assert await asyncio.to_thread(main, [name, "--url", host.url]) == 0
    shown = capsys.readouterr().out
    expected = {"doctor": "ok       settings", "datasets": "graph/enpower-powerapps", "runs": "no runs yet"}
    assert expected[name] in shown

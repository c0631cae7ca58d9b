"""The app in Microsoft's own Functions runtime, on real sockets."""

import asyncio
import json
import os
from collections.abc import AsyncIterator, Mapping
from typing import Any

import httpx
import pytest

from functions.http.auth import ROLES
from sandbox.azurite import Azurite
from sandbox.host.process import RunningHost, running_host
from tests.conftest import Simulator, app_settings

POLL_SECONDS = 0.2


def own_key(function: str) -> str:
    """The key that the host gives to nobody but the callers of one function."""
    return f"key-of-{function}"


@pytest.fixture(scope="package")
async def host(
    azurite: Azurite, simulator: Simulator, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[RunningHost]:
    """The app, hosted; it shares Azurite with all other tests, and so must not outlive the tests of this package."""
    environ = {**os.environ, **app_settings(azurite, simulator), "OPUS_DESTROY_ENABLED": "true"}
    environ["SANDBOX_FUNCTION_KEYS"] = json.dumps({name: own_key(name) for name in ROLES})
    async with running_host(log=tmp_path_factory.mktemp("host") / "host.log", env=environ) as running:
        yield running


@pytest.fixture(scope="package")
async def client(host: RunningHost) -> AsyncIterator[httpx.AsyncClient]:
    """A caller who has the function key."""
    headers = {"x-functions-key": host.key}
    async with httpx.AsyncClient(base_url=f"{host.url}/api/", headers=headers, timeout=40) as opened:
        yield opened


async def built(client: httpx.AsyncClient, dataset: str) -> str:
    """Harvest a list of Graph, and wait for its table; return the run."""
    run = await ended(client, await client.post("harvests", json={"source": "graph", "datasets": [dataset]}))
    await current(client, dataset, run["runId"])
    return str(run["runId"])


async def current(client: httpx.AsyncClient, dataset: str, run_id: object) -> Mapping[str, Any]:
    """The table of a dataset, once it names a run."""
    async with asyncio.timeout(120):
        while True:
            datasets = (await client.get("datasets")).json()["value"]
            table: Mapping[str, Any] = next(one["table"] for one in datasets if one["name"] == dataset)
            if table["state"] == "current" and table["runId"] == run_id:
                return table
            assert table["state"] in {"behind", "building"}, table
            await asyncio.sleep(POLL_SECONDS)


async def ended(client: httpx.AsyncClient, answer: httpx.Response, *, within: float = 120) -> dict[str, object]:
    """The run, once it has ended, as a caller gets it who does what 202 asks for."""
    async with asyncio.timeout(within):
        while answer.status_code == httpx.codes.ACCEPTED:
            assert int(answer.headers["Retry-After"]) > 0
            await asyncio.sleep(POLL_SECONDS)
            answer = await client.get(answer.headers["Location"])
    assert answer.status_code == httpx.codes.OK, answer.text
    body: dict[str, object] = answer.json()
    return body

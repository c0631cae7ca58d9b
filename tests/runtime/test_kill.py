"""Promise 2, end to end: the host is killed in the middle of a harvest, and another one goes on.

It takes a minute, because the claim of the dead worker has to run out.
"""

import os
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from sandbox.azurite import Azurite
from sandbox.azurite import azurite as running_azurite
from sandbox.host.process import running_host
from shared.services import Services
from tests.conftest import Simulator, app_settings
from tests.harvest.conftest import latest_manifest, lines
from tests.runtime.conftest import ended
from tests.waiting import until

pytestmark = pytest.mark.slow

POWERAPPS = "/smp/powerplatform/powerapps"
PAGES = 40


@pytest.fixture
async def azurite(tmp_path: Path) -> AsyncIterator[Azurite]:
    """Queues of its own: the host that other tests share would take the messages."""
    async with running_azurite(tmp_path / "azurite.log") as running:
        yield running


async def test_a_harvest_survives_the_death_of_its_host(
    azurite: Azurite, services: Services, avepoint: Simulator, tmp_path: Path
) -> None:
    avepoint.avepoint.change({"items": 400, "latencyMs": 50})
    settings = app_settings(azurite, avepoint) | {
        "HARVEST_PAGE_SIZE": "10",
        "HARVEST_SLICE_SECONDS": "1",
        "SANDBOX_INVISIBILITY_SECONDS": "1",
    }
    environ = {**os.environ, **settings}
    async with running_host(log=tmp_path / "killed.log", env=environ) as host, caller(host.url, host.key) as client:
        run = (await client.post("harvests", json={"source": "graph", "datasets": ["enpower-powerapps"]})).json()
        await asked_for(avepoint, pages=10)
        await host.process.kill()
    assert len(avepoint.requests(POWERAPPS)) < PAGES
    async with running_host(log=tmp_path / "next.log", env=environ) as host, caller(host.url, host.key) as client:
        answer = await client.get(f"runs/{run['runId']}", params={"wait": "true"})
        finished = await ended(client, answer, within=150)
    assert finished["state"] == "succeeded"
    manifest = await latest_manifest(services, "graph", "enpower-powerapps")
    assert await lines(services, manifest) == avepoint.served("enpower-powerapps")


async def asked_for(avepoint: Simulator, *, pages: int) -> None:
    """Wait until a worker is in the middle of the list."""
    await until(lambda: len(avepoint.requests(POWERAPPS)) >= pages)


def caller(url: str, key: str) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=f"{url}/api/", headers={"x-functions-key": key}, timeout=40)

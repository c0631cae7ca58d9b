"""Promise 2, end to end: a slice outlives ``functionTimeout``, and its message is taken again while it still writes."""

import json
import os
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from sandbox.azurite import Azurite
from sandbox.azurite import azurite as running_azurite
from sandbox.host.process import running_host
from sandbox.processes import ROOT
from shared.services import Services
from tests.conftest import Simulator, app_settings
from tests.harvest.conftest import latest_manifest, lines
from tests.runtime.conftest import ended

SECONDS = 3


@pytest.fixture
async def azurite(tmp_path: Path) -> AsyncIterator[Azurite]:
    """Queues of its own: the host that other tests share would take the messages."""
    async with running_azurite(tmp_path / "azurite.log") as running:
        yield running


@pytest.fixture
def impatient_app(tmp_path: Path) -> Path:
    """This app with a host.json that gives a function a few seconds."""
    app = tmp_path / "app"
    app.mkdir()
    for name in ("function_app.py", "functions", "shared"):
        (app / name).symlink_to(ROOT / name)
    host_json = json.loads((ROOT / "host.json").read_text())
    host_json["functionTimeout"] = f"00:00:0{SECONDS}"
    host_json["extensions"]["queues"]["visibilityTimeout"] = "00:00:01"
    (app / "host.json").write_text(json.dumps(host_json))
    return app


@pytest.mark.slow
async def test_a_harvest_whose_worker_is_replaced_while_it_writes_is_whole(
    azurite: Azurite, services: Services, avepoint: Simulator, tmp_path: Path, impatient_app: Path
) -> None:
    avepoint.avepoint.change({"items": 400, "latencyMs": 200})
    settings = app_settings(azurite, avepoint) | {"HARVEST_PAGE_SIZE": "10"}
    log = tmp_path / "host.log"
    async with running_host(app=impatient_app, log=log, env={**os.environ, **settings}) as host:
        headers = {"x-functions-key": host.key}
        async with httpx.AsyncClient(base_url=f"{host.url}/api/", headers=headers, timeout=40) as client:
            asked = {"source": "graph", "datasets": ["enpower-powerapps"]}
            run = (await client.post("harvests", json=asked)).json()
            await host.process.printed("ran longer than functionTimeout")
            answer = await client.get(f"runs/{run['runId']}", params={"wait": "true"})
            finished = await ended(client, answer, within=150)
    assert finished["state"] == "succeeded"
    assert host.process.output().count("Executing 'Functions.harvest_slice'") > 1
    manifest = await latest_manifest(services, "graph", "enpower-powerapps")
    assert (manifest.verdict, manifest.items) == ("complete", 400)
    assert await lines(services, manifest) == avepoint.served("enpower-powerapps")

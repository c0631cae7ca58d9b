"""Promise 2 and "Run id", end to end: what a timer missed while the app stood still is one run, and taken for new."""

import asyncio
import json
import os
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from azure.storage.blob.aio import ContainerClient

from sandbox.azurite import Azurite
from sandbox.azurite import azurite as running_azurite
from sandbox.host.process import RunningHost, running_host
from sandbox.host.timers.storage import CONTAINER
from shared.schedule import Schedule
from tests.conftest import Simulator, app_settings

NIGHTLY = Schedule.parse("0 0 2 * * *")
STATUS = "timers/mine/harvest_graph/status"


@pytest.fixture
async def azurite(tmp_path: Path) -> AsyncIterator[Azurite]:
    """One whose timers nobody else runs."""
    async with running_azurite(tmp_path / "azurite.log") as running:
        yield running


@pytest.mark.slow
async def test_forty_days_of_standstill_are_one_run_named_after_the_newest_tick(
    azurite: Azurite, avepoint: Simulator, tmp_path: Path
) -> None:
    settings = app_settings(azurite, avepoint) | {
        "HARVEST_GRAPH_SCHEDULE": "0 0 2 * * *",
        "HARVEST_GRAPH_DATASETS": "enpower-powerapps",
        "SWEEP_SCHEDULE": "0 0 0 1 1 *",
        "AzureWebJobsStorage": azurite.connection_string,
        "AzureFunctionsWebHost__hostid": "mine",
    }
    missed = NIGHTLY.next(datetime.now(UTC) - timedelta(days=40))
    assert missed
    await _set_status(azurite, missed)
    async with running_host(log=tmp_path / "host.log", env={**os.environ, **settings}) as host:
        run = await _ended_run(host)
        newest = NIGHTLY.latest(datetime.now(UTC))
        await _call(host, "sweep")
        latest = (await _get(host, "datasets/graph/enpower-powerapps/latest")).json()
        assert len((await _get(host, "runs")).json()["value"]) == 1
    assert run["runId"] == f"{newest:%Y%m%dT%H%M%SZ}-graph"
    assert (run["trigger"], run["state"], latest["runId"]) == ("timer", "succeeded", run["runId"])


async def _set_status(azurite: Azurite, missed: datetime) -> None:
    before = missed - timedelta(days=1)
    status = {"Last": before.isoformat(), "Next": missed.isoformat(), "LastUpdated": before.isoformat()}
    async with ContainerClient.from_connection_string(azurite.connection_string, CONTAINER) as container:
        await container.create_container()
        await container.upload_blob(STATUS, json.dumps(status))


async def _ended_run(host: RunningHost) -> dict[str, object]:
    """Return the only run, once it has ended."""
    async with asyncio.timeout(60):
        while True:
            runs: list[dict[str, object]] = (await _get(host, "runs")).json()["value"]
            if runs and runs[0]["state"] != "running":
                return runs[0]
            await asyncio.sleep(0.1)


async def _call(host: RunningHost, function: str) -> None:
    """Run a timer function out of turn, and wait until it has ended."""
    async with httpx.AsyncClient(base_url=host.url, headers={"x-functions-key": host.key}) as client:
        (await client.post(f"/admin/functions/{function}", json={})).raise_for_status()
    await host.process.printed(rf"Executed 'Functions.{function}' \(Succeeded")


async def _get(host: RunningHost, path: str) -> httpx.Response:
    async with httpx.AsyncClient(base_url=f"{host.url}/api/", headers={"x-functions-key": host.key}) as client:
        return (await client.get(path)).raise_for_status()

"""Harvests through the public face: routes, timers and queues, in the real runtime."""

import gzip
import json

import httpx
import pytest

from sandbox.host.process import RunningHost
from shared.azure.storage import Container
from shared.services import Services
from tests.conftest import Simulator
from tests.runtime.conftest import ended


async def test_a_user_reads_the_snapshot_with_gzip_and_json(
    client: httpx.AsyncClient, services: Services, avepoint: Simulator
) -> None:
    avepoint.avepoint.change({"items": 1234})
    body = {"source": "graph", "datasets": ["enpower-powerapps"]}
    run = await ended(client, await client.post("harvests", json=body))
    assert run["state"] == "succeeded"
    manifest = (await client.get("datasets/graph/enpower-powerapps/latest")).json()
    assert manifest["runId"] == run["runId"]
    read = []
    for part in manifest["parts"]:
        blob = await services.storage.read(Container.INVENTORY, part["path"])
        assert blob is not None
        read += [json.loads(line) for line in gzip.decompress(blob.data).splitlines()]
    assert read == [json.loads(item) for item in avepoint.served("enpower-powerapps")]


@pytest.mark.usefixtures("services")
async def test_the_same_request_while_it_runs_is_the_same_run(client: httpx.AsyncClient, avepoint: Simulator) -> None:
    avepoint.avepoint.change({"items": 10, "latencyMs": 300})
    body = {"source": "elements", "datasets": ["customers"]}
    first, second = [await client.post("harvests", json=body) for _ in range(2)]
    assert first.status_code == second.status_code == httpx.codes.ACCEPTED
    assert first.json()["runId"] == second.json()["runId"]
    assert (await ended(client, first))["state"] == "succeeded"
    third = await client.post("harvests", json=body)
    assert third.json()["runId"] != first.json()["runId"]
    await ended(client, third)


@pytest.mark.usefixtures("services")
async def test_a_dry_run_says_what_would_be_done_and_does_nothing(
    client: httpx.AsyncClient, avepoint: Simulator
) -> None:
    answer = await client.post("harvests", params={"dryRun": "true"}, json={"source": "enpower"})
    assert answer.status_code == httpx.codes.OK
    plan = answer.json()
    assert len(plan["datasets"]) == plan["leastRequests"] == 6
    assert (await client.get("runs")).json() == {"value": []}
    assert avepoint.requests() == []


@pytest.mark.usefixtures("services")
async def test_a_timer_fired_by_hand_starts_the_configured_datasets(
    host: RunningHost, client: httpx.AsyncClient, avepoint: Simulator
) -> None:
    avepoint.avepoint.change({"items": 3})
    async with httpx.AsyncClient(headers={"x-functions-key": host.key}) as admin:
        answer = await admin.post(f"{host.url}/admin/functions/harvest_enpower", json={"input": ""})
    assert answer.status_code == httpx.codes.ACCEPTED
    runs: list[dict[str, object]] = []
    while not runs:
        runs = (await client.get("runs", params={"source": "enpower"})).json()["value"]
    run = await ended(client, await client.get(f"runs/{runs[0]['runId']}", params={"wait": "true"}))
    assert (run["trigger"], run["state"]) == ("admin", "succeeded")
    datasets = (await client.get("datasets")).json()["value"]
    enpower = {one["name"]: one for one in datasets if one["source"] == "enpower"}
    assert len(enpower) == 6
    for one in enpower.values():
        assert (one["latestRun"], one["items"], one["enabled"]) == (run["runId"], 3, True)
        assert one["nextTick"].endswith("T01:00:00Z")

"""What cannot be done is answered with the field and the remedy, and nothing is stored."""

import os
from collections.abc import AsyncIterator

import httpx
import pytest

from sandbox.azurite import Azurite
from sandbox.host.process import RunningHost, running_host
from shared.azure.storage import Container
from shared.services import Services
from tests.conftest import Simulator, app_settings

HARVESTS = [
    ("", "body"),
    ("{", "body"),
    ("[]", "body"),
    ("{}", "source"),
    ('{"source": "grap"}', "source"),
    ('{"source": "graph", "datasets": "enpower-powerapps"}', "datasets"),
    ('{"source": "graph", "datasets": [1]}', "datasets[0]"),
    ('{"source": "graph", "datasets": []}', "datasets"),
    ('{"source": "graph", "datasets": ["enpower-powerap"]}', "datasets"),
    ('{"source": "graph", "dataset": ["enpower-powerapps"]}', "dataset"),
]


@pytest.mark.parametrize(("body", "target"), HARVESTS)
async def test_a_harvest_that_cannot_be_started(
    client: httpx.AsyncClient, services: Services, avepoint: Simulator, body: str, target: str
) -> None:
    answer = await client.post("harvests", content=body)
    error = refused(answer, "InvalidRequest", httpx.codes.BAD_REQUEST)
    assert error["target"] == target
    assert error["message"]
    assert [path async for path in services.storage.list(Container.HARVEST_STATE, "runs/")] == []
    assert avepoint.requests() == []


@pytest.mark.usefixtures("services")
async def test_an_unknown_dataset_is_answered_with_the_closest(client: httpx.AsyncClient) -> None:
    answer = await client.post("harvests", json={"source": "graph", "datasets": ["enpower-powerap"]})
    assert "enpower-powerapps" in refused(answer, "InvalidRequest", httpx.codes.BAD_REQUEST)["message"]


@pytest.mark.parametrize(
    ("path", "target"),
    [
        ("runs?top=0", "top"),
        ("runs?top=many", "top"),
        ("runs?source=moon", "source"),
        ("runs/x?wait=perhaps", "wait"),
        ("runs?to=1", "to"),
        ("runs/x?wait=", "wait"),
        ("operations?date=2026-01-01&uncertain=true", "date"),
        ("operations?after=zzz", "after"),
        ("runs?after=../../x", "after"),
    ],
)
@pytest.mark.usefixtures("services")
async def test_a_query_that_makes_no_sense(client: httpx.AsyncClient, path: str, target: str) -> None:
    assert refused(await client.get(path), "InvalidRequest", httpx.codes.BAD_REQUEST)["target"] == target


@pytest.mark.usefixtures("services")
async def test_an_empty_query_parameter_is_none(client: httpx.AsyncClient) -> None:
    assert (await client.get("runs?top=&source=")).json() == {"value": []}


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "runs/20260101T000000Z-graph"),
        ("GET", "runs/../../secrets"),
        ("GET", "runs/nothing"),
        ("POST", "runs/20260101T000000Z-graph/resume"),
        ("POST", "runs/20260101T000000Z-graph/cancel"),
        ("GET", "datasets/graph/enpower-powerapps/latest"),
        ("GET", "datasets/graph/nothing/latest"),
        ("GET", "datasets/moon/powerapps/latest"),
    ],
)
@pytest.mark.usefixtures("services")
async def test_what_is_not_there(client: httpx.AsyncClient, method: str, path: str) -> None:
    answer = await client.request(method, path)
    assert answer.status_code == httpx.codes.NOT_FOUND
    if path != "runs/../../secrets":
        assert refused(answer, "NotFound", httpx.codes.NOT_FOUND)["message"]


def refused(answer: httpx.Response, code: str, status: int) -> dict[str, str]:
    """The error object of an answer, in the form of the contract."""
    assert (answer.status_code, answer.headers["x-ms-error-code"]) == (status, code), answer.text
    assert answer.headers["content-type"] == "application/json"
    error: dict[str, str] = answer.json()["error"]
    assert error["code"] == code
    assert isinstance(error["details"], list)
    return error


@pytest.mark.parametrize("path", ["runs", "datasets", "health/details", "operations"])
async def test_without_the_key_nothing_is_told(host: RunningHost, path: str) -> None:
    async with httpx.AsyncClient() as stranger:
        answer = await stranger.get(f"{host.url}/api/{path}")
    assert (answer.status_code, answer.content) == (httpx.codes.UNAUTHORIZED, b"")


@pytest.fixture(scope="module")
async def misconfigured(
    azurite: Azurite, simulator: Simulator, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[RunningHost]:
    settings = app_settings(azurite, simulator) | {"HARVEST_PAGE_SIZE": "many", "AVEPOINT_GRAPH_URL": "nowhere"}
    del settings["AVEPOINT_CLIENT_ID"]
    log = tmp_path_factory.mktemp("host") / "host.log"
    async with running_host(log=log, env={**os.environ, **settings}) as running:
        yield running


class TestSettings:
    """Promise 9: what is missing or wrong is named, by health and by the first use."""

    async def test_health(self, misconfigured: RunningHost) -> None:
        async with httpx.AsyncClient() as stranger:
            answer = await stranger.get(f"{misconfigured.url}/api/health")
        assert answer.status_code == httpx.codes.SERVICE_UNAVAILABLE
        assert answer.json()["status"] == "unhealthy"
        assert answer.json().keys() == {"status", "version"}

    async def test_details(self, misconfigured: RunningHost) -> None:
        async with httpx.AsyncClient(headers={"x-functions-key": misconfigured.key}) as client:
            answer = await client.get(f"{misconfigured.url}/api/health/details")
        checks = {check["name"]: check for check in answer.json()["checks"]}
        for name in ("AVEPOINT_CLIENT_ID", "HARVEST_PAGE_SIZE", "AVEPOINT_GRAPH_URL"):
            assert checks[name]["status"] == "error"
            assert checks[name]["message"]
            assert name in checks[name]["remedy"]

    async def test_first_use(self, misconfigured: RunningHost) -> None:
        async with httpx.AsyncClient(headers={"x-functions-key": misconfigured.key}) as client:
            answer = await client.post(f"{misconfigured.url}/api/harvests", json={"source": "graph"})
        error = refused(answer, "Unavailable", httpx.codes.SERVICE_UNAVAILABLE)
        assert int(answer.headers["Retry-After"]) > 0
        for name in ("AVEPOINT_CLIENT_ID", "HARVEST_PAGE_SIZE", "AVEPOINT_GRAPH_URL"):
            assert name in error["message"]

"""The vault and the identity endpoint of the sandbox, as their REST interfaces are described."""

import ssl
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import httpx
import pytest

from sandbox.vault import Running, vault

API = {"api-version": "7.6"}
IDENTITY = {"api-version": "2019-08-01", "resource": "https://vault.azure.net"}


@pytest.fixture(scope="module")
async def running(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Running]:
    async with vault({}, directory=tmp_path_factory.mktemp("vault") / "new") as running:
        yield running


@pytest.fixture
async def client(running: Running) -> AsyncIterator[httpx.AsyncClient]:
    """A client with a token of the managed identity, for a vault that holds one secret."""
    running.keyvault.reset({"s": "one"})
    running.identity.reset()
    context = ssl.create_default_context(cafile=str(running.ca_file))
    async with httpx.AsyncClient(base_url=running.url, params=API, verify=context) as client:
        answer = await identity_token(client, running)
        client.headers["authorization"] = f"Bearer {answer.json()['access_token']}"
        yield client


async def identity_token(
    client: httpx.AsyncClient, running: Running, *, header: str | None = None, **query: str
) -> httpx.Response:
    headers = {"X-IDENTITY-HEADER": running.identity.header if header is None else header}
    return await client.get(running.environ["IDENTITY_ENDPOINT"], params=IDENTITY | query, headers=headers)


async def test_nothing_is_given_without_a_token(client: httpx.AsyncClient) -> None:
    answer = await client.get("/secrets/s", headers={"authorization": ""})
    assert answer.status_code == 401
    assert 'resource="https://vault.azure.net"' in answer.headers["www-authenticate"]
    assert "authorization=" in answer.headers["www-authenticate"]


@pytest.mark.parametrize("path", ["/secrets/s", "/secrets/s/"])
async def test_a_new_version_takes_the_place_of_the_old_one(
    client: httpx.AsyncClient, running: Running, path: str
) -> None:
    first = (await client.get(path)).json()
    running.keyvault.put("s", "two", content_type="application/x-pkcs12")
    second = (await client.get(path)).json()
    assert (first["value"], second["value"], second["contentType"]) == ("one", "two", "application/x-pkcs12")
    old = await client.get(httpx.URL(first["id"]).path)
    assert old.json()["value"] == "one"


@pytest.mark.parametrize(
    ("change", "status", "code", "inner"),
    [
        (lambda running: running.keyvault.delete("s"), 404, "SecretNotFound", None),
        (lambda running: running.keyvault.enable("s", enabled=False), 403, "Forbidden", "SecretDisabled"),
        (lambda running: running.keyvault.forbid(), 403, "Forbidden", "ForbiddenByRbac"),
        (lambda running: running.keyvault.fault.fail(503), 503, "Service Unavailable", None),
        (lambda running: running.identity.revoke(), 401, "Unauthorized", None),
    ],
)
async def test_refusals_carry_the_codes_of_the_service(
    client: httpx.AsyncClient,
    running: Running,
    change: Callable[[Running], None],
    status: int,
    code: str,
    inner: str | None,
) -> None:
    change(running)
    answer = await client.get("/secrets/s")
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error.get("innererror", {}).get("code")) == (status, code, inner)


async def test_a_fault_strikes_as_often_as_it_was_told_to(client: httpx.AsyncClient, running: Running) -> None:
    running.keyvault.fault.fail(429, retry_after="7", times=2)
    answers = [await client.get("/secrets/s") for _ in range(3)]
    assert [answer.status_code for answer in answers] == [429, 429, 200]
    assert answers[0].headers["retry-after"] == "7"


@pytest.mark.parametrize(
    ("query", "header", "status"),
    [
        ({}, "wrong", 401),
        ({"api-version": "2017-09-01"}, None, 400),
        ({"resource": "https://storage.azure.com"}, None, 400),
        ({"client_id": "another"}, None, 400),
    ],
)
async def test_the_identity_endpoint_gives_tokens_to_its_own_app_alone(
    client: httpx.AsyncClient, running: Running, query: dict[str, str], header: str | None, status: int
) -> None:
    answer = await identity_token(client, running, header=header, **query)
    assert answer.status_code == status


async def test_its_certificate_is_trusted_by_nobody_else(running: Running) -> None:
    async with httpx.AsyncClient(verify=ssl.create_default_context()) as client:
        with pytest.raises(httpx.ConnectError):
            await client.get(running.url)


async def test_during_an_outage_nobody_listens(client: httpx.AsyncClient, running: Running) -> None:
    async with running.outage():
        with pytest.raises(httpx.ConnectError):
            await client.get("/secrets/s")
    assert (await client.get("/secrets/s")).status_code == 200


async def test_tokens_expire(tmp_path: Path) -> None:
    now = [1_800_000_000.0]
    async with vault({"s": "one"}, directory=tmp_path, token_seconds=60, clock=lambda: now[0]) as running:
        context = ssl.create_default_context(cafile=str(running.ca_file))
        async with httpx.AsyncClient(base_url=running.url, params=API, verify=context) as client:
            answer = (await identity_token(client, running)).json()
            assert answer["expires_on"] == "1800000060"
            headers = {"authorization": f"Bearer {answer['access_token']}"}
            assert (await client.get("/secrets/s", headers=headers)).status_code == 200
            now[0] += 60
            assert (await client.get("/secrets/s", headers=headers)).status_code == 401

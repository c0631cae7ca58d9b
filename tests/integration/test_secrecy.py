"""Promise 8: with every logger at debug level, no secret is in a log line, a blob or an answer."""

import os
from base64 import b64decode, b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qs, quote, unquote

import httpx
import pytest

from sandbox.azurite import KEY, Azurite
from sandbox.host.process import running_host
from sandbox.vault import vault
from shared.azure.storage import Container
from shared.services import open_services
from shared.settings import DEFAULT_SECRET_NAME, load_settings
from tests.conftest import CLIENT, Simulator, app_settings
from tests.docs.test_personal_data import kept_places
from tests.runtime.conftest import ended

pytestmark = pytest.mark.slow

CONNECTION = "b4bbdbbd-cf2d-5c44-939b-be86bc688035"
POWERAPPS = "/smp/powerplatform/powerapps"
RECORD = {
    "rowKey": "r1",
    "leafName": "Contract",
    "timeCreated": "2026-01-15T08:30:00Z",
    "timeModified": "2026-01-15T08:30:00Z",
    "createdBy": "user01",
    "modifiedBy": "user01",
}


@dataclass(frozen=True)
class Left:
    """Everything that a day of work left behind, and what must not be in it."""

    log: str
    answers: str
    blobs: Mapping[str, str]
    secrets: Mapping[str, str]


@pytest.fixture(scope="module")
async def left(azurite: Azurite, simulator: Simulator, tmp_path_factory: pytest.TempPathFactory) -> Left:
    folder = tmp_path_factory.mktemp("secrecy")
    simulator.avepoint.calm()
    simulator.avepoint.identity._grants.clear()  # noqa: SLF001 - tokens of other tests are not in use here
    simulator.avepoint.change({"items": 45, "endMarker": "null"})
    simulator.avepoint.log.clear()
    answers: list[httpx.Response] = []

    async def kept(answer: httpx.Response) -> None:
        await answer.aread()
        answers.append(answer)

    async with vault({DEFAULT_SECRET_NAME: CLIENT.client_secret}, directory=folder) as keys:
        settings = app_settings(azurite, simulator) | keys.environ
        settings |= {"HARVEST_PAGE_SIZE": "10", "PYTHON_ENABLE_DEBUG_LOGGING": "1", "OPUS_DESTROY_ENABLED": "true"}
        del settings["AVEPOINT_CLIENT_SECRET"]
        async with (
            running_host(log=folder / "host.log", env={**os.environ, **settings}) as host,
            httpx.AsyncClient(
                base_url=f"{host.url}/api/",
                headers={"x-functions-key": host.key},
                event_hooks={"response": [kept]},
                timeout=40,
            ) as client,
        ):
            await work(client, simulator)
        identity_header = keys.environ["IDENTITY_HEADER"]
        vault_tokens = list(keys.identity._tokens)  # noqa: SLF001 - the tokens are no business of anybody else
    tokens = list(simulator.avepoint.identity._grants)  # noqa: SLF001 - as above
    pages = [parse_qs(entry.query).get("Page") for entry in simulator.requests(POWERAPPS)]
    links = [page[0] for page in pages if page]
    assert all((tokens, vault_tokens, links))
    secrets = {"client secret": CLIENT.client_secret, "function key": host.key, "account key": KEY}
    secrets |= {"identity header": identity_header}
    secrets |= {f"access token {number}": token for number, token in enumerate(tokens)}
    secrets |= {f"vault token {number}": token for number, token in enumerate(vault_tokens)}
    secrets |= {f"continuation {number}": link for number, link in enumerate(links)}
    return Left(
        log=printed_by_the_app(folder / "host.log"),
        answers="\n".join(f"{answer.headers}\n{answer.text}" for answer in answers),
        blobs=await everything(azurite, simulator),
        secrets=secrets,
    )


async def work(client: httpx.AsyncClient, simulator: Simulator) -> None:
    """One of each: harvests, one with a failure, a round with Opus, a question that is refused, and the health."""
    body = {"source": "graph", "datasets": ["enpower-powerapps", "aos-jobs"]}
    await ended(client, await client.post("harvests", json=body))
    simulator.fault(path="/aos/jobs", status=500, body={"error": f"Bearer {CLIENT.client_secret}"}, times=None)
    await client.post("harvests", json={"source": "graph", "datasets": ["aos-jobs"]})
    simulator.fault(path="/partner/customers", status=400, body={"client_secret": CLIENT.client_secret})
    await ended(client, await client.post("harvests", json={"source": "elements", "datasets": ["customers"]}))
    records = {"conflictOption": "Overwrite", "records": [RECORD]}
    await client.post(f"opus/connections/{CONNECTION}/records", json=records)
    await client.get(f"opus/connections/{CONNECTION}/records/due")
    await client.post("opus/records/destroy", json={"ids": ["r1"]}, headers={"Idempotency-Key": "once"})
    await echoes(client, simulator)
    for path in ("runs", "datasets", "operations", "health", "health/details", "runs/nothing"):
        await client.get(path, params={"code": client.headers["x-functions-key"]})


async def echoes(client: httpx.AsyncClient, simulator: Simulator) -> None:
    """AvePoint says secrets back, without a name beside them: in errors, failures, pages and items."""
    secret, token = CLIENT.client_secret, list(simulator.avepoint.identity._grants)[-1]  # noqa: SLF001 - as above
    for said in (
        {"status": 400, "body": {"message": f"{secret} is not allowed"}},
        {"status": 404, "body": f"<html>{quote(secret, safe='')} {token}</html>"},
        {"status": 403, "body": [token[:5], {"detail": b64encode(secret.encode()).decode()}]},
        {"failure": {"status": 400, "message": f"token={token} secret {secret}"}},
    ):
        simulator.fault(path="/partner/customers", **said)
        started = await client.post("harvests", json={"source": "elements", "datasets": ["customers"]})
        await ended(client, await client.post(f"runs/{started.json()['runId']}/cancel"))
    for number, echo in enumerate((secret, token, quote(secret, safe="").lower())):
        failed = {"statusCode": 418, "message": echo, "failedItems": [{"item": RECORD, "message": f"no: {echo}"}]}
        simulator.fault(path="*/records*", status=418, body=failed)
        await client.post(
            f"opus/connections/{CONNECTION}/records",
            json={"conflictOption": "Overwrite", "records": [RECORD]},
            headers={"Idempotency-Key": f"echo {number}"},
        )
        simulator.fault(path="*/records*", status=418, body={"statusCode": 418, "message": echo, "failedItems": ["r1"]})
        await client.post("opus/records/destroy", json={"ids": ["r1"]}, headers={"Idempotency-Key": f"gone {number}"})


def printed_by_the_app(log: Path) -> str:
    """The log without the line in which the local host tells its key."""
    return "\n".join(line for line in log.read_text().splitlines() if not line.startswith("Function key: "))


async def everything(azurite: Azurite, simulator: Simulator) -> dict[str, str]:
    """Every blob but checkpoints, which may hold continuation tokens."""
    opened = await open_services(load_settings(app_settings(azurite, simulator)))
    found = {}
    for container in Container:
        async for path in opened.storage.list(container, ""):
            stored = await opened.storage.read(container, path)
            if stored is not None:
                found[f"{container}/{path}"] = stored.data.decode(errors="replace")
    await opened.close()
    return found


def spellings(secret: str) -> set[str]:
    """A secret as it is, in base64, and as it may stand in a URL."""
    encoded = b64encode(secret.encode()).decode()
    return {secret, encoded, unquote(secret), secret.replace("+", "%2B").replace("/", "%2F").replace("=", "%3D")}


def test_the_log_is_at_debug_level_and_holds_none(left: Left) -> None:
    assert " DEBUG " in left.log
    assert "partition.failed" in left.log
    for name, secret in left.secrets.items():
        assert not any(spelling in left.log for spelling in spellings(secret)), name


def test_no_answer_holds_one(left: Left) -> None:
    for name, secret in left.secrets.items():
        assert not any(spelling in left.answers for spelling in spellings(secret)), name


def test_no_blob_holds_one(left: Left) -> None:
    assert left.blobs
    for path, content in left.blobs.items():
        for name, secret in left.secrets.items():
            if name.startswith("continuation") and path.startswith("harvest-state/runs/"):
                continue
            assert not any(spelling in content for spelling in spellings(secret)), (name, path)


def test_every_blob_stands_in_the_page_of_what_is_kept(left: Left) -> None:
    kept = tuple(place for place in kept_places() if "{" not in place and place != "tables/")
    unsaid = {path for path in left.blobs if not path.startswith((*kept, "tables/graph_", "tables/elements_"))}
    assert unsaid == set()
    assert {path.split("/")[0] for path in left.blobs} == set(Container)


def test_a_key_is_no_word(left: Left) -> None:
    """The test would see a secret if there was one: none of them is too short, or a part of something harmless."""
    assert all(len(secret) >= len("sandbox-secret") for secret in left.secrets.values())
    assert len(b64decode(left.secrets["account key"])) == 64

"""From a harvest to rows over HTTP, in the real runtime, on real storage (promise 10)."""

import asyncio
import json

import httpx

from shared.avepoint.catalog import catalog
from shared.services import Services
from shared.tables.verify import verify_tables
from tests.conftest import Simulator
from tests.runtime.conftest import POLL_SECONDS, built, current


async def patiently(client: httpx.AsyncClient, path: str) -> list[dict[str, object]]:
    """Return the rows of an answer; ask again, as a caller does, while a busy machine says 503."""
    while True:
        answer = await client.get(path)
        if answer.status_code != httpx.codes.SERVICE_UNAVAILABLE:
            assert answer.is_success, answer.text
            value: list[dict[str, object]] = answer.json()["value"]
            return value
        await asyncio.sleep(POLL_SECONDS)


async def test_a_harvest_becomes_a_table(client: httpx.AsyncClient, services: Services, avepoint: Simulator) -> None:
    avepoint.avepoint.change({"items": 250})
    run_id = await built(client, "enpower-powerapps")
    table = await current(client, "enpower-powerapps", run_id)
    assert (table["rows"], table["reason"]) == (250, None)
    served = {item["id"]: item for item in map(json.loads, avepoint.served("enpower-powerapps"))}
    items = await patiently(client, "datasets/graph/enpower-powerapps/items?top=1000")
    assert {item["id"]: item["displayName"] for item in items} == {
        id_: one["displayName"] for id_, one in served.items()
    }
    rebuilt = await client.post("datasets/graph/enpower-powerapps/rebuild")
    assert (rebuilt.status_code, rebuilt.json()) == (httpx.codes.ACCEPTED, {})
    again = await current(client, "enpower-powerapps", run_id)
    assert again["rows"] == 250
    (report,) = await verify_tables(services, [catalog()["graph", "enpower-powerapps"]])
    assert report.problems == ()


async def test_what_cannot_be_rebuilt_is_refused_by_name(client: httpx.AsyncClient, services: Services) -> None:  # noqa: ARG001 - empty storage
    unknown = await client.post("datasets/graph/enpower-powerap/rebuild")
    assert unknown.status_code == httpx.codes.NOT_FOUND
    assert "enpower-powerapps" in unknown.json()["error"]["message"]
    nothing = await client.post("datasets/graph/enpower-powerapps/rebuild")
    assert nothing.status_code == httpx.codes.CONFLICT
    wrong = await client.post("datasets/graph/enpower-powerapps/rebuild", params={"change": "true"})
    assert (wrong.status_code, wrong.json()["error"]["target"]) == (httpx.codes.BAD_REQUEST, "change")

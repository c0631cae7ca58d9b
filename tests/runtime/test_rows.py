"""Tables through the public face: harvested, built and read in the real runtime (promises 1, 10, 11)."""

import csv
import io
import json
from typing import Any

import httpx
import pytest

from tests.conftest import Simulator
from tests.runtime.conftest import built

APPS = "datasets/graph/enpower-powerapps"


async def whole_list(client: httpx.AsyncClient, url: str, **query: object) -> list[dict[str, Any]]:
    answer = await client.get(url, params={name: str(value) for name, value in query.items()})
    rows: list[dict[str, Any]] = []
    while True:
        assert answer.status_code == httpx.codes.OK, answer.text
        rows += answer.json()["value"]
        if "nextLink" not in answer.json():
            return rows
        answer = await client.get(answer.json()["nextLink"])


@pytest.mark.usefixtures("services")
async def test_two_nights_of_rows_changes_triggers_and_reports(client: httpx.AsyncClient, avepoint: Simulator) -> None:
    avepoint.avepoint.change({"items": 150, "night": 0})
    first = await built(client, "enpower-powerapps")
    served = {item["id"]: item for item in map(json.loads, avepoint.served("enpower-powerapps"))}
    rows = await whole_list(client, f"{APPS}/items", top=70)
    assert {row["id"]: row["displayName"] for row in rows} == {key: one["displayName"] for key, one in served.items()}
    assert {row["sharedUsers"] for row in rows} == {one["sharedUsers"] for one in served.values()}
    wanted = "sharedUsers gt 0 and not (ownerStatus eq 'Enable')"
    found = await whole_list(client, f"{APPS}/items", filter=wanted, orderby="id", select="id", top=9)
    expected = [key for key, one in served.items() if (one["sharedUsers"] or 0) > 0 and one["ownerStatus"] != "Enable"]
    assert [row["id"] for row in found] == sorted(expected)
    begun = [await client.get(f"triggers/{what}") for what in ("snapshots", "changes")]
    assert [answer.status_code for answer in begun] == [202, 202]

    avepoint.avepoint.change({"night": 1})
    second = await built(client, "enpower-powerapps")
    now = {item["id"] for item in map(json.loads, avepoint.served("enpower-powerapps"))}
    changes = await whole_list(client, f"{APPS}/changes", since=first, top=3)
    assert {one["key"] for one in changes if one["change"] == "added"} == now - served.keys()
    assert {one["key"] for one in changes if one["change"] == "removed"} == served.keys() - now
    assert {one["runId"] for one in changes} == {second}
    snapshots, told = [await client.get(answer.headers["Location"]) for answer in begun]
    assert [one["runId"] for one in snapshots.json()["value"]] == [second]
    assert len(told.json()["value"]) == len(changes)
    assert [one["runId"] for one in await whole_list(client, f"{APPS}/snapshots", top=1)][:2] == [second, first]
    history = (await client.get(f"{APPS}/history")).json()["value"]
    assert [one["items"] for one in history] == [len(now)]
    columns = {one["name"]: one for one in (await client.get(f"{APPS}/schema")).json()["columns"]}
    assert columns["sharedUsers"]["type"] == "long"
    table = (await client.get(f"{APPS}/items", params={"format": "csv", "select": "id"})).text
    assert {row[0] for row in csv.reader(io.StringIO(table))} == {"id", *now}
    missing = await client.get("reports/not-used")
    assert (missing.status_code, missing.headers["x-ms-error-code"]) == (409, "Conflict")
    growth = (await client.get("reports/growth")).json()
    assert [(row["dataset"], row["itemsNow"]) for row in growth["value"]] == [("graph/enpower-powerapps", len(now))]


@pytest.mark.usefixtures("services")
async def test_a_filter_is_read_as_it_stands_in_the_url(client: httpx.AsyncClient) -> None:
    for query in ("filter=id%20eq%20'x'&Filter=id%20eq%20'y'", "filter=id+eq+'x'&$top=1", "filters="):
        answer = await client.get(f"{APPS}/items?{query}")
        assert (answer.status_code, answer.headers["x-ms-error-code"]) == (400, "InvalidRequest"), query

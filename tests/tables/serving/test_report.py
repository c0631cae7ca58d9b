"""Reports over HTTP: made of the tables as they are, or refused with the reason (promises 10, 11)."""

import csv
import io
import json
from typing import Any, cast

import azure.functions as func
import pytest

from functions import reports as functions
from functions.http.queries import OF_REPORTS
from sandbox.memory_storage import MemoryStorage
from shared.services import Services
from shared.tables.reporting.heads import reports
from shared.tables.serving.report import describe_report
from tests.conftest import Clock
from tests.tables.nights import Nights
from tests.tables.serving.conftest import Reading

APPS = "graph/enpower-powerapps"
FLOWS = "graph/enpower-cloudflows"


@pytest.fixture
async def apps(memory: MemoryStorage, clock: Clock, reading: Reading, monkeypatch: pytest.MonkeyPatch) -> Nights:
    """A night of apps; flows are not harvested yet."""
    nights = Nights.of(memory, clock, APPS)

    async def opened() -> Services:
        return reading(nights)

    monkeypatch.setattr(functions, "services", opened)
    await nights.night(
        [
            {"id": "a", "displayName": "=Leave", "ownerDisplayName": "Ada", "ownerStatus": "Enable"},
            {"id": "b", "displayName": "Expenses", "ownerDisplayName": "Bo", "ownerStatus": "Disabled"},
        ]
    )
    return nights


@pytest.fixture
async def flows(apps: Nights) -> Nights:
    nights = Nights.of(apps.storage, apps.clock, FLOWS)
    await nights.night([{"flowId": "f", "displayName": "Mail", "owner": {"name": "Cy", "status": "Active"}}])
    return nights


async def report(name: str, query: str = "") -> func.HttpResponse:
    request = func.HttpRequest("GET", f"https://x/api/reports/{name}?{query}", route_params={"report": name}, body=b"")
    return cast("func.HttpResponse", await cast("Any", functions.get_report)(request))


def error(response: func.HttpResponse) -> tuple[int, str]:
    return response.status_code, json.loads(response.get_body())["error"]["message"]


@pytest.mark.usefixtures("flows")
async def test_a_report_is_told_as_the_contract_has_it(apps: Nights) -> None:
    told = json.loads((await report("without-active-owner")).get_body())
    assert told["runIds"] == {APPS: apps.runs[0], FLOWS: "20260101T020000Z-graph"}
    assert told["needs"] == [APPS, FLOWS]
    assert told["parameters"][0]["default"] == "Active, Enable, Enabled"
    assert told["columns"][:2] == [{"name": "kind", "type": "string"}, {"name": "name", "type": "string"}]
    (row,) = told["value"]
    assert (row["kind"], row["name"], row["owner"], row["ownerStatus"]) == ("app", "Expenses", "Bo", "Disabled")


@pytest.mark.usefixtures("flows")
async def test_a_report_takes_its_parameters() -> None:
    told = json.loads((await report("without-active-owner", "active=Disabled")).get_body())
    assert [row["name"] for row in told["value"]] == ["=Leave", "Mail"]
    assert error(await report("without-active-owner", "days=5")) == (400, "there is no query parameter 'days'")
    assert error(await report("not-used", "day=5"))[0] == 400
    assert error(await report("not-used", "days=x"))[0] == 400


@pytest.mark.usefixtures("flows")
async def test_a_report_as_csv_is_safe_to_open() -> None:
    response = await report("without-active-owner", "active=Disabled&format=csv")
    rows = list(csv.reader(io.StringIO(response.get_body().decode(), newline="")))
    assert response.mimetype == "text/csv"
    assert rows[0] == ["kind", "name", "environment", "owner", "ownerStatus", "lastActivity", "key"]
    assert rows[1] == ["app", "'=Leave", "", "Ada", "Enable", "", "a"]


@pytest.mark.usefixtures("apps")
async def test_a_report_whose_tables_are_not_there_is_told_with_the_remedy() -> None:
    status, message = error(await report("without-active-owner"))
    assert status == 409
    assert message.startswith(f"{FLOWS} has no table yet. The first snapshot")
    assert error(await report("failed-jobs"))[0] == 409
    assert error(await report("without-active-owners")) == (
        404,
        "there is no report 'without-active-owners'; the closest name is 'without-active-owner'",
    )


@pytest.mark.usefixtures("flows")
async def test_a_report_does_without_what_is_hidden_or_says_that_it_cannot(apps: Nights) -> None:
    apps.settings = {"TABLES_HIDE_FIELDS": "personal"}
    status, message = error(await report("without-active-owner"))
    assert status == 409
    assert message.startswith("the report without-active-owner cannot do without graph/enpower-cloudflows.owner")
    told = (await report("not-used")).get_body().decode()
    assert "Expenses" in told
    assert "Bo" not in told


async def test_a_report_bears_columns_of_other_types_than_documented(apps: Nights) -> None:
    nights = Nights.of(apps.storage, apps.clock, FLOWS)
    await nights.night(
        [
            {"flowId": "a", "displayName": 5, "owner": "Ada", "guests": "many", "createdTime": 7},
            {"flowId": "b", "displayName": "Mail", "owner": {"status": "Active"}, "guests": 3, "createdTime": "x"},
            {"flowId": "c", "displayName": {"de": "Post"}, "owner": None, "guests": 2.5, "lastRunTime": [1]},
        ]
    )
    for name in ("items-by-environment", "without-active-owner", "not-used", "shared-widely"):
        assert (await report(name)).status_code == 200
    shared = json.loads((await report("shared-widely")).get_body())["value"]
    assert [(row["name"], row["guests"]) for row in shared] == [("Mail", 3)]
    ownerless = json.loads((await report("without-active-owner")).get_body())["value"]
    assert [row["key"] for row in ownerless if row["kind"] == "flow"] == ["a", "c"]


@pytest.mark.usefixtures("flows")
async def test_reports_of_changes_and_snapshots_read_their_tables(apps: Nights, clock: Clock) -> None:
    clock.now = clock.now.replace(year=2026, month=1, day=3)
    await apps.night([{"id": "a", "displayName": "=Leave"}, {"id": "c", "displayName": "New"}])
    told = json.loads((await report("new-and-gone")).get_body())
    assert [(row["change"], row["name"]) for row in told["value"]] == [("added", "New"), ("removed", "Expenses")]
    grown = json.loads((await report("growth")).get_body())
    assert [(row["dataset"], row["snapshots"], row["growth"]) for row in grown["value"]] == [
        (FLOWS, 1, 0),
        (APPS, 2, 0),
    ]


async def test_the_reports_are_listed() -> None:
    response = await cast("Any", functions.list_reports)(func.HttpRequest("GET", "https://x/api/reports", body=b""))
    told = json.loads(response.get_body())["value"]
    assert [one["name"] for one in told] == sorted(reports())
    assert told[0] == json.loads(json.dumps(describe_report(reports()[told[0]["name"]])))


def test_every_parameter_of_a_report_may_stand_in_a_query() -> None:
    known = {parameter.name for one in reports().values() for parameter in one.parameters}
    assert known == {parameter.name for parameter in OF_REPORTS}


async def test_numbers_at_the_end_of_their_range_end_no_report(apps: Nights) -> None:
    least, most = -(2**63), 2**63 - 1
    environments = Nights.of(apps.storage, apps.clock, "graph/enpower-environments")
    await environments.night([{"id": f"e{n}", "numberOfApps": n, "numberOfFlows": n} for n in (least, most)])
    connections = Nights.of(apps.storage, apps.clock, "graph/enpower-connections")
    used = {"connectorId": "c", "isCustom": True, "powerAppCount": most, "flowCount": least}
    await connections.night([{"id": f"c{n}", **used} for n in range(2)])
    told = json.loads((await report("environments-without-dlp-policy")).get_body())
    assert [row["apps"] for row in told["value"]] == [most, least]
    told = json.loads((await report("premium-and-custom-connectors")).get_body())
    assert [(row["connections"], row["apps"], row["flows"]) for row in told["value"]] == [(2, None, None)]

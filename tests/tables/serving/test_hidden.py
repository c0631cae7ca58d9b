"""``TABLES_HIDE_FIELDS``: no table, change, row, history, report or schema shows what is hidden."""

import json
from typing import Any, cast

import azure.functions as func
import pytest

from functions import reports, tables
from sandbox.memory_storage import MemoryStorage
from shared.services import Services
from shared.tables.verify import verify_tables
from tests.conftest import Clock
from tests.tables.nights import Nights
from tests.tables.serving.conftest import Reading
from tests.tables.test_forget import stored_rows

ANN = "ann.ohara@contoso.com"
APPS = "graph/enpower-powerapps"


async def answered(handler: object, **route: str) -> str:
    params = {"source": "graph", "dataset": "enpower-powerapps"} | route
    request = func.HttpRequest("GET", "https://x/api/x", route_params=params, body=b"")
    response = await cast("Any", handler)(request)
    assert response.status_code == 200, response.get_body()
    return cast("str", response.get_body().decode())


@pytest.fixture
def open_app(reading: Reading, monkeypatch: pytest.MonkeyPatch) -> Any:  # noqa: ANN401 - a function
    def open_for(nights: Nights) -> None:
        opened = reading(nights)

        async def services() -> Services:
            return opened

        for module in (reports, tables):
            monkeypatch.setattr(module, "services", services)

    return open_for


async def test_nothing_shows_what_is_hidden(memory: MemoryStorage, clock: Clock, open_app: Any) -> None:  # noqa: ANN401
    hiding = "personal,graph/*.appType,graph/*.displayname"
    apps, flows = (
        Nights.of(memory, clock, name, TABLES_HIDE_FIELDS=hiding) for name in (APPS, "graph/enpower-cloudflows")
    )
    secret = {"ownerDisplayName": ANN, "primaryContact": {"x": ANN}, "appType": ANN, "displayName": f"App of {ANN}"}
    await flows.night([{"flowId": "f", "owner": {"mail": ANN}, "creatorEmail": ANN}])
    await apps.night([{"id": "a", "status": "on", **secret}, {"id": "b"}])
    await apps.night([{"id": "a", "status": "off", **secret, "OwnerDisplayName": ANN}, {"id": "c", **secret}])
    assert ANN not in stored_rows(memory)
    open_app(apps)
    handlers = (tables.list_items, tables.list_changes, tables.get_history, tables.get_schema)
    told = [await answered(one) for one in handlers] + [await answered(reports.get_report, report="new-and-gone")]
    assert ANN not in "".join(told)
    assert json.loads(told[1])["value"][0]["fields"] == ["status"]
    schema = json.loads(told[3])
    names = {one["name"].casefold() for one in schema["columns"]} | {*schema["row"]["properties"]}
    assert "status" in names
    assert not {"ownerdisplayname", "displayname", "apptype", "displayName"} & names
    assert "appType" not in schema["groups"]
    assert "owner" not in json.dumps(schema["drift"]).casefold()


async def test_what_was_written_before_is_not_shown_either(
    memory: MemoryStorage,
    clock: Clock,
    open_app: Any,  # noqa: ANN401
) -> None:
    clock.now = clock.now.replace(year=2026, month=1, day=3, hour=12)
    apps, flows = (Nights.of(memory, clock, name) for name in (APPS, "graph/enpower-cloudflows"))
    await flows.night([{"flowId": "f"}])
    secret = {"ownerDisplayName": ANN, "displayName": f"App of {ANN}", "na~me/'": 1}
    await apps.night([{"id": "a", **secret}])
    await apps.night([{"id": "b", **secret}])
    open_app(apps)
    report = json.loads(await answered(reports.get_report, report="new-and-gone"))["value"]
    assert {row["name"] for row in report} == {f"App of {ANN}"}
    apps.settings = {"TABLES_HIDE_FIELDS": "personal,graph/*.displayName"}
    open_app(apps)
    for handler in (tables.list_items, tables.list_changes, tables.get_schema):
        assert ANN not in await answered(handler)
    report = json.loads(await answered(reports.get_report, report="new-and-gone"))["value"]
    assert [(row["key"], row["change"], row["name"]) for row in report] == [
        ("b", "added", None),
        ("a", "removed", None),
    ]
    assert [one.problems for one in await verify_tables(apps.services(), [apps.dataset])] == [()]


async def test_a_parent_that_is_a_person_is_hidden_in_key_columns_and_changes(
    memory: MemoryStorage, clock: Clock
) -> None:
    """And what was asked and is left out is judged as if it were not."""
    nights = Nights.of(memory, clock, "elements/v3-um-user", TABLES_HIDE_FIELDS="personal")
    ann, bo = ({"customerId": "c", "tenantId": "t", "userId": one} for one in (ANN, "bo@contoso.com"))

    def user(parent: dict[str, str], title: str) -> dict[str, object]:
        return {"_parent": parent, "id": parent["userId"], "jobTitle": title}

    await nights.night([user(ann, "a"), user(bo, "a")], asked=[ann, bo])
    await nights.night([user(ann, "b")], asked=[ann], parents={"leftOut": 1})
    assert "contoso" not in stored_rows(memory)
    assert nights.table().height == 2
    assert [(row["change"], row["fields"]) for row in nights.changes()] == [("changed", "jobTitle")]
    await nights.night([], asked=[ann, bo])
    assert [row["change"] for row in nights.changes()].count("removed") == 2

"""The routes of tables as their callers see them (promises 10, 11); the host around them has its own tests."""

import csv
import io
import json
from dataclasses import dataclass
from typing import Any, cast
from urllib.parse import quote, urlencode, urlsplit

import azure.functions as func
import pytest

from functions import tables
from sandbox.memory_storage import MemoryStorage
from shared.services import Services
from tests.conftest import Clock
from tests.tables.nights import Nights
from tests.tables.serving.conftest import Reading

HOST = "https://app.example"
HANDLERS: dict[str, Any] = {
    "items": tables.list_items,
    "changes": tables.list_changes,
    "snapshots": tables.list_snapshots,
    "schema": tables.get_schema,
    "history": tables.get_history,
}


@dataclass
class Answer:
    status: int
    mimetype: str
    headers: Any
    text: str

    @property
    def body(self) -> dict[str, Any]:
        return cast("dict[str, Any]", json.loads(self.text))

    @property
    def error(self) -> tuple[int, str, str | None]:
        assert self.headers["x-ms-error-code"] == self.body["error"]["code"]
        return self.status, self.body["error"]["code"], self.body["error"]["target"]


async def get(url: str) -> Answer:
    """What a route answers; the rest of a list is asked for by its link alone."""
    path = urlsplit(url).path.split("/")
    source, dataset, what = path[-3:]
    route = {"source": source, "dataset": dataset}
    answer: func.HttpResponse = await HANDLERS[what](func.HttpRequest("GET", url, route_params=route, body=b""))
    return Answer(answer.status_code, answer.mimetype, answer.headers, answer.get_body().decode())


def url(what: str, dataset: str = "graph/enpower-powerapps", **query: object) -> str:
    return f"{HOST}/api/datasets/{dataset}/{what}?{urlencode(query, quote_via=quote)}"


def app(number: int, **fields: object) -> dict[str, object]:
    return {"id": f"app{number}", "displayName": f"App {number}", **fields}


@pytest.fixture
async def apps(memory: MemoryStorage, clock: Clock, reading: Reading, monkeypatch: pytest.MonkeyPatch) -> Nights:
    """Two nights of apps, served."""
    nights = Nights.of(memory, clock, "graph/enpower-powerapps")

    async def opened() -> Services:
        return reading(nights)

    monkeypatch.setattr(tables, "services", opened)
    await nights.night([app(n, sharedUsers=n) for n in range(5)])
    await nights.night([app(n, sharedUsers=n) for n in range(1, 6)])
    return nights


@pytest.mark.usefixtures("apps")
async def test_items_are_paged_by_their_links() -> None:
    link, ids, pages = url("items", top=2, filter="sharedUsers ge 2", orderby="id desc", select="id"), [], 0
    while link:
        answer = await get(link)
        assert answer.status == 200
        assert answer.mimetype == "application/json"
        ids += [row["id"] for row in answer.body["value"]]
        pages += 1
        link = answer.body.get("nextLink", "")
        assert len(link) < 4_096
    assert (ids, pages) == (["app5", "app4", "app3", "app2"], 2)


async def test_every_list_has_its_links(apps: Nights) -> None:
    for what in ("changes", "snapshots"):
        first = await get(url(what, top=1))
        second = await get(first.body["nextLink"])
        assert first.body["value"] != second.body["value"]
        assert "nextLink" not in second.body
    assert (await get(url("changes", top=1))).body["until"] == apps.runs[1]
    assert (await get((await get(url("changes", top=1))).body["nextLink"])).body["until"] == apps.runs[1]


@pytest.mark.usefixtures("apps")
async def test_nothing_of_a_link_can_be_changed() -> None:
    link = (await get(url("items", top=1, filter="sharedUsers ge 1"))).body["nextLink"]
    for place in range(link.index("token=") + 6, len(link), 7):
        letter = "A" if link[place] != "A" else "B"
        assert (await get(link[:place] + letter + link[place + 1 :])).error == (400, "InvalidRequest", "token")
    assert (await get(f"{link}&top=5")).error == (400, "InvalidRequest", "top")
    assert (await get(link.replace("/items?", "/changes?"))).error == (400, "InvalidRequest", "token")
    other = link.replace("enpower-powerapps", "enpower-cloudflows")
    assert (await get(other)).error == (400, "InvalidRequest", "token")


@pytest.mark.usefixtures("apps")
async def test_the_longest_query_has_a_link_that_works() -> None:
    filter_text = "sharedUsers ge 0" + "".join(f" or id eq '{n}ü~!$*'" for n in range(40))
    select = ",".join(["id"] * 200)
    sent = url("items", top=1, filter=filter_text, select=select, orderby="id")
    assert len(urlsplit(sent).query) > 2_400
    link = (await get(sent)).body["nextLink"]
    assert len(link) < 4_096
    assert (await get(link)).body["value"] == [{"id": "app2"}]


@pytest.mark.usefixtures("apps")
async def test_csv_is_the_whole_list_without_links() -> None:
    answer = await get(url("items", format="csv", top=1, select="id,sharedUsers", orderby="id"))
    assert answer.mimetype == "text/csv"
    assert list(csv.reader(io.StringIO(answer.text)))[:2] == [["id", "sharedUsers"], ["app1", "1"]]
    assert len(answer.text.splitlines()) == 6
    changes = await get(url("changes", format="csv"))
    assert [row[0] for row in csv.reader(io.StringIO(changes.text))] == ["key", "app0", "app5"]


@pytest.mark.usefixtures("apps")
async def test_history_and_schema_are_told() -> None:
    assert (await get(url("history", days=3650))).body == {
        "value": [
            {"day": "2026-01-01", "value": None, "items": 5},
            {"day": "2026-01-02", "value": None, "items": 5},
        ]
    }
    schema = (await get(url("schema"))).body
    assert set(schema) == {"columns", "groups", "volatile", "drift", "row"}
    assert set(schema["columns"][0]) == {"name", "type", "description", "firstRunId", "rescued"}


@pytest.mark.usefixtures("apps")
@pytest.mark.parametrize(
    ("sent", "error"),
    [
        (url("items", filters="x"), (400, "InvalidRequest", "filters")),
        (url("items", top=0), (400, "InvalidRequest", "top")),
        (url("items", top=1001), (400, "InvalidRequest", "top")),
        (url("items", format="xml"), (400, "InvalidRequest", "format")),
        (url("items", filter="nosuch eq 1"), (400, "InvalidRequest", "filter")),
        (url("items", filter="id eq '" + "x" * 2_000 + "'"), (400, "InvalidRequest", "filter")),
        (f"{url('items')}f%69lter=id%20eq%20'{'x' * 2_000}'", (400, "InvalidRequest", "filter")),
        (url("items", select="x" * 3_000), (400, "InvalidRequest", "select")),
        (url("items", filter="id eq 'x'", orderby="id, name"), (400, "InvalidRequest", "orderby")),
        (url("items", token="x"), (400, "InvalidRequest", "token")),
        (url("items", "graph/nosuch"), (404, "NotFound", None)),
        (url("items", "nosuch/x"), (404, "NotFound", None)),
        (url("items", "graph/nosuch", filters="x"), (400, "InvalidRequest", "filters")),
        (url("items", "graph/enpower-cloudflows"), (409, "Conflict", None)),
        (url("changes", since="x"), (410, "Gone", None)),
        (url("changes", change="moved"), (400, "InvalidRequest", "change")),
        (url("changes", "graph/aos-audit"), (409, "Conflict", None)),
        (url("history", by="nosuch"), (400, "InvalidRequest", "by")),
        (url("history", days=0), (400, "InvalidRequest", "days")),
        (url("schema", top=1), (400, "InvalidRequest", "top")),
        (f"{url('items')}filter=%FF", (400, "InvalidRequest", "filter")),
    ],
)
async def test_what_is_not_understood_is_refused_by_name(sent: str, error: tuple[int, str, str | None]) -> None:
    assert (await get(sent)).error == error


async def test_an_empty_value_counts_as_absent(apps: Nights) -> None:
    answer = await get(f"{url('items')}filter=&select=&orderby=&top=&format=")
    assert len(answer.body["value"]) == 5
    assert answer.body["value"][0]["_run_id"] == apps.runs[1]

"""Rows over HTTP: what was harvested, page by page, of one version of a table (promises 10, 11)."""

import asyncio
import csv
import io
import json
import threading
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest

from sandbox.memory_storage import MemoryStorage
from shared.azure.storage import Container
from shared.errors import InvalidInput, MissingDocument, NotFound, NotReady, Outdated, StorageUnavailable, TooLarge
from shared.services import Services
from shared.tables.forget import forget_person
from shared.tables.forgetting.matching import PersonText
from shared.tables.forgetting.retention import Retention
from shared.tables.queries.sql import Sql
from shared.tables.serving import fetching
from shared.tables.serving.datasets import DatasetTable, current_table, find_dataset
from shared.tables.serving.items import ItemsQuery, read_items, read_items_csv
from shared.tables.serving.reader import reader_of
from tests.conftest import Clock
from tests.tables.nights import Nights
from tests.tables.serving.conftest import Reading

APPS = "graph/enpower-powerapps"


@dataclass
class Reader:
    """Asks for the rows of a dataset as the functions do."""

    nights: Nights
    reading: Reading

    @property
    def services(self) -> Services:
        return self.reading(self.nights)

    async def asked(self, **query: Any) -> tuple[list[dict[str, Any]], ItemsQuery | None]:  # noqa: ANN401
        page = await read_items(self.services, await self.table(), self.query(**query))
        return [json.loads(row) for row in page.rows], page.next

    async def paged(self, **query: Any) -> list[list[dict[str, Any]]]:  # noqa: ANN401
        rows, following = await self.asked(**query)
        pages = [rows]
        while following is not None:
            rows, following = await self.asked(**following.model_dump())
            pages.append(rows)
        return pages

    async def csv(self, **query: Any) -> list[list[str]]:  # noqa: ANN401
        table = await read_items_csv(self.services, await self.table(), self.query(**query))
        return list(csv.reader(io.StringIO(table.decode(), newline="")))

    async def table(self) -> DatasetTable:
        return await current_table(self.services, self.nights.dataset)

    def query(self, **query: Any) -> ItemsQuery:  # noqa: ANN401
        dataset = self.nights.dataset
        return ItemsQuery.model_validate({"source": dataset.source, "dataset": dataset.name} | query)


@pytest.fixture
def apps(memory: MemoryStorage, clock: Clock) -> Nights:
    return Nights.of(memory, clock, APPS)


def app(number: int, **fields: object) -> dict[str, object]:
    return {"id": f"app{number:03}", "displayName": f"App {number}", "sharedUsers": number, **fields}


@pytest.fixture
def rows(apps: Nights, reading: Reading) -> Reader:
    return Reader(apps, reading)


async def test_a_row_is_what_was_harvested(apps: Nights, rows: Reader) -> None:
    await apps.night([app(1, sharedGroups=1, extra=0.5)])
    manifest = await apps.night(
        [app(1, createdOn="2026-01-15 08:30:00", primaryContact={"b": 1, "a": [2]}, sharedGroups="many", extra=1.5)]
    )
    (row,), following = await rows.asked()
    assert following is None
    assert row["_key"] == row["id"] == "app001"
    assert row["_run_id"] == manifest.run_id
    assert row["createdOn"] == "2026-01-15T08:30:00Z"
    assert row["primaryContact"] == {"a": [2], "b": 1}
    assert row["sharedGroups"] == "many"
    assert row["_rescued"] == {"sharedGroups": "many"}
    assert row["extra"] == 1.5
    assert row["lastLaunchedOn"] is None


@pytest.mark.parametrize("top", [1, 2, 3, 7, 100])
async def test_pages_are_the_whole_list(apps: Nights, rows: Reader, top: int) -> None:
    await apps.night([app(n) for n in range(4)], [], [app(n) for n in range(4, 7)])
    pages = await rows.paged(top=top, select="id")
    assert [len(page) for page in pages[:-1]] == [top] * (len(pages) - 1)
    assert sorted(row["id"] for page in pages for row in page) == [f"app{n:03}" for n in range(7)]
    ordered = await rows.paged(top=top, orderby="sharedUsers desc", filter="sharedUsers ge 1", select="sharedUsers")
    assert [row for page in ordered for row in page] == [{"sharedUsers": n} for n in range(6, 0, -1)]


async def test_a_field_called_like_the_place_of_a_row_is_shown_and_hides_no_page(apps: Nights, rows: Reader) -> None:
    placed = [app(n, file_index=n, File_Row_Number=n) for n in range(4)]
    await apps.night(placed[:2], placed[2:])
    await apps.night(placed[:2], [app(n, file_index=7, File_Row_Number=n) for n in (2, 3)])
    shown = [row for page in await rows.paged(top=1) for row in page]
    assert sorted((row["id"], row["file_index"], row["File_Row_Number"]) for row in shown) == [
        ("app000", 0, 0),
        ("app001", 1, 1),
        ("app002", 7, 2),
        ("app003", 7, 3),
    ]
    assert [row["key"] for row in apps.changes() if row["fields"] == "file_index"] == ["app002", "app003"]


async def test_pages_show_the_version_that_they_began_with(apps: Nights, rows: Reader) -> None:
    await apps.night([app(1), app(2), app(3)])
    first, following = await rows.asked(top=1, orderby="id")
    await apps.night([app(7)])
    assert following is not None
    second, _ = await rows.asked(**following.model_dump())
    assert [row["id"] for row in first + second] == ["app001", "app002"]
    assert [row["id"] for row in (await rows.asked())[0]] == ["app007"]


async def test_a_version_that_is_kept_no_longer_is_told(apps: Nights, rows: Reader, clock: Clock) -> None:
    await apps.night([app(1), app(2)])
    _, following = await rows.asked(top=1)
    assert following is not None
    await apps.night([app(7)])
    clock.advance(days=9)
    with pytest.raises(Outdated, match="no longer keeps"):
        await rows.asked(**following.model_dump())


async def test_a_link_ends_when_somebody_on_its_pages_is_forgotten(apps: Nights, rows: Reader, clock: Clock) -> None:
    await apps.night([app(1), app(2, displayName="Ann O'Hara"), app(3)])
    _, following = await rows.asked(top=1, orderby="id")
    assert following is not None
    store = apps.storage
    await forget_person(store, store, PersonText("ann o'hara"), Retention(), apply=True, clock=clock, sleep=clock.sleep)
    with pytest.raises(Outdated, match="no longer keeps"):
        await rows.asked(**following.model_dump())
    assert [row["id"] for row in (await rows.asked())[0]] == ["app001", "app003"]


async def test_a_column_that_came_only_with_forgotten_rows_is_empty(
    memory: MemoryStorage, clock: Clock, reading: Reading
) -> None:
    jobs = Nights.of(memory, clock, "graph/m365-backup-jobs")
    rows = Reader(jobs, reading)
    await jobs.night([{"id": "job1"}, {"id": "job2"}])
    await jobs.night([{"id": "job3", "startedBy": "Ann O'Hara"}])
    await forget_person(
        memory, memory, PersonText("ann o'hara"), Retention(), apply=True, clock=clock, sleep=clock.sleep
    )
    pages = await rows.paged(select="id,startedBy", orderby="startedBy", filter="startedBy eq null", top=1)
    assert pages == [[{"id": "job1", "startedBy": None}], [{"id": "job2", "startedBy": None}]]
    assert [row["id"] for page in await rows.paged(top=1) for row in page] == ["job1", "job2"]


async def test_a_link_of_a_table_that_was_deleted_and_made_again_has_ended(apps: Nights, rows: Reader) -> None:
    manifest = await apps.night([app(1), app(2)])
    _, following = await rows.asked(top=1)
    assert following is not None
    for container in (Container.TABLES, Container.HARVEST_STATE):
        apps.storage.blobs[container].clear()
    assert await apps.build() == "finished"
    with pytest.raises(MissingDocument):  # what was remembered of the old one; then it is forgotten
        await rows.asked()
    assert (await rows.asked())[0][0]["_run_id"] == manifest.run_id
    with pytest.raises(Outdated):
        await rows.asked(**following.model_dump())


async def test_large_rows_make_small_pages(apps: Nights, rows: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetching, "MAX_PAGE_BYTES", 5_000)
    await apps.night([app(n, displayName="x" * 3_000) for n in range(5)])
    pages = await rows.paged(select="id,displayName")
    assert [len(page) for page in pages] == [2, 2, 1]


async def test_csv_is_the_whole_list(apps: Nights, rows: Reader) -> None:
    await apps.night([app(0, sharedGroups=1)])
    await apps.night([app(n, displayName="=1+1", sharedGroups="many" if n else 5) for n in range(3)])
    assert await rows.csv(select="id,displayName,sharedGroups", orderby="id", top=1) == [
        ["id", "displayName", "sharedGroups"],
        ["app000", "'=1+1", "5"],
        ["app001", "'=1+1", "many"],
        ["app002", "'=1+1", "many"],
    ]


async def test_a_csv_of_too_many_rows_is_refused(apps: Nights, rows: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetching, "MAX_CSV_ROWS", 2)
    await apps.night([app(n) for n in range(3)])
    with pytest.raises(TooLarge, match="more than 2 rows") as refused:
        await rows.csv()
    assert "graph_enpower_powerapps in the container" in refused.value.remedy
    assert len(await rows.csv(filter="sharedUsers lt 2")) == 3


async def test_a_csv_that_is_too_large_is_refused(apps: Nights, rows: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetching, "MAX_CSV_BYTES", 2**20)
    await apps.night([app(n, displayName="x" * 2**16) for n in range(20)])
    with pytest.raises(TooLarge, match="more than 1 MiB"):
        await rows.csv()
    assert len(await rows.csv(filter="id lt 'app002'")) == 3


async def test_whole_lists_are_made_one_after_the_other_beside_pages(apps: Nights, rows: Reader) -> None:
    await apps.night([app(1)])
    reader, begun, go_on = reader_of(rows.services), list[str](), threading.Event()

    def work(_: object) -> bool:
        begun.append("one")
        return go_on.wait(60)

    lists = [asyncio.create_task(reader.ask_list(work)) for _ in range(2)]
    while not begun:  # noqa: ASYNC110 - a thread begins
        await asyncio.sleep(0)
    for _ in range(3):
        assert len((await rows.asked())[0]) == 1
    assert begun == ["one"]
    go_on.set()
    assert await asyncio.gather(*lists) == [True, True]


async def test_of_a_child_the_parent_is_an_object(memory: MemoryStorage, clock: Clock, reading: Reading) -> None:
    launches = Nights.of(memory, clock, "graph/enpower-powerapp-launched-users")
    parameter = next(iter(launches.dataset.parent.parameters)) if launches.dataset.parent else ""
    await launches.night([{"_parent": {parameter: "a"}, "userId": "u"}], asked=[{parameter: "a"}])
    rows = Reader(launches, reading)
    (row,), _ = await rows.asked(select=f"_parent_{parameter}", filter=f"_parent_{parameter} eq 'a'")
    assert row == {"_parent": {parameter: "a"}}


@pytest.mark.parametrize(
    ("query", "target"),
    [
        ({"filter": "nosuch eq 1"}, "filter"),
        ({"filter": "id eq 'x'", "filter_bytes": 2_001}, "filter"),
        ({"select": "id,nosuch"}, "select"),
        ({"orderby": "id,displayName"}, "orderby"),
    ],
)
async def test_what_is_not_understood_is_refused(
    apps: Nights, rows: Reader, query: dict[str, Any], target: str
) -> None:
    await apps.night([app(1)])
    with pytest.raises(InvalidInput) as refused:
        await rows.asked(**query)
    assert refused.value.target == target


async def test_increments_with_columns_of_their_own_are_one_list(
    memory: MemoryStorage, clock: Clock, reading: Reading
) -> None:
    jobs = Nights.of(memory, clock, "graph/m365-backup-jobs")
    await jobs.night([{"id": f"a{n}", "state": "Running", "startTime": "2026-01-01T00:00:00Z"} for n in range(3)])
    await jobs.night([{"id": f"b{n}", "state": "Failed", "brandNew": n} for n in range(3)])
    await jobs.night([{"id": "a1", "state": "Failed", "other": "x"}])
    rows = Reader(jobs, reading)
    for top in (1, 2, 5, 100):
        found = [row for page in await rows.paged(top=top) for row in page]
        assert sorted(row["id"] for row in found) == ["a0", "a1", "a2", "b0", "b1", "b2"]
        ordered = await rows.paged(top=top, orderby="brandNew desc", select="id,brandNew")
        assert [row["id"] for page in ordered for row in page][:3] == ["b2", "b1", "b0"]
    (newest,) = (await rows.asked(filter="other eq 'x' and state eq 'Failed'"))[0]
    assert (newest["id"], newest["brandNew"]) == ("a1", None)
    assert [row["id"] for row in (await rows.asked(filter="brandNew gt 0", orderby="id"))[0]] == ["b1", "b2"]
    assert len(await rows.csv()) == 7


async def test_storage_that_is_away_is_told_as_that(
    apps: Nights, rows: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    await apps.night([app(1)])

    async def away(*_: object) -> bytes:
        raise StorageUnavailable("the storage is away")

    with monkeypatch.context() as patched:
        patched.setattr(apps.storage, "read_range", away)
        with pytest.raises(StorageUnavailable, match="the storage is away"):
            await rows.asked()
    assert len((await rows.asked())[0]) == 1


async def test_a_question_without_end_is_given_up(apps: Nights, rows: Reader) -> None:
    await apps.night([app(1)])
    endless = Sql("SELECT count(*) FROM range(1_000_000_000_000) WHERE range % 7 = 3")
    reader = reader_of(rows.services)
    with pytest.raises(StorageUnavailable, match="could not be read within 0 s"):
        await reader.ask(
            lambda connection: connection.execute(endless.text).fetchall(), longest=timedelta(milliseconds=200)
        )
    assert len((await rows.asked())[0]) == 1


async def test_hidden_fields_are_shown_nowhere(apps: Nights, rows: Reader) -> None:
    await apps.night([app(1, sharedGroups=1)])
    await apps.night([app(1, sharedGroups="secret", ownerDisplayName="Ada")])
    apps.settings = {"TABLES_HIDE_FIELDS": "graph/*.shared*,personal"}
    (row,), _ = await rows.asked()
    assert "Ada" not in json.dumps(row)
    assert "secret" not in json.dumps(row)
    with pytest.raises(InvalidInput, match="there is no column 'ownerDisplayName'"):
        await rows.asked(filter="ownerDisplayName eq 'Ada'")


async def test_an_empty_table_has_no_rows(apps: Nights, rows: Reader) -> None:
    await apps.night([])
    assert await rows.asked(filter="displayName eq 'x'", orderby="id") == ([], None)


async def test_a_table_that_is_not_there_is_told_with_the_remedy(apps: Nights, rows: Reader) -> None:
    with pytest.raises(NotReady, match="graph/enpower-powerapps has no table yet") as refused:
        await rows.asked()
    assert "HARVEST_" in refused.value.remedy
    apps.settings = {"TABLES_DATASETS": "none"}
    with pytest.raises(NotReady, match="is switched off"):
        await rows.asked()


@pytest.mark.parametrize(
    ("source", "name", "message"),
    [
        (
            "graph",
            "enpower-powerapp",
            "there is no dataset 'enpower-powerapp' of graph; the closest name is 'enpower-powerapps'",
        ),
        ("grph", "x", "there is no source 'grph'; the closest name is 'graph'"),
    ],
)
def test_an_unknown_dataset_is_told_with_the_closest(source: str, name: str, message: str) -> None:
    with pytest.raises(NotFound) as refused:
        find_dataset(source, name)
    assert str(refused.value) == message

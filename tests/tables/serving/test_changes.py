"""Changes over HTTP: each once, from the run that a caller names on (promise 10)."""

import csv
import io
import json
from dataclasses import dataclass
from typing import Any

import pytest

from sandbox.memory_storage import MemoryStorage
from shared.errors import InvalidInput, NotReady, Outdated
from shared.tables.page.copying import copy_of_page
from shared.tables.serving.changes import ChangesQuery, read_changes, read_changes_csv
from shared.tables.serving.datasets import current_table
from shared.tables.serving.description import describe_table
from shared.tables.serving.history import read_history
from shared.tables.serving.snapshots import SnapshotsQuery, read_snapshots
from tests.conftest import Clock
from tests.tables.nights import Nights
from tests.tables.serving.conftest import Reading

APPS = "graph/enpower-powerapps"


@pytest.fixture
def apps(memory: MemoryStorage, clock: Clock) -> Nights:
    return Nights.of(memory, clock, APPS)


@dataclass
class Teller:
    """Asks for the changes of a dataset as the functions do."""

    nights: Nights
    reading: Reading

    async def told(self, **query: Any) -> tuple[list[tuple[str, str]], str]:  # noqa: ANN401
        """Key and change of all pages, and the run they reach to."""
        changes, until = await self.changes(**query)
        return [(change["key"], change["change"]) for change in changes], until

    async def changes(self, **query: Any) -> tuple[list[dict[str, Any]], str]:  # noqa: ANN401
        services = self.reading(self.nights)
        following: ChangesQuery | None = self.query(**query)
        told: list[dict[str, Any]] = []
        until = ""
        while following is not None:
            page = await read_changes(services, await current_table(services, self.nights.dataset), following)
            assert len(page.changes) <= following.top
            told += [json.loads(change) for change in page.changes]
            until, following = page.until, page.next
        return told, until

    def query(self, **query: Any) -> ChangesQuery:  # noqa: ANN401
        return ChangesQuery.model_validate({"source": "graph", "dataset": self.nights.dataset.name} | query)


@pytest.fixture
def changes(apps: Nights, reading: Reading) -> Teller:
    return Teller(apps, reading)


def app(number: int, **fields: object) -> dict[str, object]:
    return {"id": f"app{number}", "displayName": f"App {number}", **fields}


async def test_changes_are_told_as_the_contract_has_it(apps: Nights, changes: Teller) -> None:
    first = await apps.night([app(1, primaryContact={"a": 1}), app(2, status="y")])
    second = await apps.night([app(1, primaryContact={"a": 2}, status="x"), app(3)])
    told, until = await changes.changes()
    assert until == second.run_id
    common = {"sure": True, "runId": second.run_id, "previousRunId": first.run_id, "at": "2026-01-02T02:05:00Z"}
    assert told[0] == common | {
        "key": "app1",
        "change": "changed",
        "fields": ["primaryContact", "status"],
        "before": {"primaryContact": {"a": 1}, "status": None},
        "after": {"primaryContact": {"a": 2}, "status": "x"},
    }
    assert told[1]["before"]["displayName"] == "App 2"
    assert (told[1]["change"], told[1]["after"], told[1]["fields"]) == ("removed", None, [])
    assert (told[2]["key"], told[2]["change"], told[2]["before"]) == ("app3", "added", None)


async def test_changes_begin_behind_the_run_that_is_named(apps: Nights, changes: Teller) -> None:
    runs = [(await apps.night([app(n) for n in range(night + 1)])).run_id for night in range(4)]
    everything = [("app1", "added"), ("app2", "added"), ("app3", "added")]
    for top in (1, 2, 100):
        assert await changes.told(since=runs[0], top=top) == (everything, runs[3])
    assert await changes.told(since=runs[2]) == (everything[2:], runs[3])
    assert await changes.told() == (everything[2:], runs[3])
    assert await changes.told(since=runs[3]) == ([], runs[3])
    assert await changes.told(since=runs[0], change="removed") == ([], runs[3])


async def test_pages_reach_to_where_the_list_began(apps: Nights, reading: Reading, changes: Teller) -> None:
    runs = [(await apps.night([app(n) for n in range(night + 1)])).run_id for night in range(3)]
    services = reading(apps)
    first = await read_changes(
        services, await current_table(services, apps.dataset), changes.query(since=runs[0], top=1)
    )
    await apps.night([app(7)])
    assert first.next is not None
    second = await read_changes(services, await current_table(services, apps.dataset), first.next)
    assert (second.until, second.next, len(second.changes)) == (runs[2], None, 1)


async def test_a_run_that_is_not_known_is_refused_with_the_oldest(apps: Nights, changes: Teller) -> None:
    run = (await apps.night([app(1)])).run_id
    for unknown in ("20250101T000000Z-graph", "20990101T000000Z-graph", "x", "20260101T020000Z-elements"):
        with pytest.raises(Outdated) as refused:
            await changes.told(since=unknown)
        assert run in refused.value.remedy


async def test_a_run_older_than_changes_are_kept_is_refused(apps: Nights, clock: Clock, changes: Teller) -> None:
    first = (await apps.night([app(1)])).run_id
    await apps.night([app(2)])
    clock.now = first_day(clock, first)
    clock.advance(days=401)
    with pytest.raises(Outdated):
        await changes.told(since=first)


def first_day(clock: Clock, run_id: str) -> Any:  # noqa: ANN401
    return clock.now.replace(year=int(run_id[:4]), month=1, day=1)


async def test_a_snapshot_whose_table_is_not_built_yet_brings_nothing_yet(apps: Nights, changes: Teller) -> None:
    await apps.night([app(1)])
    waiting = await apps.publish([app(2)])
    assert await changes.told(since=waiting.run_id) == ([], waiting.run_id)


async def test_csv_is_the_whole_list(apps: Nights, reading: Reading, changes: Teller) -> None:
    first = await apps.night([app(1), app(2)])
    second = await apps.night([app(1, displayName="=1"), app(3)])
    services = reading(apps)
    table = await read_changes_csv(services, await current_table(services, apps.dataset), changes.query(top=1))
    rows = list(csv.reader(io.StringIO(table.decode(), newline="")))
    assert rows[0] == ["key", "change", "sure", "fields", "before", "after", "runId", "previousRunId", "at"]
    runs = [second.run_id, first.run_id, "2026-01-02T02:05:00Z"]
    assert rows[1] == [
        "app1",
        "changed",
        "true",
        "displayName",
        '{"displayName":"App 1"}',
        '{"displayName":"=1"}',
        *runs,
    ]
    assert [row[0] for row in rows[2:]] == ["app2", "app3"]


async def test_hidden_fields_are_in_no_change(apps: Nights, changes: Teller) -> None:
    await apps.night([app(1, ownerDisplayName="Ada", status="a"), app(2, ownerDisplayName="Ada")])
    await apps.night([app(1, ownerDisplayName="Bo", status="b")])
    apps.settings = {"TABLES_HIDE_FIELDS": "personal"}
    told, _ = await changes.changes()
    assert "Ada" not in json.dumps(told)
    assert told[0]["fields"] == ["status"]


@pytest.mark.parametrize("name", ["graph/enpower-powerapp-launches"])
async def test_changes_of_windows_are_not_told(
    memory: MemoryStorage, clock: Clock, reading: Reading, name: str
) -> None:
    launches = Nights.of(memory, clock, name)
    await launches.night([{"appId": "a"}])
    with pytest.raises(NotReady, match="has no changes"):
        await Teller(launches, reading).told()


async def test_history_counts_by_day_and_by_group(apps: Nights, clock: Clock, reading: Reading) -> None:
    clock.now = clock.now.replace(year=2026, month=1, day=3, hour=12)
    await apps.night([app(1, appType="Canvas"), app(2, appType="Canvas"), app(3)])
    await apps.night([app(1, appType="Canvas")])
    services = reading(apps)
    current = await current_table(services, apps.dataset)
    told = await read_history(services, current, by=None, days=30)
    assert [(one.day, one.value, one.items) for one in told] == [("2026-01-01", None, 3), ("2026-01-02", None, 1)]
    told = await read_history(services, current, by="appType", days=30)
    assert [(one.day, one.value, one.items) for one in told] == [
        ("2026-01-01", "Canvas", 2),
        ("2026-01-01", None, 1),
        ("2026-01-02", "Canvas", 1),
    ]
    assert [one.day for one in await read_history(services, current, by=None, days=1)] == []
    with pytest.raises(InvalidInput, match="items are not counted by 'apptype'; the closest name is 'appType'"):
        await read_history(services, current, by="apptype", days=30)


async def test_snapshots_are_listed_newest_first(apps: Nights) -> None:
    runs = [(await apps.publish([app(1)])).run_id for _ in range(5)]
    query, pages = SnapshotsQuery(source="graph", dataset=apps.dataset.name, top=2), []
    following: SnapshotsQuery | None = query
    while following is not None:
        entries, following = await read_snapshots(apps.storage, apps.dataset, following)
        pages.append([entry.run_id for entry in entries])
    assert pages == [[runs[4], runs[3]], [runs[2], runs[1]], [runs[0]]]
    (entry, *_), _ = await read_snapshots(apps.storage, apps.dataset, query)
    assert (entry.items, entry.verdict, entry.published) == (1, "complete", True)
    assert entry.manifest.endswith(f"/{runs[4]}.json")


async def test_a_table_describes_itself(apps: Nights, reading: Reading) -> None:
    first = await apps.night([app(1, sharedUsers=1)])
    second = await apps.night([app(1, sharedUsers="many", brandNew=True), app(2, sharedUsers="few")])
    services = reading(apps)
    described = await describe_table(services, await current_table(services, apps.dataset))
    columns = {column.name: column for column in described.columns}
    assert list(columns)[:5] == ["_key", "_run_id", "_harvested_at", "_line_hash", "_rescued"]
    assert (columns["sharedUsers"].type, columns["sharedUsers"].rescued) == ("long", 2)
    assert columns["displayName"].first_run_id == first.run_id
    assert (columns["brandNew"].first_run_id, columns["brandNew"].type) == (second.run_id, "boolean")
    assert columns["displayName"].description == "Display name of the app."
    assert described.row["properties"]["sharedUsers"] == {  # type: ignore[call-overload, index]  # JSON
        "type": "integer",
        "format": "int64",
        "title": "sharedUsers",
        "description": columns["sharedUsers"].description,
    }
    assert "appType" in described.groups
    assert "appLaunchesLast7Days" in described.volatile
    assert ("brandNew", "new") in [(event.field, event.event) for event in described.drift]
    assert ("sharedUsers", "rescued", 2) in [(event.field, event.event, event.count) for event in described.drift]


async def test_a_change_of_half_a_character_can_be_written_in_the_copy_of_the_page(
    apps: Nights, reading: Reading
) -> None:
    await apps.night([app(1)])
    await apps.night([app(1, displayName="cut here \ud83d")])
    page = await copy_of_page(reading(apps))
    assert rb"cut here \ud83d" in page.encode()


async def test_the_copy_of_the_page_says_that_there_are_more_changes(apps: Nights, reading: Reading) -> None:
    await apps.night([])
    await apps.night([app(number) for number in range(101)])
    page = await copy_of_page(reading(apps))
    assert f'"nextLink": "datasets/{APPS}/changes"' in page

"""A table equals the snapshot it names, one row a key; a change is told once (promise 10)."""

import json
from datetime import timedelta

import pytest

from sandbox.memory_storage import MemoryStorage
from shared.azure.storage import Container
from shared.harvest.plan import paths
from tests.conftest import Clock
from tests.tables.nights import Nights

APPS = "graph/enpower-powerapps"


@pytest.fixture
def apps(memory: MemoryStorage, clock: Clock) -> Nights:
    return Nights.of(memory, clock, APPS)


def app(number: int, **fields: object) -> dict[str, object]:
    return {"id": f"app{number}", "displayName": f"App {number}", "sharedUsers": number, **fields}


async def test_a_first_snapshot_is_the_table_and_tells_no_change(apps: Nights) -> None:
    manifest = await apps.night(
        [app(1), app(2, createdOn="2026-01-15 08:30:00")], [app(3, primaryContact={"b": 1, "a": 2})]
    )
    table = apps.table().sort("_key")
    assert table["_key"].to_list() == ["app1", "app2", "app3"]
    assert table["_run_id"].unique().to_list() == [manifest.run_id]
    assert table["_harvested_at"].unique().to_list() == [manifest.finished_at]
    assert table["sharedUsers"].to_list() == [1, 2, 3]
    assert str(table["createdOn"].to_list()[1]) == "2026-01-15 08:30:00+00:00"
    assert table["primaryContact"].to_list()[2] == '{"a":2,"b":1}'
    assert apps.changes() == []


async def test_changes_between_two_nights(apps: Nights) -> None:
    first = await apps.night([app(1), app(2, status="on"), app(3), app(4, appLaunchesLast7Days=1)])
    second = await apps.night([app(4, appLaunchesLast7Days=2), app(2, status="off"), app(1, sharedUsers=1.0), app(5)])
    assert apps.table().sort("_key")["_key"].to_list() == ["app1", "app2", "app4", "app5"]
    assert apps.told() == [
        ("app2", "changed", True, "status"),
        ("app3", "removed", True, ""),
        ("app5", "added", True, ""),
    ]
    changed, removed, added = apps.changes()
    assert (changed["before"], changed["after"]) == ({"status": "on"}, {"status": "off"})
    assert (removed["before"]["displayName"], removed["after"]) == ("App 3", None)
    assert added["after"]["sharedUsers"] == 5
    assert {row["run_id"] for row in apps.changes()} == {second.run_id}
    assert {row["previous_run_id"] for row in apps.changes()} == {first.run_id}
    told = apps.read("inventory_snapshots").sort("run_id").to_dicts()
    assert [told[1][name] for name in ("added", "removed", "changed", "volatile_only")] == [1, 1, 1, 1]
    assert told[0]["added"] is None


async def test_a_field_may_be_called_like_anything_of_ours(apps: Nights) -> None:
    names = ("k", "change", "tenant", "foo.bar", "o.k", "key", "d", "t", "n", "v", "f", "r", "h", "run_id", "sure")
    await apps.night([app(1, **dict.fromkeys(names, "old")), app(2, **dict.fromkeys(names, "old"))])
    await apps.night([app(1, **dict.fromkeys(names, "new")), app(3, **dict.fromkeys(names, "old"))])
    changed, removed, added = apps.changes()
    assert (changed["before"], changed["after"]) == (dict.fromkeys(names, "old"), dict.fromkeys(names, "new"))
    assert {name: removed["before"][name] for name in names} == dict.fromkeys(names, "old")
    assert {name: added["after"][name] for name in names} == dict.fromkeys(names, "old")


async def test_every_key_has_its_number(apps: Nights) -> None:
    await apps.night([app(number) for number in range(200)])
    await apps.night([app(number) for number in range(1, 201)])
    assert apps.told() == [("app0", "removed", True, ""), ("app200", "added", True, "")]


async def test_building_again_changes_nothing(apps: Nights) -> None:
    await apps.night([app(1)])
    before = dict(apps.storage.blobs)
    assert await apps.build() == "nothing to do"
    assert apps.storage.blobs == before


async def test_one_row_a_key_the_last_of_the_snapshot(apps: Nights) -> None:
    await apps.night([app(1), app(2, status="a"), app(1, status="b")], [app(2, status="c")], [app(3)])
    table = apps.table().sort("_key")
    assert table["_key"].to_list() == ["app1", "app2", "app3"]
    assert table["status"].to_list() == ["b", "c", None]
    assert apps.read("inventory_snapshots")["duplicates"].to_list() == [2]


async def test_a_new_field_is_drift_and_no_change_of_every_row(apps: Nights) -> None:
    await apps.night([app(1, old="x"), app(2)])
    await apps.night([app(1, fresh=True), app(2, fresh=False)])
    assert apps.told() == []
    drift = apps.read("inventory_drift").to_dicts()
    assert {(row["field"], row["event"], row["count"]) for row in drift} == {
        ("fresh", "new", 2),
        ("old", "vanished", 0),
    }
    await apps.night([app(1, fresh=True), app(2, fresh=True)])
    assert apps.told() == [("app2", "changed", True, "fresh")]


async def test_types_that_the_first_rows_do_not_fit_are_those_they_show(apps: Nights) -> None:
    await apps.night([app(1, sharedGroups="many")], [app(2, sharedGroups=3)], [app(3)])
    assert apps.table().sort("_key")["sharedGroups"].to_list() == ['"many"', "3", None]
    await apps.night([app(1, sharedGroups="many", isManaged="perhaps")])
    assert json.loads(apps.table()["_rescued"].to_list()[0]) == {"isManaged": "perhaps"}


async def test_an_empty_snapshot_empties_the_table(apps: Nights) -> None:
    await apps.night([])
    assert apps.table().height == 0
    await apps.night([app(1)])
    await apps.night([])
    assert apps.told() == [("app1", "added", True, ""), ("app1", "removed", True, "")]


async def test_a_run_that_was_skipped_is_passed_over(apps: Nights) -> None:
    first = await apps.night([app(1)])
    await apps.publish([app(2)])
    last = await apps.night([app(1), app(3)])
    assert apps.told() == [("app3", "added", True, "")]
    assert apps.changes()[0]["previous_run_id"] == first.run_id
    assert apps.read("inventory_snapshots").height == 3
    assert apps.table()["_run_id"].unique().to_list() == [last.run_id]


@pytest.mark.parametrize(("verdict", "sure"), [("complete", True), ("complete_unverified", False), ("surplus", False)])
async def test_what_is_gone_is_sure_only_after_a_complete_snapshot(apps: Nights, verdict: str, sure: bool) -> None:  # noqa: FBT001
    await apps.night([app(1), app(2)])
    await apps.night([app(1)], verdict=verdict)
    assert apps.told() == [("app2", "removed", sure, "")]


async def test_what_is_gone_may_be_an_item_that_could_not_be_read(apps: Nights) -> None:
    await apps.night([app(1), app(2)])
    await apps.night([app(1)], odd=1)
    assert apps.told() == [("app2", "removed", False, "")]


async def test_tenants_that_were_not_in_both_are_not_told(apps: Nights) -> None:
    await apps.night([app(1), app(2)], [app(3)], tenants=["a", "b"])
    await apps.night([app(1)], [app(4)], tenants=["A", "c"])
    assert apps.told() == [("app2", "removed", True, "")]
    assert apps.table().sort("_key")["_key"].to_list() == ["app1", "app4"]


async def test_history_counts_the_last_snapshot_of_a_day(apps: Nights) -> None:
    await apps.night([app(1, appType="Canvas"), app(2, appType="Canvas"), app(3, appType="Model"), app(4)])
    history = {(row["field"], row["value"]): row["items"] for row in apps.read("inventory_history").to_dicts()}
    assert history[None, None] == 4
    assert {value: items for (field, value), items in history.items() if field == "appType"} == {
        "Canvas": 2,
        "Model": 1,
        None: 1,
    }


async def test_hidden_fields_are_in_no_table_after_a_rebuild(memory: MemoryStorage, clock: Clock) -> None:
    open_to_all = Nights.of(memory, clock, APPS)
    await open_to_all.night([app(1, creatorDisplayName="Jo Doe", secret="x", status="on")])
    hiding = Nights.of(memory, clock, APPS, TABLES_HIDE_FIELDS="personal, graph/*.secret")
    hiding.runs = open_to_all.runs
    await hiding.night([app(1, creatorDisplayName="Jo Roe", secret="y", status="off")])
    assert hiding.told() == [("app1", "changed", True, "status")]
    assert hiding.table()["creatorDisplayName"].to_list() == [None]
    await hiding.rebuild("table")
    columns = hiding.table().columns
    assert "status" in columns
    assert not {"creatorDisplayName", "secret"} & set(columns)
    for name in ("graph_enpower_powerapps", "inventory_drift", "inventory_history"):
        assert "Roe" not in str(hiding.read(name).to_dicts())


async def test_counts_by_a_field_leave_the_history_when_it_is_hidden_and_the_table_rebuilt(
    memory: MemoryStorage, clock: Clock
) -> None:
    apps, flows = Nights.of(memory, clock, APPS), Nights.of(memory, clock, "graph/enpower-cloudflows")
    for _ in range(2):
        await apps.night([app(1, appType="Secret", status="on"), app(2, status="on")])
        await flows.night([{"flowId": "1", "status": "on"}])
    before = apps.read("inventory_history")
    apps.settings = {"TABLES_HIDE_FIELDS": "graph/*-powerapps.APPTYPE"}
    await apps.rebuild("table")
    after = apps.read("inventory_history")
    assert set(before["field"].to_list()) - set(after["field"].to_list()) == {"appType"}
    expected = before.filter(before["field"].ne_missing("appType"))
    assert sorted(after.rows(), key=str) == sorted(expected.rows(), key=str)
    await apps.night([app(1, appType="Secret", status="on")], at=paths.started_at(apps.runs[-1]) + timedelta(hours=1))
    day = f"{paths.started_at(apps.runs[-1]):%Y-%m-%d}"
    again = apps.read("inventory_history").filter(day=day, dataset="enpower-powerapps", field="status")
    assert again["items"].to_list() == [1]


async def test_changes_leave_their_table_after_their_days(memory: MemoryStorage, clock: Clock) -> None:
    nights = Nights.of(memory, clock, APPS, TABLES_CHANGES_DAYS="100")
    await nights.night([app(1)])
    await nights.night([app(2)])
    assert len(nights.told()) == 2
    last = await nights.night([app(3)], at=clock() - timedelta(days=2))
    assert {row["run_id"] for row in nights.changes()} == {last.run_id}


@pytest.mark.slow
async def test_counts_by_value_end_with_the_changes_and_totals_stay(memory: MemoryStorage, clock: Clock) -> None:
    nights = Nights.of(memory, clock, APPS, TABLES_CHANGES_DAYS="100", TABLES_KEEP_DAYS="1")
    clock.now = clock.now.replace(year=2026, month=1, day=10)
    for number in range(40):  # enough for files to be merged
        await nights.night([app(1, appType=f"of Ann {number}")])
    assert nights.read("inventory_history")["value"].str.contains("Ann").sum() == 40
    clock.now = clock.now.replace(month=5, day=1)
    last = await nights.night([app(1, appType="of Bo")], at=clock())
    history = nights.read("inventory_history")
    by_type = history.filter(history["field"] == "appType").sort("day")
    assert by_type["day"].min() == f"{clock() - timedelta(days=100):%Y-%m-%d}"
    assert by_type["value"].to_list()[-1] == "of Bo"
    assert history["field"].is_null().sum() == 41
    clock.advance(days=2)
    await nights.night([app(1, appType="of Bo")], at=clock())
    assert (await nights.build(), last.run_id in nights.runs) == ("nothing to do", True)


async def test_only_the_newest_list_of_parents_is_kept(memory: MemoryStorage, clock: Clock) -> None:
    users = Nights.of(memory, clock, "elements/v3-um-user")
    parent = {"customerId": "c", "tenantId": "t", "userId": "ann@contoso.com"}
    for title in ("a", "b", "c"):
        await users.night([{"_parent": parent, "id": "ann@contoso.com", "jobTitle": title}], asked=[parent])
    lists = [path for path in memory.blobs[Container.HARVEST_STATE] if path.endswith(".bin")]
    assert len(lists) == 1
    assert users.told()[-1][1:] == ("changed", True, "jobTitle")


async def test_a_time_that_its_zone_puts_behind_the_calendar_is_rescued(memory: MemoryStorage, clock: Clock) -> None:
    """.NET writes its last instant so, west of Greenwich."""
    apps, last = Nights.of(memory, clock, APPS), "9999-12-31T23:59:59.9999999-08:00"
    for written in ("2026-01-01T00:00:00Z", last, "9999-12-31T23:59:59Z"):
        await apps.night([{"id": "a", "createdOn": written}])
    await apps.night([{"id": "b", "createdOn": last}])
    row = apps.table().to_dicts()[0]
    assert (row["createdOn"], json.loads(row["_rescued"])) == (None, {"createdOn": last})
    told = [(one["change"], one["before"], one["after"]) for one in apps.changes()]
    assert told[:2] == [
        ("changed", {"createdOn": "2026-01-01T00:00:00Z"}, {"createdOn": last}),
        ("changed", {"createdOn": last}, {"createdOn": "9999-12-31T23:59:59Z"}),
    ]
    assert [change for change, *_ in told[2:]] == ["removed", "added"]


@pytest.mark.parametrize(
    ("line", "name"), [(rb'{"id":"b","\ud83d":1}', r"\ud83d"), (b'{"id":"b","\xfc":1}', r"\udcfc")]
)
async def test_a_name_that_is_not_utf8_is_written_as_an_escape(
    memory: MemoryStorage, clock: Clock, line: bytes, name: str
) -> None:
    apps = Nights.of(memory, clock, APPS)
    await apps.night([{"id": "a"}, line])
    await apps.night([{"id": "a"}, line, {"id": "c"}])
    rows = {row["_key"]: row for row in apps.table().to_dicts()}
    assert rows.keys() == {"a", "b", "c"}
    assert rows["b"][name] == 1

"""A person who is forgotten leaves no trace in tables and changes, and nobody else goes with it."""

import json
import tempfile
from collections.abc import Iterator, Mapping
from copy import copy
from datetime import timedelta
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import quote

import duckdb
import pytest
from deltalake import DeltaTable as Deltalake
from hypothesis import given, settings
from hypothesis import strategies as st

from sandbox.azurite import Azurite
from sandbox.memory_storage import MemoryStorage
from shared.azure.documents import update
from shared.azure.lease import Hold
from shared.azure.storage import Container, Queue
from shared.errors import DamagedDocument, InvalidInput, StorageUnavailable
from shared.harvest.plan import paths
from shared.services import Services
from shared.tables import forget
from shared.tables.build.builder import advance_table
from shared.tables.build.names import state_path
from shared.tables.build.state import TableState, read_state
from shared.tables.forget import ForgetReport, forget_person
from shared.tables.forgetting.matching import PersonText
from shared.tables.forgetting.retention import Retention
from shared.tables.verify import verify_tables
from tests.conftest import Clock
from tests.tables.conftest import copied
from tests.tables.nights import Nights
from tests.tables.test_killed_builds import FragileStorage, Killed

APPS = "graph/enpower-powerapps"
ANN = "Ann.O'Hara@contoso.com"


def app(number: int, **fields: object) -> dict[str, object]:
    return {"id": f"app{number}", "displayName": f"App {number}", **fields}


@pytest.fixture
def apps(memory: MemoryStorage, clock: Clock) -> Nights:
    return Nights.of(memory, clock, APPS)


async def forgotten(nights: Nights, text: str = ANN, *, apply: bool = True) -> ForgetReport:
    store, clock = nights.storage, nights.clock
    return await forget_person(store, store, PersonText(text), Retention(), apply=apply, clock=clock, sleep=clock.sleep)


def stored_rows(storage: MemoryStorage) -> str:
    """Every row of every table, as three readers give them, and every Parquet file that is there."""
    with tempfile.TemporaryDirectory() as folder:
        tables = sorted({path.partition("/")[0] for path in storage.blobs[Container.TABLES]})
        copied(storage, Path(folder))
        found = [row for name in tables for row in _cells(Deltalake(f"{folder}/{name}").to_pyarrow_table().to_pylist())]
        with duckdb.connect() as connection:
            for path in sorted(Path(folder).rglob("*.parquet")):
                if "_delta_log" not in path.parts:
                    rows = connection.execute(f"SELECT * FROM read_parquet('{path}')").fetchall()
                    found += [str(cell) for row in rows for cell in row]
    return "\n".join(found).casefold()


def _cells(rows: list[dict[str, Any]]) -> Iterator[str]:
    return (str(cell) for row in rows for cell in row.values())


async def test_without_apply_it_tells_and_changes_nothing(apps: Nights) -> None:
    await apps.night([app(1, creatorDisplayName=ANN), app(2)])
    await apps.night([app(2, details={"owner": [{"mail": ANN.upper()}]}), app(3)])
    before = {name: dict(blobs) for name, blobs in apps.storage.blobs.items()}
    report = await forgotten(apps, apply=False)
    assert apps.storage.blobs == before
    assert {one.table: (one.rows, one.names) for one in report.tables} == {
        "graph_enpower_powerapps": (1, ("app2",)),
        "graph_enpower_powerapps_changes": (1, ("app1",)),
    }
    assert report.left == 2


async def test_a_folder_that_is_no_table_of_ours_is_named(apps: Nights) -> None:
    await apps.night([app(1, owner=ANN)])
    await apps.storage.write(Container.TABLES, "somebody/else.parquet", b"", etag=None)
    assert (await forgotten(apps)).passed_over == ("somebody",)


async def test_a_file_in_a_table_that_cannot_be_read_is_named(apps: Nights) -> None:
    await apps.night([app(1, owner=ANN)])
    await apps.storage.write(Container.TABLES, "graph_enpower_powerapps/copy.parquet", b"", etag=None)
    with pytest.raises(DamagedDocument, match=r"tables/graph_enpower_powerapps/copy\.parquet cannot be read"):
        await forgotten(apps)


async def test_what_is_left_outside_the_tables_is_told_with_its_day(apps: Nights) -> None:
    manifest = await apps.night([app(1, owner=ANN)])
    await apps.night([app(2)])
    escaped = json.dumps({"note": f"\u00e9 {ANN}"}).replace("@", "\\u0040").encode()
    for container, path in (
        (Container.EVIDENCE, "date=2026-01-01/x.json"),
        (Container.OPERATIONS, "operations/x/order.json"),
    ):
        await apps.storage.write(container, path, escaped, etag=None)
    report = await forgotten(apps)
    today = apps.clock().date()
    assert {(one.container, one.path): one.until for one in report.remains} == {
        ("inventory", manifest.parts[0].path): today + timedelta(days=366),
        ("opus-evidence", "date=2026-01-01/x.json"): today + timedelta(days=2556),
        ("opus-operations", "operations/x/order.json"): today + timedelta(days=731),
    }
    assert report.restorable_until == today + timedelta(days=14)


async def test_a_part_that_was_cut_off_is_named(apps: Nights) -> None:
    (part,) = (await apps.night([app(number) for number in range(50)])).parts
    whole = apps.storage.blobs[Container.INVENTORY][part.path]
    await apps.storage.write(Container.INVENTORY, f"{part.path}.gz", whole.data[:-30], etag=None)
    (remain,) = (await forgotten(apps, apply=False)).remains
    assert remain.unread == f"{part.path}.gz ends too early, or too late"


async def test_hashes_of_keys_name_nobody(apps: Nights) -> None:
    (part,) = (await apps.night([app(1)])).parts
    hashes = paths.keys("20260101T000000Z-graph", part.path)
    await apps.storage.write(Container.HARVEST_STATE, hashes, bytes(range(16)), etag=None)
    assert (await forgotten(apps, apply=False)).remains == ()


async def test_tables_verify_and_stay_as_they_were_but_for_the_person(apps: Nights) -> None:
    await apps.night([app(1, owner=ANN), app(2, status="off"), app(4)])
    await apps.night([app(1, owner=ANN), app(2, status="on"), app(3, owner=ANN)])
    await forgotten(apps)
    assert ANN.casefold() not in stored_rows(apps.storage)
    assert apps.table()["_key"].to_list() == ["app2"]
    assert apps.told() == [("app2", "changed", True, "status"), ("app4", "removed", True, "")]
    (report,) = await verify_tables(apps.services(), [apps.dataset])
    assert report.problems == ()
    state = (await read_state(apps.storage, "graph", "enpower-powerapps")).value
    assert (state.rows, state.hold) == (1, None)
    again = await forgotten(apps)
    assert (again.tables, again.left) == ((), 0)


@pytest.mark.parametrize(
    ("text", "written"), [("Jörg Groß", "JÖRG GROSS"), ("JÖRG GROSS", "Jörg Groß"), ("Ζωής", "ΖΩΉΣ")]
)
async def test_upper_and_lower_case_are_the_same_where_letters_change(apps: Nights, text: str, written: str) -> None:
    await apps.night([app(1, owner=f"to {written}"), app(2)])
    await forgotten(apps, text)
    assert apps.table()["_key"].to_list() == ["app2"]


NET = r"{\u0022owner\u0022:\u0022O\u0027Hara J\u00F6rg\u002Bx@contoso.com\u0022}"
"""A text as the JSON encoder of .NET writes it by default."""


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("o'hara jörg+x@contoso.com", NET),
        ("o'hara jo\u0308rg+x@contoso.com", NET),
        ("o'hara jörg+x@contoso.com", json.dumps(json.dumps(NET))),
        ("JÖRG Groß", json.dumps("Jörg Groß")),
        ("JÖRG Groß", "Jo\u0308rg Gro%C3%9F"),
        ("jörg groß", "https://contoso.com/J%c3%96RG%20GRO%C3%9F"),
        ("contoso/ann", r"https:\/\/contoso\/Ann"),
        (r"contoso\nann", json.dumps(json.dumps(r"CONTOSO\nann"))),
        ("Ann\tLee", json.dumps("ann\tlee")),
        ("i:0#.f|ann", r"app1|i:0#.f\|ann"),
        ("\U0001d49cnn", json.dumps("\U0001d49cnn")),
        ("a.*+?()[]{}^$", "xa.*+?()[]{}^$"),
        (" ann@contoso.com\n", "Ann@contoso.com"),
        (r"\\server\ann", "\\" * 5_000 + r"server\\ann"),
    ],
)
def test_every_way_to_write_a_text_is_found(text: str, written: str) -> None:
    assert _found(text, written) == (True, True)


@pytest.mark.parametrize("text", ["".join(map(chr, range(1, 127))), "Jörg@contoso.com " * 40])
def test_any_text_that_names_somebody_can_be_looked_for(text: str) -> None:
    for written in (text, json.dumps(text), quote(text)):
        assert _found(text, written) == (True, True)


@pytest.mark.parametrize(("text", "written"), [("ann", r"{\"x\":\"an\nb\"}"), ("a.c", "abc"), ("u0041nn", r"\u0041nx")])
def test_a_text_that_is_only_alike_is_not_found(text: str, written: str) -> None:
    assert _found(text, written) == (False, False)


def _found(text: str, written: str) -> tuple[bool, bool]:
    """Whether a text is found, by Python and by the engine."""
    person = PersonText(text)
    with duckdb.connect() as connection:
        condition = person.condition({"cell": "VARCHAR"})
        (row,) = connection.execute(f"SELECT {condition} FROM (SELECT ?::VARCHAR AS cell)", [written]).fetchall()
    return person.is_in(written), row[0]


async def test_a_later_night_brings_back_only_what_its_snapshot_has(apps: Nights) -> None:
    await apps.night([app(1, owner=ANN), app(2)])
    await forgotten(apps)
    await apps.night([app(2), app(3)])
    assert ANN.casefold() not in stored_rows(apps.storage)
    assert apps.told() == [("app3", "added", True, "")]
    await apps.night([app(1, owner=ANN), app(2), app(3)])
    assert apps.table().sort("_key")["_key"].to_list() == ["app1", "app2", "app3"]
    assert apps.told()[-1] == ("app1", "added", True, "")


async def test_increments_and_history_forget_too(memory: MemoryStorage, clock: Clock) -> None:
    jobs = Nights.of(memory, clock, "graph/m365-backup-jobs")
    await jobs.night([{"id": "job1", "jobType": ANN}, {"id": "job2"}])
    await jobs.night([{"id": "job3"}])
    apps = Nights.of(memory, clock, APPS)
    await apps.night([app(1, appType=f"of {ANN}"), app(2)])
    await forgotten(jobs)
    assert ANN.casefold() not in stored_rows(memory)
    assert jobs.table().sort("_key")["_key"].to_list() == ["job2", "job3"]
    await jobs.night([{"id": "job4"}])
    assert jobs.table().sort("_key")["_key"].to_list() == ["job2", "job3", "job4"]


async def test_the_hash_of_a_hidden_key_is_found(memory: MemoryStorage, clock: Clock) -> None:
    users = Nights.of(memory, clock, "graph/enpower-powerapp-launched-users", TABLES_HIDE_FIELDS="personal")
    app1, app2 = ({"appId": name} for name in ("app1", "app2"))
    hers, his = ({"_parent": app1, "objectId": "app1", "userId": name} for name in (ANN, "bob"))
    await users.night([hers, his, {**hers, "_parent": app2}], asked=[app1, app2])
    await users.night([hers, his], asked=[app1, app2])
    assert ANN.casefold() not in stored_rows(memory)
    report = await forgotten(users)
    assert {one.table.removeprefix("graph_enpower_powerapp_"): one.rows for one in report.tables} == {
        "launched_users": 1,
        "launched_users_changes": 1,
    }
    assert users.table().height == 1


async def test_a_build_at_work_is_waited_for_and_begins_again(apps: Nights) -> None:
    await apps.night([app(1, owner=ANN), app(2)])
    await apps.publish([app(2)], [app(3)])
    services = apps.services(HARVEST_SLICE_SECONDS="0.001")
    apps.clock.advance(seconds=1)

    class Passing(Clock):
        def __call__(self) -> Any:  # noqa: ANN401 - as the clock
            self.advance(seconds=0.01)
            return self.now

    slow = Services(
        **{name: getattr(services, name) for name in Services.__slots__} | {"clock": Passing(apps.clock.now)}
    )
    for _ in range(3):
        assert await advance_table(slow, apps.address) == "handed over"
    path = state_path("graph", "enpower-powerapps")
    hold = Hold(owner="builder", until=apps.clock() + timedelta(seconds=40))
    await update(apps.storage, Container.HARVEST_STATE, path, TableState, lambda s: s.with_hold(hold) if s else s)
    began = apps.clock()
    await forgotten(apps)
    assert apps.clock() - began >= timedelta(seconds=40)
    assert ANN.casefold() not in stored_rows(apps.storage)
    assert await apps.build() == "finished"
    assert apps.table().sort("_key")["_key"].to_list() == ["app2", "app3"]
    assert apps.told() == [("app3", "added", True, "")]


async def test_a_table_that_is_never_free_is_said(apps: Nights) -> None:
    await apps.night([app(1, owner=ANN)])
    hold = Hold(owner="builder", until=apps.clock() + timedelta(minutes=20))
    path = state_path("graph", "enpower-powerapps")
    await update(apps.storage, Container.HARVEST_STATE, path, TableState, lambda s: s.with_hold(hold) if s else s)
    with pytest.raises(StorageUnavailable, match="builds have held the table of graph/enpower-powerapps"):
        await forgotten(apps)


@pytest.mark.slow
@pytest.mark.parametrize("when", ["before", "after"])
async def test_killed_anywhere_the_command_is_given_again(clock: Clock, when: Any) -> None:  # noqa: ANN401 - a literal
    storage = FragileStorage(clock)
    apps = Nights.of(storage, clock, APPS)
    await apps.night([app(1, owner=ANN), app(2)], [app(4, owner=ANN)])
    await apps.night([app(1, owner=ANN), app(2, status="on")], [app(5)])
    at = 0
    while True:
        at += 1
        fragile = FragileStorage(clock, at=at, when=when, error=Killed())
        fragile.blobs = {name: dict(blobs) for name, blobs in storage.blobs.items()}
        fragile._modified, fragile._etags = dict(storage._modified), count(1_000)  # noqa: SLF001 - a copy of the account
        nights = copy(apps)
        nights.storage, nights.runs = fragile, list(apps.runs)
        try:
            await forgotten(nights)
        except Killed:
            clock.advance(minutes=2)
            await forgotten(nights)
        else:
            break
        assert ANN.casefold() not in stored_rows(fragile)
        assert nights.table().sort("_key")["_key"].to_list() == ["app2", "app5"]
        (report,) = await verify_tables(nights.services(), [nights.dataset])
        assert report.problems == ()
        await nights.night([app(2, status="off")], [app(6)])
        assert nights.table().sort("_key")["_key"].to_list() == ["app2", "app6"]
    assert at > 5


texts = st.sampled_from(
    [ANN, ANN.upper(), f"i:0#.f|membership|{ANN}", f'say "{ANN}" \\', "Bob", "", None, {"a": [ANN]}, [f"<{ANN}>"], 7]
)
items: st.SearchStrategy[Mapping[str, Any]] = st.fixed_dictionaries(
    {"id": st.sampled_from(["a", "b", "c|d", ANN, f"x|{ANN}\\"])},
    optional={"displayName": texts, "appType": texts, "x": texts, "_key": texts, "sharedUsers": texts},
)
stays = st.lists(st.lists(items, max_size=4), min_size=1, max_size=3)


@pytest.mark.slow
@settings(max_examples=15)
@given(nights=stays, text=st.sampled_from([ANN, f"membership|{ANN}", f'"{ANN}"', "contoso"]))
async def test_law_no_trace_is_left_and_nothing_else_is_lost(nights: list[Any], text: str) -> None:
    apps = Nights.of(MemoryStorage(clock := Clock()), clock, APPS)
    for night in nights:
        await apps.night(night)
    before = apps.table()["_key"].to_list()
    rows = apps.table().to_dicts()
    named = {row["_key"] for row in rows if any(PersonText(text).is_in(str(cell)) for cell in row.values())}
    await forgotten(apps, text)
    found = stored_rows(apps.storage)
    assert text.casefold() not in found
    assert not any(PersonText(text).is_in(line) for line in found.split("\n"))
    assert sorted(apps.table()["_key"].to_list()) == sorted(set(before) - named)
    assert apps.storage.queues[Queue.TABLES] == []


@pytest.mark.parametrize("text", ["", "  a ", "ab", "a\x00bc", "abc\ud800"])
def test_a_text_that_names_nobody_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput):
        PersonText(text)


def test_days_are_those_of_the_deployment() -> None:
    assert Retention.parse("raw=30, evidence=10") == Retention(raw=30, evidence=10)
    with pytest.raises(InvalidInput, match="RETENTION_DAYS"):
        Retention.parse("raw=soon")


class TestCommand:
    def test_exits_with_2_where_it_cannot_look(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setenv("INVENTORY_STORAGE", "nonsense")
        assert forget.main(["--text", ANN]) == 2
        assert forget.main(["--text", "x"]) == 2
        assert "INVENTORY_STORAGE" in capsys.readouterr().err

    @pytest.mark.usefixtures("services")
    def test_needs_nothing_but_storage(
        self, azurite: Azurite, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setenv("INVENTORY_STORAGE", azurite.connection_string)
        assert forget.main(["--text", ANN, "--json"]) == 0
        told = json.loads(capsys.readouterr().out)
        assert (told["tables"], told["remains"]) == ([], [])
        assert forget.main(["--text", ANN, "--apply"]) == 0
        assert capsys.readouterr().out.endswith("0 tables, 0 of them still have it\n")

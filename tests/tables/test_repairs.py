"""After a restore, tables that do not fit are told and set right, and end as their snapshots are (promise 10)."""

from collections.abc import Callable

import pytest

from sandbox.memory_storage import MemoryStorage
from shared.azure.misfits import Repair
from shared.azure.storage import Container, Stored
from shared.harvest.plan import paths
from shared.harvest.snapshots.manifest import pointer_to, read_manifest
from shared.tables.build.names import changes_name, state_path, table_name
from shared.tables.build.repairing import table_repairs
from shared.tables.verify import verify_tables
from tests.conftest import Clock
from tests.tables.nights import Nights

APPS, JOBS = "graph/enpower-powerapps", "graph/m365-backup-jobs"

type Blobs = dict[Container, dict[str, Stored]]
type Damage = Callable[[Nights, Blobs], None]
"""Damages what is stored, given what was stored after the first night."""


def app(number: int, name: str = "") -> dict[str, object]:
    return {"id": f"app{number}", "displayName": name or f"App {number}"}


def job(number: int, status: str = "1") -> dict[str, object]:
    return {"id": f"job{number}", "status": status}


async def three_nights(storage: MemoryStorage, clock: Clock, name: str) -> tuple[Nights, Blobs]:
    nights = Nights.of(storage, clock, name)
    item = app if name == APPS else job
    await nights.night([item(1), item(2)])
    first = {container: dict(blobs) for container, blobs in storage.blobs.items()}
    await nights.night([item(1, "other"), item(3)])
    await nights.night([item(1, "more"), item(4)])
    return nights, first


def name_of(nights: Nights) -> str:
    return table_name(nights.dataset.source, nights.dataset.name)


def path_of(nights: Nights) -> str:
    return state_path(nights.dataset.source, nights.dataset.name)


async def repaired(nights: Nights) -> list[Repair]:
    found = []
    async for one in table_repairs(nights.storage, nights.storage, clock=nights.clock):
        await one.apply()
        found.append(one)
    return found


def lose(nights: Nights, container: Container, prefix: str, suffix: str = "") -> None:
    blobs = nights.storage.blobs[container]
    there = [path for path in blobs if path.startswith(prefix) and path.endswith(suffix)]
    assert there
    for path in there:
        del blobs[path]


def lose_files(nights: Nights, _: Blobs) -> None:
    lose(nights, Container.TABLES, f"{name_of(nights)}/part-")


def lose_newest_commit(nights: Nights, _: Blobs) -> None:
    lose(nights, Container.TABLES, f"{name_of(nights)}/_delta_log/", "2.json")


def lose_commit_between(nights: Nights, _: Blobs) -> None:
    lose(nights, Container.TABLES, f"{name_of(nights)}/_delta_log/", "1.json")


def lose_table(nights: Nights, _: Blobs) -> None:
    lose(nights, Container.TABLES, f"{name_of(nights)}/")


def lose_state(nights: Nights, _: Blobs) -> None:
    lose(nights, Container.HARVEST_STATE, path_of(nights))


def damage_state(nights: Nights, _: Blobs) -> None:
    nights.storage.blobs[Container.HARVEST_STATE][path_of(nights)] = Stored(b"{", "damaged")


def turn_state_back(nights: Nights, first: Blobs) -> None:
    path = path_of(nights)
    nights.storage.blobs[Container.HARVEST_STATE][path] = first[Container.HARVEST_STATE][path]


def turn_tables_back(nights: Nights, first: Blobs) -> None:
    nights.storage.blobs[Container.TABLES] = dict(first[Container.TABLES])


def turn_inventory_back(nights: Nights, first: Blobs) -> None:
    nights.storage.blobs[Container.INVENTORY] = dict(first[Container.INVENTORY])


QUICK = [lose_files, turn_state_back, turn_tables_back]
LONG = [lose_newest_commit, lose_commit_between, lose_table, lose_state, damage_state, turn_inventory_back]


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        *((APPS, one) for one in QUICK),
        *(pytest.param(APPS, one, marks=pytest.mark.slow) for one in LONG),
        *(pytest.param(JOBS, one, marks=pytest.mark.slow) for one in QUICK),
    ],
)
async def test_a_table_that_does_not_fit_is_told_and_ends_as_its_snapshots_are(
    memory: MemoryStorage, clock: Clock, name: str, damage: Damage
) -> None:
    nights, first = await three_nights(memory, clock, name)
    damage(nights, first)

    found = await repaired(nights)

    assert [one.misfit.path for one in found if one.misfit.path.startswith("tables/graph/")] == [path_of(nights)]
    assert await repaired(nights) == []
    item = app if name == APPS else job
    await nights.night([item(1, "last"), item(5)])
    assert await repaired(nights) == []
    rows = {row["_key"]: row for row in nights.table().to_dicts()}
    stored = {"app1", "app5"} if name == APPS else {f"job{n}" for n in range(1, 6)}
    assert rows.keys() == stored
    assert {row["displayName"] if name == APPS else row["status"] for row in rows.values()} >= {"last"}
    (report,) = await verify_tables(nights.services(), [nights.dataset])
    assert report.problems == ()


async def test_what_fits_is_left_alone(memory: MemoryStorage, clock: Clock) -> None:
    nights, _ = await three_nights(memory, clock, APPS)
    await Nights.of(memory, clock, JOBS).night([job(1)])
    assert await repaired(nights) == []
    del memory.blobs[Container.INVENTORY][paths.latest("graph", "enpower-powerapps")]
    assert len(await repaired(nights)) == 1


async def test_rows_whose_raw_files_have_expired_stay_in_a_table_of_increments(
    memory: MemoryStorage, clock: Clock
) -> None:
    nights, first = await three_nights(memory, clock, JOBS)
    manifest = await read_manifest(memory, nights.runs[0], nights.dataset.source, nights.dataset.name)
    assert manifest is not None
    nights.forget_parts(manifest)
    turn_state_back(nights, first)
    await repaired(nights)
    await nights.night([job(5)])
    assert set(nights.table()["_key"]) == {f"job{n}" for n in range(1, 6)}


async def test_lost_changes_are_left_out_and_the_others_stay(memory: MemoryStorage, clock: Clock) -> None:
    nights, _ = await three_nights(memory, clock, APPS)
    name = changes_name(nights.dataset.source, nights.dataset.name)
    newest = min(nights.active(name)).rpartition("/")[2]
    lose(nights, Container.TABLES, f"{name}/{newest}")
    (one,) = await repaired(nights)
    assert newest in str(one.misfit.fault)
    assert await repaired(nights) == []
    await nights.build()
    assert len(nights.read(name)) == 3


async def test_lost_files_of_the_tables_of_all_datasets_are_left_out(memory: MemoryStorage, clock: Clock) -> None:
    nights, _ = await three_nights(memory, clock, APPS)
    lose(nights, Container.TABLES, "inventory_snapshots/part-")
    (one,) = await repaired(nights)
    assert one.misfit.path == "tables/inventory_snapshots"
    await nights.night([app(9)])
    assert nights.read("inventory_snapshots")["run_id"].to_list() == nights.runs[-1:]


async def test_latest_that_was_moved_back_puts_the_table_behind_it(memory: MemoryStorage, clock: Clock) -> None:
    nights, _ = await three_nights(memory, clock, APPS)
    manifest = await read_manifest(memory, nights.runs[0], nights.dataset.source, nights.dataset.name)
    assert manifest is not None
    pointer = Stored(pointer_to(manifest).to_json(), "somebody else's")
    memory.blobs[Container.INVENTORY][paths.latest(nights.dataset.source, nights.dataset.name)] = pointer
    (one,) = await repaired(nights)
    assert f"it holds the run {nights.runs[2]}, and latest names {nights.runs[0]}" in str(one.misfit.fault)
    assert await nights.build() == "finished"
    assert set(nights.table()["_key"]) == {"app1", "app2"}


async def test_a_log_that_cannot_be_read_keeps_nothing_else_from_being_set_right(
    memory: MemoryStorage, clock: Clock
) -> None:
    nights, first = await three_nights(memory, clock, APPS)
    commit = f"inventory_history/_delta_log/{0:020d}.json"
    memory.blobs[Container.TABLES][commit] = Stored(b"\xff", "damaged")
    turn_state_back(nights, first)

    history, apps = await repaired(nights)

    assert (history.misfit.path, history.is_left) == ("tables/inventory_history", True)
    assert history.words.startswith("leave it: Make an older version of it current")
    assert (apps.misfit.path, apps.is_left) == (path_of(nights), False)
    assert [one.misfit.path for one in await repaired(nights)] == ["tables/inventory_history"]

"""A log that readers nobody here wrote understand, and that two writers cannot spoil (promise 10)."""

import asyncio
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import polars as pl
import pytest
from deltalake import DeltaTable as Deltalake

from sandbox.memory_storage import MemoryStorage
from shared.azure.storage import Container
from shared.errors import DamagedDocument
from shared.tables.delta.actions import Commit, DataFile, DeltaColumn, DeltaTable, Metadata, UnknownProtocol
from shared.tables.delta.log import DeltaLog, NoSuchVersion, read_hint
from shared.tables.delta.vacuum import vacuum
from shared.tables.engine.connection import Engine
from shared.tables.engine.parquet import upload, write_parquet
from tests.conftest import Clock
from tests.tables.conftest import copied

COLUMNS = (
    DeltaColumn("n", "long", {"comment": "A number."}),
    DeltaColumn("at", "timestamp"),
    DeltaColumn("text", "json", {"field": "te xt"}),
)


@pytest.fixture
def log(memory: MemoryStorage, clock: Clock) -> DeltaLog:
    return DeltaLog(memory, "things", clock=clock)


async def written(engine: Engine, log: DeltaLog, n: int, clock: Clock) -> DataFile:
    query = f"SELECT {n}::BIGINT AS n, to_timestamp({n}) AS at, '[{n}]' AS text"
    file = await write_parquet(engine, query, engine.folder / f"{uuid4().hex}.parquet")
    found = DataFile(path=f"part-{n}.parquet", size=file.size, rows=file.rows, written_at=clock(), tags={"n": str(n)})
    await upload(log._storage, f"things/{found.path}", file)  # noqa: SLF001 - the storage of the test
    return found


async def add(engine: Engine, log: DeltaLog, n: int, clock: Clock, *, replace: bool = False) -> DeltaTable:
    file = await written(engine, log, n, clock)

    def plan(table: DeltaTable) -> Commit:
        metadata = None if table.metadata else Metadata("id", COLUMNS, clock())
        gone = tuple(table.files) if replace else ()
        return Commit("app", n, "WRITE", add=(file,), remove=gone, metadata=metadata)

    return await log.commit(engine, plan, keep_since=clock() - timedelta(days=8))


async def test_readers_see_what_was_committed(
    engine: Engine, log: DeltaLog, memory: MemoryStorage, clock: Clock, tmp_path: Path
) -> None:
    for n in range(3):
        await add(engine, log, n, clock)
    folder = copied(memory, tmp_path) / "things"
    table = Deltalake(folder)
    assert (table.version(), table.protocol().min_reader_version, table.protocol().min_writer_version) == (2, 1, 2)
    frame = pl.read_delta(str(folder)).sort("n")
    assert frame["n"].to_list() == [0, 1, 2]
    assert frame["text"].to_list() == ["[0]", "[1]", "[2]"]
    assert str(frame.schema["at"]) == "Datetime(time_unit='us', time_zone='UTC')"
    assert pl.read_delta(str(folder), version=1)["n"].len() == 2


async def test_a_checkpoint_stands_for_all_before_it(
    engine: Engine, log: DeltaLog, memory: MemoryStorage, clock: Clock, tmp_path: Path
) -> None:
    for n in range(25):
        await add(engine, log, n, clock, replace=n % 7 == 0)
    table = await log.read(engine)
    assert table.version == 24
    assert sorted(table.files) == [f"part-{n}.parquet" for n in (21, 22, 23, 24)]
    assert table.files["part-22.parquet"].tags == {"n": "22"}
    assert table.metadata is not None
    assert table.metadata.columns == tuple(DeltaColumn(one.name, one.type, dict(one.facts)) for one in COLUMNS)
    for version in range(20):
        memory.blobs[Container.TABLES].pop(f"things/_delta_log/{version:020d}.json")
    assert await log.read(engine) == table
    folder = copied(memory, tmp_path) / "things"
    assert pl.read_delta(str(folder)).sort("n")["n"].to_list() == [21, 22, 23, 24]
    assert Deltalake(folder).to_pyarrow_table().num_rows == 4


@pytest.mark.parametrize("hint", [None, b"", b"{}", b'{"version": "last"}'])
async def test_a_log_without_a_usable_hint_begins_with_its_newest_checkpoint(
    engine: Engine, log: DeltaLog, memory: MemoryStorage, clock: Clock, hint: bytes | None
) -> None:
    """The hint may be lost or damaged, and the first commits are deleted in time: that is no table without rows."""
    for n in range(25):
        await add(engine, log, n, clock)
    blobs, where = memory.blobs[Container.TABLES], "things/_delta_log/_last_checkpoint"
    blobs.pop(where)
    if hint is not None:
        await memory.write(Container.TABLES, where, hint, etag=None)
    for version in range(12):
        blobs.pop(f"things/_delta_log/{version:020d}.json")
    assert (await log.read(engine)).rows == 25
    assert (await log.read(engine, version=22)).rows == 23
    for n in range(25, 31):
        await add(engine, log, n, clock)
    assert (await log.read(engine)).version == 30
    assert read_hint(blobs[where].data) == 30


async def test_a_damaged_commit_is_named(engine: Engine, log: DeltaLog, memory: MemoryStorage, clock: Clock) -> None:
    for n in range(3):
        await add(engine, log, n, clock)
    damaged = "things/_delta_log/00000000000000000001.json"
    for content in (b"{", b"[]", b'{"add": {}}'):
        memory.blobs[Container.TABLES].pop(damaged)
        await memory.write(Container.TABLES, damaged, content, etag=None)
        with pytest.raises(DamagedDocument, match=damaged):
            await log.read(engine)


@pytest.mark.parametrize("kept", [0, 8, -20])
async def test_a_damaged_checkpoint_is_named(
    engine: Engine, log: DeltaLog, memory: MemoryStorage, clock: Clock, kept: int
) -> None:
    for n in range(12):
        await add(engine, log, n, clock)
    damaged = "things/_delta_log/00000000000000000010.checkpoint.parquet"
    whole = memory.blobs[Container.TABLES][damaged].data
    memory._put(Container.TABLES, damaged, whole[:kept])  # noqa: SLF001 - somebody else has written it
    with pytest.raises(DamagedDocument, match=damaged):
        await log.read(engine)


async def test_an_old_version_is_read_as_it_was(engine: Engine, log: DeltaLog, clock: Clock) -> None:
    for n in range(22):
        await add(engine, log, n, clock, replace=True)
    for version in (0, 9, 10, 15, 20, 21):
        assert sorted((await log.read(engine, version=version)).files) == [f"part-{version}.parquet"]
    with pytest.raises(NoSuchVersion):
        await log.read(engine, version=22)


async def test_of_two_writers_of_one_change_one_makes_it(
    engine: Engine, log: DeltaLog, memory: MemoryStorage, clock: Clock
) -> None:
    await add(engine, log, 0, clock)
    file = await written(engine, log, 1, clock)
    others = [DeltaLog(memory, "things", clock=clock) for _ in range(2)]
    change = Commit("app", 1, "WRITE", add=(file,))
    await asyncio.gather(*(other.commit(engine, lambda _: change, keep_since=clock()) for other in others))
    table = await log.read(engine)
    assert (table.version, table.rows) == (1, 2)


async def test_appends_of_several_applications_all_count(
    engine: Engine, memory: MemoryStorage, log: DeltaLog, clock: Clock
) -> None:
    files = [await written(engine, log, n, clock) for n in range(6)]

    async def append(n: int) -> None:
        def plan(table: DeltaTable) -> Commit:
            metadata = None if table.metadata else Metadata("id", COLUMNS, clock())
            return Commit(f"app-{n}", 1, "WRITE", add=(files[n],), metadata=metadata)

        await DeltaLog(memory, "things", clock=clock).commit(engine, plan, keep_since=clock())

    await asyncio.gather(*(append(n) for n in range(6)))
    table = await log.read(engine)
    assert (table.version, table.rows) == (5, 6)


async def test_a_table_that_another_program_has_raised_is_left_alone(
    engine: Engine, log: DeltaLog, memory: MemoryStorage, clock: Clock
) -> None:
    await add(engine, log, 0, clock)
    raised = b'{"protocol":{"minReaderVersion":3,"minWriterVersion":7,"readerFeatures":["deletionVectors"]}}\n'
    await memory.write(Container.TABLES, "things/_delta_log/00000000000000000001.json", raised, etag=None)
    with pytest.raises(UnknownProtocol):
        await add(engine, log, 1, clock)


async def test_what_was_replaced_is_deleted_after_its_days(
    engine: Engine, log: DeltaLog, memory: MemoryStorage, clock: Clock
) -> None:
    for n in range(12):
        await add(engine, log, n, clock, replace=True)
    await written(engine, log, 99, clock)
    keep = timedelta(days=8)
    assert await vacuum(memory, log, await log.read(engine), now=clock(), keep=keep) == 0
    clock.advance(days=9)
    await add(engine, log, 12, clock, replace=True)
    await vacuum(memory, log, await log.read(engine), now=clock(), keep=keep)
    left = sorted(path.rpartition("/")[2] for path in memory.blobs[Container.TABLES])
    assert [path for path in left if path.startswith("part")] == ["part-11.parquet", "part-12.parquet"]
    assert "00000000000000000009.json" not in left
    assert sorted((await log.read(engine)).files) == ["part-12.parquet"]
    assert sorted((await log.read(engine, version=11)).files) == ["part-11.parquet"]


async def test_files_with_strange_names_in_a_log_are_passed_over(
    engine: Engine, log: DeltaLog, memory: MemoryStorage, clock: Clock
) -> None:
    strange = {f"things/_delta_log/{name}" for name in ("odd.json", "odd.checkpoint.parquet", f"{0:020d} (copy).json")}
    for n in range(12):
        await add(engine, log, n, clock, replace=True)
    for path in strange:
        await memory.write(Container.TABLES, path, b"{}", etag=None)
    clock.advance(days=9)

    await vacuum(memory, log, await log.read(engine), now=clock(), keep=timedelta(days=8))

    left = memory.blobs[Container.TABLES].keys()
    assert left >= strange
    assert "things/_delta_log/00000000000000000009.json" not in left

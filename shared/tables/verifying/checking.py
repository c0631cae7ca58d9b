"""Checks a table against the snapshots its rows come from: every row, every key, every value.

The raw parts are converted once more, with the columns of the table. Rows of the newest snapshot have to be there, all
of them; rows of older ones, which stay in tables of increments and of parents, have to be as their snapshot has them.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Self

import duckdb

from shared.avepoint.catalog import Dataset
from shared.document import Document
from shared.harvest.snapshots.manifest import Manifest, read_manifest
from shared.services import Services
from shared.tables.build.snapshots import has_all_parts
from shared.tables.build.stages.committing import logged_schema
from shared.tables.build.stages.conversion import convert_part
from shared.tables.build.stages.work import BuildWork
from shared.tables.build.state import Ground, TableState
from shared.tables.delta.actions import DeltaTable
from shared.tables.engine.connection import Engine, literal, open_engine, quoted_path
from shared.tables.engine.files import LocalFiles
from shared.tables.engine.parquet import columns_sql
from shared.tables.schema.columns import KEY, RUN_ID, ColumnType, TableSpec
from shared.tables.schema.spec import spec_of

type Say = Callable[[str], None]
"""Is told how far it is."""


class TableReport(Document):
    """What was found of one table.

    Attributes:
        rows: How many rows it has.
        unchecked: Rows whose raw files are not there any more.
        problems: What is wrong, one sentence each.
    """

    source: str
    dataset: str
    run_id: str | None
    version: int | None
    rows: int = 0
    unchecked: int = 0
    problems: tuple[str, ...] = ()

    @classmethod
    def of(cls, state: TableState) -> Self:
        """Return the report on a table before anything was found."""
        return cls(source=state.source, dataset=state.dataset, run_id=state.ground.run_id, version=state.version)

    @classmethod
    def unreadable(cls, state: TableState, reason: str) -> Self:
        """Return the report on a table that cannot be compared."""
        return cls.of(state).model_copy(update={"problems": (f"it cannot be compared: {reason}",)})

    @classmethod
    def missing(cls, state: TableState, run_id: str) -> Self:
        """Return the report on a table that is not there, although a snapshot is."""
        reason = f": {state.reason}" if state.reason else ""
        problem = f"no table is known of the snapshot {run_id}, which is published{reason}"
        return cls.of(state).model_copy(update={"problems": (problem,)})


async def check_table(services: Services, dataset: Dataset, state: TableState, say: Say) -> TableReport:
    """Check the current table of a dataset."""
    report = TableReport.of(state)
    newest = await read_manifest(services.storage, state.ground.run_id or "", dataset.source, dataset.name)
    if newest is None:
        return report.model_copy(update={"problems": (f"the manifest of {report.run_id} is not there",)})
    async with open_engine(memory_mb=services.settings.tables_memory_mb) as engine:
        work = _work(services, dataset, engine, state.ground, newest)
        table = await work.log.read(engine)
        if table.metadata is None:
            return report.model_copy(update={"problems": ("the table is not there",)})
        types = _visible_types(table, work.spec)
        await engine.execute("CREATE TABLE have (run VARCHAR, key VARCHAR, a UBIGINT, b UBIGINT)")
        for file in table.files.values():
            try:
                await _index(engine, "have", await work.local(file), types)
            except (duckdb.InvalidInputException, duckdb.IOException, duckdb.ConversionException) as error:
                return TableReport.unreadable(state, f"{file.path} is not as it was written ({type(error).__name__})")
        problems = await _doubled(engine, has_keys=bool(work.spec.key))
        unchecked = 0
        runs = await engine.rows("SELECT run, count(*) FROM have GROUP BY run ORDER BY run")
        if newest.run_id not in {run for run, _ in runs}:
            runs.append((newest.run_id, 0))
        for run, count in runs:
            manifest = await read_manifest(services.storage, run, dataset.source, dataset.name)
            if manifest is None or not await has_all_parts(services.storage, manifest):
                unchecked += count
                continue
            problems += await _check_run(work, manifest, table, say)
    return report.model_copy(update={"rows": table.rows, "unchecked": unchecked, "problems": tuple(problems)})


def _work(services: Services, dataset: Dataset, engine: Engine, ground: Ground, manifest: Manifest) -> BuildWork:
    return BuildWork(
        settings=services.settings,
        inventory=services.storage,
        tables=services.tables,
        clock=services.clock,
        engine=engine,
        files=LocalFiles(engine, services.tables),
        dataset=dataset,
        spec=spec_of(dataset, hidden=services.settings.tables_hide_fields),
        manifest=manifest,
        ground=ground,
    )


async def _check_run(work: BuildWork, manifest: Manifest, table: DeltaTable, say: Say) -> list[str]:
    """Compare the rows of one run with its snapshot."""
    await work.engine.execute("CREATE OR REPLACE TABLE want (run VARCHAR, key VARCHAR, a UBIGINT, b UBIGINT)")
    types = _visible_types(table, work.spec)
    for number, part in enumerate(manifest.parts, start=1):
        say(f"{manifest.source}/{manifest.dataset}: part {number} of {len(manifest.parts)} of {manifest.run_id}")
        converted = await convert_part(
            work.engine,
            work.inventory,
            manifest,
            part,
            schema=logged_schema(table),
            spec=work.spec,
            undecided=frozenset(),
        )
        await _index(work.engine, "want", converted.written.path, types)
        converted.written.path.unlink()
    return await _differences(work, manifest)


def _visible_types(table: DeltaTable, spec: TableSpec) -> dict[str, ColumnType]:
    """Return the types of the columns without those that have been hidden since the table was built."""
    columns = table.metadata.columns if table.metadata else ()
    return {one.name: one.type for one in columns if "field" not in one.facts or not spec.is_hidden(one.facts["field"])}


async def _index(engine: Engine, name: str, path: Path, types: dict[str, ColumnType]) -> None:
    def index(connection: duckdb.DuckDBPyConnection) -> None:
        file = literal(str(path))
        described = connection.execute(f"DESCRIBE SELECT * FROM read_parquet({file})").fetchall()
        cells = columns_sql(types, {row[0]: "" for row in described})
        names, backwards = (", ".join(map(quoted_path, order)) for order in (types, reversed(types)))
        connection.execute(
            f"INSERT INTO {name} SELECT {RUN_ID}, {KEY}, hash({names}), hash({backwards})"
            f" FROM (SELECT {cells} FROM read_parquet({file}))"
        )

    await engine.run(index)


async def _doubled(engine: Engine, *, has_keys: bool) -> list[str]:
    if not has_keys:
        return []
    keys = await engine.rows("SELECT key FROM have GROUP BY key HAVING count(*) > 1 ORDER BY key")
    return [f"{len(keys)} keys have several rows{_first(keys)}"] if keys else []


async def _differences(work: BuildWork, manifest: Manifest) -> list[str]:
    run = literal(manifest.run_id)
    problems = []
    surplus = f"SELECT key, a, b FROM have WHERE run = {run} EXCEPT ALL SELECT key, a, b FROM want"
    other = await work.engine.rows(f"SELECT key FROM ({surplus}) ORDER BY key")
    if other:
        problems.append(f"{len(other)} rows are not as the snapshot {manifest.run_id} has them{_first(other)}")
    if manifest.run_id == work.ground.run_id:
        by = "key" if work.spec.key else "a, b"
        missing = await work.engine.rows(
            f"SELECT any_value(key) FROM want WHERE ({by}) NOT IN (SELECT ({by}) FROM have) GROUP BY {by} ORDER BY 1"
        )
        if len(missing) > work.ground.forgotten:
            problems.append(f"{len(missing)} rows of the snapshot {manifest.run_id} are missing{_first(missing)}")
    return problems


def _first(keys: Sequence[tuple[str | None, ...]]) -> str:
    named = [str(row[0]) for row in keys[:3] if row[0] is not None]
    return f", such as {', '.join(named)}" if named else ""

"""The end of a build: the changes, the current table, and what the tables of all datasets are told of it.

Each commit carries the number of the build as the transaction of its application, so that a build that is cut off and
taken up again, by whomever, commits nothing twice.
"""

import uuid
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

from shared.harvest.plan import paths
from shared.harvest.snapshots.manifest import Manifest
from shared.tables.build import names
from shared.tables.build.stages.work import BuildWork
from shared.tables.build.state import Build, Counts, Redo, Rowset
from shared.tables.delta.actions import Commit, DataFile, DeltaColumn, DeltaTable, Metadata
from shared.tables.delta.vacuum import vacuum
from shared.tables.engine.remote import RemoteFiles, remote_path
from shared.tables.history.appending import GrowingTable, merge_small_files
from shared.tables.history.columns import DRIFT, HISTORY, HISTORY_COMMENTS, SNAPSHOTS
from shared.tables.history.counting import count_groups
from shared.tables.history.ending import drop_hidden_values, drop_old_values, values_since
from shared.tables.schema.columns import Column, TableSchema, TableSpec
from shared.tables.schema.policy import Drift, drift
from shared.tables.values.rows import Rows

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_OWN = {
    "_key": "The key of the row: parents first, then the key fields, joined by |.",
    "_run_id": "The run that brought the row.",
    "_harvested_at": "When the snapshot of that run was finished.",
    "_line_hash": "64 bits of a hash of the raw line.",
    "_rescued": "Values that do not fit their column, by field.",
}


async def commit_changes(work: BuildWork, changes: Sequence[DataFile], *, transaction: int, redo: Redo | None) -> None:
    """Add a file to the table of changes; what is older than ``TABLES_CHANGES_DAYS`` leaves it.

    A redo of all changes takes the place of all that is there.
    """
    oldest = work.clock() - timedelta(days=work.settings.tables_changes_days)
    is_new = {file.path for file in changes}

    def is_outdated(file: DataFile) -> bool:
        if redo is not None:
            return file.path not in is_new
        newest = file.tags.get("to")
        return newest is not None and paths.started_at(newest) < oldest

    await work.changes.append(
        work.engine, changes, application=work.application, transaction=transaction, is_outdated=is_outdated
    )


async def commit_table(
    work: BuildWork, schema: TableSchema, files: Sequence[DataFile], *, transaction: int
) -> DeltaTable:
    """Let the current table consist of these files, and of nothing else."""
    wanted = {file.path: file for file in files}

    def plan(table: DeltaTable) -> Commit:
        columns = delta_columns(schema, work.spec)
        is_same = table.metadata is not None and table.metadata.columns == columns
        table_id = table.metadata.id if table.metadata else str(uuid.uuid4())
        created_at = table.metadata.created_at if table.metadata else work.clock()
        return Commit(
            work.application,
            transaction,
            "WRITE",
            add=tuple(file for path, file in wanted.items() if path not in table.files),
            remove=tuple(path for path in table.files if path not in wanted),
            metadata=None if is_same else Metadata(table_id, columns, created_at),
            about={"runId": work.manifest.run_id},
        )

    return await work.log.commit(work.engine, plan, keep_since=work.keep_since)


def delta_columns(schema: TableSchema, spec: TableSpec) -> tuple[DeltaColumn, ...]:
    """Return the columns of a current table as its log has them."""
    own = [DeltaColumn(name, kind, {"comment": _OWN.get(name, "")}) for name, kind in spec.own.items()]
    fields = [
        DeltaColumn(
            one.name, one.type, {"comment": one.description, "field": one.field, "firstRunId": one.first_run_id}
        )
        for one in schema.columns
    ]
    return (*own, *fields)


def logged_schema(table: DeltaTable) -> TableSchema:
    """Return the columns for fields that a table has by its log."""
    columns = table.metadata.columns if table.metadata else ()
    return TableSchema(
        columns=tuple(
            Column(name=one.name, field=one.facts["field"], type=one.type) for one in columns if "field" in one.facts
        ),
        decided=True,
    )


async def tell_snapshots(
    work: BuildWork, build: Build, rowset: Rowset, skipped: Sequence[Manifest], *, transaction: int
) -> None:
    """Add a row for the snapshot, and for each one that was passed over, to ``inventory_snapshots``."""
    rows = [_snapshot_row(one, None, None) for one in skipped]
    rows.append(_snapshot_row(work.manifest, build.counts, rowset.duplicates if work.spec.tells_changes else None))
    await _tell(work, work.growing(names.SNAPSHOTS, SNAPSHOTS, HISTORY_COMMENTS), rows, transaction=transaction)


async def tell_history(work: BuildWork, schema: TableSchema, table: DeltaTable, *, transaction: int) -> None:
    """Count the rows by groups; the last snapshot of a day takes the place of the ones before."""
    sizes = {f"{work.name}/{file.path}": file.size for file in table.files.values()}
    remote = RemoteFiles(work.tables, sizes)
    work.engine.connection.register_filesystem(remote)
    with remote.told_plainly():
        counts = await count_groups(
            work.engine, [remote_path(path) for path in sizes], schema, work.spec, rows=table.rows
        )
    work.engine.connection.unregister_filesystem("table")
    day = f"{paths.started_at(work.manifest.run_id):%Y-%m-%d}"
    source, dataset = work.dataset.source, work.dataset.name
    tags = {"of": f"{source}/{dataset}", "day": day}
    await _tell(
        work,
        work.growing(names.HISTORY, HISTORY, HISTORY_COMMENTS),
        [(day, source, dataset, *count) for count in counts],
        transaction=transaction,
        tags=tags,
    )


async def hide_history(work: BuildWork) -> None:
    """Let the history forget the counts by fields that have been hidden since they were told."""
    if work.spec.hidden:
        table = work.growing(names.HISTORY, HISTORY, HISTORY_COMMENTS)
        await drop_hidden_values(work.engine, table, work.spec)


async def tell_drift(work: BuildWork, before: TableSchema, build: Build, *, transaction: int) -> None:
    """Say what the snapshot has, or lacks, that the table did not expect."""
    found: list[Drift] = drift(before, build.table_schema, work.spec, present=work.ground.present, found=build.findings)
    rows = [
        (work.manifest.run_id, work.dataset.source, work.dataset.name, one.field, one.event, one.count) for one in found
    ]
    await _tell(work, work.growing(names.DRIFT, DRIFT, HISTORY_COMMENTS), rows, transaction=transaction)


async def tidy(work: BuildWork, table: DeltaTable) -> None:
    """Merge what has become many small files, and delete what is old."""
    schema = {column.name: column.type for column in table.metadata.columns} if table.metadata else {}
    if work.spec.windowed:
        table = await merge_small_files(
            work.engine, work.tables, work.log, schema, table, clock=work.clock, keep_since=work.keep_since
        )
    await vacuum(work.tables, work.log, table, now=work.clock(), keep=work.keep)
    if work.spec.tells_changes:
        changes = work.changes
        merged = await merge_small_files(
            work.engine,
            work.tables,
            changes.log,
            changes.types,
            await changes.log.read(work.engine),
            clock=work.clock,
            keep_since=work.keep_since,
            group=lambda file: file.tags.get("to", "")[:6],
            tags=lambda files: {
                "from": min(file.tags.get("from", "") for file in files),
                "to": max(file.tags.get("to", "") for file in files),
            },
        )
        await vacuum(work.tables, changes.log, merged, now=work.clock(), keep=work.keep)


async def _tell(
    work: BuildWork,
    table: GrowingTable,
    rows: Sequence[tuple[object, ...]],
    *,
    transaction: int,
    tags: dict[str, str] | None = None,
) -> None:
    if await table.has(work.engine, work.application, transaction):
        return
    columns = dict(zip(table.types, zip(*rows, strict=True), strict=True)) if rows else {}
    file = await table.write(work.engine, Rows(len(rows), columns), tags=tags or {})
    after = await table.append(
        work.engine,
        [file] if file else [],
        application=work.application,
        transaction=transaction,
        is_outdated=lambda other: bool(tags) and other.tags == tags,
    )
    if tags:
        oldest = work.clock() - timedelta(days=work.settings.tables_changes_days)
        after = await drop_old_values(work.engine, table, after, before=f"{oldest:%Y-%m-%d}")
    merged = await merge_small_files(
        work.engine,
        work.tables,
        table.log,
        table.types,
        after,
        clock=work.clock,
        keep_since=work.keep_since,
        group=_by_age(work) if tags else lambda _: "",
        tags=values_since if tags else lambda _: {},
    )
    if merged.version != after.version:
        await vacuum(work.tables, table.log, merged, now=work.clock(), keep=work.keep)


def _by_age(work: BuildWork) -> Callable[[DataFile], str | None]:
    """Keep the files of the last days apart: a snapshot of the same day may take their place."""
    recent = f"{work.clock() - timedelta(days=3):%Y-%m-%d}"
    return lambda file: "" if file.tags.get("day", "") < recent else None


def _snapshot_row(manifest: Manifest, counts: Counts | None, duplicates: int | None) -> tuple[object, ...]:
    told = (counts.added, counts.removed, counts.changed, counts.volatile_only) if counts else (None,) * 4
    return (
        manifest.source,
        manifest.dataset,
        manifest.run_id,
        manifest.verdict,
        manifest.items,
        manifest.duplicates if duplicates is None else duplicates,
        *told,
        manifest.requests,
        manifest.wait_seconds,
        manifest.bytes,
        (manifest.finished_at - _EPOCH) // timedelta(microseconds=1),
    )

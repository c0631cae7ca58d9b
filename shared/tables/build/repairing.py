"""Tables that do not fit their snapshots or their files, as after a restore, and how they are set right.

A table is derived: it is made again from the snapshots. Only where it holds rows that no raw file holds any more, as a
table of increments does, it keeps what is there, and takes in again what is still stored.
"""

from collections.abc import AsyncIterator, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from shared.avepoint.catalog import Dataset, catalog
from shared.azure.documents import Versioned, read_document, update
from shared.azure.misfits import Misfit, Repair
from shared.azure.storage import Container, Storage
from shared.clock import Clock
from shared.errors import REPAIR, DamagedDocument, MissingDocument, NewerDocument, StoredFault
from shared.harvest.snapshots.manifest import Latest, read_latest, read_manifest
from shared.tables.build import names
from shared.tables.build.planning import run_order
from shared.tables.build.snapshots import published_since
from shared.tables.build.stages.committing import logged_schema
from shared.tables.build.state import Ground, TableState, read_state
from shared.tables.delta.actions import DataFile, DeltaTable, UnknownProtocol
from shared.tables.delta.log import DeltaLog
from shared.tables.delta.mending import LogFiles, leave_out, log_files, lost_files, mend_log
from shared.tables.engine.connection import Engine, open_engine

_MEMORY_MB: Final = 100
_GROWING: Final = (names.SNAPSHOTS, names.HISTORY, names.DRIFT)


@dataclass(frozen=True, slots=True)
class _Seen:
    """A table by its files: as far as its log goes, and which blobs there are."""

    name: str
    files: LogFiles = field(default_factory=LogFiles)
    table: DeltaTable = field(default_factory=DeltaTable)

    @property
    def torn(self) -> str | None:
        return f"tables/{self.name}: {self.files.fault}" if self.files.fault else None

    @property
    def lost(self) -> str | None:
        lost = lost_files(self.files, self.table)
        return f"tables/{self.name}: {len(lost)} files are not there; the first: {lost[0]}" if lost else None

    def lacks(self, files: Iterable[DataFile]) -> bool:
        return any(file.path not in self.files.data for file in files)


@dataclass(frozen=True, slots=True)
class _Tables:
    """The accounts, and what reads the logs."""

    storage: Storage
    tables: Storage
    engine: Engine
    clock: Clock

    async def look(self, name: str) -> _Seen:
        files = await log_files(self.tables, name)
        if files.fault:
            return _Seen(name, files)
        return _Seen(name, files, await DeltaLog(self.tables, name, clock=self.clock).read(self.engine))


async def table_repairs(storage: Storage, tables: Storage, *, clock: Clock) -> AsyncIterator[Repair]:
    """Yield what can be done about every table that does not fit its snapshots or its files."""
    known = {path async for path in storage.list(Container.HARVEST_STATE, names.STATES)}
    there = {name async for name in tables.list_folders(Container.TABLES, "")}
    if not known and not there:
        return
    async with open_engine(memory_mb=_MEMORY_MB) as engine:
        accounts = _Tables(storage, tables, engine, clock)
        growing = list[_Seen]()
        for name in _GROWING:
            try:
                growing.append(seen := await accounts.look(name))
            except UnknownProtocol:
                continue  # builds name it; it is not this version's to set right
            except StoredFault as unreadable:
                yield Repair.leave(Misfit(f"tables/{name}", unreadable), unreadable.remedy)
                continue
            if told := seen.torn or seen.lost:
                misfit = Misfit(f"tables/{seen.name}", MissingDocument(told, remedy=REPAIR))
                yield Repair(misfit, "remove lost files from its log", partial(_leave_out, tables, seen.name, clock))
        for dataset in catalog().values():
            path = names.state_path(dataset.source, dataset.name)
            if path not in known and names.table_name(dataset.source, dataset.name) not in there:
                continue
            with suppress(
                UnknownProtocol, NewerDocument, DamagedDocument
            ):  # builds name it; it is not this version's to set right
                if fault := await _fault(accounts, dataset, growing):
                    apply = partial(_set_right, storage, tables, dataset, clock)
                    yield Repair(Misfit(path, fault), _words(dataset), apply)


def _keeps_rows(dataset: Dataset) -> bool:
    """Whether a table holds rows of snapshots whose raw files may be gone, and can take one in twice."""
    return dataset.window is not None and bool(dataset.key)


def _has_changes(dataset: Dataset) -> bool:
    return dataset.window is None and bool(dataset.key)


def _words(dataset: Dataset) -> str:
    if _keeps_rows(dataset):
        return "keep the rows that are there, and take in again every snapshot that is still stored"
    return "rebuild the table from the snapshots that are still stored"


async def _fault(accounts: _Tables, dataset: Dataset, growing: Iterable[_Seen]) -> StoredFault | None:
    """Return what does not fit, unless the table is being built at this moment."""
    try:
        standing = await read_state(accounts.storage, dataset.source, dataset.name)
    except DamagedDocument as damaged:
        return damaged
    current = await accounts.look(names.table_name(dataset.source, dataset.name))
    name = names.changes_name(dataset.source, dataset.name)
    changes = await accounts.look(name) if _has_changes(dataset) else _Seen(name)
    done = _transaction(dataset, (current, changes, *growing))
    told = _against_files(standing, current, changes, done) or await _against_snapshots(accounts, dataset, standing)
    after = await read_state(accounts.storage, dataset.source, dataset.name)
    return MissingDocument(told, remedy=REPAIR) if told and after.etag == standing.etag else None


def _transaction(dataset: Dataset, seen: Iterable[_Seen]) -> int:
    """Return the number of the last build that any log has."""
    application = f"avepoint-functions/{dataset.source}/{dataset.name}"
    return max((one.table.transactions.get(application, 0) for one in seen), default=0)


def _against_files(standing: Versioned[TableState], current: _Seen, changes: _Seen, done: int) -> str | None:
    """Return what does not fit between what is known of a table and its files. Pure."""
    state, build, redo = standing.value, standing.value.build, standing.value.redo
    is_awaited = state.requested is not None or redo is not None
    if told := current.torn or changes.torn or changes.lost or (None if is_awaited else current.lost):
        return told
    if standing.etag is None:
        return "the table is there, and this is not" if current.table.version >= 0 else None
    if done > state.sequence + (build is not None):
        return f"its tables have the build {done}, and it knows of {state.sequence}"
    if state.version is not None and state.version > current.table.version:
        return f"it knows version {state.version}, and the table ends at version {current.table.version}"
    written = [part.file for part in build.parts if part.file] if build else []
    written += [*(build.rowset.files if build and build.rowset else ()), *(redo.files if redo else ())]
    told_changes = [*([build.changes] if build and build.changes else ()), *(redo.changes if redo else ())]
    if current.lacks(written) or changes.lacks(told_changes):
        return "the build under way has written files that are not there"
    return None


async def _against_snapshots(accounts: _Tables, dataset: Dataset, standing: Versioned[TableState]) -> str | None:
    """Return how a table is ahead of its snapshots, unless it is about to be made again."""
    state, storage = standing.value, accounts.storage
    run_id, parents = state.ground.run_id, state.ground.parents
    if run_id is None or state.requested or state.redo:
        return None
    latest = await read_latest(storage, dataset.source, dataset.name)
    if latest is None or run_order(latest.run_id) < run_order(run_id):
        return f"it holds the run {run_id}, and latest names {latest.run_id if latest else 'none'}"
    if await read_manifest(storage, run_id, dataset.source, dataset.name) is None:
        return f"it holds the run {run_id}, whose manifest is not there"
    if parents and not [path async for path in storage.list(Container.HARVEST_STATE, parents)]:
        return f"it names {parents}, which is not there"
    return None


async def _leave_out(tables: Storage, name: str, clock: Clock) -> None:
    async with open_engine(memory_mb=_MEMORY_MB) as engine:
        await leave_out(tables, engine, name, clock=clock)


async def _set_right(storage: Storage, tables: Storage, dataset: Dataset, clock: Clock) -> None:
    """Let what is known of a table say what is there, and no more."""
    async with open_engine(memory_mb=_MEMORY_MB) as engine:
        accounts = _Tables(storage, tables, engine, clock)
        name = names.table_name(dataset.source, dataset.name)
        await mend_log(tables, name)
        if _keeps_rows(dataset):
            await leave_out(tables, engine, name, clock=clock)
        if _has_changes(dataset):
            await leave_out(tables, engine, names.changes_name(dataset.source, dataset.name), clock=clock)
        current = await accounts.look(name)
        changes = await accounts.look(names.changes_name(dataset.source, dataset.name))
        growing = list[_Seen]()
        for one in _GROWING:
            with suppress(UnknownProtocol, StoredFault):  # it is named beside this one
                growing.append(await accounts.look(one))
    done = _transaction(dataset, (current, changes, *growing))
    proven = await _proven(storage, dataset)

    def change(state: TableState | None) -> TableState:
        known = state or TableState(
            source=dataset.source, dataset=dataset.name, ground=Ground(table_schema=logged_schema(current.table))
        )
        return _set_back(known, current.table, done=done, proven=proven, keeps_rows=_keeps_rows(dataset))

    path = names.state_path(dataset.source, dataset.name)
    try:
        await read_document(storage, Container.HARVEST_STATE, path, TableState)
    except DamagedDocument:
        await storage.delete(Container.HARVEST_STATE, path)
    await update(storage, Container.HARVEST_STATE, path, TableState, change)


async def _proven(storage: Storage, dataset: Dataset) -> frozenset[str]:
    """Return the runs of the published snapshots up to the one that ``latest`` names."""
    latest: Latest | None = None
    with suppress(StoredFault):
        latest = await read_latest(storage, dataset.source, dataset.name)
        if latest is not None:
            everything = await published_since(storage, dataset, Ground(), latest)
            newest = run_order(latest.run_id)
            return frozenset(one.run_id for one in everything if run_order(one.run_id) <= newest)
    return frozenset()


def _set_back(
    state: TableState, table: DeltaTable, *, done: int, proven: frozenset[str], keeps_rows: bool
) -> TableState:
    """Return what can be known of a table; pure."""
    mode = state.redo.mode if state.redo else state.requested
    changes: dict[str, object] = {
        "sequence": max(state.sequence, done),
        "version": table.version if table.version >= 0 else None,
        "rows": table.rows if table.version >= 0 else None,
        "build": None,
        "redo": None,
        "requested": mode if keeps_rows else mode or "table",
    }
    if keeps_rows:
        held = proven.intersection(state.ground.applied) if table.version >= 0 else frozenset[str]()
        ground = {"run_id": max(held, key=run_order, default=None), "applied": (), "parents": None}
        changes["ground"] = state.ground.model_copy(update=ground)
    return state.model_copy(update=changes)

"""The worker of a build: takes in one snapshot after the other, step by step, under the lease of the table.

A part is written whole, and then the state names it; the changes, the current table and the tables of all datasets are
each committed once for each build. Killed anywhere, the build goes on from its state, and ends with the same rows.
"""

import logging
from collections.abc import Callable, Sequence
from typing import Final, Literal

from shared.avepoint.catalog import Dataset
from shared.azure.lease import ATTEMPTS, Lease
from shared.clock import check_past
from shared.errors import AppError, Conflict, GiveUp, MissingDocument, Retry, Skip, Wait
from shared.harvest.plan import paths
from shared.harvest.snapshots.manifest import Latest, Manifest, check_latest
from shared.harvest.snapshots.table_builds import enqueue_build
from shared.services import Services
from shared.tables.build.planning import NextBuild, next_build
from shared.tables.build.snapshots import has_all_parts, newest_snapshot, published_since
from shared.tables.build.stages.committing import (
    commit_changes,
    commit_table,
    hide_history,
    tell_drift,
    tell_history,
    tell_snapshots,
    tidy,
)
from shared.tables.build.stages.comparison import compare_tables, delete_older_parents, remember_parents, rights_of
from shared.tables.build.stages.conversion import convert_part
from shared.tables.build.stages.settling import settle_rows
from shared.tables.build.stages.work import TENANT, BuildWork
from shared.tables.build.state import Build, Ground, PartFile, Redo, Rowset, TableState
from shared.tables.build.steps import committed, decided, fixed_fields, ground_after, grounded, under_way
from shared.tables.delta.actions import DataFile, DeltaTable
from shared.tables.engine.connection import Engine, open_engine
from shared.tables.engine.files import LocalFiles
from shared.tables.schema.policy import expected
from shared.tables.schema.spec import spec_of
from shared.telemetry.events import log_event

_UNFORESEEN: Final = "Look for the event lease.attempt_failed in the log, then rebuild the table."

log = logging.getLogger(__name__)

type BuildEnding = Literal[
    "finished", "handed over", "nothing to do", "busy", "held by another", "lost", "failed", "off"
]


class TableWorker:
    """A worker that holds the lease of a table. Every save raises ``Conflict`` once somebody else holds it."""

    def __init__(self, services: Services, dataset: Dataset, lease: Lease[TableState]) -> None:
        self._services = services
        self._dataset = dataset
        self._lease = lease
        self._clock = services.clock
        self._ends = services.clock() + services.settings.slice_budget
        self._spec = spec_of(dataset, hidden=services.settings.tables_hide_fields)
        self._files: LocalFiles | None = None

    @property
    def _state(self) -> TableState:
        return self._lease.document

    @property
    def _ground(self) -> Ground:
        return self._state.redo.ground if self._state.redo else self._state.ground

    async def work(self) -> BuildEnding | AppError:
        """Build until the table is current, the time is over, or something stands in the way.

        Returns:
            How it ended; or an error that may pass, after the lease was given back.
        """
        try:
            return await self._work()
        except Conflict:
            raise
        except (Retry, Wait) as error:
            await self._lease.give_back(lambda state: state.model_copy(update={"attempts": max(0, state.attempts - 1)}))
            return error
        except (GiveUp, Skip) as error:
            return await self._fail(error)

    async def _work(self) -> BuildEnding:
        if self._state.attempts > ATTEMPTS:
            raise GiveUp(f"the build stopped unexpectedly {ATTEMPTS} times", remedy=_UNFORESEEN)
        await self._begin_redo()
        self._check_times(await newest_snapshot(self._services.storage, self._dataset))
        async with open_engine(memory_mb=self._services.settings.tables_memory_mb) as engine:
            self._files = LocalFiles(engine, self._services.tables)
            while (following := await self._following()) is not None:
                if not await self._take_in(engine, following):
                    return await self._hand_over()
                if self._clock() >= self._ends:
                    return await self._hand_over()
            if self._state.redo is not None:
                await self._finish_redo(engine)
        await self._lease.give_back(lambda state: state.model_copy(update={"attempts": 0}))
        return "finished"

    def _check_times(self, latest: Latest | None) -> None:
        """See that neither the newest snapshot nor the one that the table holds is still to come.

        Raises:
            FutureTime: One is: nothing newer could ever take its place.
        """
        source, dataset, now = self._dataset.source, self._dataset.name, self._clock()
        if latest is not None:
            check_latest(latest, source=source, dataset=dataset, now=now)
        if self._ground.run_id is not None:
            began = paths.started_at(self._ground.run_id)
            check_past(began, now=now, what="the run that the table holds", remedy="Rebuild the table.")

    async def _begin_redo(self) -> None:
        """Begin to make the table again, where somebody has asked for it."""
        mode = self._state.requested
        if mode is None:
            return
        kept = tuple(one for one in self._state.ground.table_schema.columns if not self._spec.is_hidden(one.field))
        schema = self._state.ground.table_schema.model_copy(update={"columns": kept})
        redo = Redo(mode=mode, ground=Ground(table_schema=schema))
        await self._save(lambda state: state.model_copy(update={"requested": None, "redo": redo, "build": None}))

    async def _following(self) -> NextBuild | None:
        """Return the snapshot under way, or else the next one that is still there."""
        storage = self._services.storage
        latest = await newest_snapshot(storage, self._dataset)
        if latest is None:
            return None
        while True:
            published = await published_since(storage, self._dataset, self._ground, latest)
            build = self._state.build
            if build is not None:
                return under_way(build, published)
            every = self._state.redo is not None and self._state.redo.mode == "changes"
            following = next_build(self._ground, published, latest, every=every)
            if following is None or await has_all_parts(storage, following.manifest):
                return following
            await self._pass_over(following.manifest, latest)

    async def _pass_over(self, manifest: Manifest, latest: Latest) -> None:
        """Go on without a snapshot whose raw files have been deleted, unless it is the newest."""
        if manifest.run_id == latest.run_id:
            raise MissingDocument(
                f"raw files of {manifest.run_id} are not there any more", remedy="Harvest the dataset again."
            )
        log_event(log, "table.snapshot_expired", logging.WARNING, run=manifest.run_id, **self._fields())
        await self._save(lambda state: grounded(state, self._ground.passing_over((manifest.run_id,))))

    async def _take_in(self, engine: Engine, following: NextBuild) -> bool:
        """Take in one snapshot; return whether that is done, or the time is over before."""
        work = self._work_on(engine, following.manifest)
        if self._state.build is None:
            schema = expected(self._ground.table_schema, self._spec, following.manifest.run_id)
            skipped = tuple(one.run_id for one in following.skipped)
            await self._build(Build(run_id=following.manifest.run_id, table_schema=schema, skipped=skipped))
        while not await self._convert(work):
            if self._clock() >= self._ends:
                return False
        before = await self._files_before(work)
        rights = await rights_of(work, self._under_way)
        if self._under_way.rowset is None:
            parents = await remember_parents(work, rights, sequence=self._state.sequence)
            rowset = await settle_rows(work, self._under_way, before, rights)
            await self._build(self._under_way.model_copy(update={"rowset": rowset, "parents": parents}))
        rowset = self._under_way.rowset or Rowset()
        if not self._under_way.compared:
            counts, changes = (None, None)
            if self._has_changes(work):
                counts, changes = await compare_tables(work, self._under_way, before, rowset, rights)
            update = {"compared": True, "counts": counts, "changes": changes}
            await self._build(self._under_way.model_copy(update=update))
        if self._state.redo is not None:
            await self._extend_redo(work, rowset)
        else:
            await self._commit(work, rowset, following.skipped)
        log_event(log, "table.built", run=work.manifest.run_id, rows=rowset.rows, **self._fields())
        return True

    def _work_on(self, engine: Engine, manifest: Manifest) -> BuildWork:
        services = self._services
        return BuildWork(
            settings=services.settings,
            inventory=services.storage,
            tables=services.tables,
            clock=self._clock,
            engine=engine,
            files=self._files or LocalFiles(engine, services.tables),
            dataset=self._dataset,
            spec=self._spec,
            manifest=manifest,
            ground=self._ground,
        )

    @property
    def _under_way(self) -> Build:
        build = self._state.build
        if build is None:
            raise AssertionError("a build is under way")
        return build

    def _has_changes(self, work: BuildWork) -> bool:
        is_told = self._state.redo is None or self._state.redo.mode == "changes"
        return work.spec.tells_changes and is_told and work.ground.run_id is not None

    async def _convert(self, work: BuildWork) -> bool:
        """Convert one part, or decide the schema; return whether every part is there with that schema."""
        build = self._under_way
        done = {part.part for part in build.parts}
        part = next((one for one in work.manifest.parts if one.path not in done), None)
        if part is None:
            if build.decided:
                return True
            await self._build(decided(build, self._ground, work.spec))
            return False
        undecided = frozenset[str]() if build.decided else build.table_schema.fields - fixed_fields(self._ground)
        converted = await convert_part(
            work.engine,
            work.inventory,
            work.manifest,
            part,
            schema=build.table_schema,
            spec=work.spec,
            undecided=undecided,
        )
        tags = {TENANT: part.partition} if work.manifest.tenants else {}
        file = await work.keep_file(converted.written, tags=tags)
        found = PartFile(part=part.path, file=file, findings=converted.findings)
        order = [one.path for one in work.manifest.parts]
        parts = sorted((*build.parts, found), key=lambda one: order.index(one.part))
        await self._build(build.model_copy(update={"parts": tuple(parts)}))
        return False

    async def _files_before(self, work: BuildWork) -> tuple[DataFile, ...]:
        if self._state.redo is not None:
            return self._state.redo.files
        return tuple((await work.log.read(work.engine)).files.values())

    async def _commit(self, work: BuildWork, rowset: Rowset, skipped: Sequence[Manifest]) -> None:
        build, transaction = self._under_way, self._state.sequence + 1
        if work.spec.tells_changes:
            changes = [build.changes] if build.changes else []
            await commit_changes(work, changes, transaction=transaction, redo=None)
        table = await commit_table(work, build.table_schema, rowset.files, transaction=transaction)
        await tell_snapshots(work, build, rowset, skipped, transaction=transaction)
        await tell_history(work, build.table_schema, table, transaction=transaction)
        await tell_drift(work, self._ground.table_schema, build, transaction=transaction)
        ground = ground_after(self._ground, build, work.manifest)
        await self._save(
            lambda state: committed(state, ground, version=table.version, rows=table.rows, now=self._clock())
        )
        await self._tidy(work, table)

    async def _extend_redo(self, work: BuildWork, rowset: Rowset) -> None:
        redo, build = self._state.redo, self._under_way
        if redo is None:
            raise AssertionError("a table is made again")
        changes = (*redo.changes, build.changes) if build.changes else redo.changes
        ground = ground_after(self._ground, build, work.manifest)
        longer = redo.model_copy(update={"ground": ground, "files": rowset.files, "changes": changes})
        await self._save(lambda state: state.model_copy(update={"redo": longer, "build": None}))

    async def _finish_redo(self, engine: Engine) -> None:
        """Let what was made again take the place of the old table."""
        redo = self._state.redo
        latest = await newest_snapshot(self._services.storage, self._dataset)
        if redo is None or latest is None or redo.ground.run_id is None:
            await self._save(lambda state: state.model_copy(update={"redo": None}))
            return
        storage = self._services.storage
        everything = await published_since(storage, self._dataset, Ground(), latest)
        manifest = next(one for one in everything if one.run_id == redo.ground.run_id)
        work, transaction = self._work_on(engine, manifest), self._state.sequence + 1
        if redo.mode == "changes" and work.spec.tells_changes:
            await commit_changes(work, redo.changes, transaction=transaction, redo=redo)
        await hide_history(work)
        table = await commit_table(work, redo.ground.table_schema, redo.files, transaction=transaction)
        now = self._clock()
        await self._save(
            lambda state: committed(state, redo.ground, version=table.version, rows=table.rows, now=now).model_copy(
                update={"redo": None}
            )
        )
        await self._tidy(work, table)

    async def _tidy(self, work: BuildWork, table: DeltaTable) -> None:
        if self._spec.parent_names:
            await delete_older_parents(work, self._state.ground.parents)
        await tidy(work, table)

    async def _build(self, build: Build) -> None:
        await self._save(lambda state: state.building(build, now=self._clock()))

    async def _save(self, change: Callable[[TableState], TableState]) -> None:
        await self._lease.save_changed(change)

    async def _hand_over(self) -> BuildEnding:
        await self._lease.give_back(lambda state: state.model_copy(update={"attempts": 0}))
        await enqueue_build(self._services.storage, self._dataset.source, self._dataset.name)
        return "handed over"

    async def _fail(self, error: AppError) -> BuildEnding:
        now = self._clock()
        latest = await newest_snapshot(self._services.storage, self._dataset)
        run_id = latest.run_id if latest else None
        await self._lease.give_back(lambda state: state.failed(str(error), error.remedy, run_id=run_id, now=now))
        log_event(log, "table.failed", logging.ERROR, reason=str(error), **self._fields())
        return "failed"

    def _fields(self) -> dict[str, str]:
        return {"source": self._dataset.source, "dataset": self._dataset.name}

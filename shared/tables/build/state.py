"""What is known of the table of a dataset, and how far the build under way has come."""

from datetime import datetime
from typing import Literal, Self

from pydantic import Field

from shared.avepoint.platform import Source
from shared.azure.documents import Versioned, read_document
from shared.azure.lease import LeasedDocument
from shared.azure.storage import Container, Storage
from shared.document import StoredValue
from shared.tables.build import names
from shared.tables.delta.actions import DataFile
from shared.tables.schema.columns import TableSchema
from shared.tables.schema.findings import Findings

type Rebuild = Literal["table", "changes"]
type TableCondition = Literal["current", "building", "behind", "failed", "off"]

REMEMBERED = 1000
"""So many run ids are remembered as applied; older ones count as applied."""


class PartFile(StoredValue):
    """A part of a snapshot and the Parquet file made of it; without rows there is no file."""

    part: str
    file: DataFile | None
    findings: Findings


class Counts(StoredValue):
    """How many changes a snapshot brought, and how many rows differ in volatile fields alone."""

    added: int = 0
    removed: int = 0
    changed: int = 0
    volatile_only: int = 0


class Rowset(StoredValue):
    """What a table is after a snapshot: files that stay in it, and files that come to it.

    Attributes:
        duplicates: How many rows were left out because their key came again.
    """

    kept: tuple[DataFile, ...] = ()
    added: tuple[DataFile, ...] = ()
    duplicates: int = 0

    @property
    def files(self) -> tuple[DataFile, ...]:
        """All files."""
        return (*self.kept, *self.added)

    @property
    def rows(self) -> int:
        """How many rows they have."""
        return sum(file.rows for file in self.files)


class Build(StoredValue):
    """A build under way: of which snapshot, with which schema, and what it has written.

    Attributes:
        decided: The schema is that of the snapshot, and not only the one it was first read with.
        parts: What was made of each part so far.
        rowset: ``None`` until all parts are there.
        compared: The changes are known, if any are told.
        counts: ``None`` where no changes are told.
        changes: The file with the changes, if there are any.
        parents: Where the parents lie that the dataset was ever asked for.
        skipped: The runs that are passed over.
    """

    run_id: str
    table_schema: TableSchema
    decided: bool = False
    parts: tuple[PartFile, ...] = ()
    rowset: Rowset | None = None
    compared: bool = False
    counts: Counts | None = None
    changes: DataFile | None = None
    parents: str | None = None
    skipped: tuple[str, ...] = ()

    @property
    def findings(self) -> Findings:
        """What all parts together show."""
        return Findings.total(part.findings for part in self.parts)


class Ground(StoredValue):
    """What a table holds, and what the next snapshot is compared with.

    Attributes:
        run_id: The snapshot it names; ``None`` before the first one.
        present: The fields of the last snapshot with rows.
        tenants: The tenants of that snapshot, in lower case; ``None`` for all.
        parents: Where the parents lie that the dataset was ever asked for.
        applied: The runs it has taken in, or passed over.
        forgotten: How many rows of that snapshot were taken out because they named a person.
    """

    run_id: str | None = None
    table_schema: TableSchema = Field(default_factory=TableSchema)
    present: frozenset[str] | None = None
    tenants: frozenset[str] | None = None
    parents: str | None = None
    applied: tuple[str, ...] = ()
    forgotten: int = 0

    def passing_over(self, run_ids: tuple[str, ...]) -> Self:
        """Return the same with these runs counted as applied."""
        return self.model_copy(update={"applied": (*self.applied, *run_ids)[-REMEMBERED:]})


class Redo(StoredValue):
    """A table that is made again from its snapshots; the old one stands until it is whole."""

    mode: Rebuild
    ground: Ground = Field(default_factory=Ground)
    files: tuple[DataFile, ...] = ()
    changes: tuple[DataFile, ...] = ()


class TableState(LeasedDocument):
    """The table of a dataset: what it holds, and the build under way.

    Attributes:
        sequence: How many commits it has had; the transaction number of the last one.
        requested: What somebody has asked to be made again.
        reason: Why the last build failed, and ``failed_run`` what was the newest snapshot then.
    """

    source: Source
    dataset: str
    ground: Ground = Field(default_factory=Ground)
    sequence: int = 0
    version: int | None = None
    rows: int | None = None
    built_at: datetime | None = None
    touched_at: datetime | None = None
    build: Build | None = None
    redo: Redo | None = None
    requested: Rebuild | None = None
    reason: str | None = None
    remedy: str | None = None
    failed_run: str | None = None

    def building(self, build: Build | None, *, now: datetime) -> Self:
        """Return the state with the build under way so far."""
        return self.model_copy(update={"build": build, "touched_at": now, "attempts": 0})

    def interrupted(self, sequence: int, *, taken_out: int, now: datetime) -> Self:
        """Return the state before rows are taken out under a transaction number: what was being built begins again."""
        ground = self.ground.model_copy(update={"forgotten": self.ground.forgotten + taken_out})
        return self.model_copy(
            update={
                "ground": ground,
                "sequence": sequence,
                "build": None,
                "redo": None,
                "requested": self.requested or (self.redo.mode if self.redo else None),
                "touched_at": now,
            }
        )

    def failed(self, reason: str, remedy: str, *, run_id: str | None, now: datetime) -> Self:
        """Return the state after a build that cannot go on; the old table stays.

        Its transaction number is not used again: a worker that was thought dead may still commit under it.
        """
        return self.model_copy(
            update={
                "build": None,
                "redo": None,
                "sequence": self.sequence + 1,
                "failed_run": run_id,
                "reason": reason,
                "remedy": remedy or None,
                "touched_at": now,
                "attempts": 0,
            }
        )


async def read_state(storage: Storage, source: Source, dataset: str) -> Versioned[TableState]:
    """Return the state of a table, a fresh one before its first build."""
    path = names.state_path(source, dataset)
    stored = await read_document(storage, Container.HARVEST_STATE, path, TableState)
    return stored or Versioned(TableState(source=source, dataset=dataset), None)

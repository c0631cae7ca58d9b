"""What every step of a build works with."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from shared.avepoint.catalog import Dataset
from shared.azure.storage import Storage
from shared.clock import Clock
from shared.harvest.snapshots.manifest import Manifest
from shared.settings import Settings
from shared.tables.build import names
from shared.tables.build.state import Ground
from shared.tables.changes.columns import CHANGES, CHANGES_COMMENTS
from shared.tables.delta.actions import DataFile
from shared.tables.delta.log import DeltaLog
from shared.tables.engine.connection import Engine
from shared.tables.engine.files import LocalFiles
from shared.tables.engine.parquet import Written, write_parquet
from shared.tables.history.appending import GrowingTable, file_name
from shared.tables.schema.columns import ColumnType, TableSpec

TENANT: Final = "tenant"
"""The tag of a file that says whose rows it holds."""


@dataclass(frozen=True, slots=True)
class BuildWork:
    """One snapshot on its way into one table."""

    settings: Settings
    inventory: Storage
    tables: Storage
    clock: Clock
    engine: Engine
    files: LocalFiles
    dataset: Dataset
    spec: TableSpec
    manifest: Manifest
    ground: Ground

    @property
    def application(self) -> str:
        """Who commits."""
        return names.application(self.dataset.source, self.dataset.name)

    @property
    def name(self) -> str:
        """The folder of the current table."""
        return names.table_name(self.dataset.source, self.dataset.name)

    @property
    def log(self) -> DeltaLog:
        """The log of the current table."""
        return DeltaLog(self.tables, self.name, clock=self.clock)

    @property
    def keep(self) -> timedelta:
        """How long replaced files are kept."""
        return timedelta(days=self.settings.tables_keep_days)

    @property
    def keep_since(self) -> datetime:
        """From when on replaced files are kept."""
        return self.clock() - self.keep

    @property
    def changes(self) -> GrowingTable:
        """The table of changes."""
        return self.growing(names.changes_name(self.dataset.source, self.dataset.name), CHANGES, CHANGES_COMMENTS)

    def growing(self, name: str, types: Mapping[str, ColumnType], comments: Mapping[str, str]) -> GrowingTable:
        """Return a table that is only appended to."""
        return GrowingTable(self.tables, name, types, comments, self.clock, self.keep)

    async def local(self, file: DataFile) -> Path:
        """Return a copy of a data file of the current table."""
        return await self.files.get(f"{self.name}/{file.path}", file.size)

    async def keep_file(self, written: Written, *, tags: Mapping[str, str]) -> DataFile | None:
        """Make a data file of the current table of a file; none without rows."""
        if not written.rows:
            written.path.unlink()
            return None
        now = self.clock()
        path = file_name(now)
        await self.files.keep(f"{self.name}/{path}", written)
        return DataFile(path=path, size=written.size, rows=written.rows, written_at=now, tags=dict(tags))

    async def rewrite(self, query: str, *, tags: Mapping[str, str]) -> DataFile | None:
        """Write the rows of a query to a data file of the current table."""
        return await self.keep_file(await write_parquet(self.engine, query, self.engine.scratch("parquet")), tags=tags)


def without_none(files: Iterable[DataFile | None]) -> tuple[DataFile, ...]:
    """Return the files that have rows."""
    return tuple(file for file in files if file is not None)

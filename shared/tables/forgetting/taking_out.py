"""Takes a person out of the tables: of a dataset under the lease of its table, of those of all datasets beside others.

Before anything is committed, the state of the table says that no build is under way, and that the transaction numbers
up to ours are used: a build that was going on begins again, and a worker that was thought dead commits nothing more.
Killed anywhere, the command is simply given again.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from shared.avepoint.catalog import Dataset
from shared.azure.lease import LASTS, Lease
from shared.azure.storage import Container, Storage
from shared.clock import Clock, Sleep
from shared.errors import AppError, Conflict, StorageUnavailable
from shared.tables.build import names
from shared.tables.build.builder import LONGEST_BUILD
from shared.tables.build.state import TableState, read_state
from shared.tables.delta.actions import DeltaTable
from shared.tables.engine.connection import Engine
from shared.tables.forgetting.folders import FolderHits, TableFolder
from shared.tables.forgetting.matching import PersonText
from shared.tables.verifying.checking import Say

SHARED: Final = {names.HISTORY: ("value",), names.DRIFT: ("field",)}
"""The tables of all datasets that may name a person, and where."""

_OF_CHANGES: Final = ("key", "before", "after")
_APPLICATION: Final = "avepoint-functions-forget"
_PATIENCE: Final = timedelta(minutes=15)
_PAUSE_SECONDS: Final = 2.0


@dataclass(frozen=True, slots=True)
class ForgetWork:
    """What it takes to take a text out of tables."""

    engine: Engine
    inventory: Storage
    tables: Storage
    clock: Clock
    sleep: Sleep
    text: PersonText
    say: Say

    def folder(self, name: str, only: tuple[str, ...] | None = None) -> TableFolder:
        """Return the folder of a table."""
        return TableFolder(self.engine, self.tables, name, self.clock, only)

    def folders(self, dataset: Dataset) -> tuple[TableFolder, TableFolder]:
        """Return the folders of the current table of a dataset and of its changes."""
        current, changes = (of(dataset.source, dataset.name) for of in (names.table_name, names.changes_name))
        return self.folder(current), self.folder(changes, _OF_CHANGES)

    async def search(self, folders: Sequence[TableFolder]) -> list[FolderHits]:
        """Look through folders, one after the other."""
        return [await folder.search(self.text, self.say) for folder in folders]


async def take_out_of_dataset(work: ForgetWork, dataset: Dataset) -> None:
    """Take the person out of the current table of a dataset, and out of its changes.

    Raises:
        StorageUnavailable: A build has held the table for a quarter of an hour.
        Conflict: Another worker has taken the table meanwhile.
    """
    lease = await _lease(work, dataset)
    async with lease.kept():
        try:
            await _take_out(work, dataset, lease)
        except Conflict:
            raise
        except AppError:
            await lease.give_back(lambda state: state)
            raise
        await lease.give_back(lambda state: state)


async def _lease(work: ForgetWork, dataset: Dataset) -> Lease[TableState]:
    """Take the lease of a table, as soon as nobody has it."""
    path, patience_ends = names.state_path(dataset.source, dataset.name), work.clock() + _PATIENCE
    while (now := work.clock()) < patience_ends:
        standing = await read_state(work.inventory, dataset.source, dataset.name)
        if standing.value.held_until(now) is None:
            ends = now + LONGEST_BUILD
            lease = Lease(work.inventory, Container.HARVEST_STATE, path, standing, clock=work.clock, ends=ends)
            try:
                await lease.save(standing.value)
            except Conflict:  # a build was first
                continue
            return lease
        work.say(f"{dataset.source}/{dataset.name}: waiting for the build that is at work")
        await work.sleep(_PAUSE_SECONDS)
    raise StorageUnavailable(
        f"builds have held the table of {dataset.source}/{dataset.name} for {_PATIENCE}",
        remedy=f"Wait until the build has ended, at most {LONGEST_BUILD + LASTS}, and run the command again.",
    )


async def _take_out(work: ForgetWork, dataset: Dataset, lease: Lease[TableState]) -> None:
    folders = work.folders(dataset)
    current, _ = found = await work.search(folders)
    if not any(found):
        return
    application = names.application(dataset.source, dataset.name)
    used = max(lease.document.sequence, *(hits.table.transactions.get(application, 0) for hits in found))
    sequence, taken_out, now = used + 2, current.rows_of(lease.document.ground.run_id), work.clock()
    await lease.save_changed(lambda state: state.interrupted(sequence, taken_out=taken_out, now=now))
    for folder, hits in zip(folders, found, strict=True):
        await folder.rewrite(hits, work.text, application=application, transaction=lambda _: sequence)
    found = await work.search(folders)
    if any(hits.current for hits in found):
        raise Conflict(f"another program changes the table of {dataset.source}/{dataset.name}")
    table = found[0].table
    if table.metadata is not None:
        known = {"version": table.version, "rows": table.rows}
        await lease.save_changed(lambda state: state.model_copy(update=known))
    for folder, hits in zip(folders, found, strict=True):
        await folder.delete(hits.old)


async def take_out_of_shared(work: ForgetWork, folder: TableFolder) -> None:
    """Take the person out of a table of all datasets, while builds may add to it."""
    while (hits := await folder.search(work.text, work.say)).current:
        await folder.rewrite(hits, work.text, application=_APPLICATION, transaction=_next)
    await folder.delete((await folder.ownerless(hits)).old)


def _next(table: DeltaTable) -> int:
    return table.version + 1

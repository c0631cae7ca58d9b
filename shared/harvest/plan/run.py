"""Runs: the run document says what shall be done, and never how far it is.

In the container ``harvest-state``, ``runs/{runId}/run.json`` is the run document. ``open/{runId}`` marks a run that has
not ended: it is written before the document, and again by whoever resumes the run, and deleted by the sweep that ends
the run. A mark too many costs a read. One that is missing, as after a restore or where an older version of the app has
begun the run, is written by the sweep: at once where the run may still be under way by its id, else within a day or so.
"""

import logging
import secrets
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Literal

from pydantic import JsonValue

from shared.avepoint.catalog import Dataset
from shared.avepoint.platform import Source
from shared.azure.bounded_map import bounded_map
from shared.azure.damage import unless_unusable
from shared.azure.documents import read_document, update
from shared.azure.storage import Container, Storage
from shared.clock import credible, is_recent, rfc3339
from shared.document import Document, StoredDocument
from shared.errors import GiveUp
from shared.harvest.plan import paths
from shared.harvest.plan.paths import RunId
from shared.harvest.plan.plan import ParentSnapshot, PlannedDataset, Timing, plan
from shared.harvest.plan.windows import Window

type Trigger = Literal["timer", "http", "admin"]

_START_ANOTHER = "Start a new run."
_CONTINUE = "Resume the run: it continues where it stopped. If runs often need longer, raise HARVEST_RUN_HOURS."

log = logging.getLogger(__name__)


class Address(Document):
    """Which partition of which run: all that a message on the queue says. It carries no progress."""

    run_id: str
    source: Source
    dataset: str
    partition: str

    def fields(self) -> dict[str, str]:
        """Return the address as fields of a log event."""
        return {"run": self.run_id, "source": self.source, "dataset": self.dataset, "partition": self.partition}


class Run(StoredDocument):
    """The run document: what was asked for, when, and until when it may take."""

    run_id: RunId
    source: Source
    trigger: Trigger
    started_at: datetime
    deadline: datetime
    cancelled_at: datetime | None = None
    finished_at: datetime | None = None
    """Set once everything has ended, so that later looks need not derive it again."""
    stretch: Window | None = None
    """The past stretch of time that somebody asked for."""
    told: dict[str, JsonValue] | None = None
    """How the run stood when everything had ended, as callers see it."""
    datasets: tuple[PlannedDataset, ...]

    def stopped_because(self, now: datetime) -> GiveUp | None:
        """Return why no partition may go on, or ``None``."""
        if self.cancelled_at is not None:
            return GiveUp("the run was cancelled", remedy=_START_ANOTHER)
        if not credible(self.started_at, now=now):
            began = rfc3339(self.started_at)
            return GiveUp(
                f"startedAt of the run is {began}, which is in the future: the clock of its writer was wrong",
                remedy=_START_ANOTHER,
            )
        return GiveUp("the run came to its deadline", remedy=_CONTINUE) if now > self.deadline else None

    def planned(self, name: str) -> PlannedDataset:
        """Return what the run does with one of its datasets."""
        return next(dataset for dataset in self.datasets if dataset.dataset == name)

    def tenant(self, address: Address) -> str | None:
        """Return the tenant that a partition narrows its dataset to, if any."""
        partitions = {(dataset.dataset, one.name): one for dataset in self.datasets for one in dataset.partitions}
        return partitions[address.dataset, address.partition].tenant

    def share(self, address: Address) -> slice:
        """Which of the parents of its dataset a partition asks for."""
        names = [partition.name for partition in self.planned(address.dataset).partitions]
        return slice(names.index(address.partition), None, len(names))

    def addresses(self, name: str | None = None) -> list[Address]:
        """Return the partitions of the dataset ``name``, or of all, that the run does not skip."""
        return [
            Address(run_id=self.run_id, source=self.source, dataset=dataset.dataset, partition=partition.name)
            for dataset in self.datasets
            for partition in dataset.partitions
            if name in {None, dataset.dataset}
        ]


def new_run(
    run: str,
    source: Source,
    trigger: Trigger,
    datasets: Iterable[Dataset],
    *,
    tenants: Sequence[str],
    held: Mapping[str, str],
    timings: Mapping[str, Timing],
    parents: Mapping[str, ParentSnapshot],
    now: datetime,
    lasts: timedelta,
    stretch: Window | None = None,
) -> Run:
    """Return the document of a run that has not begun; pure."""
    planned = plan(datasets, tenants=tenants, held=held, timings=timings, parents=parents)
    return Run(
        run_id=run,
        source=source,
        trigger=trigger,
        started_at=now,
        deadline=now + lasts,
        stretch=stretch,
        datasets=planned,
    )


def random_suffix() -> str:
    """Six characters that tell runs of the same second apart."""
    return secrets.token_hex(3)


async def read_run(storage: Storage, run: str) -> Run | None:
    """Return the run document, or ``None`` when there is no such run."""
    if paths.source_of(run) is None:
        return None
    stored = await read_document(storage, Container.HARVEST_STATE, paths.run_document(run), Run)
    return stored.value if stored else None


async def run_ids(storage: Storage, source: Source | None = None) -> list[str]:
    """Return the ids of all runs that are kept, newest first."""
    found = [name async for name in storage.list_folders(Container.HARVEST_STATE, paths.RUNS)]
    return sorted((run for run in found if (of := paths.source_of(run)) and source in {None, of}), reverse=True)


async def unfinished(storage: Storage, source: Source, *, within: timedelta, now: datetime) -> AsyncIterator[Run]:
    """Yield the runs begun so lately that are not known to have ended; a run may be younger than its id says.

    A run that says it is still to begin holds nothing: the sweep ends it.
    """
    marked, recent = await marked_open(storage), paths.stamp(now - within)
    wanted = [run for run in await run_ids(storage, source) if run in marked or run > recent]
    for run in await bounded_map(partial(_readable, storage), wanted):
        if run is not None and run.finished_at is None and is_recent(run.started_at, within=within, now=now):
            yield run


async def mark_open(storage: Storage, run_id: str) -> None:
    """Note that a run has not ended, so that nobody reads all others to find it."""
    await storage.write(Container.HARVEST_STATE, paths.open_run(run_id), b"", etag=None)


async def marked_open(storage: Storage) -> frozenset[str]:
    """Return the runs that have a mark; each is written before its run document."""
    listed = [path async for path in storage.list(Container.HARVEST_STATE, paths.OPEN_RUNS)]
    return frozenset(run for path in listed if paths.source_of(run := path.removeprefix(paths.OPEN_RUNS)))


async def unmark(storage: Storage, run_id: str) -> None:
    """Delete the mark of a run that has ended, unless somebody resumes the run meanwhile."""
    await storage.delete(Container.HARVEST_STATE, paths.open_run(run_id))
    run = await read_run(storage, run_id)
    if run is not None and run.finished_at is None:
        await mark_open(storage, run_id)


async def _readable(storage: Storage, run_id: str) -> Run | None:
    return await unless_unusable(paths.run_document(run_id), read_run(storage, run_id))


async def amend(storage: Storage, run_id: str, *, if_still: Run | None = None, **changes: object) -> Run | None:
    """Change fields of a run document, whoever else changes others at the same time; ``None`` without such a run.

    Args:
        if_still: Change nothing unless the document is this one.
    """

    def change(standing: Run | None) -> Run | None:
        if standing is None or (if_still is not None and standing != if_still):
            return None
        return standing.model_copy(update=changes)

    if paths.source_of(run_id) is None:
        return None
    return await update(storage, Container.HARVEST_STATE, paths.run_document(run_id), Run, change)

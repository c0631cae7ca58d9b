"""Runs: the run document says what shall be done, and never how far it is."""

import asyncio
import logging
import secrets
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Literal

from shared.avepoint.catalog import Dataset
from shared.avepoint.platform import Source
from shared.document import Document
from shared.errors import Conflict
from shared.events import log_event
from shared.harvest import paths
from shared.harvest.plan import ParentSnapshot, PlannedDataset, Timing, plan
from shared.storage import Container, Queue, Storage, Stored

type Trigger = Literal["timer", "http", "admin"]

log = logging.getLogger(__name__)


class Address(Document):
    """Which partition of which run: all that a message on the queue says. It carries no progress."""

    run_id: str
    source: Source
    dataset: str
    partition: str

    def fields(self) -> dict[str, str]:
        """The address as fields of a log event."""
        return {"run": self.run_id, "source": self.source, "dataset": self.dataset, "partition": self.partition}


class Run(Document):
    """The run document: what was asked for, when, and until when it may take."""

    run_id: str
    source: Source
    trigger: Trigger
    started_at: datetime
    deadline: datetime
    cancelled_at: datetime | None = None
    finished_at: datetime | None = None
    """Set once everything has ended, so that later looks need not derive it again."""
    datasets: tuple[PlannedDataset, ...]

    def stopped_because(self, now: datetime) -> str | None:
        """Why no partition may go on, or ``None``."""
        if self.cancelled_at is not None:
            return "the run was cancelled"
        return "the run came to its deadline" if now > self.deadline else None

    def planned(self, name: str) -> PlannedDataset:
        """What the run does with one of its datasets."""
        return next(dataset for dataset in self.datasets if dataset.dataset == name)

    def tenant(self, address: Address) -> str | None:
        """The tenant that a partition narrows its dataset to, if any."""
        partitions = {(dataset.dataset, one.name): one for dataset in self.datasets for one in dataset.partitions}
        return partitions[address.dataset, address.partition].tenant

    def share(self, address: Address) -> slice:
        """Which of the parents of its dataset a partition asks for."""
        names = [partition.name for partition in self.planned(address.dataset).partitions]
        return slice(names.index(address.partition), None, len(names))

    def addresses(self, name: str | None = None) -> list[Address]:
        """The partitions of the dataset ``name``, or of all, that the run does not skip."""
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
) -> Run:
    """The document of a run that has not begun; pure."""
    planned = plan(datasets, tenants=tenants, held=held, timings=timings, parents=parents)
    return Run(run_id=run, source=source, trigger=trigger, started_at=now, deadline=now + lasts, datasets=planned)


def random_suffix() -> str:
    """Six characters that tell runs of the same second apart."""
    return secrets.token_hex(3)


async def begin(storage: Storage, run: Run) -> Run:
    """Write the run document, and poke every partition; the same run twice is one run.

    Returns:
        The run that stands: the one of whoever was first.
    """
    try:
        await storage.create(Container.HARVEST_STATE, paths.run_document(run.run_id), run.to_json())
    except Conflict:
        return await read_run(storage, run.run_id) or run
    log_event(log, "run.started", run=run.run_id, trigger=run.trigger, datasets=len(run.datasets))
    await asyncio.gather(*(poke(storage, address) for address in run.addresses()))
    return run


async def poke(storage: Storage, address: Address, *, delay: timedelta = timedelta(0)) -> None:
    """Ask a worker to look at a partition, after ``delay``."""
    await storage.poke(Queue.SLICES, address.to_json().decode(), delay=delay)


async def read_run(storage: Storage, run: str) -> Run | None:
    """The run document, or ``None`` when there is no such run."""
    stored = await _stored_run(storage, run)
    return Run.from_json(stored.data) if stored else None


async def _stored_run(storage: Storage, run: str) -> Stored | None:
    if paths.source_of(run) is None:
        return None
    return await storage.read(Container.HARVEST_STATE, paths.run_document(run))


async def run_ids(storage: Storage, source: Source | None = None) -> list[str]:
    """The ids of all runs that are kept, newest first."""
    found = [name async for name in storage.list_folders(Container.HARVEST_STATE, paths.RUNS)]
    return sorted((run for run in found if (of := paths.source_of(run)) and source in {None, of}), reverse=True)


async def unfinished(storage: Storage, *, since: datetime, source: Source | None = None) -> AsyncIterator[Run]:
    """The runs begun after ``since`` that are not known to have ended, newest first."""
    for run_id in await run_ids(storage, source):
        if paths.started_at(run_id) < since:
            return
        run = await read_run(storage, run_id)
        if run is not None and run.finished_at is None:
            yield run


async def amend(storage: Storage, run_id: str, *, if_still: Run | None = None, **changes: object) -> Run | None:
    """Change fields of a run document, whoever else changes others at the same time.

    Args:
        if_still: Change nothing unless the document is this one.
    """
    while (stored := await _stored_run(storage, run_id)) is not None:
        standing = Run.from_json(stored.data)
        if if_still is not None and standing != if_still:
            return standing
        run = standing.model_copy(update=changes)
        try:
            await storage.replace(Container.HARVEST_STATE, paths.run_document(run_id), run.to_json(), etag=stored.etag)
        except Conflict:
            continue
        return run
    return None

"""The messages of the queue ``harvest-slices``: each wakes a worker up and carries no progress."""

from datetime import timedelta
from typing import Self

from pydantic import model_validator

from shared.avepoint.platform import Source
from shared.azure.storage import Queue, Storage
from shared.document import StoredDocument
from shared.harvest.plan.run import Address, Run


class WakeUp(StoredDocument):
    """A message: look at a partition or, where none is named, at everything of a run that no worker has taken.

    Attributes:
        guards: The epoch of the worker that the message looks after, or whose work it goes on with: it comes when the
            lease of that worker has ended, or its wait.
    """

    run_id: str
    source: Source
    dataset: str | None = None
    partition: str | None = None
    guards: int | None = None

    @model_validator(mode="after")
    def _names_a_run_or_a_partition(self) -> Self:
        if (self.dataset is None) != (self.partition is None):
            raise ValueError("a message names a dataset and a partition, or neither")
        return self

    @property
    def address(self) -> Address | None:
        """The partition, or ``None`` for the run."""
        if self.dataset is None or self.partition is None:
            return None
        return Address(run_id=self.run_id, source=self.source, dataset=self.dataset, partition=self.partition)


async def enqueue(
    storage: Storage, address: Address, *, delay: timedelta = timedelta(0), guards: int | None = None
) -> None:
    """Ask a worker to look at a partition, after ``delay``."""
    message = WakeUp(**address.model_dump(include=set(Address.model_fields)), guards=guards)
    await storage.enqueue(Queue.SLICES, message.to_json().decode(), delay=delay)


async def enqueue_run(storage: Storage, run: Run, *, delay: timedelta) -> None:
    """Ask somebody to look, after ``delay``, whether every partition of a run has been taken."""
    message = WakeUp(run_id=run.run_id, source=run.source)
    await storage.enqueue(Queue.SLICES, message.to_json().decode(), delay=delay)

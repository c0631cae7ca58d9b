"""The wake-up message that asks for a table to be built.

It carries no progress, so a lost or doubled one does no harm.
"""

from datetime import timedelta

from shared.avepoint.platform import Source
from shared.azure.storage import Queue, Storage
from shared.document import StoredDocument


class TableAddress(StoredDocument):
    """The dataset whose table is to be built."""

    source: Source
    dataset: str


async def enqueue_build(storage: Storage, source: Source, dataset: str, *, delay: timedelta = timedelta(0)) -> None:
    """Ask for the table of a dataset to be brought up to date."""
    message = TableAddress(source=source, dataset=dataset).to_json().decode()
    await storage.enqueue(Queue.TABLES, message, delay=delay)

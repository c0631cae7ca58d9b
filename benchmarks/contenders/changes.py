"""The build of a second snapshot, with the changes since the first."""

import asyncio

from benchmarks.contenders import table, tables
from benchmarks.contenders.work import Work, items_of
from benchmarks.nights import publish, write_night

clean = table.clean


def prepare(url: str) -> None:
    """Build the first night, and publish the second."""
    prepared = tables.prepare(url)
    asyncio.run(tables.build(url))
    asyncio.run(publish(prepared.storage, 1, write_night(prepared.folder, 1, items_of(url))))


def run(url: str, _: int) -> Work:
    """Build the table again."""
    return asyncio.run(tables.build(url))

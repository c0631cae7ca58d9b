"""A harvest without a host: the tests are the queue."""

import gzip
from base64 import b64decode
from collections.abc import Awaitable, Callable

import pytest

from shared.avepoint.platform import Source
from shared.azure.storage import Container, Queue
from shared.harvest.plan.run import Address, Run
from shared.harvest.runs.starting import start_requested
from shared.harvest.slices.worker import work
from shared.harvest.snapshots.manifest import Manifest, read_latest, read_manifest
from shared.services import Services

type Harvest = Callable[..., Awaitable[Run]]


async def finish(services: Services, address: Address, *, slices: int = 500) -> None:
    """Work on a partition until it ends."""
    for _ in range(slices):
        if await work(services, address) != "handed over":
            return
    raise AssertionError(f"{address} does not end")


@pytest.fixture
def harvest(services: Services) -> Harvest:
    """Harvest datasets from beginning to end."""

    async def harvested(source: Source, *datasets: str) -> Run:
        run = await start_requested(services, source, datasets)
        for address in run.addresses():
            await finish(services, address)
        return run

    return harvested


async def latest_manifest(services: Services, source: Source, dataset: str) -> Manifest:
    """The manifest that ``latest`` names."""
    latest = await read_latest(services.storage, source, dataset)
    assert latest is not None
    manifest = await read_manifest(services.storage, latest.run_id, source, dataset)
    assert manifest is not None
    assert latest.items == manifest.items
    return manifest


async def lines(services: Services, manifest: Manifest) -> list[bytes]:
    """Every line of a snapshot, as a user would read it."""
    found: list[bytes] = []
    for part in manifest.parts:
        blob = await services.storage.read(Container.INVENTORY, part.path)
        assert blob is not None
        found += gzip.decompress(blob.data).splitlines()
    return found


async def pokes(services: Services) -> list[Address]:
    """Take the messages that a worker would see now off the queue."""
    queue = services.storage._queue(Queue.SLICES)  # noqa: SLF001 - the app never reads its queues itself
    found = []
    async for message in queue.receive_messages():
        found.append(Address.from_json(b64decode(message.content)))
        await queue.delete_message(message)
    return found

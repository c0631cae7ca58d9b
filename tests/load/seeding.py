"""Ten thousand runs and operations in storage: copies of real ones, one in so many damaged."""

import random
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import anyio

from shared.azure.storage import Container, Storage

WRITES_AT_ONCE = 32
DAMAGE = (b"", b"{", b"[]", b"null", b"\xff\xfe\x00", b'{"schema": 99}', b'{"schema": "x"}')


async def blobs_with(storage: Storage, container: Container, prefix: str, name: str) -> dict[str, bytes]:
    """The blobs under ``prefix`` whose path has ``name`` in it."""
    found: dict[str, bytes] = {}
    async for path in storage.list(container, prefix):
        if name in path and (stored := await storage.read(container, path)) is not None:
            found[path] = stored.data
    return found


async def copy_many(
    storage: Storage, originals: dict[tuple[Container, str], bytes], name: str, names: list[str], *, damaged: float
) -> None:
    """Write the blobs again under each of ``names``, some of them damaged.

    Args:
        damaged: which share of the blobs.
    """
    dice, limiter = random.Random(7), anyio.CapacityLimiter(WRITES_AT_ONCE)  # noqa: S311 - the same damage each time

    async def write(container: Container, path: str, data: bytes) -> None:
        async with limiter:
            await storage.write(container, path, data, etag=None)

    async with anyio.create_task_group() as group:
        for other in names:
            for (container, path), data in originals.items():
                content = (
                    dice.choice(DAMAGE) if dice.random() < damaged else data.replace(name.encode(), other.encode())
                )
                group.start_soon(write, container, path.replace(name, other), content)


def run_names(source: str, count: int) -> list[str]:
    """Run ids, one every two minutes, the newest a day ago."""
    newest = datetime.now(UTC) - timedelta(days=1)
    return [f"{newest - timedelta(minutes=2 * number):%Y%m%dT%H%M%SZ}-{source}" for number in range(count)]


def operation_names(count: int) -> list[str]:
    """Operation ids."""
    return [f"{number:032x}" for number in range(count)]


async def of_run(storage: Storage, run_id: str) -> AsyncIterator[tuple[tuple[Container, str], bytes]]:
    """Everything that is stored of a run but its parts."""
    for container, prefix in ((Container.HARVEST_STATE, "runs/"), (Container.INVENTORY, "manifests/")):
        for path, data in (await blobs_with(storage, container, prefix, run_id)).items():
            yield (container, path), data


async def of_operation(storage: Storage, operation_id: str) -> AsyncIterator[tuple[tuple[Container, str], bytes]]:
    """Everything that is stored of an operation but its evidence."""
    for prefix in ("operations/", "dates/"):
        for path, data in (await blobs_with(storage, Container.OPERATIONS, prefix, operation_id)).items():
            yield (Container.OPERATIONS, path), data

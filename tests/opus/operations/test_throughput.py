"""How long a large submit takes, in time that passes only while somebody waits: for Opus, and for storage."""

import asyncio
import logging
import random
from collections.abc import Iterator
from typing import override

import pytest

from shared.opus.operations.assembly import operations_of
from shared.services import Services
from tests.faults.points import Point
from tests.opus.conftest import CONNECTION, call, records
from tests.opus.flows import World
from tests.shared import virtual_time

RECORDS = 6000
OPUS_SECONDS = 0.05
STORAGE_SECONDS = 0.01


class Latent(World):
    """Nothing goes wrong, and every request to storage takes its time."""

    @override
    async def _fate(self, point: Point) -> None:
        if point.verb in {"read", "create", "replace", "delete", "list", "enqueue"}:
            await asyncio.sleep(STORAGE_SECONDS / 2)


async def seconds(concurrency: int) -> float:
    world = Latent(random.Random(1))  # noqa: S311 - dice, not keys
    world.avepoint.change({"latencyMs": OPUS_SECONDS * 1000})
    own = {"throttle_concurrency": concurrency, "opus_sync_seconds": 100, "opus_submit_max_records": RECORDS}
    world.settings = world.settings.model_copy(update=own)

    async def submit(services: Services) -> float:
        began = asyncio.get_running_loop().time()
        progress = await operations_of(services).submit(call("key"), CONNECTION, records(RECORDS))
        assert progress.operation.succeeded == RECORDS
        return asyncio.get_running_loop().time() - began

    async with world.running():
        return await world.run(submit)


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    logging.disable(logging.ERROR)
    yield
    logging.disable(logging.NOTSET)


@pytest.mark.parametrize("concurrency", [1, 4, 8])
def test_it_takes_little_longer_than_opus_itself(concurrency: int) -> None:
    floor = RECORDS / 15 / concurrency * OPUS_SECONDS

    assert virtual_time.run(seconds(concurrency)) <= 1.2 * floor

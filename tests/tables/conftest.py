from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from sandbox.memory_storage import MemoryStorage
from shared.azure.storage import Container
from shared.tables.engine.connection import Engine, open_engine
from tests.conftest import Clock


@pytest.fixture
def memory(clock: Clock) -> MemoryStorage:
    return MemoryStorage(clock)


@pytest.fixture
async def engine() -> AsyncIterator[Engine]:
    async with open_engine(memory_mb=200) as opened:
        yield opened


def copied(storage: MemoryStorage, folder: Path) -> Path:
    """The container ``tables`` as a folder, for readers that know nothing of this app."""
    for path, stored in storage.blobs[Container.TABLES].items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(stored.data)
    return folder

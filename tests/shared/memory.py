"""Blobs in memory, as slow and as unreliable as a test wants them."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, override

from sandbox.memory_storage import MemoryStorage
from shared.azure.storage import Container, Stored
from shared.clock import Clock, utc_now
from shared.errors import Conflict, StorageUnavailable

type Fate = Literal["done", "refused", "answer lost", "done and taken for lost"]
"""What becomes of a write: the last is one that the SDK has tried twice, and that somebody else has overwritten."""


@dataclass
class Memory(MemoryStorage):
    """Storage in memory that takes its time, and whose writes may fail.

    Attributes:
        latency: Seconds that the next transaction takes, before and after it is carried out.
        fate: What becomes of the next write.
    """

    clock: Clock = utc_now
    latency: Callable[[], float] = lambda: 0
    fate: Callable[[], Fate] = lambda: "done"

    @override
    async def read(self, container: Container, path: str) -> Stored | None:
        await asyncio.sleep(self.latency())
        found = await super().read(container, path)
        await asyncio.sleep(self.latency())
        return found

    @override
    async def write(self, container: Container, path: str, data: bytes, *, etag: str | None) -> str:
        await asyncio.sleep(self.latency())
        fate = self.fate()
        if fate == "refused":
            raise StorageUnavailable("Azure Storage answered 503")
        written = await super().write(container, path, data, etag=etag)
        await asyncio.sleep(self.latency())
        if fate == "answer lost":
            raise StorageUnavailable("the answer was lost")
        if fate == "done and taken for lost":
            raise Conflict(f"{path} was changed by another writer")
        return written

"""Blobs in memory, as slow and as unreliable as a test wants them."""

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from shared.errors import Conflict, StorageUnavailable
from shared.storage import Container, Stored

type Fate = Literal["done", "refused", "answer lost", "done and taken for lost"]
"""What becomes of a write: the last is one that the SDK has tried twice, and that somebody else has overwritten."""


@dataclass
class Memory:
    """Conditional writes, as Azure Storage does them.

    Attributes:
        latency: Seconds that the next transaction takes, before and after it is carried out.
        fate: What becomes of the next write.
        transactions: How many there were, by kind.
    """

    latency: Callable[[], float] = lambda: 0
    fate: Callable[[], Fate] = lambda: "done"
    blobs: dict[str, Stored] = field(default_factory=dict)
    transactions: Counter[str] = field(default_factory=Counter)

    async def read(self, container: Container, path: str) -> Stored | None:
        assert container is Container.HARVEST_STATE
        self.transactions["read"] += 1
        await asyncio.sleep(self.latency())
        found = self.blobs.get(path)
        await asyncio.sleep(self.latency())
        return found

    async def create(self, container: Container, path: str, data: bytes) -> str:
        return await self._write(container, path, data, etag=None)

    async def replace(self, container: Container, path: str, data: bytes, *, etag: str) -> str:
        return await self._write(container, path, data, etag=etag)

    async def _write(self, container: Container, path: str, data: bytes, *, etag: str | None) -> str:
        assert container is Container.HARVEST_STATE
        self.transactions["write"] += 1
        await asyncio.sleep(self.latency())
        fate = self.fate()
        there = self.blobs.get(path)
        if fate == "refused":
            raise StorageUnavailable("Azure Storage answered 503")
        if (there.etag if there else None) != etag:
            self.transactions["read"] += 1  # the one with which Storage makes sure
            if there is None or there.data != data:
                raise Conflict(f"{path} was written by somebody else")
            return there.etag
        self.blobs[path] = Stored(data, f"etag {self.transactions.total()}")
        await asyncio.sleep(self.latency())
        if fate == "answer lost":
            raise StorageUnavailable("the answer was lost")
        if fate == "done and taken for lost":
            raise Conflict(f"{path} was written by somebody else")
        return self.blobs[path].etag

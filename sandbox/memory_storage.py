"""Azure Storage as the app sees it, in memory, and as strict as the real one."""

import builtins
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import count
from math import ceil
from typing import override

from shared.azure.storage import Container, Listed, Queue, Storage, Stored
from shared.azure.storage_errors import missing_blob
from shared.clock import Clock
from shared.errors import Conflict, StorageUnavailable

type Change = Callable[[Container, str, bytes | None, bytes | None], None]
"""Sees each change of a blob: where, what was there, and what is there now."""


@dataclass(eq=False, slots=True)
class Message:
    """A message on a queue, seen by nobody before ``visible_at``."""

    body: str
    visible_at: datetime
    dequeued: int = 0


@dataclass(eq=False, repr=False)  # fsspec writes out whatever its file systems are made of
class MemoryStorage(Storage):
    """One storage account that never fails.

    Attributes:
        changed: Called after every change of a blob.
        transactions: How many requests Azure Storage would have seen, by kind.
    """

    clock: Clock
    changed: Change = lambda *_: None
    blobs: dict[Container, dict[str, Stored]] = field(default_factory=lambda: {name: {} for name in Container})
    queues: dict[Queue, builtins.list[Message]] = field(default_factory=lambda: {name: [] for name in Queue})
    transactions: Counter[str] = field(default_factory=Counter)
    _blocks: dict[tuple[Container, str], dict[int, bytes]] = field(default_factory=dict)
    _modified: dict[tuple[Container, str], datetime] = field(default_factory=dict)
    _etags: Iterator[int] = field(default_factory=count)

    @override
    async def prepare(self) -> None:
        """Do nothing: everything is there."""

    @override
    async def read(self, container: Container, path: str) -> Stored | None:
        self.transactions["read"] += 1
        return self.blobs[container].get(path)

    @override
    async def stream(self, container: Container, path: str) -> AsyncIterator[bytes]:
        stored = await self.read(container, path)
        if stored is None:
            raise missing_blob(container, path)
        yield stored.data

    @override
    async def read_range(self, container: Container, path: str, offset: int, length: int) -> bytes:
        stored = await self.read(container, path)
        if stored is None:
            raise missing_blob(container, path)
        return stored.data[offset : offset + length]

    @override
    async def write(self, container: Container, path: str, data: bytes, *, etag: str | None) -> str:
        self.transactions["write"] += 1
        there = self.blobs[container].get(path)
        if (there.etag if there else None) == etag:
            return self._put(container, path, data)
        self.transactions["read"] += 1  # the one with which ``Storage`` looks whose write it was
        if there is None or there.data != data:
            raise Conflict(f"{container}/{path} was changed by another writer")
        return there.etag

    @override
    async def delete(self, container: Container, path: str) -> None:
        self.transactions["delete"] += 1
        gone = self.blobs[container].pop(path, None)
        if gone is not None:
            self.changed(container, path, gone.data, None)

    @override
    async def list_details(self, container: Container, prefix: str) -> AsyncIterator[Listed]:
        self.transactions["list"] += 1
        for path in sorted(path for path in self.blobs[container] if path.startswith(prefix)):
            yield Listed(path, len(self.blobs[container][path].data), self._modified[container, path])

    @override
    async def list_folders(self, container: Container, prefix: str) -> AsyncIterator[str]:
        self.transactions["list"] += 1
        below = [path.removeprefix(prefix) for path in self.blobs[container] if path.startswith(prefix)]
        for name in sorted({path.split("/")[0] for path in below if "/" in path}):
            yield name

    @override
    async def stage(self, container: Container, path: str, block: int, data: bytes) -> None:
        self.transactions["write"] += 1
        self._blocks.setdefault((container, path), {})[block] = data

    @override
    async def commit(self, container: Container, path: str, blocks: int) -> None:
        self.transactions["write"] += 1
        staged = self._blocks.pop((container, path), {})
        if len(staged) < blocks:
            raise StorageUnavailable(f"Azure Storage answered 400 for {path}")
        self._put(container, path, b"".join(staged[block] for block in range(blocks)))

    @override
    async def enqueue(self, queue: Queue, message: str, *, delay: timedelta = timedelta(0)) -> None:
        self.transactions["enqueue"] += 1
        whole_seconds = timedelta(seconds=max(0, ceil(delay.total_seconds())))
        self.queues[queue].append(Message(message, self.clock() + whole_seconds))

    @override
    async def close(self) -> None:
        """Do nothing: nothing is open."""

    def _put(self, container: Container, path: str, data: bytes) -> str:
        before = self.blobs[container].get(path)
        stored = self.blobs[container][path] = Stored(data, f"etag {next(self._etags)}")
        self._modified[container, path] = self.clock()
        self.changed(container, path, before.data if before else None, data)
        return stored.etag

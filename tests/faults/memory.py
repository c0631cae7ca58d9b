"""Azure Storage as the app sees it, in memory: fast enough to live through a harvest a thousand times."""

import builtins
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import count
from typing import override

from shared.clock import Clock
from shared.errors import Conflict
from shared.storage import Container, Queue, Storage, Stored

type Change = Callable[[Container, str, bytes | None, bytes | None], None]
"""Sees each change of a blob: where, what was there, and what is there now."""


@dataclass(eq=False, slots=True)
class Message:
    """A message on a queue, seen by nobody before ``visible_at``."""

    body: str
    visible_at: datetime
    dequeued: int = 0


@dataclass
class MemoryStorage(Storage):
    """One storage account. It never fails; see ``points`` for that.

    Attributes:
        changed: Called after every change of a blob.
    """

    clock: Clock
    changed: Change = lambda *_: None
    blobs: dict[Container, dict[str, Stored]] = field(default_factory=lambda: {name: {} for name in Container})
    queues: dict[Queue, builtins.list[Message]] = field(default_factory=lambda: {name: [] for name in Queue})
    _blocks: dict[tuple[Container, str], dict[int, bytes]] = field(default_factory=dict)
    _etags: Iterator[int] = field(default_factory=count)

    @override
    async def prepare(self) -> None:
        """Everything is there."""

    @override
    async def read(self, container: Container, path: str) -> Stored | None:
        return self.blobs[container].get(path)

    @override
    async def stream(self, container: Container, path: str) -> AsyncIterator[bytes]:
        yield self.blobs[container][path].data

    @override
    async def create(self, container: Container, path: str, data: bytes) -> str:
        return self._conditional(container, path, data, etag=None)

    @override
    async def replace(self, container: Container, path: str, data: bytes, *, etag: str) -> str:
        return self._conditional(container, path, data, etag=etag)

    @override
    async def delete(self, container: Container, path: str) -> None:
        gone = self.blobs[container].pop(path, None)
        if gone is not None:
            self.changed(container, path, gone.data, None)

    @override
    async def list(self, container: Container, prefix: str) -> AsyncIterator[str]:
        for path in sorted(self.blobs[container]):
            if path.startswith(prefix):
                yield path

    @override
    async def list_folders(self, container: Container, prefix: str) -> AsyncIterator[str]:
        below = [path.removeprefix(prefix) for path in self.blobs[container] if path.startswith(prefix)]
        for name in sorted({path.split("/")[0] for path in below if "/" in path}):
            yield name

    @override
    async def stage(self, container: Container, path: str, block: int, data: bytes) -> None:
        self._blocks.setdefault((container, path), {})[block] = data

    @override
    async def commit(self, container: Container, path: str, blocks: int) -> None:
        staged = self._blocks.pop((container, path), {})
        self._put(container, path, b"".join(staged[block] for block in range(blocks)))

    @override
    async def poke(self, queue: Queue, message: str, *, delay: timedelta = timedelta(0)) -> None:
        self.queues[queue].append(Message(message, self.clock() + max(delay, timedelta(0))))

    @override
    async def close(self) -> None:
        """Nothing is open."""

    def _conditional(self, container: Container, path: str, data: bytes, *, etag: str | None) -> str:
        there = self.blobs[container].get(path)
        if (there.etag if there else None) == etag:
            return self._put(container, path, data)
        if there is None or there.data != data:
            raise Conflict(f"{container}/{path} was written by somebody else")
        return there.etag

    def _put(self, container: Container, path: str, data: bytes) -> str:
        before = self.blobs[container].get(path)
        stored = self.blobs[container][path] = Stored(data, f"etag {next(self._etags)}")
        self.changed(container, path, before.data if before else None, data)
        return stored.etag

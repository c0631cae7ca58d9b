"""The await points of a process: every request it sends to Azure Storage and to AvePoint, before it and after it.

A ``Fate`` decides what happens at each: nothing, a death, a pause, an error.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Literal, override

from shared.avepoint.request import Response
from shared.azure.storage import Container, Listed, Queue, Storage, Stored
from shared.transport.transport import SendRequest

type Side = Literal["before", "after"]


class Killed(BaseException):
    """The process is gone."""


@dataclass(frozen=True, slots=True)
class Point:
    """One instant in the life of a process, between what it did and what it would do next."""

    side: Side
    verb: str
    what: str

    @property
    def of_storage(self) -> bool:
        """Whether Azure Storage is asked, and not AvePoint."""
        return not self.verb.isupper()

    def __str__(self) -> str:
        return f"{self.side} {self.verb} {self.what}"


type Fate = Callable[[Point], Awaitable[None]]
"""May raise ``Killed``, or what Azure Storage or AvePoint might raise, or take its time."""


async def unharmed(_: Point) -> None:
    """Nothing happens."""


@dataclass
class DeathAt:
    """Kills whoever comes to a point, counted over a whole story; without a number, nobody.

    What is stored after one request and before the next is the same, so one side is enough but for requests that are
    sent side by side.
    """

    number: int | None = None
    sides: frozenset[Side] = frozenset({"before"})
    reached: int = 0
    place: str = "nowhere"

    async def __call__(self, point: Point) -> None:
        if point.side not in self.sides:
            return
        self.reached += 1
        if self.reached == self.number:
            self.place = f"point {self.number}, {point}"
            raise Killed


@dataclass
class DeathBefore:
    """Kills whoever is about to do something to something, once."""

    verb: str
    what: str
    skip: int = 0

    async def __call__(self, point: Point) -> None:
        if (point.side, point.verb) == ("before", self.verb) and self.what in point.what:
            self.skip -= 1
            if self.skip == -1:
                raise Killed


@dataclass
class Points:
    """The points that one process comes to; a dead one comes to none any more."""

    fate: Fate
    died: asyncio.Event = field(default_factory=asyncio.Event)
    buried: asyncio.Event = field(default_factory=asyncio.Event)
    """Ends the threads that wait for an answer to a dead process, which a real one takes with it."""

    @asynccontextmanager
    async def around(self, verb: str, what: str) -> AsyncIterator[None]:
        """Come to the point before something and, if it went well, to the point after it."""
        await self._reach(Point("before", verb, what))
        yield
        await self._reach(Point("after", verb, what))

    async def _reach(self, point: Point) -> None:
        if self.died.is_set():
            raise Killed
        try:
            await self.fate(point)
        except Killed:
            self.died.set()
            await self.buried.wait()  # nothing is heard of a dead process
            raise


@dataclass
class PointedStorage(Storage):
    """A storage account whose every use is a point."""

    inner: Storage
    points: Points

    @override
    async def prepare(self) -> None:
        await self.inner.prepare()

    @override
    async def read(self, container: Container, path: str) -> Stored | None:
        async with self.points.around("read", path):
            return await self.inner.read(container, path)

    @override
    async def stream(self, container: Container, path: str) -> AsyncIterator[bytes]:
        async for piece in self._around("read", path, self.inner.stream(container, path)):
            yield piece

    @override
    async def write(self, container: Container, path: str, data: bytes, *, etag: str | None) -> str:
        async with self.points.around("create" if etag is None else "replace", path):
            return await self.inner.write(container, path, data, etag=etag)

    @override
    async def delete(self, container: Container, path: str) -> None:
        async with self.points.around("delete", path):
            await self.inner.delete(container, path)

    @override
    async def read_range(self, container: Container, path: str, offset: int, length: int) -> bytes:
        async with self.points.around("read", path):
            return await self.inner.read_range(container, path, offset, length)

    @override
    async def list_details(self, container: Container, prefix: str) -> AsyncIterator[Listed]:
        async for one in self._around("list", prefix, self.inner.list_details(container, prefix)):
            yield one

    @override
    async def list_folders(self, container: Container, prefix: str) -> AsyncIterator[str]:
        async for name in self._around("list", prefix, self.inner.list_folders(container, prefix)):
            yield name

    @override
    async def stage(self, container: Container, path: str, block: int, data: bytes) -> None:
        async with self.points.around("stage", path):
            await self.inner.stage(container, path, block, data)

    @override
    async def commit(self, container: Container, path: str, blocks: int) -> None:
        async with self.points.around("commit", path):
            await self.inner.commit(container, path, blocks)

    @override
    async def enqueue(self, queue: Queue, message: str, *, delay: timedelta = timedelta(0)) -> None:
        async with self.points.around("enqueue", queue):
            await self.inner.enqueue(queue, message, delay=delay)

    @override
    async def close(self) -> None:
        await self.inner.close()

    async def _around[T](self, verb: str, what: str, found: AsyncIterator[T]) -> AsyncIterator[T]:
        """All that is found is one use."""
        async with self.points.around(verb, what):
            everything = [one async for one in found]
        for one in everything:
            yield one


def pointed(exchange: SendRequest, points: Points) -> SendRequest:
    """An HTTP exchange whose every use is a point."""

    async def exchanged(method: str, url: str, headers: Mapping[str, str], body: bytes | None) -> Response:
        async with points.around(method, url):
            return await exchange(method, url, headers, body)

    return exchanged

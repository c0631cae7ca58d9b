"""Hashes by the million in the memory of some ten thousand: sorted piece by piece in a file, merged block by block.

They are stored sorted, eight bytes each.
"""

import asyncio
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import AsyncIterator, Buffer, Iterable, Iterator
from hashlib import sha256
from itertools import islice
from operator import eq
from tempfile import TemporaryFile
from threading import Lock
from weakref import finalize

from shared.azure.storage import Container, Storage
from shared.errors import REPAIR, DamagedDocument, MissingDocument

_BYTES = 8
_BLOCK = 128
"""Hashes that are read to find one."""

_PIECE = 1 << 16
"""Hashes that are sorted, or merged, at a time."""

_STEP = 1 << 20
"""Bytes that are uploaded at a time."""


class ScratchFile:
    """A temporary file, which goes with the object.

    Attributes:
        size: How many bytes are in it.
    """

    def __init__(self) -> None:
        file = self._file = TemporaryFile(buffering=0)  # noqa: SIM115 - finalize closes it
        self._lock = Lock()  # a worker that was abandoned may still be looking
        self._sha256 = sha256()
        self.size = 0
        finalize(self, file.close)

    @property
    def digest(self) -> str:
        """A name for what is in it."""
        return self._sha256.hexdigest()[:16]

    def append(self, data: Buffer) -> None:
        """Write behind what is there."""
        with self._lock:
            self._file.seek(self.size)
            self.size += self._file.write(data)
            self._sha256.update(data)

    def read(self, begin: int, size: int) -> bytes:
        """Return some bytes; fewer where the file ends."""
        with self._lock:
            self._file.seek(begin)
            return self._file.read(size)

    def pieces(self, place: range, size: int) -> Iterator[bytes]:
        """Yield the bytes of a place, so many at a time."""
        return (self.read(place[at], min(size, len(place) - at)) for at in range(0, len(place), size))


class HashRuns:
    """Hashes that come in any order, or sorted from storage."""

    def __init__(self) -> None:
        self._file = ScratchFile()
        self._runs: list[range] = []
        self._unsorted = array("Q")

    def add(self, hashes: Iterable[int]) -> None:
        """Take hashes in any order."""
        self._unsorted.extend(hashes)
        if len(self._unsorted) >= _PIECE:
            self._sort()

    def append(self, data: bytes) -> None:
        """Take bytes of hashes that are sorted until ``end_run``."""
        self._file.append(data)

    def end_run(self) -> None:
        """Note that what comes next is not sorted with what came before.

        Raises:
            DamagedDocument: The bytes that came do not make whole hashes.
        """
        if self._file.size % _BYTES:
            raise DamagedDocument("stored hashes end in the middle of one", remedy=REPAIR)
        begin, end = self._runs[-1].stop if self._runs else 0, self._file.size
        if end > begin:
            self._runs.append(range(begin, end))

    def in_order(self) -> Iterator[array[int]]:
        """Yield all hashes, sorted, some of them at a time."""
        self._sort()
        size = max(_BLOCK, _PIECE // max(1, len(self._runs)))
        following = [map(numbers, self._file.pieces(run, size * _BYTES)) for run in self._runs]
        heads = [(next(blocks), blocks) for blocks in following]
        while heads:
            last = min(block[-1] for block, _ in heads)
            taken, left = array("Q"), []
            for block, blocks in heads:
                end = bisect_right(block, last)
                taken.extend(block[:end])
                if rest := block[end:] or next(blocks, array("Q")):
                    left.append((rest, blocks))
            yield array("Q", sorted(taken)) if len(heads) > 1 else taken
            heads = left

    def _sort(self) -> None:
        self._file.append(array("Q", sorted(self._unsorted)))
        self._unsorted = array("Q")
        self.end_run()


class SortedHashes:
    """Hashes in order, of which each is found with one read.

    Attributes:
        file: Holds them as they are stored.
        duplicates: How many were there before.
    """

    def __init__(self, runs: HashRuns) -> None:
        self.file = ScratchFile()
        self._firsts = array("Q")
        self._count = self.duplicates = 0
        last = None
        for block in runs.in_order():
            self.file.append(block)
            self._firsts.extend(block[-self._count % _BLOCK :: _BLOCK])
            self._count += len(block)
            self.duplicates += sum(map(eq, block, islice(block, 1, None))) + (block[0] == last)
            last = block[-1]

    def __len__(self) -> int:
        return self._count

    def __contains__(self, one: int) -> bool:
        number = bisect_right(self._firsts, one) - 1
        if number < 0:
            return False
        block = numbers(self.file.read(number * _BLOCK * _BYTES, _BLOCK * _BYTES))
        position = bisect_left(block, one)
        return position < len(block) and block[position] == one


def numbers(stored: bytes) -> array[int]:
    """Return hashes as numbers."""
    return array("Q", stored)


async def read_hashes(storage: Storage, stored: Iterable[str]) -> SortedHashes:
    """Return the hashes that are stored at several paths, as one; raises what ``stream_state`` raises.

    Raises:
        DamagedDocument: Some have been cut.
    """
    runs = HashRuns()
    for path in stored:
        async for piece in stream_state(storage, path):
            await asyncio.to_thread(runs.append, piece)
        runs.end_run()
    return await asyncio.to_thread(SortedHashes, runs)


async def stream_state(storage: Storage, path: str) -> AsyncIterator[bytes]:
    """Yield what is stored at a path, piece by piece.

    Raises:
        MissingDocument: Nothing is: without it, lines would come twice.
    """
    try:
        async for piece in storage.stream(Container.HARVEST_STATE, path):
            yield piece
    except MissingDocument as fault:
        raise MissingDocument(str(fault), remedy=REPAIR) from fault


async def store_state(storage: Storage, path: str, file: ScratchFile) -> None:
    """Store a file at a path at which nobody else stores another."""
    pieces = file.pieces(range(file.size), _STEP)
    if file.size <= _STEP:
        await storage.write(Container.HARVEST_STATE, path, next(pieces, b""), etag=None)
        return
    count = 0
    while piece := await asyncio.to_thread(next, pieces, b""):
        await storage.stage(Container.HARVEST_STATE, path, count, piece)
        count += 1
    await storage.commit(Container.HARVEST_STATE, path, count)

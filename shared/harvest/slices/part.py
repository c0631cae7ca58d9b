"""Writing a part: item bytes in, one gzip stream of NDJSON out, in blocks, with a memory of a few megabytes."""

import asyncio
import hashlib
from array import array
from collections.abc import Awaitable, Buffer, Callable, Iterable
from dataclasses import replace
from typing import Protocol

import msgspec
from isal import isal_zlib

from shared.avepoint.catalog import Dataset, Parent
from shared.avepoint.fields import Ending
from shared.avepoint.page import Page
from shared.azure.storage import Container, Storage
from shared.harvest.slices.parents.selector import hash_as_written, map_of, write_by_parent
from shared.harvest.snapshots.duplicates import packed, stored_line_hashes
from shared.harvest.snapshots.manifest import Part
from shared.harvest.snapshots.open_items import OpenItems
from shared.harvest.snapshots.sorted_hashes import HashRuns, ScratchFile, SortedHashes, store_state

BLOCK_BYTES = 4 * 1024 * 1024
"""A block is uploaded as soon as it has this size."""

BLOCKS_IN_FLIGHT = 2

_LEVEL = 2  # measured: five times less CPU than zlib level 6, for a third more output
_GZIP = 16 + 15
_TURNS = 4
"""Of the event loop, until a request that was begun is on its way; measured: 3 ms a page."""

type KeyHashes = Callable[[Page], array[int]]
"""Gives one hash for each item of a page, of its key."""


def ndjson(page: Page) -> bytes:
    """Return the items of a page, one line each."""
    return b"\n".join((*stored_lines(page), b""))


def stored_lines(page: Page) -> Iterable[Buffer]:
    """Return the items of a page byte for byte; only line breaks between tokens are taken out.

    Items of a child dataset get their parent first; those that are no objects are wrapped.
    """
    items: Iterable[msgspec.Raw | bytes] = page.items
    if page.pretty:
        items = (msgspec.json.format(bytes(item), indent=-1) for item in page.items)
    if page.parent:
        items = (_with_parent(page.parent, bytes(item)) for item in items)
    return items


def _with_parent(parent: bytes, item: bytes) -> bytes:
    if not item.startswith(b"{"):
        return b'{"_parent":%b,"value":%b}' % (parent, item)
    rest = item[1:].lstrip()
    return b'{"_parent":%b%b%b' % (parent, b"" if rest == b"}" else b",", rest)


class PartHashes(Protocol):
    """Takes the hashes of the items of a part, and stores them beside its checkpoint."""

    def add(self, parent: bytes, hashes: array[int]) -> None:
        """Take the hashes of a page of a parent."""

    async def store(self, storage: Storage, path: str) -> None:
        """Store what was taken."""


class _Together:
    """Hashes of a part, whatever their parents."""

    def __init__(self) -> None:
        self._runs = HashRuns()

    def add(self, _: bytes, hashes: array[int]) -> None:
        self._runs.add(hashes)

    async def store(self, storage: Storage, path: str) -> None:
        hashes = await asyncio.to_thread(SortedHashes, self._runs)
        await store_state(storage, path, hashes.file)


class _Apart:
    """Hashes of a part, those of each parent apart: each is harvested in its own time.

    They lie in a file, page after page, as a ledger keeps them.
    """

    def __init__(self, parent: Parent) -> None:
        self._parent = parent
        self._pages = ScratchFile()
        self._count = 0

    def add(self, parent: bytes, hashes: array[int]) -> None:
        mark = hash_as_written(parent, self._parent)
        self._pages.append(write_by_parent(mark) + write_by_parent(packed(hashes)))
        self._count += 1

    async def store(self, storage: Storage, path: str) -> None:
        await store_state(storage, path, await asyncio.to_thread(self._whole))

    def _whole(self) -> ScratchFile:
        file = ScratchFile()
        file.append(map_of(self._count))
        for piece in self._pages.pieces(range(self._pages.size), BLOCK_BYTES):
            file.append(piece)
        return file


def part_hashes(dataset: Dataset) -> PartHashes:
    """Return what takes the hashes of a part of a dataset."""
    return _Apart(dataset.parent) if dataset.parent is not None and dataset.window is not None else _Together()


class PartWriter:
    """One part while it is written; it does not exist before ``finish`` has returned and a checkpoint names it."""

    def __init__(
        self,
        storage: Storage,
        *,
        path: str,
        partition: str,
        keys: KeyHashes,
        hashes: PartHashes,
        seen: SortedHashes | None = None,
        published: SortedHashes | None = None,
        ending: Ending | None = None,
    ) -> None:
        self._storage = storage
        self._path = path
        self._partition = partition
        self._keys = keys
        self.hashes = hashes
        self._seen = seen
        self._published = published
        self.open_items = OpenItems(ending) if ending else None
        self._compressor = isal_zlib.compressobj(_LEVEL, isal_zlib.DEFLATED, _GZIP)
        self._sha256 = hashlib.sha256()
        self._pending: list[bytes] = []
        self._pending_bytes = 0
        self._compressing: asyncio.Task[bytes] | None = None
        self._uploads: set[asyncio.Task[None]] = set()
        self._blocks = 0
        self._items = 0
        self._raw_bytes = 0
        self._size = 0
        self.dropped = 0

    @property
    def items(self) -> int:
        """Items so far, without those of the last page."""
        return self._items

    @property
    def size(self) -> int:
        """Compressed bytes so far, without those of the last page."""
        return self._size

    async def add(self, page: Page) -> None:
        """Take a page in; it is compressed, away from the event loop, while the next one is on its way."""
        for _ in range(_TURNS):  # the request for the next page goes first
            await asyncio.sleep(0)
        hashes = self._keys(page)
        await self._take_compressed()
        self._compressing = asyncio.create_task(asyncio.to_thread(self._compress, page, hashes))

    async def finish(self) -> Part:
        """Upload the rest and make the blob."""
        await self._take_compressed()
        self._append(self._hashed(self._compressor.flush()))
        await self._upload()
        await self._settle(self._uploads)
        await self._storage.commit(Container.INVENTORY, self._path, self._blocks)
        return Part(
            path=self._path,
            partition=self._partition,
            items=self._items,
            raw_bytes=self._raw_bytes,
            bytes=self._size,
            sha256=self._sha256.hexdigest(),
        )

    async def abandon(self) -> None:
        """Stop what is under way."""
        tasks = [*self._uploads, *([self._compressing] if self._compressing else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _compress(self, page: Page, hashes: array[int]) -> bytes:
        self.hashes.add(page.parent, hashes)
        if self.open_items is not None:
            self.open_items.take(page)
        if self._seen is not None:
            page = self._unseen(page, hashes, self._seen)
        if self._published:
            page = self._unseen(page, stored_line_hashes(stored_lines(page)), self._published)
        lines = ndjson(page)
        self._items += len(page.items)
        self._raw_bytes += len(lines)
        return self._hashed(self._compressor.compress(lines))

    def _hashed(self, compressed: bytes) -> bytes:
        self._sha256.update(compressed)
        return compressed

    def _unseen(self, page: Page, hashes: array[int], seen: SortedHashes) -> Page:
        fresh = [item for item, line in zip(page.items, hashes, strict=True) if line not in seen]
        self.dropped += len(page.items) - len(fresh)
        return replace(page, items=fresh)

    async def _take_compressed(self) -> None:
        """Wait until the last page is compressed, and upload what makes a block."""
        if self._compressing is None:
            return
        self._append(await self._compressing)
        self._compressing = None
        if self._pending_bytes >= BLOCK_BYTES:
            await self._upload()

    def _append(self, compressed: bytes) -> None:
        self._pending.append(compressed)
        self._pending_bytes += len(compressed)
        self._size += len(compressed)

    async def _upload(self) -> None:
        block = b"".join(self._pending)
        self._pending.clear()
        self._pending_bytes = 0
        if len(self._uploads) >= BLOCKS_IN_FLIGHT:
            done, self._uploads = await asyncio.wait(self._uploads, return_when=asyncio.FIRST_COMPLETED)
            await self._settle(done)
        stage: Awaitable[None] = self._storage.stage(Container.INVENTORY, self._path, self._blocks, block)
        self._uploads.add(asyncio.ensure_future(stage))
        self._blocks += 1

    @staticmethod
    async def _settle(uploads: set[asyncio.Task[None]]) -> None:
        for upload in list(uploads):
            await upload

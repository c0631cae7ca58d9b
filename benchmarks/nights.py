"""Two nights of Power Apps as a harvest publishes them, on disk, and a storage that keeps what is large there, too.

Ten thousand items are repeated under ids of their own. On the second night half of them have moved counters, one in a
hundred another status, one in five hundred is gone.
"""

import builtins
import hashlib
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import chain, count, cycle, islice
from pathlib import Path
from typing import Final, override

from isal import isal_zlib

from benchmarks.data import items
from sandbox.memory_storage import MemoryStorage
from shared.avepoint.platform import Source
from shared.azure.storage import Container, Storage
from shared.clock import Clock, utc_now
from shared.harvest.plan import paths
from shared.harvest.snapshots.manifest import Manifest, Part, advance_latest

SOURCE: Final[Source] = "graph"
DATASET: Final = "enpower-powerapps"
PART_ITEMS: Final = 130_000
"""About 64 MB of gzip, as a harvest writes it."""

_DISTINCT: Final = 10_000
_PIECE: Final = 1 << 20
_BLOCK: Final = 1 << 20
_BEGIN: Final = len(b'{"id":"')
_DIGITS: Final = 8


@dataclass
class DiskStorage(MemoryStorage):
    """Storage whose documents are in memory, and whose data files are on disk."""

    clock: Clock = utc_now
    folder: Path = Path()
    files: dict[str, Path] = field(default_factory=dict)

    @override
    async def stream(self, container: Container, path: str) -> AsyncIterator[bytes]:
        if path not in self.files:
            async for piece in super().stream(container, path):
                yield piece
            return
        with self.files[path].open("rb") as file:
            while piece := file.read(_PIECE):
                yield piece

    @override
    async def read_range(self, container: Container, path: str, offset: int, length: int) -> bytes:
        if path not in self.files:
            return await super().read_range(container, path, offset, length)
        with self.files[path].open("rb") as file:
            file.seek(offset)
            return file.read(length)

    @override
    async def stage(self, container: Container, path: str, block: int, data: bytes) -> None:
        target = self.files.setdefault(path, self.folder / path.replace("/", "_"))
        with target.open("ab") as file:
            file.write(data)

    @override
    async def commit(self, container: Container, path: str, blocks: int) -> None:
        self._put(container, path, b"")


def write_night(folder: Path, number: int, count_: int) -> builtins.list[Path]:
    """Write the parts of a night."""
    written: builtins.list[Path] = []
    lines = _lines(number, count_)
    while True:
        chunk = islice(lines, PART_ITEMS)
        first = next(chunk, None)
        if first is None:
            return written
        path = folder / f"night-{number}-{len(written)}.gz"
        with path.open("wb") as file:
            compressor = isal_zlib.compressobj(2, isal_zlib.DEFLATED, 16 + 15)
            for line in chain([first], chunk):
                file.write(compressor.compress(line))
            file.write(compressor.flush())
        written.append(path)


def _lines(number: int, wanted: int) -> Iterator[bytes]:
    distinct = list(items(min(_DISTINCT, wanted), seed=1))
    for n, item in zip(range(wanted), cycle(distinct), strict=False):
        line = b'{"id":"%08x%b\n' % (n, item[_BEGIN + _DIGITS :])
        if number and n % 500 == 0:
            continue
        if number and n % 2:
            line = line.replace(b'"appLaunchesLast7Days":', b'"appLaunchesLast7Days":1', 1)
        if number and n % 100 == 1:
            line = line.replace(b'"status":"', b'"status":"moved ', 1)
        yield line


async def _upload(storage: Storage, path: str, file: Path) -> None:
    """Store a part in blocks, as a harvest does."""
    block = 0
    with file.open("rb") as opened:
        while piece := opened.read(_BLOCK):
            await storage.stage(Container.INVENTORY, path, block, piece)
            block += 1
    await storage.commit(Container.INVENTORY, path, block)


async def publish(storage: Storage, number: int, parts: builtins.list[Path]) -> Manifest:
    """Publish a night."""
    began = datetime(2026, 1, 1, 2, tzinfo=UTC) + timedelta(days=number)
    run = paths.run_id(SOURCE, began)
    named = [
        Part(
            path=paths.part(run, SOURCE, DATASET, "all", epoch=1, number=n),
            partition="all",
            items=0,
            raw_bytes=0,
            bytes=file.stat().st_size,
            sha256=hashlib.sha256(file.read_bytes()).hexdigest(),
        )
        for n, file in zip(count(), parts, strict=False)
    ]
    for part, file in zip(named, parts, strict=True):
        await _upload(storage, part.path, file)
    manifest = Manifest.model_validate(
        {
            "run_id": run,
            "source": SOURCE,
            "dataset": DATASET,
            "kind": "full",
            "verdict": "complete",
            "published": True,
            "items": 0,
            "duplicates": 0,
            "pages": 0,
            "requests": 0,
            "retries": 0,
            "wait_seconds": 0,
            "server_total": None,
            "raw_bytes": 0,
            "bytes": 0,
            "fields": (),
            "tenants": None,
            "parts": named,
            "started_at": began,
            "finished_at": began,
            "previous_run_id": None,
            "app_version": "benchmark",
        }
    )
    path = paths.manifest(run, SOURCE, DATASET)
    await storage.write(Container.INVENTORY, path, manifest.to_json(), etag=None)
    await advance_latest(storage, manifest)
    return manifest

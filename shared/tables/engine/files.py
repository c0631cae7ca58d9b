"""Data files of tables on this machine: what was just written, and what was fetched, as long as there is room."""

from collections import OrderedDict
from pathlib import Path
from typing import Final

from shared.azure.storage import Storage
from shared.tables.engine.connection import Engine
from shared.tables.engine.parquet import Written, download, upload

ROOM: Final = 384 * 1024 * 1024
"""Bytes of files that are kept beside the one in use."""


class LocalFiles:
    """A cache of the data files of one table; files never change, so a copy is as good as the blob."""

    def __init__(self, engine: Engine, storage: Storage, *, room: int = ROOM) -> None:
        self._engine = engine
        self._storage = storage
        self._room = room
        self._held: OrderedDict[str, tuple[Path, int]] = OrderedDict()

    async def keep(self, path: str, written: Written) -> None:
        """Make a blob of a file, and keep the file."""
        await upload(self._storage, path, written)
        self._hold(path, written.path, written.size)

    async def get(self, path: str, size: int) -> Path:
        """Return a copy of a blob of the container ``tables``; it stays at least until the next call."""
        if path not in self._held:
            self._hold(path, await download(self._storage, path, self._engine.scratch("parquet")), size)
        self._held.move_to_end(path)
        return self._held[path][0]

    def _hold(self, path: str, copy: Path, size: int) -> None:
        self._held[path] = (copy, size)
        while len(self._held) > 1 and sum(one for _, one in self._held.values()) > self._room:
            _, (oldest, _) = self._held.popitem(last=False)
            oldest.unlink(missing_ok=True)

"""Blobs as files for the engine: it reads the ranges it needs, and no more."""

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Final, override

import duckdb
from fsspec import AbstractFileSystem

from shared.azure.storage import Container, Storage
from shared.errors import AppError

_SCHEME: Final = "table"
_LONG_AGO: Final = datetime(2000, 1, 1, tzinfo=UTC)


class RemoteFile:
    """A blob that never changes, as a file to read."""

    def __init__(self, files: "RemoteFiles", path: str, size: int) -> None:
        self._files = files
        self._path = path
        self._size = size
        self._position = 0

    def read(self, length: int = -1) -> bytes:
        """Read so many bytes from where the file stands."""
        left = self._size - self._position
        length = left if length < 0 else min(length, left)
        if length <= 0:
            return b""
        data = self._files.fetch(self._path, self._position, length)
        self._position += len(data)
        return data

    def seek(self, offset: int, whence: int = 0) -> int:
        """Go to a place: from the beginning, from here, or from the end."""
        start = (0, self._position, self._size)[whence]
        self._position = start + offset
        return self._position

    def tell(self) -> int:
        """Return where the file stands."""
        return self._position

    def close(self) -> None:
        """Do nothing: nothing is open."""


class RemoteFiles(AbstractFileSystem):  # type: ignore[misc]  # fsspec has no types
    """The data files of tables, for one engine; it is used in threads, while the event loop fetches."""

    protocol = _SCHEME
    cachable = False

    def __init__(self, storage: Storage, sizes: Mapping[str, int]) -> None:
        """Serve these files.

        Args:
            sizes: In bytes, by path in the container ``tables``.
        """
        super().__init__()
        self._storage = storage
        self._sizes = sizes
        self._loop = asyncio.get_running_loop()
        self.error: AppError | None = None

    def fetch(self, path: str, offset: int, length: int) -> bytes:
        """Read a piece of a blob; what goes wrong is kept, for the engine makes a text of it."""
        reading = self._storage.read_range(Container.TABLES, path, offset, length)
        try:
            return asyncio.run_coroutine_threadsafe(reading, self._loop).result()
        except AppError as error:
            self.error = error
            raise

    @contextmanager
    def told_plainly(self) -> Iterator[None]:
        """Raise the error of a read that failed, in place of the engine's own."""
        try:
            yield
        except duckdb.Error as error:
            original, self.error = self.error, None
            raise original or error from error

    @override
    def open(self, path: str, mode: str = "rb", **_: object) -> RemoteFile:
        """Open a file to read."""
        name = _path(path)
        return RemoteFile(self, name, self._sizes[name])

    @override
    def info(self, path: str, **_: object) -> dict[str, object]:
        """Return name and size of a file."""
        return {"name": path, "size": self._sizes[_path(path)], "type": "file"}

    @override
    def glob(self, path: str, **_: object) -> list[str]:
        """Return the file of this name."""
        return [path]

    @override
    def modified(self, path: str) -> datetime:
        """Return the same for every file: none ever changes."""
        return _LONG_AGO


def remote_path(path: str) -> str:
    """Return the name under which the engine finds a blob of the container ``tables``."""
    return f"{_SCHEME}://{path}"


def _path(name: str) -> str:
    return name.removeprefix(f"{_SCHEME}://")

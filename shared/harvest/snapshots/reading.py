"""Reading a snapshot back, line by line, in the memory of a few megabytes."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Iterator

from isal import isal_zlib

from shared.azure.storage import Container, Storage
from shared.errors import DamagedDocument
from shared.harvest.snapshots.manifest import Manifest, Part

LONGEST_LINE = 256 * 1024 * 1024
"""Bytes: no answer of AvePoint may be longer, so no line is."""

_GZIP = 16 + 15
_STEP = 1024 * 1024
"""How many bytes are inflated at a time: a small blob may hold a great many."""


class PartReader:
    """Takes the bytes of a part in, gives its lines out, and knows what they come to.

    Attributes:
        items: Lines so far.
        raw_bytes: Bytes so far, inflated.
        bytes: Bytes so far, as they are stored.
    """

    def __init__(self, path: str) -> None:
        self.items = 0
        self.raw_bytes = 0
        self.bytes = 0
        self._path = path
        self._inflater = isal_zlib.decompressobj(_GZIP)
        self._sha256 = hashlib.sha256()
        self._line: list[bytes] = []
        self._line_bytes = 0

    @property
    def sha256(self) -> str:
        """The hash of the bytes so far, as they are stored."""
        return self._sha256.hexdigest()

    @property
    def is_whole(self) -> bool:
        """Whether the gzip stream has ended, nothing stands behind it, and the last line is complete."""
        return self._inflater.eof and not self._inflater.unused_data and not self._line_bytes

    def lines(self, chunk: bytes) -> Iterator[list[bytes]]:
        """Yield the lines that end in the next bytes of the part, in blocks.

        Raises:
            DamagedDocument: They are not those of a gzip stream, or a line has no end.
        """
        self.bytes += len(chunk)
        self._sha256.update(chunk)
        while chunk and not self._inflater.eof:
            try:
                inflated = self._inflater.decompress(chunk, _STEP)
            except isal_zlib.error as error:  # type: ignore[misc]  # the stub calls the class an instance
                raise DamagedDocument(f"{self._path} is not a gzip stream: {error}") from error
            chunk = self._inflater.unconsumed_tail
            self.raw_bytes += len(inflated)
            yield self._split(inflated)

    def check_whole(self) -> None:
        """Make sure that nothing is missing; raises ``DamagedDocument``."""
        if not self.is_whole:
            raise DamagedDocument(f"{self._path} ends too early, or too late")

    def _split(self, inflated: bytes) -> list[bytes]:
        first, *others = inflated.split(b"\n")
        self._line.append(first)
        self._line_bytes += len(first)
        if self._line_bytes > LONGEST_LINE:
            raise DamagedDocument(f"{self._path} has a line of more than {LONGEST_LINE} bytes")
        if not others:
            return []
        *whole, rest = others
        lines = [b"".join(self._line), *whole]
        self._line, self._line_bytes = ([rest] if rest else []), len(rest)
        self.items += len(lines)
        return lines


async def lines_of(storage: Storage, manifest: Manifest) -> AsyncIterator[list[bytes]]:
    """Yield the lines of a snapshot, in blocks.

    Raises:
        MissingDocument: A part that the manifest names is not there.
        DamagedDocument: A part is not what the manifest says, or no whole gzip stream of whole lines.
    """
    for part in manifest.parts:
        async for lines in _lines_of_part(storage, part):
            yield lines


async def _lines_of_part(storage: Storage, part: Part) -> AsyncIterator[list[bytes]]:
    reader = PartReader(part.path)
    async for chunk in storage.stream(Container.INVENTORY, part.path):
        blocks = reader.lines(chunk)
        while (lines := await asyncio.to_thread(next, blocks, None)) is not None:
            yield lines
    reader.check_whole()
    if reader.sha256 != part.sha256:
        raise DamagedDocument(f"{part.path} is not the blob that its manifest names")

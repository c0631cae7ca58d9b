"""Reading a snapshot back, line by line, in the memory of a few megabytes."""

import asyncio
import hashlib
from collections.abc import AsyncIterator

from isal import isal_zlib

from shared.errors import BadAnswer
from shared.harvest.snapshot import Manifest, Part
from shared.storage import Container, Storage

_GZIP = 16 + 15


async def lines_of(storage: Storage, manifest: Manifest) -> AsyncIterator[list[bytes]]:
    """The lines of a snapshot, in blocks.

    Raises:
        BadAnswer: A part is not what the manifest says, or no whole gzip stream of whole lines.
    """
    for part in manifest.parts:
        async for lines in _lines_of_part(storage, part):
            yield lines


async def _lines_of_part(storage: Storage, part: Part) -> AsyncIterator[list[bytes]]:
    inflater, sha256, rest = isal_zlib.decompressobj(_GZIP), hashlib.sha256(), b""

    def inflated(chunk: bytes) -> bytes:
        sha256.update(chunk)
        return inflater.decompress(chunk)

    try:
        async for chunk in storage.stream(Container.INVENTORY, part.path):
            *lines, rest = (rest + await asyncio.to_thread(inflated, chunk)).split(b"\n")
            yield lines
    except isal_zlib.error as error:  # type: ignore[misc]  # the stub calls the class an instance
        raise BadAnswer(f"{part.path} is no gzip stream: {error}") from error
    if rest or not inflater.eof:
        raise BadAnswer(f"{part.path} ends too early")
    if sha256.hexdigest() != part.sha256:
        raise BadAnswer(f"{part.path} is not the blob that its manifest names")

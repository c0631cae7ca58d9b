"""One part of a snapshot becomes one Parquet file: read, inflated, converted and written in one stream."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

import duckdb
from isal import isal_zlib

from shared.azure.storage import Container, Storage
from shared.errors import AppError, DamagedDocument
from shared.harvest.snapshots.manifest import Manifest, Part
from shared.tables.engine.connection import Engine
from shared.tables.engine.parquet import Written, write_parquet
from shared.tables.schema.columns import HARVESTED_AT, RUN_ID, TableSchema, TableSpec
from shared.tables.schema.findings import Findings
from shared.tables.values.batches import batch_reader, types_of
from shared.tables.values.rows import RowReader, Rows

_GZIP: Final = 16 + 15
_INFLATED_AT_ONCE: Final = 128 * 1024
_TEXT_AT_ONCE: Final = 2 * 1024 * 1024
"""Bytes, compressed and not: some hundreds of lines, so that no step takes long or much memory."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Converted:
    """A part as a Parquet file on this machine, and what its lines show."""

    written: Written
    findings: Findings


async def convert_part(
    engine: Engine,
    inventory: Storage,
    manifest: Manifest,
    part: Part,
    *,
    schema: TableSchema,
    spec: TableSpec,
    undecided: frozenset[str],
) -> Converted:
    """Convert the lines of a part.

    Args:
        undecided: Fields whose type may still change.

    Raises:
        DamagedDocument: The part is not what the manifest says, or no whole gzip stream of whole lines.
    """
    reader = RowReader(schema, spec, undecided=undecided)
    source = _Source(inventory, part)
    same = {RUN_ID: manifest.run_id, HARVESTED_AT: (manifest.finished_at - _EPOCH) // timedelta(microseconds=1)}
    stream = batch_reader(types_of(schema, spec), source.rows(reader), same=same)
    try:
        written = await write_parquet(engine, "SELECT * FROM lines", engine.scratch("parquet"), {"lines": stream})
    except duckdb.Error as error:
        if source.error is not None:
            raise source.error from error
        raise
    return Converted(written, reader.findings)


class _Source:
    """The lines of a part, for a thread that waits while the event loop fetches them."""

    def __init__(self, inventory: Storage, part: Part) -> None:
        self._part = part
        self._loop = asyncio.get_running_loop()
        self._pieces: AsyncIterator[bytes] = inventory.stream(Container.INVENTORY, part.path)
        self.error: AppError | None = None

    def rows(self, reader: RowReader) -> Iterator[Rows]:
        """Yield all rows; what goes wrong on the way is kept, for the engine makes a text of it."""
        try:
            yield from map(reader.read, self._texts())
        except AppError as error:
            self.error = error
            raise

    def _texts(self) -> Iterator[bytes]:
        """Yield whole lines."""
        inflater, sha256, rest = isal_zlib.decompressobj(_GZIP), hashlib.sha256(), b""
        try:
            for piece in self._compressed():
                sha256.update(piece)
                while piece and not inflater.eof:
                    text = inflater.decompress(piece, _TEXT_AT_ONCE)
                    piece = inflater.unconsumed_tail  # noqa: PLW2901 - what is left of it
                    end = text.rfind(b"\n") + 1
                    if end:
                        yield b"".join((rest, memoryview(text)[:end]))
                        rest = b""
                    rest += text[end:]
        except isal_zlib.error as error:  # type: ignore[misc]  # the stub calls the class an instance
            raise DamagedDocument(f"{self._part.path} is not a gzip stream: {error}") from error
        if rest or not inflater.eof:
            raise DamagedDocument(f"{self._part.path} ends too early")
        if sha256.hexdigest() != self._part.sha256:
            raise DamagedDocument(f"{self._part.path} is not the blob that its manifest names")

    def _compressed(self) -> Iterator[bytes]:
        while piece := asyncio.run_coroutine_threadsafe(self._next(), self._loop).result():
            view = memoryview(piece)
            yield from (bytes(view[n : n + _INFLATED_AT_ONCE]) for n in range(0, len(piece), _INFLATED_AT_ONCE))

    async def _next(self) -> bytes:
        return await anext(self._pieces, b"")

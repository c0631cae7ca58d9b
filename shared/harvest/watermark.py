"""The watermark of a windowed dataset: until when everything is harvested, and which lines came last.

The lines of the last window are kept as 64-bit hashes, so that those that come again in the overlap of the next one
are known. Among ten million lines the chance that a new one is taken for a known one is 1 in 370,000.
"""

from collections.abc import Sequence
from datetime import datetime

from shared.avepoint.platform import Source
from shared.document import Document
from shared.errors import Conflict
from shared.harvest import paths
from shared.harvest.duplicates import merged
from shared.storage import Container, Storage, Stored


class Watermark(Document):
    """Until when a dataset is harvested, by which run, and where the hashes of its last lines are."""

    to: datetime
    run_id: str
    hashes: str


async def read_watermark(storage: Storage, source: Source, dataset: str) -> Watermark | None:
    """The watermark of a dataset; ``None`` before its first published window."""
    stored = await _stored(storage, source, dataset)
    return Watermark.from_json(stored.data) if stored else None


async def advance_watermark(
    storage: Storage, source: Source, dataset: str, *, to: datetime, run_id: str, hashes: Sequence[str]
) -> None:
    """Let the watermark say ``to``, unless it says more: it never moves back.

    Args:
        hashes: Paths of the stored hashes of all lines of the window.
    """
    path = paths.watermark_hashes(source, dataset, run_id)
    watermark = Watermark(to=to, run_id=run_id, hashes=path)
    while True:
        stored = await _stored(storage, source, dataset)
        old = Watermark.from_json(stored.data) if stored else None
        if old is not None and old.to >= to:
            return
        try:
            await storage.create(Container.HARVEST_STATE, path, merged(await read_hashes(storage, hashes)))
            where = paths.watermark(source, dataset)
            if stored is None:
                await storage.create(Container.HARVEST_STATE, where, watermark.to_json())
            else:
                await storage.replace(Container.HARVEST_STATE, where, watermark.to_json(), etag=stored.etag)
        except Conflict:
            continue
        if old is not None:
            await storage.delete(Container.HARVEST_STATE, old.hashes)
        return


async def read_hashes(storage: Storage, stored: Sequence[str]) -> list[bytes]:
    """The stored hashes at several paths; what is not there any more is left out."""
    blobs = [await storage.read(Container.HARVEST_STATE, path) for path in stored]
    return [blob.data for blob in blobs if blob]


async def _stored(storage: Storage, source: Source, dataset: str) -> Stored | None:
    return await storage.read(Container.HARVEST_STATE, paths.watermark(source, dataset))

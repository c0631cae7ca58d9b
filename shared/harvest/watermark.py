"""The watermark of a windowed or child dataset: until when it is harvested, and what the next run has to know.

The lines of the last window are kept as 64-bit hashes, so that those that come again in the overlap of the next one
are known. Among ten million lines the chance that a new one is taken for a known one is 1 in 370,000. Of a child
dataset this is kept parent by parent, for each is harvested in its own time.
"""

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime

from shared.avepoint.platform import Source
from shared.document import Document
from shared.errors import Conflict
from shared.harvest import paths
from shared.storage import Container, Storage, Stored


class Watermark(Document):
    """Until when a dataset is harvested, by which run, and where what is remembered of that is."""

    to: datetime
    run_id: str
    remembered: str


type Remember = Callable[[str | None], Awaitable[bytes]]
"""Gives what is to be remembered; takes where it was until now."""


async def read_watermark(storage: Storage, source: Source, dataset: str) -> Watermark | None:
    """The watermark of a dataset; ``None`` before its first published snapshot."""
    stored = await _stored(storage, source, dataset)
    return Watermark.from_json(stored.data) if stored else None


async def advance_watermark(
    storage: Storage, source: Source, dataset: str, *, to: datetime, run_id: str, remember: Remember
) -> None:
    """Let the watermark say ``to``, unless it says more: it never moves back."""
    path = paths.remembered(source, dataset, run_id)
    watermark = Watermark(to=to, run_id=run_id, remembered=path)
    while True:
        stored = await _stored(storage, source, dataset)
        old = Watermark.from_json(stored.data) if stored else None
        if old is not None and old.to >= to:
            return
        try:
            await _write_remembered(storage, path, await remember(old.remembered if old else None))
            where = paths.watermark(source, dataset)
            if stored is None:
                await storage.create(Container.HARVEST_STATE, where, watermark.to_json())
            else:
                await storage.replace(Container.HARVEST_STATE, where, watermark.to_json(), etag=stored.etag)
        except Conflict:
            continue
        if old is not None:
            await storage.delete(Container.HARVEST_STATE, old.remembered)
        return


async def read_hashes(storage: Storage, stored: Sequence[str]) -> list[bytes]:
    """The stored hashes at several paths; what is not there any more is left out."""
    blobs = [await storage.read(Container.HARVEST_STATE, path) for path in stored]
    return [blob.data for blob in blobs if blob]


async def forget(storage: Storage, *, before: datetime) -> None:
    """Delete what no watermark names of the runs begun before an instant: left by whoever was killed on the way."""
    async for path in storage.list(Container.HARVEST_STATE, paths.WATERMARKS):
        folder, _, name = path.rpartition("/")
        if name.endswith(".json") or paths.started_at(name) >= before:
            continue
        stored = await storage.read(Container.HARVEST_STATE, f"{folder}.json")
        if stored is None or Watermark.from_json(stored.data).remembered != path:
            await storage.delete(Container.HARVEST_STATE, path)


async def _write_remembered(storage: Storage, path: str, data: bytes) -> None:
    """Write over what an earlier attempt has left: no watermark names it yet."""
    left = await storage.read(Container.HARVEST_STATE, path)
    if left is None:
        await storage.create(Container.HARVEST_STATE, path, data)
    elif left.data != data:
        await storage.replace(Container.HARVEST_STATE, path, data, etag=left.etag)


async def _stored(storage: Storage, source: Source, dataset: str) -> Stored | None:
    return await storage.read(Container.HARVEST_STATE, paths.watermark(source, dataset))

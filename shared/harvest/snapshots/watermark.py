"""The watermark of a windowed or child dataset: until when it is harvested, and what the next run has to know.

The lines of the last window are kept as 64-bit hashes, so that those that come again in the overlap of the next one
are known. Among ten million lines the chance that a new one is taken for a known one is 1 in 370,000. Of a child
dataset this is kept parent by parent, for each is harvested in its own time.
"""

from collections.abc import Awaitable, Callable
from datetime import datetime

from shared.avepoint.platform import Source
from shared.azure.damage import unless_unusable
from shared.azure.documents import Versioned, read_document
from shared.azure.storage import Container, Storage
from shared.clock import check_past
from shared.document import StoredDocument
from shared.errors import REPAIR, Conflict, DamagedDocument, MissingDocument
from shared.harvest.plan import paths
from shared.harvest.plan.paths import RunId
from shared.harvest.plan.run import read_run
from shared.harvest.snapshots.sorted_hashes import ScratchFile, store_state

_FIRST_YEAR = 1900


class Watermark(StoredDocument):
    """Until when a dataset is harvested, by which run, and where what is remembered of that is."""

    to: datetime
    run_id: RunId
    remembered: str
    finished_at: datetime | None = None
    """When the snapshot of that run was finished; of runs that begin in one second, the last to finish counts."""
    open_since: datetime | None = None
    """When the oldest item began that had not ended; the next window reaches back to it."""


type Remember = Callable[[str | None], Awaitable[str]]
"""Stores what is to be remembered, and gives where; takes where it was until now."""


async def read_watermark(storage: Storage, source: Source, dataset: str, *, now: datetime) -> Watermark | None:
    """Return the watermark of a dataset; ``None`` before its first published snapshot.

    Raises:
        FutureTime: It says that what is still to come is harvested.
        DamagedDocument: It cannot be read, or tells of a time before all harvests.
    """
    stored = await standing_watermark(storage, source, dataset)
    return _checked(stored.value, source, dataset, now) if stored else None


async def standing_watermark(storage: Storage, source: Source, dataset: str) -> Versioned[Watermark] | None:
    """Return the watermark of a dataset with its ETag, whatever time it tells of."""
    return await read_document(storage, Container.HARVEST_STATE, paths.watermark(source, dataset), Watermark)


def _checked(watermark: Watermark, source: Source, dataset: str, now: datetime) -> Watermark:
    what = f"to of {paths.watermark(source, dataset)}"
    if watermark.to.year < _FIRST_YEAR:
        raise DamagedDocument(f"{what} is {watermark.to.isoformat()}, which no harvest can have written", remedy=REPAIR)
    check_past(watermark.to, now=now, what=what)
    return watermark


async def advance_watermark(
    storage: Storage,
    source: Source,
    dataset: str,
    *,
    to: datetime,
    run_id: str,
    finished_at: datetime,
    remember: Remember,
    open_since: datetime | None,
    now: datetime,
) -> None:
    """Let the watermark say ``to``, unless it says more, or so much by a later snapshot: it never moves back.

    Raises:
        FutureTime: It says that what is still to come is harvested.
        MissingDocument: What is to be remembered, or was, is not there.
    """
    where = paths.watermark(source, dataset)
    while True:
        stored = await standing_watermark(storage, source, dataset)
        if stored is not None and not _is_behind(_checked(stored.value, source, dataset, now), to, run_id, finished_at):
            return
        path = await remember(stored.value.remembered if stored else None)
        watermark = Watermark(to=to, run_id=run_id, remembered=path, finished_at=finished_at, open_since=open_since)
        try:
            await storage.write(
                Container.HARVEST_STATE, where, watermark.to_json(), etag=stored.etag if stored else None
            )
        except Conflict:
            continue  # another publisher has moved the watermark, perhaps further
        return


def _is_behind(standing: Watermark, to: datetime, run_id: str, finished_at: datetime) -> bool:
    if standing.to != to or standing.run_id == run_id:
        return standing.to < to
    return standing.finished_at is not None and standing.finished_at < finished_at


async def check_remembered(storage: Storage, path: str) -> None:
    """See that something is at a path, without reading it, for it may be large.

    Raises:
        MissingDocument: Nothing is.
    """
    if path not in [one async for one in storage.list(Container.HARVEST_STATE, path)]:
        raise MissingDocument(f"{Container.HARVEST_STATE}/{path} is not there", remedy=REPAIR)


async def write_remembered(storage: Storage, source: Source, dataset: str, run_id: str, file: ScratchFile) -> str:
    """Store what is to be remembered, and return where."""
    path = paths.remembered(source, dataset, run_id, file.digest)
    await store_state(storage, path, file)
    return path


async def forget(storage: Storage, *, before: datetime) -> None:
    """Delete what no watermark names of the runs before an instant whose state is not kept any more.

    Until then it is kept: an older version of a watermark may be made current again, and it names older hashes.
    """
    async for path in storage.list(Container.HARVEST_STATE, paths.WATERMARKS):
        folder, _, name = path.rpartition("/")
        run = name.rpartition("-")[0]
        if paths.source_of(run) is not None and paths.started_at(run) < before:
            await unless_unusable(path, _forget(storage, path, run, f"{folder}.json"))


async def _forget(storage: Storage, path: str, run: str, watermark: str) -> None:
    if await read_run(storage, run):  # begun long after the tick that it is named after
        return
    stored = await read_document(storage, Container.HARVEST_STATE, watermark, Watermark)
    if stored is None or stored.value.remembered != path:
        await storage.delete(Container.HARVEST_STATE, path)

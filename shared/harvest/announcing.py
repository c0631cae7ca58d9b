"""The order in which runs begin: each is announced after the one before it, and of several at once only one can be.

Whoever wants to start a run begins what was announced last, unless that has happened, and only then looks for what is
unfinished. A run that was announced is therefore seen by the next, even if whoever announced it was killed on the way.
"""

from datetime import datetime, timedelta

from shared.avepoint.platform import Source
from shared.errors import Conflict
from shared.harvest import paths
from shared.harvest.runs import Run, begin, read_run
from shared.storage import Container, Storage

FRESH = timedelta(hours=1)
"""How long an announced run may be begun; later its plan is out of date."""


async def begin_announced(storage: Storage, source: Source, *, now: datetime) -> str | None:
    """Begin the run of ``source`` that was announced last, unless it has begun.

    Returns:
        The ETag to announce the next one after; ``None`` before the first.
    """
    stored = await storage.read(Container.HARVEST_STATE, paths.announced(source))
    if stored is None:
        return None
    run = Run.from_json(stored.data)
    if now - run.started_at < FRESH and await read_run(storage, run.run_id) is None:
        await begin(storage, run)
    return stored.etag


async def announce(storage: Storage, run: Run, *, after: str | None) -> bool:
    """Say that ``run`` is the next to begin after the one announced under the ETag ``after``; whether it is."""
    path, data = paths.announced(run.source), run.to_json()
    try:
        if after is None:
            await storage.create(Container.HARVEST_STATE, path, data)
        else:
            await storage.replace(Container.HARVEST_STATE, path, data, etag=after)
    except Conflict:
        return False
    return True

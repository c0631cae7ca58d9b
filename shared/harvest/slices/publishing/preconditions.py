"""What has to stand before a dataset is published: ``latest`` and the watermark can move on. Pure reading."""

from collections.abc import Sequence
from datetime import datetime

from shared.avepoint.catalog import Dataset
from shared.azure.storage import Container, Storage
from shared.clock import check_past
from shared.errors import MissingDocument
from shared.harvest.plan import paths
from shared.harvest.plan.run import Run
from shared.harvest.slices.chains import whole_window
from shared.harvest.slices.checkpoint import Checkpoint, last_end
from shared.harvest.slices.parents.selection import read_selected_parents
from shared.harvest.snapshots.manifest import check_latest, read_latest
from shared.harvest.snapshots.neighbours import check_no_new_neighbours
from shared.harvest.snapshots.superseding import check_not_superseded
from shared.harvest.snapshots.watermark import check_remembered, read_watermark


async def check_can_move_on(
    storage: Storage, run: Run, dataset: Dataset, checkpoints: Sequence[Checkpoint], now: datetime
) -> None:
    """See, before anything is published, that ``latest`` and the watermark can move on.

    Raises:
        StoredFault: What stands there cannot be used, or something that is needed is not there.
    """
    ended = last_end(checkpoints, run.started_at)
    for what, instant in (("the run", paths.started_at(run.run_id)), ("the end of its last partition", ended)):
        check_past(instant, now=now, what=what, remedy="The clock of its writer was wrong: start a new run.")
    newest = await read_latest(storage, run.source, dataset.name)
    if newest is not None:
        check_latest(newest, source=run.source, dataset=dataset.name, now=now)
    if not dataset.window and not dataset.parent:
        return
    standing = await read_watermark(storage, run.source, dataset.name, now=now)
    check_not_superseded(run, dataset, standing)
    planned, chosen = run.planned(dataset.name), await read_selected_parents(storage, run, dataset)
    if chosen is None and planned.parents is not None and all(one.state == "done" for one in checkpoints):
        path = paths.parents(run.run_id, run.source, dataset.name)
        raise MissingDocument(f"{Container.HARVEST_STATE}/{path} is not there", remedy="Start a new run.")
    window = whole_window(planned, chosen)
    if window is not None:
        await check_no_new_neighbours(storage, run, dataset, window)
    wanted = {standing.remembered} if standing else set()
    if dataset.window:
        wanted |= {paths.keys(run.run_id, part.path) for one in checkpoints for part in one.progress.parts}
    there = {path async for path in storage.list(Container.HARVEST_STATE, paths.keys(run.run_id, ""))}
    for path in wanted - there:
        await check_remembered(storage, path)

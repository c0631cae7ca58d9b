"""What follows a published manifest: ``latest`` names it, its table is asked for, and the watermark says until when."""

from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import chain

from shared.avepoint.catalog import Dataset
from shared.azure.storage import Storage
from shared.harvest.plan import paths
from shared.harvest.plan.run import Run
from shared.harvest.slices.checkpoint import Checkpoint, checkpoints_of
from shared.harvest.slices.parents.ledger import read_parent_results, renewed_parent_states
from shared.harvest.slices.parents.selection import read_selected_parents
from shared.harvest.snapshots.manifest import Manifest, advance_latest, covered_until
from shared.harvest.snapshots.sorted_hashes import read_hashes
from shared.harvest.snapshots.table_builds import enqueue_build
from shared.harvest.snapshots.watermark import advance_watermark, write_remembered


async def move_on(
    storage: Storage, run: Run, dataset: Dataset, manifest: Manifest, now: datetime, *, is_new: bool = False
) -> None:
    """Let ``latest`` name a published snapshot, and then let the watermark say until when everything is there.

    The table is asked for once, by whoever has written the manifest or moved ``latest``: the sweep makes good for a
    message that is lost.
    """
    has_moved = await advance_latest(storage, manifest)
    if manifest.published and (is_new or has_moved):
        await enqueue_build(storage, run.source, dataset.name)
    until = covered_until(manifest)
    if manifest.published and until is not None:
        checkpoints = await checkpoints_of(storage, run.addresses(dataset.name))
        open_since = _open_since(checkpoints)
        oldest = open_since.pop("", None)

        async def remember(before: str | None) -> str:
            chosen = await read_selected_parents(storage, run, dataset)
            results = await read_parent_results(storage, run, dataset, checkpoints, chosen)
            if chosen is not None and results is not None:
                states = await renewed_parent_states(
                    storage,
                    manifest,
                    chosen,
                    until=until,
                    remembered=before,
                    results=results,
                    open_since={int(name): second for name, second in open_since.items()},
                )
                return await write_remembered(storage, run.source, dataset.name, manifest.run_id, states)
            lines = await read_hashes(storage, [paths.keys(manifest.run_id, part.path) for part in manifest.parts])
            return await write_remembered(storage, run.source, dataset.name, manifest.run_id, lines.file)

        await advance_watermark(
            storage,
            run.source,
            dataset.name,
            to=until,
            run_id=manifest.run_id,
            finished_at=manifest.finished_at,
            remember=remember,
            open_since=datetime.fromtimestamp(oldest, UTC) if oldest is not None else None,
            now=now,
        )


def _open_since(checkpoints: Sequence[Checkpoint]) -> dict[str, int]:
    """Return when the oldest items began that had not ended, by their parents."""
    oldest: dict[str, int] = {}
    for name, second in chain.from_iterable(one.progress.open_since.items() for one in checkpoints):
        oldest[name] = min(second, oldest.get(name, second))
    return oldest

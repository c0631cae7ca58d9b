"""Making the manifest of a dataset of what its partitions left. Pure."""

from collections.abc import Sequence
from itertools import chain
from typing import NamedTuple

from shared.avepoint.catalog import Dataset
from shared.avepoint.fields import fields_of
from shared.harvest.plan import paths
from shared.harvest.plan.run import Run
from shared.harvest.slices.chains import whole_window
from shared.harvest.slices.checkpoint import Checkpoint, last_end
from shared.harvest.slices.parents.outcomes import nobody_answered
from shared.harvest.slices.parents.results import ParentResults
from shared.harvest.slices.parents.selector import SelectedParents
from shared.harvest.slices.progress import Progress
from shared.harvest.snapshots.manifest import (
    PUBLISHED,
    Latest,
    Manifest,
    Parents,
    Total,
    Verdict,
    added,
    judge_snapshot,
)
from shared.version import VERSION

FAILED_NAMED = 100
_RESUME = "Remove the cause, then resume the run, or wait for the next one."
_NEXT = "Harvest the parents again, then start a new run. If it fails again, ask AvePoint support about their ids."
_OLD_STAYS = "latest still names the last published snapshot."


class _Judgement(NamedTuple):
    """The verdict and, where nothing is published, why, and what can be done."""

    verdict: Verdict
    reason: str | None = None
    remedy: str | None = None


def build_manifest(
    run: Run,
    dataset: Dataset,
    checkpoints: Sequence[Checkpoint],
    *,
    previous: Latest | None,
    duplicates: int,
    chosen: SelectedParents | None,
    results: ParentResults | None,
) -> Manifest:
    """Return the manifest of a dataset whose partitions have all ended."""
    progress = [checkpoint.progress for checkpoint in checkpoints]
    parts = tuple(part for one in progress for part in one.parts)
    total, parents = _server_total(progress, chosen), _parents(run, dataset, chosen, results)
    before = previous.items if previous and dataset.kind == "full" else None
    judged = _judged(checkpoints, total, parents, duplicates=duplicates, before=before)
    items = sum(part.items for part in parts)
    planned = run.planned(dataset.name)
    return Manifest(
        run_id=run.run_id,
        source=run.source,
        dataset=dataset.name,
        kind=dataset.kind,
        window=whole_window(planned, chosen),
        backfill=planned.backfill,
        verdict=judged.verdict,
        published=judged.verdict in PUBLISHED,
        items=items,
        distinct=max(items - duplicates, 0),
        open=sum(sum(one.open_by_part) for one in progress) if fields_of(dataset).ending else None,
        odd_items=sum(one.odd_items for one in progress),
        duplicates=duplicates + sum(one.dropped for one in progress),
        pages=sum(one.pages for one in progress),
        requests=sum(one.requests for one in progress),
        retries=sum(one.retries for one in progress),
        wait_seconds=round(sum(one.wait_seconds for one in progress), 3),
        server_total=total,
        raw_bytes=sum(part.raw_bytes for part in parts),
        bytes=sum(part.bytes for part in parts),
        fields=tuple(dict.fromkeys(chain.from_iterable(one.fields for one in progress))),
        parents=parents,
        tenants=tuple(partition.tenant for partition in planned.partitions if partition.tenant) or None,
        parts=parts,
        started_at=min((one.started_at for one in checkpoints if one.started_at), default=run.started_at),
        finished_at=last_end(checkpoints, run.started_at),
        previous_run_id=previous.run_id if previous else None,
        app_version=VERSION,
        reason=judged.reason,
        remedy=judged.remedy,
    )


def _judged(
    checkpoints: Sequence[Checkpoint],
    total: Total | None,
    parents: Parents | None,
    *,
    duplicates: int,
    before: int | None,
) -> _Judgement:
    failed = next((checkpoint for checkpoint in checkpoints if checkpoint.state == "failed"), None)
    if failed is not None:
        return _Judgement("failed", failed.reason, failed.remedy)
    progress = [checkpoint.progress for checkpoint in checkpoints]
    if parents is not None and parents.failed and not parents.asked:
        return _Judgement("failed", f"no parent can be asked for; the first: {parents.failed[0].reason}", _NEXT)
    if parents is not None and parents.failed and nobody_answered([one.outcomes for one in progress]):
        reason = f"every parent that was asked failed; the first: {parents.failed[0].reason}"
        return _Judgement("failed", reason, _RESUME)
    items = sum(one.items for one in progress)
    verdict = judge_snapshot(
        max(items - duplicates, 0) + sum(one.dropped + one.unstored for one in progress),
        total,
        previous_items=before,
        short=any(one.short for one in progress),
        surplus=duplicates == 0 and any(one.surplus for one in progress),
        capped=parents is not None and parents.left_out + parents.failed_count > 0,
    )
    return _explained(verdict, items)


def _server_total(progress: Sequence[Progress], chosen: SelectedParents | None) -> Total | None:
    if chosen is not None and not chosen.parents:
        return Total(min=0, max=0)
    return None if any(one.untotalled for one in progress) else added(one.server_total for one in progress)


def _parents(
    run: Run, dataset: Dataset, selected: SelectedParents | None, results: ParentResults | None
) -> Parents | None:
    if selected is None or results is None:
        return None
    return Parents(
        asked=len(selected.parents),
        gone=results.gone,
        left_out=selected.left_out,
        failed=results.failed[:FAILED_NAMED],
        failed_count=len(results.failed),
        path=paths.asked_parents_path(run.run_id, run.source, dataset.name),
    )


def _explained(verdict: Verdict, items: int) -> _Judgement:
    if verdict == "short":
        return _Judgement(
            verdict,
            f"the app received only {items} items, fewer than the smallest total that AvePoint gave",
            f"Run it again; if it happens again, ask AvePoint support. {_OLD_STAYS}",
        )
    if verdict == "suspect_empty":
        return _Judgement(
            verdict,
            "nothing came, though the last snapshot had items and no total says 0",
            f"Check the permissions of the app registration, then run it again. {_OLD_STAYS}",
        )
    return _Judgement(verdict)

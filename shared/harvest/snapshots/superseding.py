"""Whether the harvest of an older run is still worth something, now that a newer one has published. Pure."""

from shared.avepoint.catalog import Dataset
from shared.clock import rfc3339
from shared.errors import GiveUp
from shared.harvest.plan import paths
from shared.harvest.plan.run import Run
from shared.harvest.snapshots.manifest import Latest
from shared.harvest.snapshots.watermark import Watermark

_COVERED = "You do not have to do anything: the other run holds the same data."


class Superseded(GiveUp):
    """A newer run has harvested the window or the list of this one."""


def check_is_newest(run: Run, latest: Latest | None) -> None:
    """See that no newer run has published the list that this one would ask for again.

    Raises:
        Superseded: One has.
    """
    if latest is not None and paths.started_at(latest.run_id) > paths.started_at(run.run_id):
        raise Superseded(f"the run {latest.run_id} has harvested this list since", remedy=_COVERED)


def check_not_superseded(run: Run, dataset: Dataset, standing: Watermark | None) -> None:
    """See that the watermark of a dataset is where it was when the run was planned.

    Raises:
        Superseded: Another run has moved it on: the lines of this run may have come since.
    """
    planned = run.planned(dataset.name)
    if dataset.window is None or planned.backfill or standing is None or standing.run_id == run.run_id:
        return
    if standing.remembered != planned.remembered:
        raise Superseded(
            f"the run {standing.run_id} has harvested this window since, up to {rfc3339(standing.to)}",
            remedy=_COVERED,
        )

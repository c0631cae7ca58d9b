"""Which snapshot a table takes in next. Pure.

A snapshot that holds everything makes all before it needless: a build goes straight to the newest. Increments, and the
snapshots of child datasets, which hold the parents that were asked, are taken in one after the other.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from shared.harvest.plan import paths
from shared.harvest.snapshots.manifest import Latest, Manifest
from shared.tables.build.state import REMEMBERED, Ground


@dataclass(frozen=True, slots=True)
class NextBuild:
    """The snapshot to take in, and the published ones that are passed over on the way."""

    manifest: Manifest
    skipped: tuple[Manifest, ...] = ()


def next_build(
    ground: Ground, published: Sequence[Manifest], latest: Latest, *, every: bool = False
) -> NextBuild | None:
    """Return what is to be taken in next, or ``None`` when the table is current.

    Args:
        published: The published snapshots that are not taken in, in any order.
        every: Take in one after the other, whatever they hold.
    """
    waiting = sorted((one for one in published if _counts(ground, one, latest)), key=_order)
    if not waiting:
        return None
    newest = waiting[-1]
    if every or newest.kind == "window" or newest.parents is not None:
        return NextBuild(waiting[0])
    return NextBuild(newest, tuple(waiting[:-1]))


def is_applied(ground: Ground, run_id: str) -> bool:
    """Return whether a table has taken in a snapshot, or has passed it over."""
    if run_id in ground.applied:
        return True
    return len(ground.applied) >= REMEMBERED and run_order(run_id) < min(map(run_order, ground.applied))


def is_late(ground: Ground, manifest: Manifest) -> bool:
    """Return whether a table has already taken in a snapshot of a run that began later."""
    return ground.run_id is not None and run_order(manifest.run_id) < run_order(ground.run_id)


def run_order(run_id: str) -> tuple[datetime, str]:
    """Return what runs are ordered by: when they began."""
    return paths.started_at(run_id), run_id


def _counts(ground: Ground, manifest: Manifest, latest: Latest) -> bool:
    """Return whether a table takes in a snapshot: one that comes late only where it is an increment."""
    if is_applied(ground, manifest.run_id) or run_order(manifest.run_id) > run_order(latest.run_id):
        return False
    return manifest.kind == "window" or not is_late(ground, manifest)


def _order(manifest: Manifest) -> tuple[datetime, datetime]:
    return paths.started_at(manifest.run_id), manifest.finished_at

"""Tables of the demo, 80 columns wide at most; on narrower terminals the widest cells are folded."""

from collections.abc import Sequence
from typing import Final

from rich.table import Table

from sandbox.demo.opus import OpusRound
from sandbox.demo.snapshots import Changed
from sandbox.readback import Snapshot

VERDICTS: Final = {
    "complete": "as many distinct items as AvePoint said",
    "complete_unverified": "the list ended by itself; AvePoint named no total",
    "surplus": "more items than the largest total of AvePoint",
    "capped": "some parents were left out",
    "short": "fewer items than AvePoint said: not published",
    "suspect_empty": "no items, but the last snapshot had some: not published",
    "failed": "the list did not end: not published",
    "none": "nothing was published",
}


def snapshot_table(snapshots: Sequence[Snapshot]) -> Table:
    """Return what each newest snapshot holds."""
    table = _table("dataset", "items", "KB", "verdict")
    for one in snapshots:
        figures = (f"{one.items:,}", f"{one.bytes / 1000:,.0f}")
        table.add_row(one.name, *figures, one.verdict, style="red" if one.faults else None)
    return table


def verdict_lines(snapshots: Sequence[Snapshot]) -> list[str]:
    """Return a line for each verdict that occurs."""
    found = {one.verdict for one in snapshots}
    return [f"{verdict}: {meaning}" for verdict, meaning in VERDICTS.items() if verdict in found]


def change_table(changes: Sequence[Changed]) -> Table:
    """Return what changed in each dataset."""
    table = _table("dataset", "items", "added", "removed", "changed")
    for one in changes:
        figures = [f"{one.kinds[kind]:,}" for kind in ("added", "removed", "changed")]
        table.add_row(one.name, f"{one.after:,}", *figures, style="red" if one.faults else None)
    return table


def opus_table(rounds: Sequence[OpusRound]) -> Table:
    """Return what Opus was asked, and what became of it."""
    table = _table("step", left=("outcome", "detail"))
    for one in rounds:
        table.add_row(one.step, one.outcome, one.detail, style=None if one.well else "red")
    return table


def _table(first: str, *right: str, left: Sequence[str] = ()) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column(first, overflow="fold")
    for name in right:
        table.add_column(name, justify="left" if name == "verdict" else "right", overflow="fold")
    for name in left:
        table.add_column(name, overflow="fold")
    return table

"""What became of all parents of a child dataset in a run: asked, gone, or left out by name. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import prod

from shared.avepoint.catalog import Dataset, Value
from shared.harvest.plan.run import Run
from shared.harvest.slices.chains import page_chains
from shared.harvest.slices.checkpoint import Checkpoint
from shared.harvest.slices.parents.outcomes import reasons_by_parent
from shared.harvest.slices.parents.selector import ParentStates, SelectedParents, parent_hash
from shared.harvest.snapshots.manifest import FailedParent

AWAY_HARVESTS = 3
"""So many harvests in a row a parent that is not there counts as away; from the next one on, it is gone."""


@dataclass(frozen=True, slots=True)
class ParentResults:
    """What became of the parents of a run.

    Attributes:
        asked: Each parent that was asked, under the names of the parameters.
        gone: How many have not been there for too long.
        failed: Those that were left out, and why.
        unharvested: Hashes of the parents whose windows stay where they were.
        away: Hashes of the parents that were not there.
    """

    asked: tuple[dict[str, Value], ...]
    gone: int
    failed: tuple[FailedParent, ...]
    unharvested: frozenset[int]
    away: frozenset[int]


def parent_results(
    run: Run, dataset: Dataset, checkpoints: Sequence[Checkpoint], selected: SelectedParents, states: ParentStates
) -> ParentResults:
    """Gather the results of all partitions.

    Args:
        checkpoints: Of the partitions, in the order of the run.
        states: What was known of the parents when the run began.
    """
    names = tuple(dataset.parent.parameters) if dataset.parent else ()
    failed: list[FailedParent] = []
    away: set[int] = set()
    lost: set[int] = set()
    gone = 0
    for parent, values, reason in _unanswered(run, dataset, checkpoints, selected):
        mark = parent_hash(values)
        if reason is not None:
            lost.add(mark)
            failed.append(FailedParent(parent=parent, reason=reason))
            continue
        away.add(mark)
        times = states[mark].away + 1 if mark in states else 1
        if times > AWAY_HARVESTS:
            gone += 1
        else:
            failed.append(FailedParent(parent=parent, reason=_NOT_THERE.format(_ORDINALS[times])))
    unusable = ((dict(zip(names, one.values, strict=False)), one.reason) for one in selected.unusable)
    failed += [FailedParent(parent=parent, reason=reason) for parent, reason in unusable]
    asked = tuple(dict(zip(names, values, strict=True)) for values, _ in selected.parents)
    return ParentResults(asked, gone, tuple(failed), frozenset(lost | away), frozenset(away))


_NOT_THERE = "AvePoint answered 404 for it, in the {} harvest in a row"
_ORDINALS = {1: "first", 2: "second", 3: "third"}


def _unanswered(
    run: Run, dataset: Dataset, checkpoints: Sequence[Checkpoint], selected: SelectedParents
) -> Iterator[tuple[dict[str, Value], tuple[Value, ...], str | None]]:
    """Yield the parents without a whole answer, and why; no reason where they were not there."""
    planned = run.planned(dataset.name)
    choices = prod(map(len, dataset.choices.values()))
    for address, checkpoint in zip(run.addresses(dataset.name), checkpoints, strict=True):
        share = selected.parents[run.share(address)]
        outcomes = checkpoint.progress.outcomes
        chains = page_chains(dataset, planned, selected, run.share(address)) if outcomes.failures() else []
        for number, reason in reasons_by_parent(outcomes.failures(), choices).items():
            yield dict(chains[number * choices].parent), share[number][0], reason or "see the log"
        names = dataset.parent.parameters if dataset.parent else ()
        for number in outcomes.away(choices):
            values = share[number][0]
            yield dict(zip(names, values, strict=True)), values, None

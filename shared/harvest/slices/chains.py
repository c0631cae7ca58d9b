"""The chains of pages of a partition: one for all, one for each span of a window, or one for each parent. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import product

from shared.avepoint.catalog import Dataset, Value
from shared.harvest.plan.plan import PlannedDataset
from shared.harvest.plan.run import Run
from shared.harvest.plan.windows import Window, spans
from shared.harvest.slices.checkpoint import Checkpoint
from shared.harvest.slices.parents.selector import ParentTuple, SelectedParents


@dataclass(frozen=True, slots=True)
class PageChain:
    """What the list of a dataset is narrowed to."""

    between: tuple[datetime, datetime] | None = None
    parent: Mapping[str, Value] = field(default_factory=dict)


def page_chains(
    dataset: Dataset, planned: PlannedDataset, chosen: SelectedParents | None, share: slice
) -> list[PageChain]:
    """Return the chains of a partition, in their order.

    Args:
        chosen: The parents of the run, for a child dataset.
        share: Which of them the partition asks for.
    """
    if chosen is None:
        return [PageChain(between=span) for span in _spans(dataset, planned.window)]
    return [
        PageChain(between=_between(planned, until), parent=parent)
        for values, until in chosen.parents[share]
        for parent in _asked_with(dataset, values)
    ]


def _spans(dataset: Dataset, window: Window | None) -> list[tuple[datetime, datetime] | None]:
    """Return the window in pieces that the API allows, oldest first."""
    if dataset.window is None or window is None:
        return [None]
    most = timedelta(days=dataset.window.most_days) if dataset.window.most_days else None
    return [(span.from_, span.to) for span in spans(window, most=most)]


def _asked_with(dataset: Dataset, values: ParentTuple) -> Sequence[dict[str, Value]]:
    """Return the values of one parent under the names of the parameters, with each combination of choices."""
    names = dataset.parent.parameters if dataset.parent else {}
    given = dict(zip(names, values, strict=True))
    return [given | dict(zip(dataset.choices, one, strict=True)) for one in product(*dataset.choices.values())]


def _between(planned: PlannedDataset, until: int | None) -> tuple[datetime, datetime] | None:
    window = planned.window
    return (begin_of(window, until, overlap=planned.overlap), window.to) if window else None


def begin_of(window: Window, until: int | None, *, overlap: timedelta) -> datetime:
    """Where the window of a parent begins: at its own last harvest, or with the window of all if it never had one."""
    return window.from_ if until is None else datetime.fromtimestamp(until, UTC) - overlap


def whole_window(planned: PlannedDataset, chosen: SelectedParents | None) -> Window | None:
    """Return the window of a dataset; for a child, back to where the first of its parents begins."""
    if chosen is None or planned.window is None:
        return planned.window
    window, overlap = planned.window, planned.overlap
    begins = (begin_of(window, until, overlap=overlap) for _, until in chosen.parents)
    return window.model_copy(update={"from_": min(begins, default=window.from_)})


def whole_spans(run: Run, dataset: Dataset, checkpoints: Sequence[Checkpoint]) -> tuple[Run, list[Checkpoint]] | None:
    """Return the run and its checkpoints as if only the spans had been asked for that are whole in all partitions.

    Returns:
        ``None`` where there are none, or where the deadline is not what ended the harvest.
    """
    failed = [one for one in checkpoints if one.state == "failed"]
    if dataset.window is None or dataset.parent is not None or not failed or run.cancelled_at is not None:
        return None
    if any(one.finished_at is None or one.finished_at <= run.deadline for one in failed):
        return None
    count = min(len(one.progress.span_ends) for one in checkpoints)
    planned = run.planned(dataset.name)
    if count == 0 or planned.window is None:
        return None
    most = timedelta(days=dataset.window.most_days) if dataset.window.most_days else None
    end = spans(planned.window, most=most)[count - 1].to
    shortened = planned.model_copy(update={"window": planned.window.model_copy(update={"to": end})})
    datasets = tuple(shortened if one.dataset == dataset.name else one for one in run.datasets)
    whole = [
        one.model_copy(update={"state": "done", "progress": one.progress.of_spans(count), "reason": None})
        for one in checkpoints
    ]
    return run.model_copy(update={"datasets": datasets}), whole

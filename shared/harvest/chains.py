"""The chains of pages of a partition: one for all, one for each span of a window, or one for each parent. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import product

from shared.avepoint.catalog import Dataset, Value
from shared.harvest.parents import Chosen, Values
from shared.harvest.plan import PlannedDataset
from shared.harvest.windows import Window, spans


@dataclass(frozen=True, slots=True)
class Chain:
    """What the list of a dataset is narrowed to."""

    between: tuple[datetime, datetime] | None = None
    parent: Mapping[str, Value] = field(default_factory=dict)


def chains_of(dataset: Dataset, planned: PlannedDataset, chosen: Chosen | None, share: slice) -> list[Chain]:
    """The chains of a partition, in their order.

    Args:
        chosen: The parents of the run, for a child dataset.
        share: Which of them the partition asks for.
    """
    if chosen is None:
        return [Chain(between=span) for span in _spans(dataset, planned.window)]
    return [
        Chain(between=_between(planned, until), parent=parent)
        for values, until in chosen.parents[share]
        for parent in _asked_with(dataset, values)
    ]


def _spans(dataset: Dataset, window: Window | None) -> list[tuple[datetime, datetime] | None]:
    """The window in pieces that the API allows, oldest first."""
    if dataset.window is None or window is None:
        return [None]
    most = timedelta(days=dataset.window.most_days) if dataset.window.most_days else None
    return [(span.from_, span.to) for span in spans(window, most=most)]


def _asked_with(dataset: Dataset, values: Values) -> Sequence[dict[str, Value]]:
    """The values of one parent under the names of the parameters, with each combination of choices."""
    names = dataset.parent.parameters if dataset.parent else {}
    given = dict(zip(names, values, strict=True))
    return [given | dict(zip(dataset.choices, one, strict=True)) for one in product(*dataset.choices.values())]


def _between(planned: PlannedDataset, until: int | None) -> tuple[datetime, datetime] | None:
    window = planned.window
    return (begin_of(window, until, overlap=planned.overlap), window.to) if window else None


def begin_of(window: Window, until: int | None, *, overlap: timedelta) -> datetime:
    """Where the window of a parent begins: at its own last harvest, or with the window of all if it never had one."""
    return window.from_ if until is None else datetime.fromtimestamp(until, UTC) - overlap

"""What a run will do: which datasets, in which partitions. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from difflib import get_close_matches
from fnmatch import fnmatchcase

from shared.avepoint.catalog import Catalog, Dataset
from shared.avepoint.platform import Source
from shared.document import Document, StoredValue
from shared.harvest.plan import capacity
from shared.harvest.plan.windows import Window

ALL = "all"
"""The partition of a dataset that is one chain."""

FAN_OUT = 8
"""Into how many partitions the parents of a child dataset are dealt at most; each asks for one after the other."""


class Partition(StoredValue):
    """What one worker harvests at a time: one tenant, a share of the parents, or everything."""

    name: str
    tenant: str | None = None


class ParentSnapshot(StoredValue):
    """The snapshot that the parents of a child dataset are taken from, and how many of them at most."""

    run_id: str
    items: int
    most: int


class Timing(Document):
    """The window of a dataset, where it has one, and where what is remembered of its last harvest is.

    Attributes:
        fault: Why what is stored of the last harvest cannot be used, and what can be done about it.
        alone: Windows of nights and past stretches may meet: while one is harvested, the other waits.
    """

    fault: tuple[str, str] | None = None
    window: Window | None = None
    overlap: timedelta = timedelta(0)
    remembered: str | None = None
    open_from: datetime | None = None
    backfill: bool = False
    alone: bool = False


class PlannedDataset(StoredValue):
    """A dataset of a run; with a reason when the run leaves it out."""

    dataset: str
    partitions: tuple[Partition, ...] = ()
    window: Window | None = None
    overlap: timedelta = timedelta(0)
    """How much of the last window the window holds again."""
    remembered: str | None = None
    """Where the hashes of the lines of the last window are, or what is known of the parents."""
    open_from: datetime | None = None
    """How far the windows of parents may reach back for items that had not ended."""
    parents: ParentSnapshot | None = None
    backfill: bool = False
    """The window is a past stretch that somebody asked for: the watermark stays where it is."""
    skipped: str | None = None
    remedy: str | None = None
    fault: bool = False
    """It is left out because something in storage cannot be used: it has failed."""

    @property
    def is_read_again(self) -> bool:
        """Whether its window holds nothing but the end of the last one, which the watermark has behind it."""
        if self.window is None or self.remembered is None or self.backfill:
            return False
        return self.window.to <= self.window.from_ + self.overlap


class UnknownDatasets(Exception):
    """Names or globs that match no dataset."""

    def __init__(self, source: Source, patterns: Sequence[str], catalog: Catalog) -> None:
        self.patterns = tuple(patterns)
        self.suggestions = {pattern: _closest(catalog, source, pattern) for pattern in patterns}
        super().__init__("; ".join(self._sentence(source, pattern) for pattern in patterns))

    def _sentence(self, source: Source, pattern: str) -> str:
        close = self.suggestions[pattern]
        hint = f"; the closest are {', '.join(close)}" if close else ""
        if _is_glob(pattern):
            hint += "; datasets that are asked for parent by parent are named one by one"
        return f"{pattern!r} matches no dataset of {source}{hint}"


def choose(catalog: Catalog, source: Source, patterns: Sequence[str]) -> list[Dataset]:
    """Return the datasets of ``source`` that ``patterns`` name, in the order of the catalogue.

    Args:
        patterns: Names or globs; a leading ``!`` excludes; exclusions alone leave all others. Globs never match child
            datasets: each of them takes at least one request for each parent.

    Raises:
        UnknownDatasets: A name or glob matches nothing.
    """
    datasets = [dataset for (owner, _), dataset in catalog.items() if owner == source]
    excluded = [pattern.removeprefix("!").strip() for pattern in patterns if pattern.startswith("!")]
    included = [pattern for pattern in patterns if not pattern.startswith("!")] or ["*"] * bool(excluded)
    unknown = [p for p in (*included, *excluded) if not any(_matches(dataset, p) for dataset in datasets)]
    if unknown:
        raise UnknownDatasets(source, unknown, catalog)
    return [dataset for dataset in datasets if _any(dataset, included) and not _any(dataset, excluded)]


def _any(dataset: Dataset, patterns: Iterable[str]) -> bool:
    return any(_matches(dataset, pattern) for pattern in patterns)


def _matches(dataset: Dataset, pattern: str) -> bool:
    if dataset.parent is not None and _is_glob(pattern):
        return False
    return fnmatchcase(dataset.name, pattern)


def _is_glob(pattern: str) -> bool:
    return any(sign in pattern for sign in "*?[")


def _closest(catalog: Catalog, source: Source, pattern: str) -> list[str]:
    names = [name for owner, name in catalog if owner == source]
    return get_close_matches(pattern.strip("*"), names, n=3, cutoff=0.3)


def partitions(
    dataset: Dataset, tenants: Sequence[str], parents: ParentSnapshot | None = None
) -> tuple[Partition, ...]:
    """One for each tenant where the dataset takes the filter, several for many parents, else one for everything."""
    if parents is not None:
        count = max(1, min(FAN_OUT, parents.items, parents.most))
        return tuple(Partition(name=f"{number}-of-{count}") for number in range(1, count + 1))
    if dataset.tenant is None or not tenants:
        return (Partition(name=ALL),)
    distinct = {tenant.casefold(): tenant for tenant in reversed(tenants)}
    return tuple(Partition(name=tenant, tenant=tenant) for tenant in reversed(distinct.values()))


def plan(
    datasets: Iterable[Dataset],
    *,
    tenants: Sequence[str],
    held: Mapping[str, str],
    timings: Mapping[str, Timing],
    parents: Mapping[str, ParentSnapshot],
) -> tuple[PlannedDataset, ...]:
    """Return the datasets of a run.

    Args:
        held: The unfinished run that still holds a dataset.
        timings: What came before, for each windowed or child dataset.
        parents: The snapshot of the parents, for each child dataset whose parent has one.
    """
    return tuple(
        _planned(dataset, tenants, held.get(dataset.name), timings.get(dataset.name), parents.get(dataset.name))
        for dataset in datasets
    )


def _planned(
    dataset: Dataset, tenants: Sequence[str], holder: str | None, timing: Timing | None, parents: ParentSnapshot | None
) -> PlannedDataset:
    timing = timing or Timing()
    left_out = _left_out(dataset, holder, timing, parents)
    if left_out is not None:
        fault = timing.fault is not None and holder is None
        return PlannedDataset(dataset=dataset.name, skipped=left_out[0], remedy=left_out[1], fault=fault)
    chains = partitions(dataset, tenants, parents)
    return PlannedDataset(
        dataset=dataset.name,
        partitions=chains,
        window=timing.window,
        overlap=timing.overlap,
        remembered=timing.remembered,
        open_from=timing.open_from,
        backfill=timing.backfill,
        parents=parents,
    )


def _left_out(
    dataset: Dataset, holder: str | None, timing: Timing, parents: ParentSnapshot | None
) -> tuple[str, str] | None:
    """Why a run leaves a dataset out, and what can be done about it."""
    if holder is not None:
        return f"the unfinished run {holder} still holds it", "Wait for that run to end, or cancel it."
    if timing.fault is not None:
        return timing.fault
    if dataset.parent is not None and parents is None:
        return (
            f"its parents come from {dataset.parent.dataset}, which has no published snapshot",
            f"Harvest {dataset.source}/{dataset.parent.dataset} first.",
        )
    if timing.backfill and timing.window is None:
        return (
            "the harvests of every night hold this stretch, or will",
            "Give a window that ends before the last harvest of the dataset.",
        )
    if dataset.window is not None and timing.window is None:
        return "nothing new can be there yet", "Run it again a little later."
    return None


def least_requests(dataset: Dataset, *, items: int | None, page_size: int | None, chains: int) -> int:
    """How many requests a dataset takes at least, judged by the size of its newest snapshot."""
    if dataset.size is None or not items:
        return chains
    size = min(page_size or dataset.size.most or items, dataset.size.most or items)
    return capacity.fewest_requests(items, page_size=size, lists=chains)

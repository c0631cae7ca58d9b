"""What a run will do: which datasets, in which partitions. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from fnmatch import fnmatchcase
from math import ceil

from shared.avepoint.catalog import Catalog, Dataset
from shared.avepoint.platform import Source
from shared.document import Document
from shared.harvest.windows import Window

ALL = "all"
"""The partition of a dataset that is one chain."""


class Partition(Document):
    """A chain of pages of its own: one tenant, or everything."""

    name: str
    tenant: str | None = None


class PlannedDataset(Document):
    """A dataset of a run; with a reason when the run leaves it out."""

    dataset: str
    partitions: tuple[Partition, ...] = ()
    window: Window | None = None
    seen: str | None = None
    """Where the hashes of the lines of the last window are."""
    skipped: str | None = None
    remedy: str | None = None


class UnknownDatasets(Exception):
    """Names or globs that match no dataset."""

    def __init__(self, source: Source, patterns: Sequence[str], catalog: Catalog) -> None:
        self.patterns = tuple(patterns)
        self.suggestions = {pattern: _closest(catalog, source, pattern) for pattern in patterns}
        super().__init__("; ".join(self._sentence(source, pattern) for pattern in patterns))

    def _sentence(self, source: Source, pattern: str) -> str:
        close = self.suggestions[pattern]
        hint = f"; the closest are {', '.join(close)}" if close else ""
        return f"{pattern!r} matches no dataset of {source}{hint}"


def choose(catalog: Catalog, source: Source, patterns: Sequence[str]) -> list[Dataset]:
    """The datasets of ``source`` that ``patterns`` name, in the order of the catalogue.

    Args:
        patterns: Names or globs; a leading ``!`` excludes; exclusions alone leave all others.

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
    return fnmatchcase(dataset.name, pattern)


def _closest(catalog: Catalog, source: Source, pattern: str) -> list[str]:
    names = [name for owner, name in catalog if owner == source]
    return get_close_matches(pattern.strip("*"), names, n=3, cutoff=0.3)


def partitions(dataset: Dataset, tenants: Sequence[str]) -> tuple[Partition, ...]:
    """One chain for each tenant where the dataset takes the filter, else one for everything."""
    if dataset.tenant is None or not tenants:
        return (Partition(name=ALL),)
    return tuple(Partition(name=tenant, tenant=tenant) for tenant in tenants)


def plan(
    datasets: Iterable[Dataset],
    *,
    tenants: Sequence[str],
    held: Mapping[str, str],
    windows: Mapping[str, tuple[Window | None, str | None]],
) -> tuple[PlannedDataset, ...]:
    """The datasets of a run.

    Args:
        held: The unfinished run that still holds a dataset.
        windows: For each windowed dataset its window, if there is one, and where its last lines are.
    """
    return tuple(_planned(dataset, tenants, held.get(dataset.name), windows.get(dataset.name)) for dataset in datasets)


def _planned(
    dataset: Dataset, tenants: Sequence[str], holder: str | None, window: tuple[Window | None, str | None] | None
) -> PlannedDataset:
    if holder is not None:
        return PlannedDataset(
            dataset=dataset.name,
            skipped=f"the unfinished run {holder} still holds it",
            remedy="Wait for that run to end, or cancel it.",
        )
    chains = partitions(dataset, tenants)
    if window is None:
        return PlannedDataset(dataset=dataset.name, partitions=chains)
    span, seen = window
    if span is None:
        return PlannedDataset(
            dataset=dataset.name, skipped="nothing new can be there yet", remedy="Run it again a little later."
        )
    return PlannedDataset(dataset=dataset.name, partitions=chains, window=span, seen=seen)


def least_requests(dataset: Dataset, *, items: int | None, page_size: int | None, chains: int) -> int:
    """How many requests a dataset takes at least, judged by the size of its newest snapshot."""
    if dataset.size is None or not items:
        return chains
    size = min(page_size or dataset.size.most or items, dataset.size.most or items)
    return max(chains, ceil(items / size))

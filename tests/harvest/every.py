"""Every dataset of the catalogue, and what a snapshot of it has to hold."""

import json
from collections.abc import Mapping
from datetime import datetime

from shared.avepoint.catalog import Dataset, Value, catalog
from shared.avepoint.platform import Source
from tests.conftest import Simulator

EVERY = list(catalog().values())
_PREFIXES = {"enpower": "legacy-enpower-", "graph": "", "elements": "elements-"}

type Span = tuple[datetime | None, datetime | None]


def name_of(dataset: Dataset) -> str:
    """The name of a test case."""
    return f"{dataset.source}/{dataset.name}"


def resource_of(dataset: Dataset) -> str:
    """What the simulator calls it."""
    return f"{_PREFIXES[dataset.source]}{dataset.name}"


def ancestors(dataset: Dataset) -> list[Dataset]:
    """The datasets that have to be harvested before, the oldest first."""
    if dataset.parent is None:
        return []
    parent = catalog()[dataset.source, dataset.parent.dataset]
    return [*ancestors(parent), parent]


def served(avepoint: Simulator, source: Source, name: str, window: Span = (None, None)) -> list[bytes]:
    """Every line that a snapshot has to hold."""
    dataset = catalog()[source, name]
    resource = resource_of(dataset)
    if dataset.parent is None:
        return avepoint.avepoint.items(resource, window=window)
    return [
        _with_parent(item, _shown(dataset, parent))
        for parent in avepoint.avepoint.parents(resource)
        if not avepoint.avepoint.is_gone(resource, parent)
        for item in avepoint.avepoint.items(resource, parent, window=window)
    ]


def _with_parent(item: bytes, parent: Mapping[str, Value]) -> bytes:
    """A line as it is promised, written down independently of the code."""
    written = json.dumps(parent, separators=(",", ":"), ensure_ascii=False).encode()
    if not item.startswith(b"{"):
        return b'{"_parent":' + written + b',"value":' + item + b"}"
    return b'{"_parent":' + written + b"," + item[1:] if item != b"{}" else b'{"_parent":' + written + b"}"


def _shown(dataset: Dataset, given: Mapping[str, str]) -> dict[str, Value]:
    """The parent values under the names of the parameters they went into, choices in their own type."""
    assert dataset.parent is not None
    choices = {name: next(one for one in values if str(one) == given[name]) for name, values in dataset.choices.items()}
    return {name: given[name] for name in dataset.parent.parameters} | choices

"""docs/datasets.md, written from the catalogue: ``make docs`` writes it."""

from collections.abc import Iterable, Iterator
from itertools import groupby
from pathlib import Path

from shared.avepoint.catalog import Dataset, catalog

PAGE = Path(__file__).parents[1] / "docs" / "datasets.md"

_INTRODUCTION = """\
# Datasets

What can be harvested, by source and service. The name is what `HARVEST_*_DATASETS` and `POST /api/harvests` take, alone
or as a glob; the app registration needs the permission in the column *scope*. *Key* identifies an item and is what
duplicates are counted by. *Page* is the largest page that is asked for. A dataset with a *window* gives increments:
what lies between its watermark and the present, asked for with these parameters.

A *child* is a list that AvePoint gives for one parent at a time. The column *parents* names the dataset whose newest
snapshot the parents are taken from, and which field goes into which parameter (`a → b`). Children are named one by one:
globs do not match them, for each takes at least one request for every parent, of which a run asks for at most
`HARVEST_MAX_PARENTS`, least recently harvested first. Each line begins with its `_parent`. Where a parameter takes a
few fixed values, each parent is asked for with each of them.

Where AvePoint's documents contradict themselves or leave something open, the list below the table says so.

This page is written from the catalogue (`shared/avepoint/catalog/*.toml`).
"""
_HEADER = (
    "| dataset | request | scope | key | parents | paging | page | window | by tenant |\n"
    "|---|---|---|---|---|---|---|---|---|"
)


def handbook(datasets: Iterable[Dataset]) -> str:
    """The page, in Markdown."""
    return "\n".join([_INTRODUCTION, *_sections(datasets)])


def _sections(datasets: Iterable[Dataset]) -> Iterator[str]:
    for source, of_source in groupby(sorted(datasets, key=lambda one: one.source), key=lambda one: one.source):
        yield f"## {source}\n"
        for service, of_service in groupby(of_source, key=lambda one: one.service):
            listed = list(of_service)
            yield f"### {service}\n\n{_HEADER}"
            yield from map(_row, listed)
            yield ""
            yield from (f"- `{one.name}`: {quirk.rstrip('.')}." for one in listed for quirk in one.quirks)
            yield ""


def _row(dataset: Dataset) -> str:
    cells = (
        f"`{dataset.name}`",
        f"{dataset.method} `{dataset.path}`",
        f"`{dataset.scope}`",
        ", ".join(f"`{field}`" for field in dataset.key) or "none",
        _parents(dataset),
        _paging(dataset),
        str(dataset.size.most or "as given") if dataset.size else "all at once" if dataset.link is None else "as given",
        _window(dataset),
        "yes" if dataset.tenant else "no",
    )
    return f"| {' | '.join(cells)} |"


def _parents(dataset: Dataset) -> str:
    if dataset.parent is None:
        return "none"
    fields = {name: " or ".join(f"`{one}`" for one in paths) for name, paths in dataset.parent.parameters.items()}
    given = [f"`{dataset.parent.dataset}`", *(f"{paths} → `{name}`" for name, paths in fields.items())]
    choices = [f"`{name}` {', '.join(map(str, values))}" for name, values in dataset.choices.items()]
    return "; ".join([f"{given[0]}: {', '.join(given[1:])}", *choices])


def _paging(dataset: Dataset) -> str:
    if dataset.single:
        return "one object"
    ways = []
    if dataset.link is not None:
        ways.append(f"link in `{dataset.link}`")
    if dataset.token is not None:
        ways.append(f"token in `{dataset.token}`")
    if dataset.page is not None:
        ways.append(f"`{dataset.page.parameter}` from {dataset.page.first}")
    return ", ".join(ways) or "none"


def _window(dataset: Dataset) -> str:
    if dataset.window is None:
        return "no"
    bounds = f"`{dataset.window.from_}`, `{dataset.window.to}`"
    return f"{bounds}, {dataset.window.most_days} days at most" if dataset.window.most_days else bounds


if __name__ == "__main__":
    PAGE.write_text(handbook(catalog().values()))

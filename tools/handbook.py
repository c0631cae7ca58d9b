"""docs/datasets.md, written from the catalogue: ``make docs`` writes it."""

from collections.abc import Iterable, Iterator
from itertools import groupby
from pathlib import Path

from shared.avepoint.catalog import Dataset, catalog
from shared.avepoint.fields import fields_of
from tools.arguments import no_options
from tools.field_dictionary import heading

PAGE = Path(__file__).parents[1] / "docs" / "datasets.md"

_INTRODUCTION = """\
# Datasets

This page lists the [datasets](glossary.md#harvest) that the app can harvest, by source and service. Use the name in
`HARVEST_*_DATASETS` and in `POST /api/harvests`, or a pattern with `*`. The app registration needs the permission
in the column *scope*. *Key* identifies an item; the app counts duplicates by it. *Page* is the largest page that
the app requests. A dataset with a *window* gives increments: the items between its watermark and the present. The
app requests them with these parameters.

A *child dataset* is a list that AvePoint gives for one parent at a time. The column *parents* names the dataset
whose newest snapshot has the parents, and says which field goes into which parameter (`a → b`). You must name each
child dataset explicitly: patterns do not match it, because it needs at least one request for every parent. A run
harvests at most `HARVEST_MAX_PARENTS` parents, and begins with the least recently harvested ones. Each line begins
with its `_parent`. If a parameter has a few fixed values, the app requests each parent with each of these values.

*Holds* says what the list contains, and links to its [fields](fields.md).

If AvePoint's documents contradict themselves or leave something open, [the last
section](#what-avepoint-leaves-open) says what the app does.

`make docs` writes this page from the catalogue (`shared/avepoint/catalog/*.toml`).
"""
_HEADER = (
    "| dataset | holds | request | scope | key | parents | paging | page | window | by tenant |\n"
    "|---|---|---|---|---|---|---|---|---|---|"
)


def handbook(datasets: Iterable[Dataset]) -> str:
    """Return the page, in Markdown."""
    return "\n".join([_INTRODUCTION, *_sections(datasets)])


def _sections(datasets: Iterable[Dataset]) -> Iterator[str]:
    ordered = sorted(datasets, key=lambda one: one.source)
    for source, of_source in groupby(ordered, key=lambda one: one.source):
        yield f"## {source}\n"
        for service, of_service in groupby(of_source, key=lambda one: one.service):
            yield f"### {service}\n\n{_HEADER}"
            yield from map(_row, of_service)
            yield ""
    yield "## What AvePoint leaves open\n"
    yield from (f"- `{one.source}/{one.name}`: {quirk.rstrip('.')}." for one in ordered for quirk in one.quirks)
    yield ""


def _row(dataset: Dataset) -> str:
    cells = (
        f"`{dataset.name}`",
        f"[{fields_of(dataset).holds.rstrip('.')}](fields.md#{heading(dataset).replace('/', '')})",
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
    no_options(__doc__)
    PAGE.write_text(handbook(catalog().values()))

"""docs/fields.md, written from the catalogue of fields: ``make docs`` writes it."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from shared.avepoint.catalog import Dataset, catalog
from shared.avepoint.fields import Field, fields_of
from tools.arguments import no_options

PAGE = Path(__file__).parents[1] / "docs" / "fields.md"

_INTRODUCTION = """\
# Fields

This page lists every column of every current table, by dataset. The names are those of the fields that AvePoint
sends. AvePoint documents names and types, but not meanings. So the texts only repeat what the names say; if a name
says little, the text also says little. A field that AvePoint adds later gets a column when it first comes.

The marks:

- **group**: the history counts items by this field every day.
- **volatile**: the value changes by itself every night. A row that differs only in such fields does not count as
  changed.
- **personal**: the field names a person. `TABLES_HIDE_FIELDS=personal` hides all these fields in the tables.

A `timestamp` is in UTC; `json` is JSON text. If AvePoint documents what a value means, a list of the values
follows the table.

Each table begins with these columns:

| column | type | meaning |
|---|---|---|
| `_key` | string | What identifies the row: the values of the parents and the key fields, joined by `\\|`. |
| `_run_id` | string | The run that the row comes from. |
| `_harvested_at` | timestamp | When that run finished the dataset. |
| `_line_hash` | string | A hash of the line as AvePoint sent it. |
| `_rescued` | json | The values that did not fit their columns, by name. |
| `_parent_…` | string | In child datasets: the value of each parent parameter. |

`make docs` writes this page from the catalogue (`shared/avepoint/fields/*.toml`).
"""
_HEADER = "| field | type | meaning | marks |\n|---|---|---|---|"


def dictionary(datasets: Iterable[Dataset]) -> str:
    """Return the page, in Markdown."""
    ordered = sorted(datasets, key=lambda one: (one.source, one.name))
    return "\n".join([_INTRODUCTION, *(line for one in ordered for line in _section(one))])


def heading(dataset: Dataset) -> str:
    """Return the heading under which the page has the fields of ``dataset``."""
    return f"{dataset.source}/{dataset.name}"


def _section(dataset: Dataset) -> Iterator[str]:
    fields = fields_of(dataset)
    yield f"## {heading(dataset)}\n\n{fields.holds}\n"
    if dataset.successor is not None:
        yield f"The fields are those of `{dataset.successor}`, with a capital letter first: `Id` for `id`.\n"
        return
    yield _HEADER
    yield from (f"| `_parent_{name}` | string | Value of the parent parameter. |  |" for name in _parents(dataset))
    yield from map(_row, fields)
    yield ""
    yield from (_codes(field) for field in fields if field.codes)
    yield ""


def _parents(dataset: Dataset) -> Iterable[str]:
    return [*(dataset.parent.parameters if dataset.parent else ()), *dataset.choices]


def _row(field: Field) -> str:
    marks = [mark for mark in ("group", "volatile", "personal") if getattr(field, mark)]
    inside = f" Inside: {', '.join(f'`{name}`' for name in field.members)}." if field.members else ""
    return f"| `{field.name}` | {field.type} | {field.description}{inside} | {', '.join(marks)} |"


def _codes(field: Field) -> str:
    return f"- `{field.name}`: {', '.join(f'{code} {meaning}' for code, meaning in field.codes.items())}."


if __name__ == "__main__":
    no_options(__doc__)
    PAGE.write_text(dictionary(catalog().values()))

"""What the catalogue and the settings say of a table. Pure."""

from collections.abc import Collection, Iterable, Iterator
from fnmatch import fnmatchcase

from shared.avepoint.catalog import Dataset, catalog
from shared.avepoint.fields import fields_of
from shared.tables.schema.columns import PARENT, FieldSpec, TableSpec, parent_column

PERSONAL = "personal"
"""In the setting of hidden fields: all that the catalogue marks as personal."""


def spec_of(dataset: Dataset, *, hidden: Collection[str] = ()) -> TableSpec:
    """Return what has to be known of a dataset to make a table of it.

    Args:
        hidden: ``{source}/{dataset}.{field}`` or globs, or ``personal``; names are compared without case.
    """
    fields = fields_of(dataset)
    parents = tuple(dataset.parent.parameters) if dataset.parent else ()
    patterns = _field_patterns(dataset, hidden)
    if PERSONAL in hidden:
        patterns += [_literal(name) for name in fields.personal]
    patterns += [_literal(name) for name in _hidden_parent_columns(dataset, tuple(hidden))]
    spec = TableSpec(
        source=dataset.source,
        dataset=dataset.name,
        windowed=dataset.window is not None,
        key=dataset.key,
        parameters=(*parents, *dataset.choices),
        parent_names=parents,
        hidden=tuple(patterns),
    )
    shown = (
        FieldSpec(one.name, one.type, one.description, volatile=one.volatile, group=one.group)
        for one in fields
        if not spec.is_hidden(one.name)
    )
    return spec.with_fields(shown)


def _hidden_parent_columns(dataset: Dataset, hidden: tuple[str, ...]) -> Iterator[str]:
    """Yield the columns for values of the parent that come from a field which the table of the parents hides."""
    if dataset.parent is None or not hidden:
        return
    parents = spec_of(catalog()[dataset.source, dataset.parent.dataset], hidden=hidden)
    for name, fields in dataset.parent.parameters.items():
        if any(parents.is_hidden(_column_of(field)) for field in fields):
            yield parent_column(name)


def _column_of(field: str) -> str:
    """Return the column that a place in an item of the parents lies in: ``_parent.id``, ``tenants[].id``."""
    whose, _, rest = field.partition(".")
    return parent_column(rest) if whose == PARENT else whose.removesuffix("[]")


def _field_patterns(dataset: Dataset, hidden: Iterable[str]) -> list[str]:
    """Return the part behind the dataset of every pattern that means it."""
    found = []
    for pattern in hidden:
        whose, dot, field = pattern.partition(".")
        if dot and fnmatchcase(f"{dataset.source}/{dataset.name}", whose):
            found.append(field.casefold())
    return found


def _literal(name: str) -> str:
    return name.casefold().replace("[", "[[]")

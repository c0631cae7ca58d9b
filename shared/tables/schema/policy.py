"""How the schema of a table comes about: types are decided once, columns are only ever appended. Pure."""

from collections.abc import Iterator
from typing import Literal

from shared.document import Document
from shared.tables.schema.columns import LINE, PARENT, PLACE, Column, ColumnType, FieldSpec, TableSchema, TableSpec
from shared.tables.schema.findings import FieldFindings, Findings
from shared.tables.schema.naming import column_names

type Event = Literal["new", "vanished", "typed", "rescued", "renamed"]

_NONE = FieldFindings()


class Drift(Document):
    """What a snapshot has, or lacks, that the table did not expect, and how many values that concerns."""

    field: str
    event: Event
    count: int


def reserved(spec: TableSpec) -> frozenset[str]:
    """Return the names, in lower case, that no field can have as a column: what is named so is rescued."""
    names = {*spec.own, LINE, *([PARENT] if spec.parameters else [])}
    return frozenset(name.casefold() for name in names)


def expected(schema: TableSchema, spec: TableSpec, run_id: str) -> TableSchema:
    """Return the schema with which the lines of a snapshot are first read: every documented field has a column."""
    missing = [field for field in spec.fields if field.type and field.name not in schema.fields]
    return _appended(schema, spec, {field.name: field.type for field in missing if field.type}, run_id)


def decide(schema: TableSchema, spec: TableSpec, found: Findings, run_id: str) -> TableSchema:
    """Return the schema of a table after a snapshot.

    A documented type holds if every value of the first snapshot with rows fits it. An undocumented field gets a column
    with the first snapshot in which it has a value.

    Args:
        schema: That of the table so far.
        found: What the lines show, read with ``expected(schema, …)``.
    """
    documented = {field.name: field for field in spec.fields}
    if not found.rows:
        return schema if schema.decided else expected(schema, spec, run_id)
    kept = schema if schema.decided else TableSchema()
    added = {
        name: decided
        for name in (*documented, *sorted(found.fields.keys() - documented.keys()))
        if name not in kept.fields and name.casefold() not in reserved(spec) and not spec.is_hidden(name)
        if (decided := _decided(documented.get(name), found.fields.get(name, _NONE))) is not None
    }
    return _appended(kept, spec, added, run_id).model_copy(update={"decided": True})


def _decided(documented: FieldSpec | None, found: FieldFindings) -> ColumnType | None:
    if documented is not None and documented.type is not None and not found.misfits:
        return documented.type
    return found.shown if found.values else None


def _appended(schema: TableSchema, spec: TableSpec, types: dict[str, ColumnType], run_id: str) -> TableSchema:
    descriptions = {field.name: field.description for field in spec.fields}
    own = {*spec.own, LINE, *PLACE, *([PARENT] if spec.parameters else [])}
    taken = {*own, *(column.name for column in schema.columns)}
    names = column_names([name for name in types if name.casefold() not in reserved(spec)], taken=taken)
    return schema.with_columns(
        Column(
            name=names[field],
            field=field,
            type=kind,
            description=descriptions.get(field, ""),
            first_run_id=run_id,
        )
        for field, kind in types.items()
        if field in names
    )


def drift(
    before: TableSchema, after: TableSchema, spec: TableSpec, *, present: frozenset[str] | None, found: Findings
) -> list[Drift]:
    """Return what is to be told of a snapshot.

    Args:
        before: The schema of the table before it.
        after: The schema with which its lines were converted.
        present: The fields of the snapshot before; ``None`` for the first one with rows.
        found: What its lines show, converted with ``after``.
    """
    return list(_drift(before, after, spec, present, found)) if found.rows else []


def _drift(
    before: TableSchema, after: TableSchema, spec: TableSpec, present: frozenset[str] | None, found: Findings
) -> Iterator[Drift]:
    documented = {field.name: field.type for field in spec.fields if field.type}
    there = frozenset(found.fields)
    if present is not None:
        yield from (Drift(field=name, event="new", count=_values(found, name)) for name in sorted(there - present))
        yield from (Drift(field=name, event="vanished", count=0) for name in sorted(present - there))
    decided_before = before.fields if before.decided else frozenset()
    for column in after.columns:
        misfits = found.fields.get(column.field, _NONE).misfits
        is_new = column.field not in decided_before
        if is_new and documented.get(column.field, column.type) != column.type:
            yield Drift(field=column.field, event="typed", count=_values(found, column.field))
        if is_new and column.is_renamed:
            yield Drift(field=column.field, event="renamed", count=_values(found, column.field))
        if misfits:
            yield Drift(field=column.field, event="rescued", count=misfits)
    for name in sorted(there):
        if (
            name.casefold() in reserved(spec)
            and name not in {LINE, PARENT}
            and (present is None or name not in present)
        ):
            yield Drift(field=name, event="renamed", count=_values(found, name))


def _values(found: Findings, name: str) -> int:
    return found.fields.get(name, _NONE).values

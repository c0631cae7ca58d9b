"""Rows as JSON objects: fields under their own names, JSON as JSON, rescued values in their place. Pure."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from shared.tables.schema.columns import PARENT, RESCUED, Column, TableSpec, parent_column
from shared.tables.values.text import json_text, read_json

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

type JsonCells = Mapping[str, Any]
"""A row by the names of its columns; times are microseconds since 1970."""


def time_text(microseconds: int) -> str:
    """Return a time as RFC 3339 with ``Z``, with as many digits as it needs."""
    moment = _EPOCH + timedelta(microseconds=microseconds)
    text = moment.replace(tzinfo=None).isoformat(timespec="microseconds" if moment.microsecond else "seconds")
    return f"{text}Z"


def rescued_of(cells: JsonCells) -> dict[str, object]:
    """Return what was rescued of a row, by field."""
    text = cells.get(RESCUED)
    return read_json(text) if text else {}


def field_value(column: Column, cells: JsonCells, rescued: Mapping[str, object]) -> object:
    """Return the value of a field as JSON has it."""
    if column.field in rescued:
        return rescued[column.field]
    value = cells.get(column.name)
    if value is None:
        return None
    if column.type == "json":
        return read_json(value)
    return time_text(value) if column.type == "timestamp" else value


def whole_row(columns: Sequence[Column], spec: TableSpec, cells: JsonCells) -> dict[str, object]:
    """Return all fields of a row, and its parent."""
    rescued = rescued_of(cells)
    row: dict[str, object] = {}
    if spec.parameters:
        row[PARENT] = {name: cells.get(parent_column(name)) for name in spec.parameters}
    row |= {column.field: field_value(column, cells, rescued) for column in columns}
    return row | rescued


def differing_fields(
    columns: Sequence[Column], before: JsonCells, after: JsonCells, *, compared: frozenset[str]
) -> dict[str, tuple[object, object]]:
    """Return the fields that two rows of one key differ in, with both values, in the order of their names.

    Args:
        compared: The fields whose differences count.
    """
    old, new = rescued_of(before), rescued_of(after)
    found = {
        column.field: (field_value(column, before, old), field_value(column, after, new))
        for column in columns
        if column.field in compared and before.get(column.name) != after.get(column.name)
    }
    for name in (old.keys() | new.keys()) & compared - found.keys():
        if json_text(old.get(name)) != json_text(new.get(name)):
            found[name] = (_value(name, columns, before, old), _value(name, columns, after, new))
    return dict(sorted(found.items()))


def _value(name: str, columns: Sequence[Column], cells: JsonCells, rescued: Mapping[str, object]) -> object:
    column = next((one for one in columns if one.field == name), None)
    return field_value(column, cells, rescued) if column else rescued.get(name)

"""Chunks of lines become columns with types; what does not fit is rescued under its name. Pure.

A value that fits is in its column; every other one, and that of a field whose name no column can have, is in
``_rescued``. Nothing is lost, and nothing is guessed.
"""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

import arro3.core as arrow

from shared.tables.schema.columns import (
    KEY,
    LINE_HASH,
    PARENT,
    RESCUED,
    Column,
    ColumnType,
    TableSchema,
    TableSpec,
    parent_column,
)
from shared.tables.schema.findings import FieldFindings, FindingKind, Findings
from shared.tables.schema.policy import reserved
from shared.tables.values.arrays import strict_array
from shared.tables.values.decoding import Chunk, LineDecoder, Values
from shared.tables.values.scalars import CONVERT, MISFIT, digest, key_part, key_parts, kind_of
from shared.tables.values.text import json_text, plain_json_text

type Cells = Values | arrow.Array
"""The cells of a column; times may already be in the form that the engine takes."""

type Rescue = defaultdict[int, dict[str, object]]
"""By the position of a row: what is rescued, by the name of its field."""

_KINDS: Final[Mapping[ColumnType, FindingKind]] = {"boolean": "boolean", "string": "string", "timestamp": "string"}
"""The kind that all values of a strict column have; whole numbers are looked at."""

_EXACT: Final = 2**53
"""Up to here a double holds every whole number."""


@dataclass(frozen=True, slots=True)
class Rows:
    """Some rows, column by column: those of the table's own that differ from row to row, then those of the fields."""

    count: int
    columns: Mapping[str, Cells]


@dataclass(slots=True)
class _Counted:
    """What the lines so far have shown of a field; only the end of a part makes a document of it."""

    values: int = 0
    misfits: int = 0
    kinds: frozenset[FindingKind] = frozenset()

    def add(self, values: int, kinds: frozenset[FindingKind], misfits: int = 0) -> None:
        """Count more values that are not null."""
        self.values += values
        self.misfits += misfits
        if not kinds <= self.kinds:
            self.kinds |= kinds


class RowReader:
    """Turns the lines of a part into rows, and remembers what they show of the fields."""

    def __init__(self, schema: TableSchema, spec: TableSpec, *, undecided: frozenset[str]) -> None:
        """Prepare to read.

        Args:
            schema: The columns.
            undecided: Fields whose type may still change: of these the kinds of all values are looked at.
        """
        self._spec = spec
        self._columns = {column.field: column for column in schema.columns}
        self._undecided = undecided
        self._reserved = reserved(spec)
        self._decoder = LineDecoder(schema, is_child=bool(spec.parameters))
        self._rows = 0
        self._found: defaultdict[str, _Counted] = defaultdict(_Counted)

    @property
    def findings(self) -> Findings:
        """What the lines so far have shown."""
        fields = {
            name: FieldFindings(values=found.values, misfits=found.misfits, kinds=found.kinds)
            for name, found in self._found.items()
        }
        return Findings(rows=self._rows, fields=fields)

    def read(self, text: bytes) -> Rows:
        """Read whole lines."""
        chunk = self._decoder.decode(text)
        count = len(chunk.lines)
        self._rows += count
        rescue: Rescue = defaultdict(dict)
        parents = chunk.parents
        columns: dict[str, Cells] = {
            KEY: self._keys(chunk, parents, count),
            LINE_HASH: [line_hash(line) for line in chunk.lines],
            **self._parents(parents, count),
        }
        for field, values in chunk.values.items():
            if field != PARENT or parents is None:
                self._take(field, values, columns, rescue, chunk)
        if parents is not None:
            _rescue_parents(chunk.values[PARENT], parents, rescue)
        nothing: Values = (None,) * count
        columns[RESCUED] = [json_text(rescue[n]) if n in rescue else None for n in range(count)] if rescue else nothing
        for column in self._columns.values():
            columns.setdefault(column.name, nothing)
        return Rows(count, columns)

    def _take(self, field: str, values: Values, columns: dict[str, Cells], rescue: Rescue, chunk: Chunk) -> None:
        if self._spec.is_hidden(field):
            return
        column = self._columns.get(field)
        if column is None:
            self._found[field].add(len(values) - _nulls(values), _kinds(values))
            if field.casefold() in self._reserved:
                _rescue_all(field, values, rescue)
            return
        array = strict_array(values, column.type) if field in chunk.strict else None
        if array is not None:
            columns[column.name], misfits = array, list[int]()
        else:
            columns[column.name], misfits = _converted(values, column, is_plain=chunk.is_plain)
        nulls = _nulls(values) if array is None or column.type == "timestamp" else array.null_count
        kinds = self._kinds(column, values, nulls, is_strict=field in chunk.strict)
        self._found[field].add(len(values) - nulls, kinds, len(misfits))
        if column.is_renamed:
            _rescue_all(field, values, rescue)
        else:
            for row in misfits:
                rescue[row][field] = values[row]

    def _kinds(self, column: Column, values: Values, nulls: int, *, is_strict: bool) -> frozenset[FindingKind]:
        if column.field not in self._undecided or column.type == "json" or nulls == len(values):
            return frozenset()
        return _strict_kinds(column.type, values, nulls) if is_strict else _kinds(values)

    def _keys(self, chunk: Chunk, parents: Values | None, count: int) -> Values:
        if not self._spec.key:
            return (None,) * count
        parts: list[Values] = [self._parent_values(parents, name, count) for name in self._spec.parameters]
        parts += [self._key_values(chunk, name, count) for name in self._spec.key]
        if len(parts) == 1:
            return key_parts(parts[0])
        return ["|".join(map(key_part, row)) for row in zip(*parts, strict=True)]

    def _key_values(self, chunk: Chunk, field: str, count: int) -> Values:
        """Return the values of a key field; where it is not there, those of one that differs in case."""
        named = [field, *(name for name in chunk.values if name != field and name.casefold() == field.casefold())]
        found = [chunk.values[name] for name in named if name in chunk.values]
        values = [next((one for one in row if one is not None), None) for row in zip(*found, strict=True)]
        if self._spec.is_hidden(field):
            return [None if value is None else digest(value) for value in values] or (None,) * count
        return values or (None,) * count

    def _parents(self, parents: Values | None, count: int) -> dict[str, Cells]:
        return {
            parent_column(name): [
                None if value is None else value if isinstance(value, str) else json_text(value)
                for value in self._parent_values(parents, name, count)
            ]
            for name in self._spec.parameters
        }

    def _parent_values(self, parents: Values | None, name: str, count: int) -> Values:
        if parents is None:
            return (None,) * count
        values = [parent.get(name) if isinstance(parent, dict) else None for parent in parents]
        if self._spec.is_hidden(parent_column(name)):
            return [None if value is None else digest(value) for value in values]
        return values


def line_hash(line: bytes) -> str:
    """Return 64 bits that stand for a line, as hexadecimal digits."""
    return sha256(line).hexdigest()[:16]


def _converted(values: Values, column: Column, *, is_plain: bool) -> tuple[Values, list[int]]:
    """Return what the column holds, and in which rows a value did not fit."""
    if is_plain and column.type == "json":
        return [None if value is None else plain_json_text(value).decode() for value in values], []
    convert = CONVERT[column.type]
    converted = [None if value is None else convert(value) for value in values]
    misfits = [row for row, value in enumerate(converted) if value is MISFIT] if MISFIT in converted else []
    for row in misfits:
        converted[row] = None
    return converted, misfits


def _strict_kinds(kind: ColumnType, values: Values, nulls: int) -> frozenset[FindingKind]:
    """Return what kinds there are among values that all have the type of their column."""
    if kind != "long":
        return frozenset({_KINDS[kind]})
    there = [value for value in values if value is not None] if nulls else values
    least, most = min(there), max(there)  # type: ignore[type-var]  # whole numbers
    return frozenset({"long"}) if least >= -_EXACT and most <= _EXACT else frozenset({"long", "wide"})  # type: ignore[operator]


def _nulls(values: Values) -> int:
    return values.count(None)


def _kinds(values: Values) -> frozenset[FindingKind]:
    return frozenset(kind_of(value) for value in values if value is not None)


def _rescue_parents(items: Values, parents: Values, rescue: Rescue) -> None:
    """Rescue what an item itself has under the name that the harvest uses for its parent."""
    for row, (item, parent) in enumerate(zip(items, parents, strict=True)):
        if item is not parent and item is not None and item != parent:
            rescue[row][PARENT] = item


def _rescue_all(field: str, values: Values, rescue: Rescue) -> None:
    for row, value in enumerate(values):
        if value is not None:
            rescue[row][field] = value

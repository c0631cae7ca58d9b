"""What the lines of a snapshot show of its fields. Pure."""

from collections.abc import Iterable
from typing import Literal, Self

from pydantic import Field

from shared.document import Document
from shared.tables.schema.columns import ColumnType

type FindingKind = Literal["boolean", "long", "wide", "double", "string", "json", "other"]
"""The kinds of values: ``wide`` are whole numbers of 64 bits that a double cannot hold, ``other`` larger ones."""

_SHOWN: tuple[tuple[frozenset[FindingKind], ColumnType], ...] = (
    (frozenset({"boolean"}), "boolean"),
    (frozenset({"long", "wide"}), "long"),
    (frozenset({"long", "double"}), "double"),
    (frozenset({"string"}), "string"),
)


class FieldFindings(Document):
    """What is known of a field: how many values that are not null, of which kinds, and how many did not fit."""

    values: int = 0
    misfits: int = 0
    kinds: frozenset[FindingKind] = frozenset()

    def __add__(self, other: "FieldFindings") -> "FieldFindings":
        """Return what both know."""
        return FieldFindings(
            values=self.values + other.values, misfits=self.misfits + other.misfits, kinds=self.kinds | other.kinds
        )

    @property
    def shown(self) -> ColumnType:
        """The type that the values show: JSON text where they are mixed."""
        return next((shown for kinds, shown in _SHOWN if self.kinds <= kinds), "json")


class Findings(Document):
    """What a part, or a snapshot, shows: its rows, and each field that is there, if only with nulls."""

    rows: int = 0
    fields: dict[str, FieldFindings] = Field(default_factory=dict)

    @classmethod
    def total(cls, parts: Iterable["Findings"]) -> Self:
        """Return the findings of several parts as one."""
        rows, fields = 0, dict[str, FieldFindings]()
        for part in parts:
            rows += part.rows
            for name, found in part.fields.items():
                fields[name] = fields[name] + found if name in fields else found
        return cls(rows=rows, fields=fields)

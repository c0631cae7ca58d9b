"""What a table is made of: the columns of its own, and one for each field of the items."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Literal

from shared.avepoint.platform import Source
from shared.document import Document

type ColumnType = Literal["boolean", "long", "double", "string", "timestamp", "json"]

KEY = "_key"
RUN_ID = "_run_id"
HARVESTED_AT = "_harvested_at"
LINE_HASH = "_line_hash"
RESCUED = "_rescued"
OWN: dict[str, ColumnType] = {
    KEY: "string",
    RUN_ID: "string",
    HARVESTED_AT: "timestamp",
    LINE_HASH: "string",
    RESCUED: "json",
}
"""The columns that every table has, in their order."""

PARENT = "_parent"
"""The field of the lines of a child dataset that holds the values of its parent."""

LINE = "_line"
"""The name under which a line that is not JSON is rescued."""

PLACE = ("file_index", "file_row_number")
"""The names by which the engine tells the place of a row; a column with one of them would stand in its way."""


@dataclass(frozen=True, slots=True)
class FieldSpec:
    """What the catalogue says of a field; ``type`` is ``None`` where the documents do not say it."""

    name: str
    type: ColumnType | None = None
    description: str = ""
    volatile: bool = False
    group: bool = False


@dataclass(frozen=True, slots=True)
class TableSpec:
    """What has to be known of a dataset to make a table of it.

    Attributes:
        parameters: The names under which ``_parent`` holds the values of a parent, in their order; empty without one.
        parent_names: Those of them that name the parent; the others are what each parent is asked with.
        fields: The documented fields, without the hidden ones.
        hidden: Names or globs, in lower case, of the fields that are shown nowhere.
    """

    source: Source
    dataset: str
    windowed: bool
    key: tuple[str, ...]
    parameters: tuple[str, ...] = ()
    parent_names: tuple[str, ...] = ()
    fields: tuple[FieldSpec, ...] = ()
    hidden: tuple[str, ...] = ()

    @property
    def own(self) -> dict[str, ColumnType]:
        """The columns that are not fields, in their order."""
        return OWN | {parent_column(name): "string" for name in self.parameters}

    @property
    def parent_columns(self) -> tuple[str, ...]:
        """The columns that say which parent a row belongs to."""
        return tuple(parent_column(name) for name in self.parent_names)

    @property
    def groups(self) -> tuple[str, ...]:
        """The fields worth counting by."""
        return tuple(field.name for field in self.fields if field.group)

    @property
    def tells_changes(self) -> bool:
        """Whether changes of the dataset are told."""
        return bool(self.key) and not self.windowed

    @property
    def volatile(self) -> frozenset[str]:
        """The fields whose differences are no changes."""
        return frozenset(field.name for field in self.fields if field.volatile)

    def is_hidden(self, field: str) -> bool:
        """Whether a field is shown nowhere."""
        return any(fnmatchcase(field.casefold(), pattern) for pattern in self.hidden)

    def with_fields(self, fields: Iterable[FieldSpec]) -> "TableSpec":
        """Return the same with these documented fields."""
        return replace(self, fields=tuple(fields))


def parent_column(parameter: str) -> str:
    """Return the name of the column that holds one value of the parent."""
    return f"{PARENT}_{parameter}"


class Column(Document):
    """A column for a field of the items; ``name`` differs from ``field`` where Delta does not take it."""

    name: str
    field: str
    type: ColumnType
    description: str = ""
    first_run_id: str = ""

    @property
    def is_renamed(self) -> bool:
        """Whether the column has another name than its field."""
        return self.name != self.field


class TableSchema(Document):
    """The columns for fields, in their order; ``decided`` once a snapshot with rows has shown their types."""

    columns: tuple[Column, ...] = ()
    decided: bool = False

    def column(self, field: str) -> Column | None:
        """Return the column of a field."""
        return next((column for column in self.columns if column.field == field), None)

    @property
    def fields(self) -> frozenset[str]:
        """The fields that have a column."""
        return frozenset(column.field for column in self.columns)

    def with_columns(self, columns: Iterable[Column]) -> "TableSchema":
        """Return the schema with more columns behind those it has."""
        return self.model_copy(update={"columns": (*self.columns, *columns)})

"""What is known of the columns of a table: their types and meanings, what was rescued, and how they came to be."""

from collections.abc import Collection, Mapping, Sequence
from typing import Final

from pydantic import JsonValue

from shared.document import Document
from shared.services import Services
from shared.tables.build.names import DRIFT
from shared.tables.history.columns import DRIFT as COLUMNS
from shared.tables.queries.sql import Sql
from shared.tables.schema.columns import PARENT, RESCUED, ColumnType, parent_column
from shared.tables.serving.datasets import DatasetTable
from shared.tables.serving.items import visible_types
from shared.tables.serving.reader import TableVersion, reader_of

_MAX_DRIFT: Final = 1_000
_PARENT_COLUMN: Final = parent_column("")

_JSON_TYPES: Final[Mapping[ColumnType, dict[str, JsonValue]]] = {
    "boolean": {"type": "boolean"},
    "long": {"type": "integer", "format": "int64"},
    "double": {"type": "number"},
    "string": {"type": "string"},
    "timestamp": {"type": "string", "format": "date-time"},
    "json": {},
}


class ColumnDescription(Document):
    """One column; ``rescued`` counts the rows of the table whose value did not fit it."""

    name: str
    type: ColumnType
    description: str
    first_run_id: str | None
    rescued: int


class DriftEvent(Document):
    """Something that a run showed of a field: ``new``, ``vanished``, ``typed``, ``rescued`` or ``renamed``."""

    run_id: str
    field: str
    event: str
    count: int


class TableDescription(Document):
    """The columns of a table, the fields worth counting by and those that move by themselves, and the drift.

    Of the drift there are the newest thousand events, the newest first. ``row`` is a row as a JSON schema, from which
    Power Automate learns the columns.
    """

    columns: tuple[ColumnDescription, ...]
    groups: tuple[str, ...]
    volatile: tuple[str, ...]
    drift: tuple[DriftEvent, ...]
    row: dict[str, JsonValue]


async def describe_table(services: Services, current: DatasetTable) -> TableDescription:
    """Return what is known of a table."""
    version = await reader_of(services).version(current.name, current.version)
    rescued = await _rescued(services, version)
    types = visible_types(version, current)
    metadata = version.table.metadata
    facts = {column.name: column.facts for column in metadata.columns} if metadata else {}
    columns = tuple(
        ColumnDescription(
            name=name,
            type=kind,
            description=facts[name].get("comment", ""),
            first_run_id=facts[name].get("firstRunId"),
            rescued=rescued.get(facts[name].get("field", name), 0),
        )
        for name, kind in types.items()
    )
    volatile = tuple(field.name for field in current.spec.fields if field.volatile)
    return TableDescription(
        columns=columns,
        groups=current.spec.groups,
        volatile=volatile,
        drift=await _drift(services, current),
        row=row_schema(columns, current.spec.own),
    )


def row_schema(columns: Sequence[ColumnDescription], own: Collection[str]) -> dict[str, JsonValue]:
    """Return a row as a JSON schema; of JSON columns only the rows say what they hold."""
    properties: dict[str, JsonValue] = {}
    parent: dict[str, JsonValue] = {}
    for column in columns:
        is_parent = column.name in own and column.name.startswith(_PARENT_COLUMN)
        target, name = (parent, column.name.removeprefix(_PARENT_COLUMN)) if is_parent else (properties, column.name)
        target[name] = {**_JSON_TYPES[column.type], "title": name, "description": column.description}
    if parent:
        properties[PARENT] = {"type": "object", "properties": parent}
    return {"type": "object", "properties": properties}


async def _rescued(services: Services, version: TableVersion) -> dict[str, int]:
    """Return how many values were rescued, by field; most row groups have none and are not read."""
    wanted = Sql(
        "SELECT name, count(*) FROM (SELECT unnest(json_keys(cells)) AS name FROM"
        f" (SELECT {RESCUED} AS cells FROM {version.relation()} WHERE {RESCUED} IS NOT NULL) WHERE json_valid(cells))"
        " GROUP BY name"
    )
    return dict(await reader_of(services).rows(wanted))


async def _drift(services: Services, current: DatasetTable) -> tuple[DriftEvent, ...]:
    table = await reader_of(services).version(DRIFT)
    wanted = Sql(
        f'SELECT run_id, field, event, "count" FROM {table.relation(COLUMNS)} WHERE source = ? AND dataset = ?'
        " ORDER BY run_id DESC, field, event LIMIT ?",
        (current.dataset.source, current.dataset.name, _MAX_DRIFT),
    )
    found = await reader_of(services).rows(wanted)
    events = (DriftEvent(run_id=run, field=field, event=event, count=count) for run, field, event, count in found)
    return tuple(event for event in events if not current.spec.is_hidden(event.field))

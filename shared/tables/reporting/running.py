"""Runs the SQL of a report on the engine.

What a report may use beside the tables: ``$now``; the catalogue's documented meanings of values (``codes``) and its
datasets (``datasets``); and a few macros that read JSON which need not be valid.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from shared.avepoint.catalog import catalog
from shared.avepoint.fields import fields_of
from shared.tables.engine.handle import Connection
from shared.tables.reporting.heads import ReportDefinition
from shared.tables.schema.columns import ColumnType

MAX_ROWS = 100_000
"""How many rows a report may have."""

_MACROS = r"""
CREATE MACRO listed(value, list) AS
    list_contains(regexp_split_to_array(lower(trim(list)), '\s*,\s*'), lower(trim(value)));
CREATE MACRO json_member(text, name) AS
    CASE WHEN json_valid(text) THEN json_extract_string(text, name) END;
CREATE MACRO json_size(text) AS
    CASE WHEN json_valid(text) THEN json_array_length(text) END;
CREATE MACRO json_items(text) AS
    CASE WHEN json_valid(text) AND json_type(text) = 'ARRAY' THEN json_extract(text, '$[*]') END;
CREATE MACRO meaning(of_dataset, of_field, of_value) AS coalesce(
    (
        SELECT any_value(meaning) FROM codes
        WHERE dataset = of_dataset AND field = of_field AND value = CAST(of_value AS VARCHAR)
    ),
    CAST(of_value AS VARCHAR)
);
"""

_TYPES: dict[str, ColumnType] = {
    "BOOLEAN": "boolean",
    "TINYINT": "long",
    "SMALLINT": "long",
    "INTEGER": "long",
    "BIGINT": "long",
    "DOUBLE": "double",
    "TIMESTAMP WITH TIME ZONE": "timestamp",
}


@dataclass(frozen=True, slots=True)
class ReportResult:
    """The rows of a report; at most one more than ``MAX_ROWS``."""

    columns: Mapping[str, ColumnType]
    rows: list[tuple[Any, ...]]


def run_report(
    connection: Connection,
    report: ReportDefinition,
    values: Mapping[str, int | str],
    *,
    now: datetime,
    relations: Mapping[str, str],
) -> ReportResult:
    """Return the rows of a report.

    Args:
        values: A value for each parameter.
        now: The instant that days are counted back from.
        relations: A query for each table that the report names.
    """
    _create_catalogue(connection)
    connection.execute(_MACROS)
    for name, query in relations.items():
        connection.execute(f'CREATE VIEW "{name}" AS {query}')
    named = {**values, "now": now}
    bound = {name: value for name, value in named.items() if re.search(rf"\${name}\b", report.sql)}
    found = connection.execute(f"SELECT * FROM ({report.sql}) LIMIT {MAX_ROWS + 1}", bound)
    columns = {name: _TYPES.get(str(kind), "string") for name, kind, *_ in found.description or ()}
    return ReportResult(columns, found.fetchall())


def _create_catalogue(connection: Connection) -> None:
    datasets = [(one.source, one.name, one.kind) for one in catalog().values()]
    connection.execute(_table("datasets", "source", "dataset", "kind"), list(zip(*datasets, strict=True)))
    connection.execute(_table("codes", "dataset", "field", "value", "meaning"), list(zip(*_codes(), strict=True)))


def _table(name: str, *columns: str) -> str:
    """Return SQL that makes a table of one list for each column: far faster than row by row."""
    return f"CREATE TABLE {name} AS SELECT {', '.join(f'unnest(?) AS {column}' for column in columns)}"


def _codes() -> list[tuple[str, str, str, str]]:
    return [
        (f"{dataset.source}/{dataset.name}", field.name, value, meaning)
        for dataset in catalog().values()
        for field in fields_of(dataset)
        for value, meaning in field.codes.items()
    ]

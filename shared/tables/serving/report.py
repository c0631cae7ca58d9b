"""Reports: which there are, and what one of them says of the tables as they are."""

import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

import msgspec

from shared.avepoint.catalog import Dataset
from shared.avepoint.fields import fields_of
from shared.closest import closest_hint
from shared.errors import NotFound, NotReady, TooLarge
from shared.services import Services
from shared.tables.build.names import SNAPSHOTS, changes_name
from shared.tables.changes.columns import CHANGES
from shared.tables.history.columns import SNAPSHOTS as SNAPSHOT_COLUMNS
from shared.tables.queries.spreadsheet import csv_chunks
from shared.tables.queries.sql import quoted
from shared.tables.reporting.heads import ReportDefinition, reports
from shared.tables.reporting.running import MAX_ROWS, ReportResult, run_report
from shared.tables.schema.columns import KEY, ColumnType
from shared.tables.serving.datasets import DatasetTable, current_table, find_dataset
from shared.tables.serving.items import visible_types
from shared.tables.serving.reader import TableReader, TableVersion, engine_type, null_columns, reader_of

_OF_CHANGES: Final = " changes"


@dataclass(frozen=True, slots=True)
class ReportAnswer:
    """What a report says, and which snapshots it was made from."""

    definition: ReportDefinition
    result: ReportResult
    run_ids: Mapping[str, str]

    def to_json(self) -> bytes:
        """Return the report as the contract has it."""
        columns = [{"name": name, "type": kind} for name, kind in self.result.columns.items()]
        value = [dict(zip(self.result.columns, row, strict=True)) for row in self.result.rows]
        told = {"columns": columns, "value": value, "runIds": self.run_ids}
        return msgspec.json.encode(describe_report(self.definition) | told)

    def to_csv(self) -> bytes:
        """Return the rows as CSV."""
        return b"".join(csv_chunks(self._cells()))

    def _cells(self) -> Iterator[list[str]]:
        yield list(self.result.columns)
        for row in self.result.rows:
            yield [_cell(value) for value in row]


def describe_report(report: ReportDefinition) -> dict[str, object]:
    """Return what a report is about, and what it can be asked with."""
    parameters = [
        {"name": one.name, "default": one.default, "description": one.description} for one in report.parameters
    ]
    return {
        "name": report.name,
        "title": report.title,
        "description": report.description,
        "needs": list(report.needs),
        "uses": list(report.uses),
        "parameters": parameters,
    }


def find_report(name: str) -> ReportDefinition:
    """Return the report of this name.

    Raises:
        NotFound: There is none; the message names the closest one.
    """
    if name not in reports():
        raise NotFound(f"there is no report {name[:100]!r}{closest_hint(name, reports())}")
    return reports()[name]


async def make_report(services: Services, report: ReportDefinition, values: Mapping[str, int | str]) -> ReportAnswer:
    """Return what a report says now.

    Raises:
        NotReady: A table that it needs is not there, or a column that it cannot do without is hidden.
        TooLarge: It has too many rows.
    """
    tables = await _tables(services, report)
    _check_hidden(report, tables)
    reader = reader_of(services)
    relations = await _relations(reader, report, tables)
    now = services.clock()
    result = await reader.ask_apart(
        lambda connection: run_report(connection, report, values, now=now, relations=relations)
    )
    if len(result.rows) > MAX_ROWS:
        target = report.parameters[0].name if report.parameters else report.name
        message = f"the report {report.name} would have more than {MAX_ROWS:,} rows"
        raise TooLarge(message, target=target, remedy="Read the tables themselves, in the container 'tables'.")
    return ReportAnswer(report, result, {name: table.run_id for name, table in tables.items()})


async def _tables(services: Services, report: ReportDefinition) -> dict[str, DatasetTable]:
    """Return the tables of a report by dataset; of those that it only uses, the ones that are there."""
    found = {name: await current_table(services, dataset_called(name)) for name in report.needs}
    missing: NotReady | None = None
    for name in report.uses:
        try:
            found[name] = await current_table(services, dataset_called(name))
        except NotReady as error:
            missing = missing or error
    if missing is not None and not found:
        raise missing
    return found


def _check_hidden(report: ReportDefinition, tables: Mapping[str, DatasetTable]) -> None:
    for column in report.decides:
        dataset, _, field = column.partition(".")
        if dataset in tables and tables[dataset].spec.is_hidden(field):
            raise NotReady(
                f"the report {report.name} cannot do without {column}, which is hidden",
                remedy="Take it out of TABLES_HIDE_FIELDS.",
            )


async def _relations(
    reader: TableReader, report: ReportDefinition, tables: Mapping[str, DatasetTable]
) -> dict[str, str]:
    """Return a query for everything that the SQL of a report names."""
    relations: dict[str, str] = {}
    for name in (*report.needs, *report.uses):
        dataset, table = dataset_called(name), tables.get(name)
        if f'"{name}"' in report.sql:
            relations[name] = await _rows(reader, dataset, table)
        if f'"{name}{_OF_CHANGES}"' in report.sql:
            changes = await reader.version(changes_name(dataset.source, dataset.name))
            relations[f"{name}{_OF_CHANGES}"] = _changes(changes, table)
    if SNAPSHOTS in report.sql:
        snapshots = await reader.version(SNAPSHOTS)
        relations[SNAPSHOTS] = _all(SNAPSHOT_COLUMNS, snapshots)
    return relations


def _changes(changes: TableVersion, table: DatasetTable | None) -> str:
    """Return a query for changes, without the fields that have been hidden since they were written."""
    hidden = table.spec.hidden if table else ()
    if not hidden:
        return _all(CHANGES, changes)
    return f"SELECT * REPLACE ({_shown('before', hidden)}, {_shown('after', hidden)}) FROM ({_all(CHANGES, changes)})"


def _shown(column: str, hidden: Collection[str]) -> str:
    side, names = quoted(column), " OR ".join(f"lower(name) GLOB {_text(one)}" for one in hidden)
    place = "'/' || replace(replace(name, '~', '~0'), '/', '~1')"
    member = f"to_json(name)::VARCHAR || ':' || json_extract({side}, {place})::VARCHAR"
    shown = f"list_transform(list_filter(json_keys({side}), lambda name: NOT ({names})), lambda name: {member})"
    return f"CASE WHEN json_valid({side}) THEN '{{' || array_to_string({shown}, ',') || '}}' END AS {side}"


def _text(pattern: str) -> str:
    return f"'{pattern.replace("'", "''")}'"


async def _rows(reader: TableReader, dataset: Dataset, table: DatasetTable | None) -> str:
    """Return a query for the rows of a table, with every documented column in its documented type.

    What is hidden, not there, or does not fit that type is null: a table keeps the types that its first rows showed.
    """
    documented: dict[str, ColumnType] = {KEY: "string", **{one.name: one.type for one in fields_of(dataset)}}
    if table is None:
        return f"SELECT {null_columns(documented)} WHERE false"
    version = await reader.with_all_columns(await reader.version(table.name, table.version))
    visible = visible_types(version, table)
    missing = {name: kind for name, kind in documented.items() if name not in visible}
    wanted = [_typed(name, visible[name], kind) for name, kind in documented.items() if name in visible]
    return f"SELECT {', '.join([*wanted, *([null_columns(missing)] if missing else [])])} FROM {version.relation()}"


def _typed(name: str, actual: ColumnType, documented: ColumnType) -> str:
    """Return a column in its documented type."""
    column = quoted(name)
    if actual == documented:
        return column
    if documented == "json":
        return f"CAST(to_json({column}) AS VARCHAR) AS {column}"
    if actual == "json":
        column = f"CASE WHEN json_valid({column}) THEN json_extract_string({column}, '$') END"
    if documented == "long":  # the engine would round
        column = f"regexp_extract(CAST({column} AS VARCHAR), '^(-?[0-9]+)(\\.0+)?$', 1)"
    return f"TRY_CAST({column} AS {engine_type(documented)}) AS {quoted(name)}"


def _all(columns: Mapping[str, ColumnType], version: TableVersion) -> str:
    return f"SELECT {', '.join(quoted(name) for name in columns)} FROM {version.relation(columns)}"


def dataset_called(name: str) -> Dataset:
    """Return the dataset ``{source}/{dataset}``; raises ``NotFound``."""
    source, _, dataset = name.partition("/")
    return find_dataset(source, dataset)


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    text = msgspec.json.encode(value).decode()
    return str(json.loads(text)) if text.startswith('"') else text

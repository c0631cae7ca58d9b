"""Reports: each against a reference in plain Python, and each of documented fields alone (promise 10)."""

import re
from collections.abc import Iterator, Sequence
from datetime import timedelta

import duckdb
import pytest

from shared.avepoint.catalog import catalog
from shared.errors import InvalidInput
from shared.tables.reporting.heads import ReportDefinition, parse_report, reports
from shared.tables.reporting.running import MAX_ROWS, run_report
from shared.tables.schema.columns import ColumnType
from tests.tables.reports.references import REFERENCES
from tests.tables.reports.tenant import NOW, Row, Tenant, documented, made_up_tenant, stored

ENGINE_TYPES: dict[ColumnType, str] = {
    "long": "BIGINT",
    "double": "DOUBLE",
    "string": "VARCHAR",
    "json": "VARCHAR",
    "boolean": "BOOLEAN",
    "timestamp": "TIMESTAMPTZ",
}
CHANGES: dict[str, ColumnType] = {
    "key": "string",
    "change": "string",
    "sure": "boolean",
    "before": "json",
    "after": "json",
    "run_id": "string",
    "at": "timestamp",
}
SNAPSHOTS: dict[str, ColumnType] = {
    "source": "string",
    "dataset": "string",
    "items": "long",
    "added": "long",
    "removed": "long",
    "finished_at": "timestamp",
}
AGGREGATED = {"premium-and-custom-connectors": (0, 4, 5, 6, 7, 8)}
"""Which columns of a report have one possible value; of the others any of a group may come."""


@pytest.fixture
def engine() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect(config={"autoload_known_extensions": False, "autoinstall_known_extensions": False}) as database:
        database.execute("SET TimeZone = 'UTC'")
        yield database


def filled(engine: duckdb.DuckDBPyConnection, columns: dict[str, ColumnType], rows: Sequence[Row]) -> str:
    """A query for a table that holds rows."""
    name = f"table_{len(engine.execute('SHOW TABLES').fetchall())}"
    fields = ", ".join(f'"{column}" {ENGINE_TYPES[kind]}' for column, kind in columns.items())
    engine.execute(f"CREATE TABLE {name} ({fields})")
    lists = [[row.get(column) for row in rows] for column in columns]
    wanted = ", ".join(f"unnest(CAST(? AS {ENGINE_TYPES[kind]}[]))" for kind in columns.values())
    if rows:
        engine.execute(f"INSERT INTO {name} SELECT {wanted}", lists)
    return f"FROM {name}"


def tables(engine: duckdb.DuckDBPyConnection, tenant: Tenant) -> dict[str, str]:
    found = {}
    for dataset, rows in tenant.items():
        fields = documented(dataset)
        columns: dict[str, ColumnType] = {"_key": "string", **{field.name: field.type for field in fields}}
        cells = [
            {"_key": row["_key"]} | {field.name: stored(field, row[field.name]) for field in fields} for row in rows
        ]
        found[dataset] = filled(engine, columns, cells)
    return found


def needed(report: ReportDefinition) -> list[str]:
    return [*report.needs, *report.uses]


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("name", sorted(REFERENCES))
def test_a_report_says_what_its_reference_says(engine: duckdb.DuckDBPyConnection, name: str, seed: int) -> None:
    report = reports()[name]
    tenant = made_up_tenant(needed(report), seed=seed)
    values = report.values({})
    result = run_report(engine, report, values, now=NOW, relations=tables(engine, tenant))
    expected = REFERENCES[name](tenant, values)
    places = AGGREGATED.get(name)
    rows = [tuple(row[place] for place in places) for row in result.rows] if places else result.rows
    assert rows == expected
    assert expected, "a report of nothing shows nothing"


def test_new_and_gone_tells_what_came_and_went_lately(engine: duckdb.DuckDBPyConnection) -> None:
    report = reports()["new-and-gone"]
    recent, old = NOW - timedelta(days=6), NOW - timedelta(days=8)
    changes = [
        {"key": "a", "change": "added", "sure": True, "after": '{"displayName":"Leave"}', "run_id": "r2", "at": recent},
        {"key": "b", "change": "removed", "sure": False, "before": "{}", "run_id": "r2", "at": recent},
        {"key": "c", "change": "changed", "sure": True, "before": "{}", "after": "{}", "run_id": "r2", "at": recent},
        {"key": "d", "change": "added", "sure": True, "after": "{}", "run_id": "r1", "at": old},
    ]
    relations = {f"{dataset} changes": filled(engine, CHANGES, []) for dataset in needed(report)}
    relations["graph/enpower-cloudflows changes"] = filled(engine, CHANGES, changes)
    result = run_report(engine, report, report.values({}), now=NOW, relations=relations)
    assert result.rows == [
        (recent, "added", True, "flow", "Leave", "a", "r2"),
        (recent, "removed", False, "flow", None, "b", "r2"),
    ]


def test_growth_compares_the_first_and_the_last_snapshot(engine: duckdb.DuckDBPyConnection) -> None:
    def snapshot(dataset: str, days: int, items: int, added: int | None, removed: int | None) -> Row:
        at = NOW - timedelta(days=days)
        row = {"source": "graph", "dataset": dataset, "items": items, "finished_at": at}
        return row | {"added": added, "removed": removed}

    snapshots = [
        snapshot("enpower-powerapps", 40, 1, None, None),
        snapshot("enpower-powerapps", 20, 100, 5, 2),
        snapshot("enpower-powerapps", 0, 120, 30, 10),
        snapshot("enpower-cloudflows", 3, 7, None, None),
        snapshot("aos-audit", 3, 7, None, None),
    ]
    relations = {"inventory_snapshots": filled(engine, SNAPSHOTS, snapshots)}
    report = reports()["growth"]
    result = run_report(engine, report, report.values({}), now=NOW, relations=relations)
    assert result.rows == [
        ("graph/enpower-powerapps", NOW - timedelta(days=20), NOW, 2, 100, 120, 20, 35, 12),
        ("graph/enpower-cloudflows", NOW - timedelta(days=3), NOW - timedelta(days=3), 1, 7, 7, 0, None, None),
    ]


def test_there_are_ten_reports_and_more_each_with_its_test() -> None:
    assert set(reports()) == {*REFERENCES, "new-and-gone", "growth"}
    assert len(reports()) >= 10


@pytest.mark.parametrize("report", reports().values(), ids=lambda report: report.name)
def test_a_report_names_documented_datasets_and_fields_alone(report: ReportDefinition) -> None:
    known = {f"{one.source}/{one.name}" for one in catalog().values()}
    assert set(needed(report)) <= known
    for decisive in report.decides:
        dataset, _, field = decisive.partition(".")
        assert field in {one.name for one in documented(dataset)}
    for parameter in report.parameters:
        assert re.search(rf"\${parameter.name}\b", report.sql)
    assert all(f'"{dataset}' in report.sql for dataset in needed(report))


@pytest.mark.parametrize("report", reports().values(), ids=lambda report: report.name)
def test_a_report_of_empty_tables_is_empty(engine: duckdb.DuckDBPyConnection, report: ReportDefinition) -> None:
    relations = tables(engine, {dataset: [] for dataset in needed(report)})
    relations |= {f"{dataset} changes": filled(engine, CHANGES, []) for dataset in needed(report)}
    relations["inventory_snapshots"] = filled(engine, SNAPSHOTS, [])
    result = run_report(engine, report, report.values({}), now=NOW, relations=relations)
    assert result.rows == []
    assert result.columns


@pytest.mark.parametrize("text", ["", "-1", "1.5", "36501", "9" * 5_000, "\u0665", "x"])
def test_a_number_of_days_is_one(text: str) -> None:
    with pytest.raises(InvalidInput, match="days is a whole number up to 36,500") as refused:
        reports()["not-used"].values({"days": text})
    assert refused.value.target == "days"


def test_a_text_has_an_end() -> None:
    with pytest.raises(InvalidInput, match="active has at most 1,000 characters"):
        reports()["without-active-owner"].values({"active": "x" * 1_001})


def test_what_a_caller_says_is_no_sql(engine: duckdb.DuckDBPyConnection) -> None:
    report = reports()["premium-and-custom-connectors"]
    values = report.values({"premium": "'); DROP TABLE codes; --"})
    run_report(engine, report, values, now=NOW, relations=tables(engine, made_up_tenant(report.needs, seed=1)))
    assert engine.execute("SELECT count(*) > 0 FROM codes").fetchall() == [(True,)]


@pytest.mark.parametrize(
    "text",
    [
        "-- title: x\nSELECT 1",
        "-- title: x\n-- description: y\n-- wanted: z\nSELECT 1",
        "-- title: x\n-- description: y\n-- parameter: days\nSELECT 1",
    ],
)
def test_a_head_that_is_not_one_is_refused(text: str) -> None:
    with pytest.raises((ValueError, KeyError)):
        parse_report("x", text)


def test_a_report_has_an_end(engine: duckdb.DuckDBPyConnection) -> None:
    head = "-- title: x\n-- description: y\n"
    endless = parse_report("endless", f"{head}SELECT * FROM range({MAX_ROWS * 2})")
    result = run_report(engine, endless, {}, now=NOW, relations={})
    assert len(result.rows) == MAX_ROWS + 1

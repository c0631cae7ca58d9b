"""Filters as Microsoft's OData library answers them, put right where OData's text says otherwise.

Each filter has the ids of the rows it shows, or is refused. Left out are rows whose times are finer than a table keeps.
"""

import json
import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import duckdb
import pytest

from shared.errors import InvalidInput
from shared.tables.queries.checks import check_condition
from shared.tables.queries.conditions import Condition
from shared.tables.queries.filters import parse_filter
from shared.tables.queries.sql import condition_sql
from shared.tables.schema.columns import ColumnType
from tests.tables.queries.evaluator import Value, matches

DATA = Path(__file__).parent / "data"
COLUMNS: dict[str, ColumnType] = {
    "id": "long",
    "name": "string",
    "owner": "string",
    "type": "string",
    "tags": "json",
    "size": "long",
    "share": "double",
    "active": "boolean",
    "created": "timestamp",
    "modified": "timestamp",
}
TIMES = ("created", "modified")
FINER_THAN_A_TABLE = re.compile(r"\.\d{7}")
EPOCH = datetime.fromisoformat("1970-01-01T00:00:00Z")


def recorded_rows() -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads((DATA / "rows.json").read_text())
    return [row for row in rows if not any(FINER_THAN_A_TABLE.search(row[name] or "") for name in TIMES)]


ROWS = recorded_rows()
IDS = {row["id"] for row in ROWS}
FILTERS: list[dict[str, Any]] = [
    json.loads(line) for line in (DATA / "filters.jsonl").read_text().rstrip("\n").split("\n")
]


@pytest.fixture(scope="module")
def table() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as database:
        database.execute(
            "CREATE TABLE t (id BIGINT, name VARCHAR, owner VARCHAR, type VARCHAR, tags VARCHAR, size BIGINT,"
            " share DOUBLE, active BOOLEAN, created TIMESTAMPTZ, modified TIMESTAMPTZ)"
        )
        for row in ROWS:
            values = [datetime.fromisoformat(value) if key in TIMES and value else value for key, value in row.items()]
            database.execute(f"INSERT INTO t VALUES ({', '.join('?' * len(values))})", values)
        yield database


def read(text: str) -> Condition:
    condition = parse_filter(text, url_bytes=len(quote(text)))
    check_condition(condition, COLUMNS)
    return condition


def microseconds(row: dict[str, Any]) -> dict[str, Value]:
    def whole(text: str | None) -> int | None:
        return (datetime.fromisoformat(text) - EPOCH) // timedelta(microseconds=1) if text else None

    return row | {name: whole(row[name]) for name in TIMES}


@pytest.mark.parametrize("case", FILTERS, ids=lambda case: case["filter"][:60])
def test_a_recorded_filter_shows_the_recorded_rows(table: duckdb.DuckDBPyConnection, case: dict[str, Any]) -> None:
    if case["want"] != 200:
        with pytest.raises(InvalidInput) as refused:
            read(case["filter"])
        assert refused.value.target == "filter"
        return
    condition = read(case["filter"])
    sql = condition_sql(condition, COLUMNS)
    expected = sorted(IDS & set(case["ids"]))
    found = table.execute(f"SELECT id FROM t WHERE {sql.text} ORDER BY id", list(sql.values)).fetchall()
    assert [row[0] for row in found] == expected
    assert [row["id"] for row in ROWS if matches(condition, microseconds(row))] == expected

"""Pages of rows: together they are the whole list, each row once, in every order and size (promise 10)."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import batched
from operator import itemgetter
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.tables.queries.conditions import ComparisonCondition, Condition, Not
from shared.tables.queries.pages import PageRows, RowPlace
from shared.tables.queries.selection import RowOrder
from shared.tables.queries.sql import condition_sql
from shared.tables.schema.columns import ColumnType

EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
COLUMNS: dict[str, ColumnType] = {"id": "long", "name": "string", "share": "double", "at": "timestamp"}
FEW: list[tuple[str | None, float | None, datetime | None]] = [
    (name, share, moment)
    for name in (None, "", "a", "b", "ä")
    for share in (None, -0.0, 0.0, 0.5)
    for moment in (None, EPOCH, EPOCH + timedelta(microseconds=1))
]
ROWS = [(number, *FEW[number * 7 % len(FEW)]) for number in range(len(FEW))]
NOT_A: Condition = Not(ComparisonCondition("name", "eq", "a", 1))


@pytest.fixture(scope="module")
def relation(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The rows in three files."""
    folder = tmp_path_factory.mktemp("pages")
    parts = enumerate(batched(ROWS, 25, strict=False))
    return f"read_parquet({[written(folder / f'{number}.parquet', part) for number, part in parts]})"


@pytest.fixture(scope="module")
def engine() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as database:
        yield database


def written(path: Path, rows: tuple[tuple[object, ...], ...]) -> str:
    with duckdb.connect() as database:
        database.execute('CREATE TABLE t (id BIGINT, name VARCHAR, share DOUBLE, "at" TIMESTAMPTZ)')
        database.executemany("INSERT INTO t VALUES (?, ?, ?, ?)", rows)
        database.execute(f"COPY t TO '{path}' (ROW_GROUP_SIZE 20)")
    return str(path)


def paged(engine: duckdb.DuckDBPyConnection, rows: PageRows, top: int) -> list[int]:
    """The ids of all pages, one after the other."""
    ids: list[int] = []
    page = rows.first_page(top)
    while found := engine.execute(page.text, list(page.values)).fetchall():
        assert len(found) <= top
        ids += [row[0] for row in found]
        place = RowPlace(*found[-1][-2:])
        values: tuple[Any, ...] = ()
        if rows.orders:
            looked_up = rows.values_at(place)
            (values,) = engine.execute(looked_up.text, list(looked_up.values)).fetchall()
        page = rows.page_after(place, top, values=values)
    return ids


orders = st.lists(st.builds(RowOrder, st.sampled_from(sorted(COLUMNS)), st.booleans()), max_size=2).map(tuple)


@settings(max_examples=60)
@given(orders, st.sampled_from([4, 7, 20, 25, 59, 60, 70]), st.sampled_from([None, NOT_A]))
def test_the_pages_are_the_list(
    engine: duckdb.DuckDBPyConnection,
    relation: str,
    orders: tuple[RowOrder, ...],
    top: int,
    condition: Condition | None,
) -> None:
    where = condition_sql(condition, COLUMNS) if condition else None
    ids = paged(engine, PageRows(relation, ("id", "name"), where, orders), top)
    assert ids == expected(orders, condition)


def expected(orders: tuple[RowOrder, ...], condition: Condition | None) -> list[int]:
    """The ids as Python sorts them: rows of equal values stay as they are, in either direction."""
    rows: list[Any] = [row for row in ROWS if condition is None or row[1] != "a"]
    for order in reversed(orders):
        column = list(COLUMNS).index(order.column)
        values = [row for row in rows if row[column] is not None]
        values.sort(key=itemgetter(column), reverse=order.descending)
        rows = values + [row for row in rows if row[column] is None]
    return [row[0] for row in rows]


def test_rows_are_counted_up_to_a_limit(engine: duckdb.DuckDBPyConnection, relation: str) -> None:
    rows = PageRows(relation, ("id",), condition_sql(NOT_A, COLUMNS))
    counts = [engine.execute(sql.text, list(sql.values)).fetchone() for sql in (rows.count(1_000), rows.count(7))]
    assert counts == [(48,), (7,)]


def test_a_far_page_skips_what_lies_before(tmp_path: Path) -> None:
    many = tmp_path / "many.parquet"
    with duckdb.connect() as database:
        database.execute(f"COPY (SELECT range AS id FROM range(4_000)) TO '{many}' (ROW_GROUP_SIZE 2_048)")
    page = PageRows(f"read_parquet(['{many}'])", ("id",)).page_after(RowPlace(0, 3_900), 10)
    with duckdb.connect() as database:
        plan = str(database.execute(f"EXPLAIN ANALYZE {page.text}", list(page.values)).fetchall())
    assert "Row Groups Scanned: 1 / 2" in plan

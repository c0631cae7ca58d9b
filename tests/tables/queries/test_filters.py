"""Filters: their language, and that SQL and a second reading in plain Python show the same rows (promises 10, 11)."""

from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.errors import InvalidInput
from shared.tables.queries.checks import check_condition
from shared.tables.queries.conditions import (
    AllOf,
    AnyOf,
    ComparisonCondition,
    Condition,
    Constant,
    Instant,
    Not,
    TextMatch,
)
from shared.tables.queries.filters import parse_filter
from shared.tables.queries.sql import condition_sql, quoted
from tests.tables.queries.evaluator import Value, matches
from tests.tables.queries.strategies import BASE, COLUMNS, conditions, every_comparison, rows

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
ENGINE_TYPES = {
    "long": "BIGINT",
    "double": "DOUBLE",
    "string": "VARCHAR",
    "json": "VARCHAR",
    "boolean": "BOOLEAN",
    "timestamp": "TIMESTAMPTZ",
}


def parse(text: str) -> Condition:
    return parse_filter(text, url_bytes=len(text.encode()))


def refusal(text: str) -> str:
    with pytest.raises(InvalidInput) as refused:
        check_condition(parse(text), COLUMNS)
    assert refused.value.target == "filter"
    return str(refused.value)


def spelt(condition: Condition) -> str:
    """A condition as a caller writes it, every part of it in parentheses."""
    match condition:
        case ComparisonCondition():
            return f"{condition.column} {condition.operator} {spelt_constant(condition.value)}"
        case TextMatch():
            return f"{condition.function}({condition.column},{spelt_constant(condition.text)})"
        case Not():
            return f"not ({spelt(condition.condition)})"
        case AllOf() | AnyOf():
            word = " and " if isinstance(condition, AllOf) else " or "
            return word.join(f"({spelt(one)})" for one in condition.conditions)


def spelt_constant(value: Constant) -> str:
    match value:
        case None | bool():
            return str(value).lower().replace("none", "null")
        case str():
            return "'" + value.replace("'", "''") + "'"
        case Instant():
            moment = EPOCH + value.microseconds * timedelta(microseconds=1)
            return f"{moment.replace(tzinfo=None).isoformat(timespec='microseconds')}{'5' if value.between else ''}Z"
        case _:
            return str(value)


def without_places(condition: Condition) -> Condition:
    match condition:
        case ComparisonCondition() | TextMatch():
            return replace(condition, place=1)
        case Not():
            return Not(without_places(condition.condition))
        case AllOf() | AnyOf():
            return type(condition)(tuple(without_places(one) for one in condition.conditions))


DATABASE = duckdb.connect()


def shown(condition: Condition, given: list[dict[str, Value]]) -> list[int]:
    """The positions of the rows that the table engine shows."""
    sql = condition_sql(condition, COLUMNS)
    lists = zip(*([position, *engine_values(row)] for position, row in enumerate(given)), strict=True)
    table = ", ".join(
        f"unnest(CAST(? AS {kind}[])) AS {quoted(name)}"
        for name, kind in [("position", "BIGINT"), *((name, ENGINE_TYPES[kind]) for name, kind in COLUMNS.items())]
    )
    query = f"SELECT position FROM (SELECT {table}) WHERE {sql.text} ORDER BY position"
    return [position for (position,) in DATABASE.execute(query, [*map(list, lists), *sql.values]).fetchall()]


def engine_values(row: dict[str, Value]) -> list[Any]:
    times = {name for name, kind in COLUMNS.items() if kind == "timestamp"}
    return [
        EPOCH + timedelta(microseconds=1) * int(value) if name in times and value is not None else value
        for name, value in ((name, row[name]) for name in COLUMNS)
    ]


@settings(max_examples=150)
@given(conditions, st.lists(rows, max_size=6))
def test_sql_and_a_second_reading_show_the_same_rows(condition: Condition, given: list[dict[str, Value]]) -> None:
    every = [*BASE, *given]
    expected = [position for position, row in enumerate(every) if matches(condition, row)]
    assert shown(condition, every) == expected


def test_every_comparison_and_its_contrary_show_the_same_rows() -> None:
    for comparison in every_comparison():
        for condition in (comparison, Not(comparison)):
            expected = [position for position, row in enumerate(BASE) if matches(condition, row)]
            assert shown(condition, BASE) == expected, condition


@given(conditions)
def test_a_filter_reads_as_it_was_meant(condition: Condition) -> None:
    read = parse(spelt(condition))
    check_condition(read, COLUMNS)
    assert without_places(read) == condition


@given(st.text(st.sampled_from("name eq'x()not and,or5.Z-T:\t\0\u00a0ü"), max_size=40))
def test_any_text_is_read_or_refused_by_name(text: str) -> None:
    with suppress(InvalidInput):
        parse(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name EQ 'x'", "at character 6, expected one of eq, ne, gt, ge, lt, le after 'name', found \"EQ 'x'\""),
        ("name eq 'x", "at character 9, expected a text in single quotes"),
        ("name eq", "at character 8, expected a text in single quotes, a number, a time"),
        ("name eq 'x' xor count eq 1", "at character 13, expected 'and', 'or' or the end, found 'xor count eq 1'"),
        ("(name eq 'x'", "at character 13, expected 'and', 'or' or ')', found the end"),
        ("not count gt 5", "at character 5, expected a parenthesis or a function after 'not', found 'count gt 5'"),
        ("tolower(name) eq 'x'", "at character 1, expected one of the functions contains, startswith, endswith"),
        ("contains(name,5)", "at character 15, expected a text in single quotes, found '5)'"),
        ("", "at character 1, expected the name of a column, found the end"),
        ("created eq 2026-02-30T00:00:00Z", "at character 12, expected a text in single quotes, a number, a time"),
        ("Name eq 'x'", "there is no column 'Name' at character 1; the closest name is 'name'"),
        ("count eq 1 or shar gt 1", "there is no column 'shar' at character 15; the closest name is 'share'"),
        ("zzzzzz eq 1", "there is no column 'zzzzzz' at character 1"),
        (
            "count eq '5'",
            "column 'count' at character 1 is of type long: compare it with a number or null, not with a text",
        ),
        ("active gt true", "column 'active' at character 1 is of type boolean: it takes eq and ne, not gt"),
        (
            "not startswith(count,'5')",
            "column 'count' at character 16 is of type long: startswith takes columns of text",
        ),
    ],
)
def test_a_refusal_says_where_and_why(text: str, message: str) -> None:
    assert f"filter: {message}" in refusal(text)


def test_parentheses_may_be_a_hundred_deep() -> None:
    assert parse("(" * 100 + "count eq 5" + ")" * 100) == ComparisonCondition("count", "eq", Decimal(5), 101)
    assert "at character 101, expected at most 100 parentheses in one another" in refusal("(" * 101 + "count eq 5")


def test_a_filter_may_have_2000_bytes_as_it_stands_in_the_url() -> None:
    parse_filter("count eq 5", url_bytes=2000)
    with pytest.raises(InvalidInput, match=r"filter has 2,001 bytes as it stands in the URL, and may have 2,000"):
        parse_filter("count eq 5", url_bytes=2001)


def test_the_longest_chain_of_not_and_or_is_read_and_asked() -> None:
    nots = parse("not " * 480 + "contains(name,'a')")
    wide = parse(" or ".join(["count eq 1"] * 140))
    for condition in (nots, wide, Not(wide)):
        assert shown(condition, [dict.fromkeys(COLUMNS)]) == ([0] if isinstance(condition, Not) else [])


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0000-02-29T00:00:00Z", Instant(-62_162_121_600_000_000, between=False)),
        ("0001-01-01T00:00:00+14:00", Instant(-62_135_647_200_000_000, between=False)),
        ("9999-12-31T23:59:59.9999999-23:59", Instant(253_402_387_139_999_999, between=True)),
        ("1969-12-31T23:59:59.9999990000001Z", Instant(-1, between=True)),
        ("1e99999999999999999999", Decimal("1e5000")),
        ("-1e-99999999999999999999", Decimal("-1e-5000")),
    ],
)
def test_times_and_numbers_beyond_every_column_are_read(text: str, value: Constant) -> None:
    assert parse(f"x eq {text}") == ComparisonCondition("x", "eq", value, 1)


@pytest.mark.parametrize("text", ["2026-01-31t12:00:00Z", "2026-01-31T12:00:00z", "2026-01-31T12:00:00", "2026-01-31"])
def test_a_time_has_a_capital_t_and_an_offset(text: str) -> None:
    assert "expected" in refusal(f"created eq {text}")


def test_a_parenthesis_separates_as_a_blank_does() -> None:
    tight, wide = "(x eq 1)and(x eq 2)or(x eq 3)", "(x eq 1) and (x eq 2) or (x eq 3)"
    assert without_places(parse(tight)) == without_places(parse(wide))


def test_a_column_may_be_called_like_a_word_of_the_language() -> None:
    assert parse("not eq 5 and null ne null") == AllOf(
        (ComparisonCondition("not", "eq", Decimal(5), 1), ComparisonCondition("null", "ne", None, 14))
    )

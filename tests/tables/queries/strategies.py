"""Random rows and filters whose constants meet, or just miss, what stands in the rows."""

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

from hypothesis import strategies as st

from shared.tables.queries.conditions import (
    AllOf,
    AnyOf,
    ComparisonCondition,
    Condition,
    Constant,
    Instant,
    Not,
    Operator,
    TextMatch,
)
from shared.tables.schema.columns import ColumnType
from tests.tables.queries.evaluator import Value

COLUMNS: dict[str, ColumnType] = {
    "count": "long",
    "share": "double",
    "name": "string",
    "odd\"na'me": "string",
    "tags": "json",
    "active": "boolean",
    "created": "timestamp",
}

OPERATORS: list[Operator] = ["eq", "ne", "gt", "ge", "lt", "le"]
LIMITS = (-(2**63), 2**63 - 1)
FIRST, LAST = -62_135_596_800_000_000, 253_402_300_799_999_999
"""The years 1 to 9999, in microseconds since 1970."""


LONGS = [0, 1, 2**53 + 1, LIMITS[1]]
DOUBLES = [0.0, -0.0, 0.1, 5e-324]
TEXTS = ["", "a", "ä", "ab"]
INSTANTS = [0, 1, FIRST, LAST]

longs = st.sampled_from(LONGS) | st.integers(*LIMITS)
doubles = st.sampled_from(DOUBLES) | st.floats(allow_nan=False, allow_infinity=False)
texts = st.sampled_from(TEXTS) | st.text(st.sampled_from("aAzZ0%_\\'\" ,()üÄ\u0308\U0001f600\0\n\u00ad"), max_size=3)
instants = st.sampled_from(INSTANTS) | st.integers(FIRST, LAST)

VALUES: Mapping[ColumnType, st.SearchStrategy[Value]] = {
    "long": longs,
    "double": doubles,
    "string": texts,
    "json": texts,
    "boolean": st.booleans(),
    "timestamp": instants,
}

numbers = st.one_of(
    longs.map(Decimal),
    doubles.map(lambda number: Decimal(repr(number))),
    longs.map(lambda number: Decimal(f"{number}.5")),
    st.sampled_from([Decimal("1e400"), Decimal("-1e400"), Decimal("1e-400"), Decimal(2**63), Decimal(f"{-(2**63)}.5")]),
)

CONSTANTS: Mapping[ColumnType, st.SearchStrategy[Constant]] = {
    "long": numbers,
    "double": numbers,
    "string": texts,
    "json": texts,
    "boolean": st.booleans(),
    "timestamp": st.builds(Instant, instants, st.booleans()),
}

FEW: Mapping[ColumnType, list[Any]] = {
    "long": LONGS,
    "double": DOUBLES,
    "string": TEXTS,
    "json": TEXTS,
    "boolean": [True, False, True, False],
    "timestamp": INSTANTS,
}
BASE = [{name: FEW[kind][number] for name, kind in COLUMNS.items()} for number in range(4)] + [dict.fromkeys(COLUMNS)]
"""Rows of the values that constants are made of, and one of nothing: what a filter says is always met."""

rows = st.fixed_dictionaries({name: st.none() | VALUES[kind] for name, kind in COLUMNS.items()})


def comparisons(column: str) -> st.SearchStrategy[Condition]:
    kind = COLUMNS[column]
    orders = ["eq", "ne"] if kind in {"boolean", "json"} else ["eq", "ne", "gt", "ge", "lt", "le"]
    of_values = st.builds(ComparisonCondition, st.just(column), st.sampled_from(orders), CONSTANTS[kind], st.just(1))
    of_null = st.builds(
        ComparisonCondition, st.just(column), st.sampled_from(["eq", "ne", "gt", "le"]), st.none(), st.just(1)
    )
    return of_values | of_null


def text_matches(column: str) -> st.SearchStrategy[Condition]:
    functions = st.sampled_from(["contains", "startswith", "endswith"])
    return st.builds(TextMatch, functions, st.just(column), texts, st.just(1))


def joined(inner: st.SearchStrategy[Condition]) -> st.SearchStrategy[Condition]:
    several = st.lists(inner, min_size=2, max_size=3).map(tuple)
    return st.builds(Not, inner) | st.builds(AllOf, several) | st.builds(AnyOf, several)


leaves = st.one_of(
    *(comparisons(name) for name in COLUMNS),
    *(text_matches(name) for name, kind in COLUMNS.items() if kind in {"string", "json"}),
)
conditions: st.SearchStrategy[Condition] = st.recursive(leaves, joined, max_leaves=8)


def every_comparison() -> Iterator[ComparisonCondition]:
    """Every operator between every column and each of the few constants, those between two values included."""
    for column, kind in COLUMNS.items():
        unordered = kind in {"boolean", "json"}
        for operator in OPERATORS[:2] if unordered else OPERATORS:
            yield from (ComparisonCondition(column, operator, constant, 1) for constant in few_constants(kind))
        yield from (ComparisonCondition(column, operator, None, 1) for operator in OPERATORS)


def few_constants(kind: ColumnType) -> Iterator[Constant]:
    for value in FEW[kind]:
        match kind:
            case "long" | "double":
                number = Decimal(repr(value))
                yield from (number, number + Decimal("0.5"), number - Decimal("0.5"))
            case "timestamp":
                yield from (
                    Instant(value, between=False),
                    Instant(value, between=True),
                    Instant(value - 1, between=True),
                )
            case _:
                yield value

"""A second reading of filters, in plain Python: row by row, in three values, without SQL."""

import operator
from collections.abc import Callable, Mapping
from decimal import Decimal
from fractions import Fraction
from typing import Any

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

type Value = bool | int | float | str | None
"""A value of a row; times are whole microseconds since 1970."""

ORDERS: Mapping[str, Callable[[Any, Any], bool]] = {
    "gt": operator.gt,
    "ge": operator.ge,
    "lt": operator.lt,
    "le": operator.le,
}
FUNCTIONS: Mapping[str, Callable[[str, str], bool]] = {
    "contains": lambda value, text: text in value,
    "startswith": str.startswith,
    "endswith": str.endswith,
}


def matches(condition: Condition, row: Mapping[str, Value]) -> bool:
    """Whether a row is shown."""
    return truth(condition, row) is True


def truth(condition: Condition, row: Mapping[str, Value]) -> bool | None:
    """True, false, or None for unknown (OData 4.01, part 2, 5.1.1)."""
    match condition:
        case ComparisonCondition():
            return _compare(row[condition.column], condition.operator, condition.value)
        case TextMatch():
            value = row[condition.column]
            return None if value is None else FUNCTIONS[condition.function](str(value), condition.text)
        case Not():
            inner = truth(condition.condition, row)
            return None if inner is None else not inner
        case AllOf():
            return _kleene([truth(one, row) for one in condition.conditions], decides=False)
        case AnyOf():
            return _kleene([truth(one, row) for one in condition.conditions], decides=True)


def _kleene(truths: list[bool | None], *, decides: bool) -> bool | None:
    if decides in truths:
        return decides
    return None if None in truths else not decides


def _compare(value: Value, word: str, constant: Constant) -> bool:
    left, right = _comparable(value, constant)
    if word in ORDERS:
        return left is not None and right is not None and ORDERS[word](left, right)
    return (left == right) is (word == "eq")


def _comparable(value: Value, constant: Constant) -> tuple[object, object]:
    if isinstance(constant, Instant):
        return value, constant.microseconds + Fraction(int(constant.between), 2)
    if isinstance(constant, Decimal):
        return value, float(constant) if isinstance(value, float) else constant
    return value, constant

"""Holds a filter against the columns of a table: each is there, and of the type it is compared with. Pure."""

from decimal import Decimal

from shared.errors import InvalidInput
from shared.tables.queries.conditions import (
    AllOf,
    AnyOf,
    ColumnTypes,
    ComparisonCondition,
    Condition,
    Constant,
    Instant,
    Not,
    TextMatch,
)
from shared.tables.queries.names import check_column
from shared.tables.schema.columns import ColumnType

_TAKES: dict[ColumnType, tuple[type, str]] = {
    "boolean": (bool, "true or false"),
    "long": (Decimal, "a number"),
    "double": (Decimal, "a number"),
    "string": (str, "a text in single quotes"),
    "timestamp": (Instant, "a time such as 2026-01-31T12:00:00Z"),
    "json": (str, "a text in single quotes"),
}

_TEXTS: tuple[ColumnType, ...] = ("string", "json")

_UNORDERED: tuple[ColumnType, ...] = ("boolean", "json")
"""They know equal and different only."""


def check_condition(condition: Condition, columns: ColumnTypes) -> None:
    """Make sure that a filter can be asked of these columns.

    Raises:
        InvalidInput: A column is not there, or a value is not of its type; the message names column and place.
    """
    match condition:
        case ComparisonCondition():
            _check_comparison(condition, columns)
        case TextMatch():
            _check_text_match(condition, columns)
        case Not():
            check_condition(condition.condition, columns)
        case AllOf() | AnyOf():
            for one in condition.conditions:
                check_condition(one, columns)


def _check_comparison(comparison: ComparisonCondition, columns: ColumnTypes) -> None:
    check_column(comparison.column, columns, target="filter", place=comparison.place)
    kind = columns[comparison.column]
    expected, wording = _TAKES[kind]
    if not (comparison.value is None or isinstance(comparison.value, expected)):
        raise _unfit(comparison, kind, f"compare it with {wording} or null, not with {_worded(comparison.value)}")
    if kind in _UNORDERED and comparison.operator not in {"eq", "ne"} and comparison.value is not None:
        raise _unfit(comparison, kind, f"it takes eq and ne, not {comparison.operator}")


def _check_text_match(match: TextMatch, columns: ColumnTypes) -> None:
    check_column(match.column, columns, target="filter", place=match.place)
    if columns[match.column] not in _TEXTS:
        raise _unfit(match, columns[match.column], f"{match.function} takes columns of text")


def _unfit(condition: ComparisonCondition | TextMatch, kind: ColumnType, reason: str) -> InvalidInput:
    subject = f"filter: column {condition.column!r} at character {condition.place} is of type {kind}"
    return InvalidInput(f"{subject}: {reason}", target="filter")


def _worded(value: Constant) -> str:
    match value:
        case bool():
            return "true or false"
        case Decimal():
            return "a number"
        case Instant():
            return "a time"
        case _:
            return "a text"

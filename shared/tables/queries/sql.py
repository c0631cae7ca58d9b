"""Turns a filter into SQL for the table engine: names quoted, values bound. Pure.

A comparison is true or false, also of null; a text function of null is unknown, and so is its ``not`` (OData 4.01,
part 2, 5.1.1). In SQL both are unknown. So ``not`` is first carried down to the comparisons: above them is nothing but
*and* and *or*, where unknown and false come to the same, and rows are shown where the whole is true.

A number or a time may lie between two values of its column, or beyond all of them. It is then compared with the whole
value below it, which the column can hold, so that nothing is rounded.
"""

import math
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from shared.tables.queries.conditions import (
    AllOf,
    AnyOf,
    ColumnTypes,
    ComparisonCondition,
    Condition,
    Instant,
    Not,
    Operator,
    TextFunction,
    TextMatch,
)
from shared.tables.schema.columns import ColumnType

type Bound = bool | int | float | str | datetime

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)

_FIRST, _LAST = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)
_LIMITS: dict[ColumnType, tuple[int, int]] = {
    "long": (-(2**63), 2**63 - 1),
    "timestamp": ((_FIRST - _EPOCH) // _MICROSECOND, (_LAST - _EPOCH) // _MICROSECOND),
}
"""The lowest and the highest value of a column; times in microseconds since 1970."""

_NEVER = "FALSE"

_OPPOSITE: dict[Operator, Operator] = {"eq": "ne", "ne": "eq", "gt": "le", "ge": "lt", "lt": "ge", "le": "gt"}
_SIGNS: dict[Operator, str] = {"eq": "=", "ne": "<>", "gt": ">", "ge": ">=", "lt": "<", "le": "<="}
_FUNCTIONS: dict[TextFunction, str] = {"contains": "contains", "startswith": "starts_with", "endswith": "ends_with"}


@dataclass(frozen=True, slots=True)
class Sql:
    """A piece of SQL and the values for its question marks, in their order."""

    text: str
    values: tuple[Bound, ...] = ()


def quoted(name: str) -> str:
    """Return a column's name as SQL writes it."""
    return f'"{name.replace('"', '""')}"'


def condition_sql(condition: Condition, columns: ColumnTypes) -> Sql:
    """Return a filter that ``check_condition`` let through as the condition of a ``WHERE``."""
    compiler = _Compiler(columns)
    return Sql(compiler.compiled(condition, negated=False), tuple(compiler.values))


@dataclass(frozen=True, slots=True)
class _Compiler:
    columns: ColumnTypes
    values: list[Bound] = field(default_factory=list)

    def compiled(self, condition: Condition, *, negated: bool) -> str:
        match condition:
            case ComparisonCondition():
                return self._comparison(condition, negated=negated)
            case TextMatch():
                return self._text_match(condition, negated=negated)
            case Not():
                return self.compiled(condition.condition, negated=not negated)
            case AllOf():
                return self._joined(condition.conditions, "OR" if negated else "AND", negated=negated)
            case AnyOf():
                return self._joined(condition.conditions, "AND" if negated else "OR", negated=negated)

    def _joined(self, conditions: tuple[Condition, ...], word: str, *, negated: bool) -> str:
        return f"({f' {word} '.join(self.compiled(one, negated=negated) for one in conditions)})"

    def _text_match(self, match: TextMatch, *, negated: bool) -> str:
        self.values.append(match.text)
        return f"{'NOT ' if negated else ''}{_FUNCTIONS[match.function]}({quoted(match.column)}, ?)"

    def _comparison(self, comparison: ComparisonCondition, *, negated: bool) -> str:
        name, operator, value = quoted(comparison.column), comparison.operator, comparison.value
        if value is None:
            values, nulls = _always(name) if (operator == "ne") is not negated else _NEVER, operator == "eq"
        else:
            compared = _OPPOSITE[operator] if negated else operator
            values, nulls = self._compared(comparison.column, compared, value), operator == "ne"
        return f"({values} OR {name} IS NULL)" if nulls is not negated else values

    def _compared(self, column: str, operator: Operator, value: bool | Decimal | str | Instant) -> str:  # noqa: FBT001 - a value
        """Return what holds of the values of a column, and never of null."""
        if isinstance(value, Instant):
            return self._among_whole(column, operator, value.microseconds, between=value.between)
        if isinstance(value, Decimal) and self.columns[column] == "long":
            floor = math.floor(value)
            return self._among_whole(column, operator, floor, between=value != floor)
        return self._bound(column, operator, float(value) if isinstance(value, Decimal) else value)

    def _among_whole(self, column: str, operator: Operator, floor: int, *, between: bool) -> str:
        lowest, highest = _LIMITS[self.columns[column]]
        if floor < lowest:
            return _always(quoted(column)) if operator in {"gt", "ge", "ne"} else _NEVER
        if floor > highest or (floor == highest and between):
            return _always(quoted(column)) if operator in {"lt", "le", "ne"} else _NEVER
        if between and operator in {"eq", "ne"}:
            return _always(quoted(column)) if operator == "ne" else _NEVER
        if between:
            operator = "gt" if operator in {"gt", "ge"} else "le"
        return self._bound(column, operator, floor if self.columns[column] == "long" else _EPOCH + floor * _MICROSECOND)

    def _bound(self, column: str, operator: Operator, value: Bound) -> str:
        self.values.append(value)
        return f"{quoted(column)} {_SIGNS[operator]} ?"


def _always(name: str) -> str:
    """Return what is true of every value of a column, and not of null."""
    return f"{name} IS NOT NULL"

"""What a filter says, once it is read: comparisons and text functions, joined by and, or and not. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from shared.tables.schema.columns import ColumnType

type ColumnTypes = Mapping[str, ColumnType]
"""The columns of a table by name."""

type Operator = Literal["eq", "ne", "gt", "ge", "lt", "le"]

type TextFunction = Literal["contains", "startswith", "endswith"]


@dataclass(frozen=True, slots=True)
class Instant:
    """A point in time: whole microseconds since 1970 (UTC), and whether it lies between that one and the next."""

    microseconds: int
    between: bool


type Constant = bool | Decimal | str | Instant | None


@dataclass(frozen=True, slots=True)
class ComparisonCondition:
    """A column on the left, a constant on the right; ``place`` is where the column stands, from 1."""

    column: str
    operator: Operator
    value: Constant
    place: int


@dataclass(frozen=True, slots=True)
class TextMatch:
    """A function of a column and a text; ``place`` is where the column stands, from 1."""

    function: TextFunction
    column: str
    text: str
    place: int


@dataclass(frozen=True, slots=True)
class Not:
    """What is true where ``condition`` is false, and unknown where it is unknown."""

    condition: "Condition"


@dataclass(frozen=True, slots=True)
class AllOf:
    """True where every condition is."""

    conditions: tuple["Condition", ...]


@dataclass(frozen=True, slots=True)
class AnyOf:
    """True where one condition is."""

    conditions: tuple["Condition", ...]


type Condition = ComparisonCondition | TextMatch | Not | AllOf | AnyOf

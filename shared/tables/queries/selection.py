"""Reads ``select`` and ``orderby``. Pure."""

import re
from collections.abc import Collection
from dataclasses import dataclass

from shared.errors import InvalidInput
from shared.tables.queries.names import check_column

_ORDER = re.compile(r"[ \t]*(?P<column>[^ \t,]+)(?:[ \t]+(?P<direction>asc|desc))?[ \t]*")


@dataclass(frozen=True, slots=True)
class RowOrder:
    """Rows in the order of one column, nulls last; rows of equal values stay as they are in the table."""

    column: str
    descending: bool = False


def parse_select(text: str, columns: Collection[str]) -> tuple[str, ...]:
    """Return the columns that a comma list names, each once, in its order.

    Raises:
        InvalidInput: One of them is not there.
    """
    names = tuple(dict.fromkeys(name.strip(" \t") for name in text.split(",")))
    for name in names:
        check_column(name, columns, target="select")
    return names


def parse_orderby(text: str, columns: Collection[str]) -> RowOrder:
    """Return the order that ``field``, ``field asc`` or ``field desc`` asks for.

    Raises:
        InvalidInput: It is not one of them, or there is no such column.
    """
    found = _ORDER.fullmatch(text)
    if found is None:
        message = f"orderby is one column, with 'asc' or 'desc' behind it if you like, not {text!r}"
        raise InvalidInput(message, target="orderby")
    check_column(found["column"], columns, target="orderby")
    return RowOrder(found["column"], descending=found["direction"] == "desc")

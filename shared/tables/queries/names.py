"""Finds the column that a query names. Pure."""

from collections.abc import Collection

from shared.closest import closest_hint
from shared.errors import InvalidInput


def check_column(name: str, columns: Collection[str], *, target: str, place: int | None = None) -> None:
    """Make sure that a table has a column of exactly this name.

    Args:
        target: The query parameter that names it.
        place: Where in it, counted in characters from 1.

    Raises:
        InvalidInput: There is no such column; the message names the closest one.
    """
    if name not in columns:
        where = f" at character {place}" if place else ""
        message = f"{target}: there is no column {name!r}{where}{closest_hint(name, columns)}"
        raise InvalidInput(message, target=target)

"""SQL for one page of the rows of a table. Pure.

A page begins after a row, not after a number of rows: the engine then skips what lies before, however far the page is.
A row's place is its file and its number in it, which never change in one version of a table.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from shared.tables.queries.selection import RowOrder
from shared.tables.queries.sql import Bound, Sql, quoted
from shared.tables.schema.columns import PLACE

FILE, ROW = PLACE
"""The columns by which the engine tells the place of a row in a list of Parquet files."""


@dataclass(frozen=True, slots=True)
class RowPlace:
    """Where a row stands: the number of its file, and its number there, both from 0."""

    file: int
    row: int


@dataclass(frozen=True, slots=True)
class PageRows:
    """Which rows of a relation are wanted, and what of them.

    Attributes:
        relation: What stands behind ``FROM``: Parquet files in their order.
        columns: What to read of each row; its place comes behind.
        orders: What the rows are ordered by; where all of it is equal, by their place.
    """

    relation: str
    columns: Sequence[str]
    where: Sql | None = None
    orders: tuple[RowOrder, ...] = ()

    def first_page(self, top: int) -> Sql:
        """Return the first ``top`` rows."""
        return self._page(None, top)

    def page_after(self, place: RowPlace, top: int, *, values: Sequence[Bound | None] = ()) -> Sql:
        """Return the ``top`` rows after a place.

        Args:
            values: What the row there has in each of the columns that order the rows; see ``values_at``.
        """
        if not self.orders:
            return self._straight_after(place, top)
        return self._page(_behind(self.orders, values, place), top)

    def values_at(self, place: RowPlace) -> Sql:
        """Return what the row at a place has in the columns that order the rows."""
        wanted = ", ".join(quoted(order.column) for order in self.orders)
        text = f"SELECT {wanted} FROM {self.relation} WHERE {FILE} = ? AND {ROW} = ?"
        return Sql(text, (place.file, place.row))

    def count(self, most: int) -> Sql:
        """Return how many rows there are, counted up to ``most``."""
        source = self._source(None)
        return Sql(f"SELECT count(*) FROM (SELECT 1 {source.text} LIMIT ?)", (*source.values, most))

    def _page(self, after: Sql | None, top: int) -> Sql:
        source = self._source(after)
        return Sql(f"SELECT {self._wanted} {source.text}{self._ordering} LIMIT ?", (*source.values, top))

    def _straight_after(self, place: RowPlace, top: int) -> Sql:
        """Return rows as they stand: in two steps, so that the first skips what lies before the row in its file."""
        source = self._source(None)
        text = (
            f"WITH shown AS NOT MATERIALIZED (SELECT {self._wanted} {source.text})"
            f" SELECT * FROM shown WHERE {FILE} = ? AND {ROW} > ?"
            f" UNION ALL SELECT * FROM shown WHERE {FILE} > ? LIMIT ?"
        )
        return Sql(text, (*source.values, place.file, place.row, place.file, top))

    def _source(self, after: Sql | None) -> Sql:
        conditions = [condition for condition in (self.where, after) if condition]
        where = f" WHERE {' AND '.join(condition.text for condition in conditions)}" if conditions else ""
        values = [value for condition in conditions for value in condition.values]
        return Sql(f"FROM {self.relation}{where}", tuple(values))

    @property
    def _wanted(self) -> str:
        return ", ".join([*(quoted(name) for name in self.columns), FILE, ROW])

    @property
    def _ordering(self) -> str:
        if not self.orders:
            return ""
        keys = [f"{quoted(order.column)} {'DESC' if order.descending else 'ASC'} NULLS LAST" for order in self.orders]
        return f" ORDER BY {', '.join([*keys, FILE, ROW])}"


def _behind(orders: Sequence[RowOrder], values: Sequence[Bound | None], place: RowPlace) -> Sql:
    """Return the condition of the rows behind one: beyond its first value, or equal there and behind in the rest."""
    if not orders:
        return Sql(f"({FILE} > ? OR ({FILE} = ? AND {ROW} > ?))", (place.file, place.file, place.row))
    order, value, rest = orders[0], values[0], _behind(orders[1:], values[1:], place)
    name = quoted(order.column)
    if value is None:
        return Sql(f"({name} IS NULL AND {rest.text})", rest.values)
    sign = "<" if order.descending else ">"
    text = f"({name} {sign} ? OR {name} IS NULL OR ({name} = ? AND {rest.text}))"
    return Sql(text, (value, value, *rest.values))

"""Fetches pages of rows from the engine, bounded in rows and in bytes."""

import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from shared.errors import TooLarge
from shared.tables.engine.handle import Connection
from shared.tables.queries.pages import PageRows, RowPlace
from shared.tables.serving.reader import TableReader, TableVersion

MAX_CSV_ROWS: Final = 100_000
MAX_CSV_BYTES: Final = 160 * 1024 * 1024
MAX_PAGE_BYTES: Final = 8 * 1024 * 1024
"""A page that has grown to so much ends, whatever it was meant to hold."""

_AT_A_TIME: Final = 200

type FetchedCells = Sequence[Any]
"""A row as the engine gives it."""


@dataclass(frozen=True, slots=True)
class Cut:
    """Rows as text, and the place of the last one where more follow."""

    rows: list[str]
    last: RowPlace | None


def fetch_page(
    connection: Connection, rows: PageRows, place: RowPlace | None, top: int, shown: Callable[[FetchedCells], str]
) -> Cut:
    """Return the rows after a place, at most ``top``, fewer where they are large."""
    told, size, last = list[str](), 0, None
    for cells, at in fetched(connection, rows, place, top + 1):
        if len(told) == top or size > MAX_PAGE_BYTES:
            return Cut(told, last)
        told.append(shown(cells))
        size += len(told[-1])
        last = at
    return Cut(told, None)


def fetched(
    connection: Connection, rows: PageRows, place: RowPlace | None, top: int
) -> Iterator[tuple[FetchedCells, RowPlace]]:
    """Yield the rows after a place, with the place of each."""
    page = rows.first_page(top)
    if place is not None:
        values: Sequence[Any] = ()
        if rows.orders:
            at = rows.values_at(place)
            (values,) = connection.execute(at.text, list(at.values)).fetchall()
        page = rows.page_after(place, top, values=values)
    found = connection.execute(page.text, list(page.values))
    while some := found.fetchmany(_AT_A_TIME):
        for row in some:
            yield row[:-2], RowPlace(*row[-2:])


async def check_csv_size(reader: TableReader, rows: PageRows, version: TableVersion, *, target: str) -> None:
    """Make sure that a list is short enough for CSV.

    Args:
        target: The parameter that narrows it.

    Raises:
        TooLarge: It is longer.
    """
    counted = await reader.rows(rows.count(MAX_CSV_ROWS + 1))
    if counted[0][0] > MAX_CSV_ROWS:
        raise too_large(f"more than {MAX_CSV_ROWS:,} rows", version, target=target)


def whole_csv(chunks: Iterable[bytes], version: TableVersion, *, target: str) -> bytes:
    """Return a CSV in one piece.

    Raises:
        TooLarge: It is too large for one answer.
    """
    whole = io.BytesIO()
    for chunk in chunks:
        whole.write(chunk)
        if whole.tell() > MAX_CSV_BYTES:
            raise too_large(f"more than {MAX_CSV_BYTES // 1024**2} MiB", version, target=target)
    return whole.getvalue()


def too_large(what: str, version: TableVersion, *, target: str) -> TooLarge:
    """Return the error that a list is too long for CSV."""
    return TooLarge(
        f"the CSV would have {what}",
        target=target,
        remedy=f"Narrow it with '{target}', or read the table itself: {version.name} in the container 'tables'.",
    )

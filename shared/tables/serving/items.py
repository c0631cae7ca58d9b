"""The rows of a current table: page by page, or all of them as CSV."""

from collections.abc import Iterator
from dataclasses import dataclass

from shared.document import Document
from shared.services import Services
from shared.tables.engine.handle import Connection
from shared.tables.queries.checks import check_condition
from shared.tables.queries.conditions import ColumnTypes
from shared.tables.queries.filters import parse_filter
from shared.tables.queries.pages import PageRows, RowPlace
from shared.tables.queries.selection import parse_orderby, parse_select
from shared.tables.queries.shaping import Shape
from shared.tables.queries.spreadsheet import csv_chunks
from shared.tables.queries.sql import Sql, condition_sql
from shared.tables.serving.datasets import DatasetTable
from shared.tables.serving.fetching import MAX_CSV_ROWS, check_csv_size, fetch_page, fetched, whole_csv
from shared.tables.serving.reader import TableVersion, reader_of


class ItemsQuery(Document):
    """What is asked of the rows of a table; a token of a next link carries it.

    Attributes:
        version: The version of the table; the newest one where nothing is said.
        table_id: The table that this is a version of.
        filter_bytes: How long the filter was as it stood in the URL.
        place: The row before the page, by the number of its file and its number there.
    """

    source: str
    dataset: str
    select: str | None = None
    filter: str | None = None
    filter_bytes: int = 0
    orderby: str | None = None
    top: int = 100
    version: int | None = None
    table_id: str = ""
    place: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class ItemsPage:
    """Rows as JSON objects, and what to ask for the next page."""

    rows: list[str]
    next: ItemsQuery | None


async def read_items(services: Services, current: DatasetTable, query: ItemsQuery) -> ItemsPage:
    """Return a page of rows; it ends early where rows are large.

    Raises:
        InvalidInput: Something in the query is not understood.
        Outdated: The version of the table that the list was read from is kept no longer.
        StorageUnavailable: It takes too long.
    """
    version = await _version(services, current, query)
    shape, rows = _planned(version, current, query)
    place = RowPlace(*query.place) if query.place else None
    cut = await reader_of(services).ask(
        lambda connection: fetch_page(connection, rows, place, query.top, shape.as_json)
    )
    if cut.last is None:
        return ItemsPage(cut.rows, None)
    following = {"version": version.table.version, "table_id": version.id, "place": (cut.last.file, cut.last.row)}
    return ItemsPage(cut.rows, query.model_copy(update=following))


async def read_items_csv(services: Services, current: DatasetTable, query: ItemsQuery) -> bytes:
    """Return all rows as CSV.

    Raises:
        TooLarge: There are too many.
    """
    version = await _version(services, current, query)
    shape, rows = _planned(version, current, query)
    await check_csv_size(reader_of(services), rows, version, target="filter")

    def table(connection: Connection) -> Iterator[list[str]]:
        yield list(shape.shown)
        for cells, _ in fetched(connection, rows, None, MAX_CSV_ROWS):
            yield shape.as_cells(cells)

    def work(connection: Connection) -> bytes:
        return whole_csv(csv_chunks(table(connection)), version, target="filter")

    return await reader_of(services).ask_list(work)


def visible_types(version: TableVersion, current: DatasetTable) -> ColumnTypes:
    """Return the columns of a table without those whose fields have been hidden since it was built."""
    spec = current.spec
    fields = {column.name: column.field for column in current.state.ground.table_schema.columns}
    return {
        name: kind
        for name, kind in version.types.items()
        if name in spec.own or not spec.is_hidden(fields.get(name, name))
    }


async def _version(services: Services, current: DatasetTable, query: ItemsQuery) -> TableVersion:
    reader = reader_of(services)
    if query.version is None:
        version = await reader.version(current.name, current.version)
    else:
        version = await reader.pinned(current.name, query.version, query.table_id, current.version)
    return await reader.with_all_columns(version)


def _planned(version: TableVersion, current: DatasetTable, query: ItemsQuery) -> tuple[Shape, PageRows]:
    types = visible_types(version, current)
    selected = parse_select(query.select, types) if query.select else None
    order = parse_orderby(query.orderby, types) if query.orderby else None
    shape = Shape(types, current.spec.own, selected, current.spec.is_hidden)
    where = _condition(query, types) if query.filter else None
    return shape, PageRows(version.relation(), shape.read, where, (order,) if order else ())


def _condition(query: ItemsQuery, types: ColumnTypes) -> Sql:
    condition = parse_filter(query.filter or "", url_bytes=query.filter_bytes)
    check_condition(condition, types)
    return condition_sql(condition, types)

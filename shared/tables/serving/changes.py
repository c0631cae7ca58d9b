"""The changes of a dataset since a run: page by page, or all of them as CSV."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final, Literal

import msgspec

from shared.document import Document
from shared.errors import NotReady, Outdated
from shared.harvest.plan import paths
from shared.harvest.snapshots.manifest import read_manifest
from shared.services import Services
from shared.tables.build.names import changes_name
from shared.tables.changes.columns import CHANGES
from shared.tables.engine.handle import Connection
from shared.tables.queries.pages import PageRows, RowPlace
from shared.tables.queries.selection import RowOrder
from shared.tables.queries.shaping import json_members, json_object
from shared.tables.queries.spreadsheet import csv_chunks
from shared.tables.queries.sql import Bound, Sql
from shared.tables.schema.columns import TableSpec
from shared.tables.serving.datasets import DatasetTable
from shared.tables.serving.fetching import (
    MAX_CSV_ROWS,
    FetchedCells,
    check_csv_size,
    fetch_page,
    fetched,
    whole_csv,
)
from shared.tables.serving.reader import TableVersion, reader_of

type Change = Literal["added", "removed", "changed"]

KINDS: Final[tuple[Change, ...]] = ("added", "removed", "changed")

_ORDERS = (RowOrder("run_id"), RowOrder("key"))
_HEADING = ["key", "change", "sure", "fields", "before", "after", "runId", "previousRunId", "at"]


class ChangesQuery(Document):
    """What is asked of the changes of a dataset; a token of a next link carries it.

    Attributes:
        since: The run behind which the changes are wanted; without one, those of the newest snapshot.
        until: The newest run, as it was when the list began.
        version: The version of the table of changes, and ``table_id`` of which one.
        place: The row before the page.
    """

    source: str
    dataset: str
    since: str | None = None
    change: Change | None = None
    top: int = 100
    until: str | None = None
    version: int | None = None
    table_id: str = ""
    place: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class ChangesPage:
    """Changes as JSON objects, the run they reach to, and what to ask for the next page."""

    changes: list[str]
    until: str
    next: ChangesQuery | None


async def read_changes(services: Services, current: DatasetTable, query: ChangesQuery) -> ChangesPage:
    """Return a page of changes, by run and then by key.

    Raises:
        NotReady: Changes of this dataset are not told.
        Outdated: The run is not known, or the changes behind it are kept no longer.
    """
    check_tells_changes(current.spec)
    until = query.until or await _until(services, current, query.since)
    version = await _version(services, current, query)
    rows = PageRows(version.relation(CHANGES), tuple(CHANGES), _condition(query, until), _ORDERS)
    place = RowPlace(*query.place) if query.place else None

    def shown(cells: FetchedCells) -> str:
        return change_json(cells, current.spec.is_hidden)

    cut = await reader_of(services).ask(lambda connection: fetch_page(connection, rows, place, query.top, shown))
    if cut.last is None:
        return ChangesPage(cut.rows, until, None)
    following = {
        "until": until,
        "version": version.table.version,
        "table_id": version.id,
        "place": (cut.last.file, cut.last.row),
    }
    return ChangesPage(cut.rows, until, query.model_copy(update=following))


async def read_changes_csv(services: Services, current: DatasetTable, query: ChangesQuery) -> bytes:
    """Return all changes as CSV.

    Raises:
        TooLarge: There are too many.
    """
    check_tells_changes(current.spec)
    until = await _until(services, current, query.since)
    version = await _version(services, current, query)
    rows = PageRows(version.relation(CHANGES), tuple(CHANGES), _condition(query, until), _ORDERS)
    await check_csv_size(reader_of(services), rows, version, target="since")

    def table(connection: Connection) -> Iterator[Sequence[str]]:
        yield _HEADING
        for cells, _ in fetched(connection, rows, None, MAX_CSV_ROWS):
            yield _cells(cells, current.spec.is_hidden)

    def work(connection: Connection) -> bytes:
        return whole_csv(csv_chunks(table(connection)), version, target="since")

    return await reader_of(services).ask_list(work)


def check_tells_changes(spec: TableSpec) -> None:
    """Make sure that changes of a dataset are told.

    Raises:
        NotReady: It is harvested in windows, or its items have no key.
    """
    if not spec.tells_changes:
        raise NotReady(
            f"{spec.source}/{spec.dataset} has no changes: it is harvested in windows, or its items have no key",
            remedy="Read its items: a row says in _run_id which run brought it.",
        )


def change_json(cells: Sequence[Any], is_hidden: Callable[[str], bool]) -> str:
    """Return a change, a row of the table of changes, as a JSON object."""
    row = _row(cells, is_hidden)
    members = {
        "key": row["key"],
        "change": row["change"],
        "sure": row["sure"],
        "fields": list(row["fields"]),
        "before": msgspec.Raw((row["before"] or "null").encode()),
        "after": msgspec.Raw((row["after"] or "null").encode()),
        "runId": row["run_id"],
        "previousRunId": row["previous_run_id"],
        "at": row["at"],
    }
    return msgspec.json.encode(members).decode()


def _cells(cells: Sequence[Any], is_hidden: Callable[[str], bool]) -> list[str]:
    row = _row(cells, is_hidden)
    at, sure = (msgspec.json.encode(row[name]).decode().strip('"') for name in ("at", "sure"))
    whole = row["before"] or "", row["after"] or ""
    runs = row["run_id"], row["previous_run_id"] or ""
    return [row["key"], row["change"], sure, ",".join(row["fields"]), *whole, *runs, at]


def _row(cells: Sequence[Any], is_hidden: Callable[[str], bool]) -> Mapping[str, Any]:
    """Return a row without the fields that have been hidden since it was written; names of fields may hold commas."""
    row = dict(zip(CHANGES, cells, strict=True))
    sides = {side: _visible(row[side], is_hidden) for side in ("before", "after") if row[side]}
    fields = sides.get("before", {}) if row["change"] == "changed" else {}
    return row | {side: json_object(members) for side, members in sides.items()} | {"fields": tuple(fields)}


def _visible(text: str, is_hidden: Callable[[str], bool]) -> Mapping[str, str]:
    return {name: value for name, value in json_members(text).items() if not is_hidden(name)}


def _condition(query: ChangesQuery, until: str) -> Sql:
    conditions: list[tuple[str, Bound]] = [("run_id <= ?", until)]
    conditions.append(("run_id > ?", query.since) if query.since else ("run_id >= ?", until))
    if query.change:
        conditions.append(("change = ?", query.change))
    return Sql(" AND ".join(text for text, _ in conditions), tuple(value for _, value in conditions))


async def _version(services: Services, current: DatasetTable, query: ChangesQuery) -> TableVersion:
    name = changes_name(current.dataset.source, current.dataset.name)
    newest = await reader_of(services).version(name)
    if query.version is None:
        return newest
    return await reader_of(services).pinned(name, query.version, query.table_id, newest.table.version)


async def _until(services: Services, current: DatasetTable, since: str | None) -> str:
    """Return the run that a list reaches to: the newest one of the table, or ``since`` where that is newer still.

    Raises:
        Outdated: The run is not known, or older than changes are kept.
    """
    if since is None or since == current.run_id:
        return current.run_id
    oldest = _oldest(services, current)
    if since in current.state.ground.applied and since >= oldest:
        return current.run_id
    if since > current.run_id and await _is_published(services, current, since):
        return since
    raise Outdated(f"{since[:100]!r} is not a run whose changes are kept", remedy=f"The oldest one is {oldest}.")


def _oldest(services: Services, current: DatasetTable) -> str:
    """Return the oldest run behind which the changes are known."""
    kept_since = services.clock() - timedelta(days=services.settings.tables_changes_days)
    runs = sorted({*current.state.ground.applied, current.run_id})
    return next((run for run in runs if paths.started_at(run) >= kept_since), current.run_id)


async def _is_published(services: Services, current: DatasetTable, run_id: str) -> bool:
    source = current.dataset.source
    if paths.source_of(run_id) != source:
        return False
    manifest = await read_manifest(services.storage, run_id, source, current.dataset.name)
    return manifest is not None and manifest.published

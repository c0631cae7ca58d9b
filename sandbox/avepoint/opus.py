"""AvePoint Opus as its records connector shows it (`/records/connector/records`)."""

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase
from http import HTTPStatus
from uuid import UUID

import msgspec

from sandbox.avepoint.paging import whole
from sandbox.avepoint.wire import Answer, RefusedError, json_answer

SCOPE = "records.readwrite.all"
ERROR = {"statusCode": "$status", "message": "$message"}

_PER_CALL = 15
_PER_PAGE = 100
_KEPT = 20_000
_REQUIRED = ("rowKey", "leafName", "timeCreated", "timeModified", "createdBy", "modifiedBy")
_SHOWN = ("rowKey", "leafName", "termFullPath", "timeCreated", "timeModified", "createdBy", "modifiedBy")
TIMES = ("timeCreated", "timeModified")

type Item = dict[str, object]


class Record(msgspec.Struct, rename="camel"):
    """A record of one connection, with how often it was stored, skipped because it was there, and destroyed."""

    connection: str
    row_key: str
    sequence: int
    fields: Item
    state: str = "active"
    submitted: int = 0
    skipped: int = 0
    destroyed: int = 0

    def replace(self, fields: Item) -> None:
        self.fields = fields
        self.state = "active"
        self.submitted += 1

    def destroy(self) -> None:
        self.state = "destroyed"
        self.destroyed += 1

    def is_due(self, at: datetime, retention: timedelta) -> bool:
        return self.state == "active" and at - _moment(self.fields["timeCreated"]) >= retention

    def shown(self) -> Item:
        times = {name: f"{_moment(self.fields[name]):%Y-%m-%d %H:%M:%S} " for name in TIMES}
        return {name: self.fields.get(name) for name in _SHOWN} | times


class Execution(msgspec.Struct, frozen=True, rename="camel"):
    """A call that was carried out, with the row keys it was about and those that failed."""

    time: float
    operation: str
    row_keys: tuple[str, ...]
    failed: tuple[str, ...]


class Opus:
    """The records of all connections. `clock` gives epoch seconds.

    A record is due `retention` after its `timeCreated`. Times without a zone are UTC. A destroy call names row keys
    alone, so it destroys every record with that key that is due, whatever its connection. What a partly failed destroy
    answers is not documented; it follows submit, with the row key in place of the record:
    `{"statusCode": 418, "message": "…", "failedItems": [{"item": "row key", "message": "…"}]}`.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._records: dict[str, dict[str, Record]] = {}
        self._stored = 0
        self.executions: deque[Execution] = deque(maxlen=_KEPT)

    @property
    def records(self) -> list[Record]:
        """All records, the first submitted first."""
        records = [record for same_key in self._records.values() for record in same_key.values()]
        return sorted(records, key=lambda record: record.sequence)

    def submit(self, document: Mapping[str, object], *, fail: str | None = None) -> Answer:
        """Store records; `fail` is a glob of row keys to refuse."""
        return _outcome(HTTPStatus.CREATED, self.take_in(document, _fault_of, fail=fail))

    def due(self, query: Mapping[str, str], retention: timedelta) -> Answer:
        """Return a page of the records of one connection that are due at a date; an index is the last record shown."""
        page, index = self.page(query, retention)
        shown = {"startIndex": index, "statusCode": 200, "queriedItems": [record.shown() for record in page]}
        return json_answer(HTTPStatus.OK, shown, items=len(page))

    def destroy(self, document: Mapping[str, object], retention: timedelta, *, fail: str | None = None) -> Answer:
        """Destroy the records with the given row keys that are due now; `fail` is a glob of row keys to refuse."""
        return _outcome(HTTPStatus.OK, self.dispose(document, retention, fail=fail))

    def take_in(
        self, document: Mapping[str, object], fault_of: Callable[[Item], str | None], *, fail: str | None
    ) -> list[tuple[Item, str]]:
        """Store the records of a submit, and return those that are refused, with the reason."""
        connection = _guid(document.get("id"))
        overwrite = _overwrites(document)
        items: list[Item] = _batch(document, "data", dict)
        failed = [(item, reason) for item in items if (reason := fault_of(item) or _chosen_to_fail(_key(item), fail))]
        refused = [item for item, _ in failed]
        for item in items:
            if item not in refused:
                self._store(connection, item, overwrite=overwrite)
        self._note("submit", [_key(item) for item in items], [_key(item) for item in refused])
        return failed

    def page(self, query: Mapping[str, str], retention: timedelta) -> tuple[list[Record], str | None]:
        """Return a page of the records due at a date, and the index of the next page, if there is one."""
        connection = _guid(query.get("id"))
        until = _due_date(query)
        size = whole(query, "itemsPerPage", "", minimum=0, maximum=_PER_PAGE)
        after = whole({"startindex": query.get("startindex") or "0"}, "startIndex", "", minimum=0, maximum=None)
        of_connection = [record for record in self.records if record.connection == connection]
        rest = [record for record in of_connection if record.sequence > after and record.is_due(until, retention)]
        page = rest[:size]
        return page, str(page[-1].sequence) if page and len(rest) > size else None

    def dispose(
        self, document: Mapping[str, object], retention: timedelta, *, fail: str | None
    ) -> list[tuple[str, str]]:
        """Destroy the records of a destroy, and return the row keys that failed, with the reason."""
        row_keys: list[str] = _batch(document, "disposalIds", str)
        failed = [(key, reason) for key in row_keys if (reason := self._destroy(key, retention, fail))]
        self._note("destroy", row_keys, [key for key, _ in failed])
        return failed

    def _store(self, connection: str, item: Item, *, overwrite: bool) -> None:
        same_key = self._records.setdefault(_key(item), {})
        if connection not in same_key:
            self._stored += 1
            same_key[connection] = Record(connection, _key(item), self._stored, item, submitted=1)
        elif overwrite:
            same_key[connection].replace(item)
        else:
            same_key[connection].skipped += 1

    def _destroy(self, row_key: str, retention: timedelta, fail: str | None) -> str | None:
        if reason := _chosen_to_fail(row_key, fail):
            return reason
        now = datetime.fromtimestamp(self._clock(), UTC)
        due = [record for record in self._records.get(row_key, {}).values() if record.is_due(now, retention)]
        for record in due:
            record.destroy()
        return None if due else "No record with this row key is due for disposal."

    def _note(self, operation: str, row_keys: list[str], failed: list[str]) -> None:
        self.executions.append(Execution(self._clock(), operation, tuple(row_keys), tuple(failed)))


def _outcome(success: int, failed: list[tuple[Item, str]] | list[tuple[str, str]]) -> Answer:
    if not failed:
        return json_answer(success, {"statusCode": success, "message": None})
    items = [{"item": item, "message": reason} for item, reason in failed]
    status = HTTPStatus.IM_A_TEAPOT
    return json_answer(status, {"statusCode": status, "message": "Some records failed.", "failedItems": items})


def _batch[T](document: Mapping[str, object], name: str, kind: type[T]) -> list[T]:
    entries = document.get(name)
    if not isinstance(entries, list) or not all(isinstance(entry, kind) for entry in entries):
        raise RefusedError(HTTPStatus.BAD_REQUEST, f"{name} is not a list of what it should hold.")
    if not 1 <= len(entries) <= _PER_CALL:
        raise RefusedError(HTTPStatus.BAD_REQUEST, f"{name} must have 1 to {_PER_CALL} entries.")
    return entries


def _overwrites(document: Mapping[str, object]) -> bool:
    option = document.get("conflictOption", document.get("confilictOption"))
    if option not in ("Overwrite", "Skip"):
        raise RefusedError(HTTPStatus.BAD_REQUEST, "conflictOption must be Overwrite or Skip.")
    return option == "Overwrite"


def _guid(value: object) -> str:
    try:
        return str(UUID(str(value)))
    except ValueError as error:
        raise RefusedError(HTTPStatus.BAD_REQUEST, "id must be a GUID.") from error


def _due_date(query: Mapping[str, str]) -> datetime:
    try:
        return _moment(query.get("disposalduedate"))
    except ValueError as error:
        raise RefusedError(HTTPStatus.BAD_REQUEST, "disposalDueDate must be a date and time.") from error


def _moment(value: object) -> datetime:
    moment = datetime.fromisoformat(str(value).strip())
    try:
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except OverflowError as error:
        raise ValueError(value) from error


def _key(item: Item) -> str:
    return str(item.get("rowKey", ""))


def missing_of(item: Item, required: Iterable[str]) -> str | None:
    """Return what is wrong with a record that lacks a field."""
    missing = (name for name in required if not isinstance(item.get(name), str) or not item[name])
    return next((f"{name} is required." for name in missing), None)


def _fault_of(item: Item) -> str | None:
    if fault := missing_of(item, _REQUIRED):
        return fault
    return next((f"{name} is not a date and time." for name in TIMES if not _is_moment(item[name])), None)


def _is_moment(value: object) -> bool:
    try:
        _moment(value)
    except ValueError:
        return False
    return True


def _chosen_to_fail(row_key: str, fail: str | None) -> str | None:
    return "Term not found." if fail is not None and fnmatchcase(row_key, fail) else None

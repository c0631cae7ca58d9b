"""The Opus connector API: requests out, answers in, in the current and in the legacy generation.

Sources: AvePoint/cloud-api, ``docs/docs/services-and-features/opus/`` (April 2025) for the current one, the AvePoint
Opus user guide, "API for Connector", for the legacy one. Where they contradict themselves the reader is lenient: names
are read in any case, a body may be missing, and failed items may be row keys, records, or objects around either.
It is strict about proof: an answer that does not say what happened to each item is a ``BadAnswer``.
"""

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Literal, Protocol
from urllib.parse import urlencode

import msgspec

from shared.avepoint.platform import OPUS_SCOPE
from shared.avepoint.request import Answer, Method, Request
from shared.errors import BadAnswer
from shared.redaction import excerpt

BATCH_SIZE = 15
"""The most records of a submit, and ids of a destroy, in one call."""

PAGE_SIZE = 100
"""The most records on one page of due records."""

PARTLY = HTTPStatus.IM_A_TEAPOT
"""418: processed, and some records failed."""

PROCESSED = frozenset({*range(200, 300), int(PARTLY)})
"""The statuses that say that a submit or destroy was processed."""

DUE = frozenset({200, 204})
"""The statuses of a page of due records; 204 stands for none."""

NOT_EXECUTED = frozenset({400, 401, 403, 404, 413, 429})
"""The statuses that prove that nothing was executed."""

type ConflictOption = Literal["Overwrite", "Skip"]
type Record = Mapping[str, object]
"""A record under the names of Opus: ``rowKey``, ``leafName``, … and the internal names of custom columns."""

_RECORDS_PATH = "/records/connector/records"
_NO_REASON = "AvePoint names no reason."
_KEY_NAMES = ("rowkey", "id", "disposalid", "item")


class OpusApi(Protocol):
    """One generation of the API; dates are already written the way the tenant wants them."""

    def submit(self, connection: str, conflict_option: ConflictOption, records: Sequence[Record]) -> Request:
        """Submit 1 to 15 records."""

    def due(self, connection: str, before: str, *, size: int, start_index: str | None = None) -> Request:
        """A page of at most ``size`` records due before a date; ``start_index`` comes from the page before."""

    def destroy(self, ids: Sequence[str]) -> Request:
        """Mark 1 to 15 records as destroyed, by row key."""


@dataclass(frozen=True, slots=True)
class GraphApi:
    """The current generation."""

    base_url: str

    def submit(self, connection: str, conflict_option: ConflictOption, records: Sequence[Record]) -> Request:
        """POST."""
        return self._request("POST", {"id": connection, "conflictOption": conflict_option, "data": records})

    def due(self, connection: str, before: str, *, size: int, start_index: str | None = None) -> Request:
        """GET."""
        query = {"id": connection, "disposalDueDate": before, "itemsPerPage": str(size)}
        if start_index is not None:
            query["startIndex"] = start_index
        return Request("GET", f"{self.base_url}{_RECORDS_PATH}?{urlencode(query)}", OPUS_SCOPE, "opus")

    def destroy(self, ids: Sequence[str]) -> Request:
        """DELETE with a body."""
        return self._request("DELETE", {"disposalIds": ids})

    def _request(self, method: Method, body: Mapping[str, object]) -> Request:
        return Request(method, f"{self.base_url}{_RECORDS_PATH}", OPUS_SCOPE, "opus", msgspec.json.encode(body))


@dataclass(frozen=True, slots=True)
class ConnectorApi:
    """The legacy generation: POST for everything, and a dispose path that only AvePoint support knows."""

    base_url: str
    dispose_path: str

    def submit(self, connection: str, conflict_option: ConflictOption, records: Sequence[Record]) -> Request:
        """The conflict option is misspelt as in AvePoint's sample."""
        body = {"id": connection, "confilictOption": conflict_option, "data": records}
        return self._post("/api/connector/SubmitRecords", body)

    def due(self, connection: str, before: str, *, size: int, start_index: str | None = None) -> Request:
        """The first page has an empty index."""
        body = {"id": connection, "disposalDueDate": before, "startIndex": start_index or "", "itemsPerPage": size}
        return self._post("/api/connector/GetDueRecords", body)

    def destroy(self, ids: Sequence[str]) -> Request:
        """To the path of the settings."""
        return self._post(f"/{self.dispose_path.lstrip('/')}", {"disposalIds": ids})

    def _post(self, path: str, body: Mapping[str, object]) -> Request:
        return Request("POST", f"{self.base_url}{path}", OPUS_SCOPE, "opus", msgspec.json.encode(body))


@dataclass(frozen=True, slots=True)
class Processed:
    """What a processed submit or destroy says of its items; those not named succeeded."""

    failed: Mapping[str, str] = field(default_factory=dict)
    """Row key to reason."""
    skipped: frozenset[str] = frozenset()
    """Row keys that were there already; no documented answer names them."""


@dataclass(frozen=True, slots=True)
class DuePage:
    """Some records due for disposal, and the start index of the next page; ``None`` ends the list."""

    records: tuple[Record, ...]
    next_index: str | None


def read_processed(answer: Answer, asked: Collection[str]) -> Processed:
    """What became of the row keys ``asked``, from an answer with one of the statuses in ``PROCESSED``.

    Raises:
        BadAnswer: It does not prove what became of them.
    """
    body = _body(answer)
    status = _status(body, answer)
    failed = dict(_named(item, body) for item in _listed(body, "faileditems", answer))
    skipped = frozenset(_named(item, body)[0] for item in _listed(body, "skippeditems", answer))
    if not (failed.keys() | skipped) <= set(asked):
        raise _unusable("names items that were not asked for", answer)
    if status not in PROCESSED or (status == PARTLY and not failed):
        raise _unusable("does not say which items failed", answer)
    return Processed(failed, skipped)


def read_due(answer: Answer) -> DuePage:
    """A page of due records: names in camel case, row keys as text, times without their trailing blank.

    Raises:
        BadAnswer: It is none.
    """
    body = _body(answer)
    if "querieditems" not in body and answer.status != HTTPStatus.NO_CONTENT:
        raise _unusable("has no queriedItems", answer)
    records = tuple(_record(item, answer) for item in _listed(body, "querieditems", answer))
    index = body.get("startindex", body.get("pageindex"))
    goes_on = bool(records) and isinstance(index, str | int) and index != ""
    return DuePage(records, str(index) if goes_on else None)


def _body(answer: Answer) -> dict[str, object]:
    """The JSON object of an answer with its names in lower case; nothing and ``null`` stand for an empty one."""
    if not answer.body.strip():
        return {}
    try:
        body = json.loads(answer.body)
    except (ValueError, RecursionError):
        raise _unusable("is not JSON", answer) from None
    if body is None:
        return {}
    if not isinstance(body, dict):
        raise _unusable("is no JSON object", answer)
    return {name.lower(): value for name, value in body.items()}


def _status(body: Mapping[str, object], answer: Answer) -> int:
    status = body.get("statuscode")
    if status is None:
        return answer.status
    if isinstance(status, int | str) and str(status).isdecimal():
        return answer.status if answer.status == PARTLY else int(status)
    raise _unusable("has an unknown statusCode", answer)


def _listed(body: Mapping[str, object], name: str, answer: Answer) -> list[object]:
    items = body.get(name)
    if items is None:
        return []
    if not isinstance(items, list):
        raise _unusable(f"has {name} that are no list", answer)
    return items


def _named(item: object, body: Mapping[str, object]) -> tuple[str, str]:
    """The row key and the reason of a failed item, whatever is wrapped around the key."""
    reason = next((text for text in (*_reasons(item), body.get("message")) if text and isinstance(text, str)), "")
    return _row_key(item), reason or _NO_REASON


def _reasons(item: object) -> Iterator[object]:
    if isinstance(item, dict):
        yield from (value for name, value in item.items() if name.lower() in {"message", "error", "reason"})


def _row_key(item: object) -> str:
    if not isinstance(item, dict):
        return str(item)
    lower = {name.lower(): value for name, value in item.items()}
    return next((_row_key(lower[name]) for name in _KEY_NAMES if name in lower), "")


def _record(item: object, answer: Answer) -> Record:
    if not isinstance(item, dict):
        raise _unusable("holds a record that is no object", answer)
    record = {name[:1].lower() + name[1:]: value for name, value in item.items()}
    for name, value in record.items():
        if name.startswith("time") and isinstance(value, str):
            record[name] = value.rstrip()
    return record | {"rowKey": str(record.get("rowKey", ""))}


def _unusable(how: str, answer: Answer) -> BadAnswer:
    return BadAnswer(f"Opus answered {answer.status} with a body that {how}: {excerpt(answer.body)}")

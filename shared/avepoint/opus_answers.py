"""Answers of the Opus connector API, read strictly: what the documents call an answer proves, and nothing else does.

The sources are those of ``opus``. Names are read in any case, for the pages do not agree on it; failed items may be row
keys, records, or objects around either, for no page shows them. A name that no page has, a value of another type, and a
status other than the documented ones make an answer a ``BadResponse``: of a submit or destroy the outcome is unknown
then, and of a list it is an error, never an empty list.
"""

import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from math import isfinite
from typing import NoReturn

from shared.avepoint.request import Response
from shared.document import storable
from shared.errors import BadResponse
from shared.telemetry.redaction import bounded, excerpt

PARTLY = HTTPStatus.IM_A_TEAPOT
"""418: processed, and some records failed."""

PROCESSED = frozenset({200, 201, 204, int(PARTLY)})
"""The statuses of a submit or destroy that was processed."""

DUE = frozenset({200, 204})
"""The statuses of a page of due records; 204 stands for none."""

NOT_EXECUTED = frozenset({400, 401, 403, 404, 413, 429})
"""The statuses that prove that nothing was executed."""

_NO_REASON = "AvePoint names no reason."
_LONGEST_REASON = 1000
_KEY_NAMES = ("rowkey", "id", "disposalid", "item")
_REASON_NAMES = frozenset({"message", "error", "reason"})

type _Fields = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class AnswerForm:
    """The fields of the answers of one generation, in lower case.

    Attributes:
        required: What the answer to a submit or destroy always holds.
        optional: What it may hold.
        page: What a page of due records may hold, beside its list.
        has_status: Whether the body repeats the status.
    """

    required: frozenset[str]
    optional: frozenset[str]
    page: frozenset[str]
    has_status: bool


GRAPH_FORM = AnswerForm(
    required=frozenset({"statuscode"}),
    optional=frozenset({"message", "faileditems"}),
    page=frozenset({"message", "startindex", "statuscode"}),
    has_status=True,
)
CONNECTOR_FORM = AnswerForm(
    required=frozenset({"message"}),
    optional=frozenset({"faileditems"}),
    page=frozenset({"message", "pageindex"}),
    has_status=False,
)


@dataclass(frozen=True, slots=True)
class Processed:
    """What a processed submit or destroy says of its items; those not named succeeded."""

    failed: Mapping[str, str] = field(default_factory=dict)
    """Row key, as it was sent, to reason."""


@dataclass(frozen=True, slots=True)
class DuePage:
    """Some records due for disposal, and the start index of the next page; ``None`` ends the list."""

    records: tuple[Mapping[str, object], ...]
    next_index: str | None


def loosely(key: str) -> str:
    """Return a row key without what Opus may change in it: its case, and blanks around it."""
    return key.strip().casefold()


def read_processed(answer: Response, asked: Collection[str], form: AnswerForm) -> Processed:
    """Return what became of the row keys ``asked``.

    Raises:
        BadResponse: It does not prove what became of them.
    """
    if answer.status == HTTPStatus.NO_CONTENT and form.has_status:
        _require_empty(answer)
        return Processed()
    if answer.status not in PROCESSED - {HTTPStatus.NO_CONTENT}:
        _refuse("proves nothing with this status", answer)
    required = form.required if answer.status != PARTLY else frozenset[str]()
    body = _fields(answer, required, form.required | form.optional)
    if "message" in form.required and not isinstance(body.get("message", ""), str):
        _refuse("has a message that is not a text", answer)
    _require(body.get("message"), (str, list), "message", answer)
    failed = _failed(body, asked, answer)
    if _said_status(body, answer) == PARTLY and not failed:
        _refuse("does not say which items failed", answer)
    return Processed(failed)


def read_due(answer: Response, form: AnswerForm) -> DuePage:
    """Return a page of due records: names in camel case, row keys as text, times without their trailing blank.

    Raises:
        BadResponse: It is not one, or a record has no row key.
    """
    if answer.status == HTTPStatus.NO_CONTENT and form.has_status:
        _require_empty(answer)
        return DuePage((), None)
    body = _fields(answer, frozenset({"querieditems"}), form.page | {"querieditems"})
    if _said_status(body, answer) != HTTPStatus.OK:
        _refuse("has another statusCode than 200", answer)
    _require(body.get("message"), (str, list), "message", answer)
    items, index = body["querieditems"], body.get("startindex", body.get("pageindex"))
    if not isinstance(items, list):
        _refuse("has queriedItems that are not a list", answer)
    _require(index, (str, int), "start index", answer)
    if not storable(str(index)):
        _refuse("has a start index that holds half of a character", answer)
    records = tuple(_record(place, item, answer) for place, item in enumerate(items))
    goes_on = bool(records) and index is not None and str(index).strip() != ""
    return DuePage(records, str(index) if goes_on else None)


def _fields(answer: Response, required: Iterable[str], known: Collection[str]) -> _Fields:
    """Return the JSON object of an answer with its names in lower case."""
    try:
        body = json.loads(answer.body, object_pairs_hook=_once, parse_constant=_finite, parse_float=_finite)
    except _Twice as twice:
        _refuse(f"has the name {str(twice)[:40]!r} twice", answer)
    except (ValueError, RecursionError):
        _refuse("is not JSON", answer)
    if not isinstance(body, dict):
        _refuse("is not a JSON object", answer)
    body = _lower(body, answer)
    if strange := sorted(body.keys() - known):
        _refuse(f"has fields that are not documented, such as {strange[0]!r}", answer)
    if missing := sorted(required - body.keys()):
        _refuse(f"has no {missing[0]}", answer)
    return body


class _Twice(Exception):
    """A name stands twice in a JSON object."""


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found: dict[str, object] = {}
    for name, value in pairs:
        if name in found:
            raise _Twice(name)
        found[name] = value
    return found


def _finite(text: str) -> float:
    value = float(text)
    if not isfinite(value):
        raise ValueError(f"{text} is not a number that JSON can hold")
    return value


def _lower(fields: _Fields, answer: Response) -> dict[str, object]:
    """Return fields under their names in lower case."""
    lower = {name.lower(): value for name, value in fields.items()}
    if len(lower) < len(fields):
        _refuse("has a name twice", answer)
    return lower


def _said_status(body: _Fields, answer: Response) -> int:
    """Return the status that the body repeats; a failure told inside a success proves nothing."""
    status = body.get("statuscode", answer.status)
    if not isinstance(status, int) or isinstance(status, bool) or status not in PROCESSED:
        _refuse("has an unknown statusCode", answer)
    if answer.status == PARTLY != status:
        _refuse("has another statusCode than its status", answer)
    return status


def _failed(body: _Fields, asked: Collection[str], answer: Response) -> dict[str, str]:
    items = body.get("faileditems")
    _require(items, (list,), "failedItems", answer)
    sent, failed = _SentKeys(asked), dict[str, str]()
    for item in items if isinstance(items, list) else []:
        key = sent.meant(_row_key(item, answer))
        if key is None:
            _refuse("names items that were not sent", answer)
        failed[key] = _reason(item, body)
    return failed


class _SentKeys:
    """The row keys of a call, found again in other case and with blanks around them, where only one can be meant."""

    def __init__(self, keys: Collection[str]) -> None:
        self._exact = frozenset(keys)
        self._loose: dict[str, list[str]] = {}
        for key in self._exact:
            self._loose.setdefault(loosely(key), []).append(key)

    def meant(self, named: str) -> str | None:
        """Return the key that an answer names, or ``None`` when it was not sent or could be several."""
        if named in self._exact:
            return named
        alike = self._loose.get(loosely(named), [])
        return alike[0] if len(alike) == 1 else None


def _reason(item: object, body: _Fields) -> str:
    told = next((text for text in (*_reasons(item), body.get("message")) if text and isinstance(text, str)), _NO_REASON)
    return bounded(told.encode(errors="replace").decode(), _LONGEST_REASON)


def _reasons(item: object) -> Iterator[object]:
    if isinstance(item, dict):
        yield from (value for name, value in item.items() if name.lower() in _REASON_NAMES)


def _row_key(item: object, answer: Response) -> str:
    """Return the row key of a failed item, whatever is wrapped around it; nothing where there is none."""
    if isinstance(item, str | int) and not isinstance(item, bool):
        return str(item)
    if not isinstance(item, dict):
        return ""
    lower = _lower(item, answer)
    return next((_row_key(lower[name], answer) for name in _KEY_NAMES if name in lower), "")


def _record(place: int, item: object, answer: Response) -> Mapping[str, object]:
    if not isinstance(item, dict):
        _refuse(f"has queriedItems[{place}] that is not an object", answer)
    record = {name[:1].lower() + name[1:]: value for name, value in item.items()}
    for name, value in record.items():
        if name.startswith("time") and isinstance(value, str):
            record[name] = value.rstrip()
    if sum(name.lower() == "rowkey" for name in item) > 1:
        _refuse(f"has queriedItems[{place}] with two row keys", answer)
    key = record.get("rowKey")
    if isinstance(key, bool) or not isinstance(key, str | int) or not str(key).strip():
        _refuse(f"has queriedItems[{place}] without a row key", answer)
    if not storable(str(key)):
        _refuse(f"has queriedItems[{place}] with a row key that holds half of a character", answer)
    return record | {"rowKey": str(key)}


def _require(value: object, kinds: tuple[type, ...], name: str, answer: Response) -> None:
    if value is not None and (isinstance(value, bool) or not isinstance(value, kinds)):
        _refuse(f"has a {name} of another type than documented", answer)


def _require_empty(answer: Response) -> None:
    if answer.body.strip():
        _refuse("is not empty", answer)


def _refuse(how: str, answer: Response) -> NoReturn:
    raise BadResponse(f"Opus answered {answer.status} with a body that {how}: {excerpt(answer.body)}") from None

"""Failures that AvePoint tells inside a 200, by what is documented and by what can mean nothing else. Pure."""

import re
from collections.abc import Iterator, Mapping, Sequence
from http import HTTPStatus

import msgspec

from shared.avepoint.catalog import Dataset
from shared.avepoint.fields import fields_of
from shared.errors import BadResponse, UpstreamFailed
from shared.telemetry.redaction import excerpt

_ERROR_PREFIXES = ("error", "exception", "fault", "iserror", "haserror", "odata.error", "@odata.error")
"""AvePoint's services name their errors ``error``, ``errorMessage``, ``errorModel``, ``errorCode``, …"""

_STATUSES = ("statusCode", "status")
_HTTP_STATUSES = ("httpStatusCode", "httpStatus", "status_code", "code")
"""Keys that count only where they hold the number of an HTTP error: they may mean something else."""

_SUCCESSES = ("success", "isSuccess", "succeeded", "isSucceeded", "successful", "isSuccessful")
_FAILURES = ("failed", "isFailed", "hasFailed")
_MESSAGES = ("message", "detail", "title")
"""Keys that tell of a failure in any envelope, documented or not; a message alone means none."""

_REMEDY = "Run it again. If it fails again, ask AvePoint support: AvePoint's answer reports the failure."
_NOTHING: Sequence[object] = (None, "", "0", "n/a", "false", 0, False, [], {})
_YES: Sequence[object] = (True, 1, "1", "true")
_FAILED = frozenset({"fail", "failed", "failure", "error"})
_HTTP_ERROR = re.compile(r"[45][0-9]{2}")
_LEADING_STATUS = re.compile(r"([1-5][0-9]{2}) .*", re.DOTALL)

type AnswerKeys = Mapping[str, msgspec.Raw]


def refuse_failure(dataset: Dataset, keys: AnswerKeys) -> None:
    """Raise what an answer says of itself, if it says that it failed.

    Raises:
        UpstreamFailed: It names a status that may pass (429, 5xx).
        BadResponse: It names another failure, or a status that cannot be read.
    """
    if dataset.single and dataset.envelope == "$root":
        fields = fields_of(dataset)
        keys = {name: value for name, value in keys.items() if fields.find(name) is None}
    errors = (_value(keys, name) for name in keys if _tells_error(name))
    error = next((value for value in errors if _folded(value) not in _NOTHING), None)
    status = _status(dataset, keys)
    succeeded = all((value := _value(keys, name)) is None or _folded(value) in _YES for name in _SUCCESSES)
    succeeded = succeeded and not any(_folded(_value(keys, name)) in _YES for name in _FAILURES)
    if error is None and succeeded and status in {None, HTTPStatus.OK}:
        return
    message = message_of(dataset, keys) if error is None else excerpt(_bytes(error))
    told = f"{dataset.name}: the answer says status {status}: {message}"
    if status is not None and (status == HTTPStatus.TOO_MANY_REQUESTS or status >= HTTPStatus.INTERNAL_SERVER_ERROR):
        raise UpstreamFailed(told, status=status, remedy=_REMEDY)
    raise BadResponse(told, remedy=_REMEDY)


def message_of(dataset: Dataset, keys: AnswerKeys) -> str:
    """Return what an answer says in words, or nothing."""
    names = (dataset.failure.message, *_MESSAGES) if dataset.failure and dataset.failure.message else _MESSAGES
    found = next((value for name in names if _folded(value := _value(keys, name)) not in _NOTHING), "")
    return excerpt(_bytes(found))


def _folded(value: object) -> object:
    """Return a value in which neither case nor blanks around it count."""
    return value.strip().casefold() if isinstance(value, str) else value


def _tells_error(name: str) -> bool:
    return name.casefold().startswith(_ERROR_PREFIXES)


def find_key(keys: AnswerKeys, name: str) -> msgspec.Raw | None:
    """Return the value of a key, compared without case: keys drift between documents and answers."""
    if name in keys:
        return keys[name]
    folded = name.casefold()
    return next((value for key, value in keys.items() if key.casefold() == folded), None)


def _status(dataset: Dataset, keys: AnswerKeys) -> int | None:
    """Return the status an answer names, as a number; of several, the first that tells of a failure.

    Raises:
        BadResponse: The documented one cannot be read.
    """
    told = list(_statuses(dataset, keys))
    return next((status for status in told if status != HTTPStatus.OK), HTTPStatus.OK if told else None)


def _statuses(dataset: Dataset, keys: AnswerKeys) -> Iterator[int]:
    documented = _value(keys, dataset.failure.status) if dataset.failure else None
    if documented is not None:
        in_words = _status_in_words(documented)
        yield _number(dataset, documented) if in_words is None else in_words
    for name in _STATUSES:
        found = _value(keys, name)
        status = _number(dataset, found) if _is_number(found) else _status_in_words(found)
        if status is not None:
            yield status
    others = (_HTTP_ERROR.fullmatch(str(_value(keys, name)).strip()) for name in _HTTP_STATUSES)
    yield from (int(found[0]) for found in others if found)


def _status_in_words(found: object) -> int | None:
    """Return the status that words or ``false`` stand for: ``failed``, ``InternalServerError``, ``404 Not Found``."""
    if found is False:
        return HTTPStatus.BAD_REQUEST
    if not isinstance(found, str):
        return None
    text = found.strip()
    if text.casefold() in _FAILED:
        return HTTPStatus.BAD_REQUEST
    leading = _LEADING_STATUS.fullmatch(text)
    return int(leading[1]) if leading else _STATUS_NAMES.get(_letters(text))


def _letters(text: str) -> str:
    return "".join(filter(str.isalpha, text)).casefold()


_STATUS_NAMES = {_letters(one.phrase): int(one) for one in HTTPStatus if one >= HTTPStatus.BAD_REQUEST}


def _is_number(found: object) -> bool:
    if isinstance(found, str):
        return found.strip().isdecimal()
    return isinstance(found, int | float) and not isinstance(found, bool)


def _number(dataset: Dataset, status: object) -> int:
    if isinstance(status, int | float) and not isinstance(status, bool) and status == int(status):
        return int(status)
    if isinstance(status, str) and status.strip().isdecimal() and len(status) < 10:  # noqa: PLR2004 - no status is longer
        return int(status)
    raise BadResponse(f"{dataset.name}: the answer has a status that is not a number: {excerpt(_bytes(status))}")


def _value(keys: AnswerKeys, name: str) -> object:
    found = find_key(keys, name)
    return None if found is None else msgspec.json.decode(found)


def _bytes(value: object) -> bytes:
    return value.encode() if isinstance(value, str) else msgspec.json.encode(value)

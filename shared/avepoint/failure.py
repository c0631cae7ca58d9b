"""Failures that AvePoint tells inside a 200, by what is documented and by what can mean nothing else. Pure."""

from collections.abc import Mapping, Sequence
from http import HTTPStatus

import msgspec

from shared.avepoint.catalog import Dataset
from shared.avepoint.fields import fields_of
from shared.errors import BadResponse, UpstreamFailed
from shared.telemetry.redaction import excerpt

_ERROR_PREFIXES = ("error", "exception", "fault")
"""AvePoint's services name their errors ``error``, ``errorMessage``, ``errorModel``, ``errorCode``, …"""

_STATUSES = ("statusCode", "status")
_SUCCESSES = ("success", "isSuccess", "succeeded", "isSucceeded")
_MESSAGES = ("message", "detail", "title")
"""Keys that tell of a failure in any envelope, documented or not; a message alone means none."""

_REMEDY = "Run it again. If it fails again, ask AvePoint support: AvePoint's answer reports the failure."
_NOTHING: Sequence[object] = (None, "", "0", 0, False, [], {})
_FAILED = frozenset({"failed", "failure", "error"})

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
    error = next((value for name in keys if _tells_error(name) and (value := _value(keys, name)) not in _NOTHING), None)
    status = _status(dataset, keys)
    succeeded = all(_means_yes(_value(keys, name)) for name in _SUCCESSES)
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
    found = next((value for name in names if (value := _value(keys, name)) not in _NOTHING), "")
    return excerpt(_bytes(found))


def _means_yes(told: object) -> bool:
    return told is None or told is True or (isinstance(told, str) and told.strip().casefold() == "true")


def _tells_error(name: str) -> bool:
    return name.casefold().startswith(_ERROR_PREFIXES)


def find_key(keys: AnswerKeys, name: str) -> msgspec.Raw | None:
    """Return the value of a key, compared without case: keys drift between documents and answers."""
    if name in keys:
        return keys[name]
    folded = name.casefold()
    return next((value for key, value in keys.items() if key.casefold() == folded), None)


def _status(dataset: Dataset, keys: AnswerKeys) -> int | None:
    """Return the status an answer names, as a number: some services write it as text.

    Raises:
        BadResponse: It is neither.
    """
    documented = _value(keys, dataset.failure.status) if dataset.failure else None
    if documented is not None:
        return _number(dataset, documented)
    found = next((value for name in _STATUSES if (value := _value(keys, name)) is not None), None)
    if found is False or (isinstance(found, str) and found.strip().casefold() in _FAILED):
        return HTTPStatus.BAD_REQUEST
    is_number = found is not True and (
        isinstance(found, int | float) or (isinstance(found, str) and found.strip().isdecimal())
    )
    return _number(dataset, found) if is_number else None


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

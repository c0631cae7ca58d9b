"""Errors as the contract words them: one JSON object, one header, bounded, and without secrets."""

from collections.abc import Sequence
from datetime import UTC, datetime
from http import HTTPStatus
from itertools import islice
from math import ceil
from types import UnionType
from typing import Final

import azure.functions as func

from functions.http.auth import Unauthenticated
from functions.http.responses import json_response
from shared import errors
from shared.credentials.secrets import VaultUnavailable
from shared.errors import AppError, Detail, InvalidInput
from shared.telemetry.redaction import bounded

RETRY_SECONDS: Final = 30
"""What ``Retry-After`` says when nothing better is known."""

MOST_DETAILS: Final = 20

_LONGEST_MESSAGE = 2000
_LONGEST_DETAIL = 300


class LengthRequired(InvalidInput):
    """The host has dropped the body of a request, because it came without its length."""


CODES: Final[Sequence[tuple[type[AppError] | UnionType, HTTPStatus, str]]] = (
    (LengthRequired, HTTPStatus.LENGTH_REQUIRED, "LengthRequired"),
    (errors.TooLarge, HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "TooLarge"),
    (errors.KeyReused, HTTPStatus.UNPROCESSABLE_ENTITY, "IdempotencyKeyReused"),
    (InvalidInput, HTTPStatus.BAD_REQUEST, "InvalidRequest"),
    (Unauthenticated, HTTPStatus.UNAUTHORIZED, "Unauthorized"),
    (errors.Forbidden, HTTPStatus.FORBIDDEN, "Forbidden"),
    (errors.NotFound, HTTPStatus.NOT_FOUND, "NotFound"),
    (errors.Conflict | errors.NotReady, HTTPStatus.CONFLICT, "Conflict"),
    (errors.Outdated, HTTPStatus.GONE, "Gone"),
    (errors.Wait, HTTPStatus.TOO_MANY_REQUESTS, "Throttled"),
    (
        errors.Misconfigured | errors.StorageUnavailable | errors.StoredFault | VaultUnavailable,
        HTTPStatus.SERVICE_UNAVAILABLE,
        "Unavailable",
    ),
    (errors.Unauthorized, HTTPStatus.BAD_GATEWAY, "UpstreamUnauthorized"),
    (errors.Rejected | errors.Gone, HTTPStatus.FAILED_DEPENDENCY, "UpstreamRejected"),
)
"""What each error becomes: the first that fits. The rest is 502 ``UpstreamFailed``."""


def error_response(error: AppError) -> func.HttpResponse:
    """Return the response of the contract to an error."""
    status, code = next(
        ((status, code) for kind, status, code in CODES if isinstance(error, kind)),
        (HTTPStatus.BAD_GATEWAY, "UpstreamFailed"),
    )
    target, details = _places(error)
    headers = {"x-ms-error-code": code}
    if status == HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = "Bearer"
    if status in {HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE}:
        headers["Retry-After"] = str(_retry_after(error))
    return json_response({"error": error_body(code, error.text, target, details)}, status=status, headers=headers)


def internal_error() -> func.HttpResponse:
    """Return the response to a fault of the app, which says nothing of its inside."""
    code = "InternalError"
    body = {"error": error_body(code, "Something went wrong; see the log.")}
    return json_response(body, status=HTTPStatus.INTERNAL_SERVER_ERROR, headers={"x-ms-error-code": code})


def error_body(code: str, message: str, target: str | None = None, details: Sequence[Detail] = ()) -> dict[str, object]:
    """Return the ``error`` object of the contract: with at most 20 details, and texts that have an end."""
    shown = [
        {"code": one.code, "target": _detail(one.target), "message": _detail(one.message)}
        for one in islice(details, MOST_DETAILS)
    ]
    target = None if target is None else _detail(target)
    return {"code": code, "message": bounded(message, _LONGEST_MESSAGE), "target": target, "details": shown}


def _detail(text: str) -> str:
    return bounded(text, _LONGEST_DETAIL)


def _places(error: AppError) -> tuple[str | None, Sequence[Detail]]:
    """Return where the fault of an error is, and each fault."""
    match error:
        case InvalidInput():
            return error.target, error.details
        case errors.Misconfigured():
            details = [Detail(one.setting, "Setting", f"{one.message}. {one.remedy}") for one in error.problems]
            return details[0].target, details
        case _:
            return None, ()


def _retry_after(error: AppError) -> int:
    """Return in how many seconds to ask again."""
    if isinstance(error, errors.Wait):
        return max(1, ceil((error.until - datetime.now(UTC)).total_seconds()))
    return RETRY_SECONDS

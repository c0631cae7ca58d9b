"""What all HTTP functions share: JSON answers, and errors as the contract words them."""

import functools
import json
import logging
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from http import HTTPStatus
from math import ceil
from typing import NoReturn
from urllib.parse import urlsplit

import azure.functions as func
from pydantic import BaseModel, ValidationError

from functions.auth import Unauthenticated, admit
from shared import errors
from shared.document import Document
from shared.errors import AppError, Detail, InvalidInput
from shared.events import log_failure

log = logging.getLogger(__name__)

type Handler = Callable[[func.HttpRequest], Awaitable[func.HttpResponse]]

RETRY_SECONDS = 30
"""What ``Retry-After`` says when nothing better is known."""


class NotFound(errors.GiveUp):
    """There is no such thing under this URL."""


def answering(handler: Handler) -> Handler:
    """Let in whoever may call a handler, and turn what it raises into the error answer of the contract."""

    @functools.wraps(handler)
    async def answered(req: func.HttpRequest) -> func.HttpResponse:
        try:
            admit(req, handler.__name__)
            return await handler(req)
        except AppError as error:
            return error_answer(error)
        except Exception:  # noqa: BLE001 - the last line of defence: a fault of ours must not show its inside to the caller
            log_failure(log, "http.failed", path=urlsplit(req.url).path)
            return _error(HTTPStatus.INTERNAL_SERVER_ERROR, "InternalError", "Something went wrong; see the log.")

    return answered


def json_answer(
    body: Document | Mapping[str, object], *, status: int = HTTPStatus.OK, headers: Mapping[str, str] | None = None
) -> func.HttpResponse:
    """A JSON answer."""
    content = body.to_json() if isinstance(body, Document) else json.dumps(body).encode()
    return func.HttpResponse(content, status_code=status, mimetype="application/json", headers=dict(headers or {}))


def accepted(body: Document | Mapping[str, object], *, location: str, retry_after: int) -> func.HttpResponse:
    """202: the work goes on, ask again under ``location`` after ``retry_after`` seconds."""
    headers = {"Location": location, "Retry-After": str(retry_after)}
    return json_answer(body, status=HTTPStatus.ACCEPTED, headers=headers)


def api_url(req: func.HttpRequest, path: str) -> str:
    """The absolute URL of a route of this app, as the caller reaches it."""
    parts = urlsplit(req.url)
    return f"{parts.scheme}://{parts.netloc}/api/{path}"


def flag(req: func.HttpRequest, name: str, *, default: bool = False) -> bool:
    """A yes-or-no query parameter.

    Raises:
        InvalidInput: It is neither ``true`` nor ``false``.
    """
    value: str = (req.params.get(name) or str(default)).lower()
    if value not in {"true", "false"}:
        raise InvalidInput(f"{name} is 'true' or 'false', not {value!r}", target=name)
    return value == "true"


def number(req: func.HttpRequest, name: str, *, default: int, least: int, most: int) -> int:
    """A whole number in the query, from ``least`` to ``most``.

    Raises:
        InvalidInput: It is none.
    """
    value = req.params.get(name) or str(default)
    if not (value.isascii() and value.isdecimal() and least <= int(value) <= most):
        raise InvalidInput(f"{name} is a whole number from {least} to {most}, not {value!r}", target=name)
    return int(value)


def parsed[T: BaseModel](model: type[T], req: func.HttpRequest, *, empty: bool = False) -> T:
    """The body of a request as ``model``; ``empty`` lets an empty body stand for ``{}``.

    Raises:
        InvalidInput: Names each field that is wrong.
    """
    body = req.get_body()
    if empty and not body.strip():
        body = b"{}"
    try:
        return model.model_validate_json(body)
    except ValidationError as error:
        refuse(error)


def refuse(error: ValidationError) -> NoReturn:
    """Say which fields of a body are wrong.

    Raises:
        InvalidInput: Always.
    """
    details = [Detail(_target(fault["loc"]), fault["type"], fault["msg"]) for fault in error.errors()]
    first = details[0]
    more = f" (and {len(details) - 1} more)" if len(details) > 1 else ""
    raise InvalidInput(f"{first.target}: {first.message}{more}", target=first.target, details=details) from None


def _target(location: tuple[int | str, ...]) -> str:
    """``("records", 3, "rowKey")`` as ``records[3].rowKey``; the body itself is ``body``."""
    path = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in location)
    return path.removeprefix(".") or "body"


def error_answer(error: AppError) -> func.HttpResponse:
    """The answer of the contract to an error."""
    match error:
        case InvalidInput():
            return _invalid(error)
        case Unauthenticated() | errors.Forbidden():
            return _refused(error)
        case NotFound():
            return _error(HTTPStatus.NOT_FOUND, "NotFound", error.text)
        case errors.Conflict():
            return _error(HTTPStatus.CONFLICT, "Conflict", error.text)
        case errors.Wait():
            seconds = max(1, ceil((error.until - datetime.now(UTC)).total_seconds()))
            return _error(HTTPStatus.TOO_MANY_REQUESTS, "Throttled", error.text, retry_after=seconds)
        case errors.Misconfigured():
            details = [Detail(fault.setting, "Setting", f"{fault.message}. {fault.remedy}") for fault in error.problems]
            return _error(
                HTTPStatus.SERVICE_UNAVAILABLE,
                "Unavailable",
                error.text,
                details[0].target,
                details,
                retry_after=RETRY_SECONDS,
            )
        case errors.StorageUnavailable():
            return _error(HTTPStatus.SERVICE_UNAVAILABLE, "Unavailable", error.text, retry_after=RETRY_SECONDS)
        case errors.Unauthorized():
            return _error(HTTPStatus.BAD_GATEWAY, "UpstreamUnauthorized", error.text)
        case errors.Rejected() | errors.Gone():
            return _error(HTTPStatus.FAILED_DEPENDENCY, "UpstreamRejected", error.text)
        case _:
            return _error(HTTPStatus.BAD_GATEWAY, "UpstreamFailed", error.text)


def _invalid(error: InvalidInput) -> func.HttpResponse:
    status, code = HTTPStatus.BAD_REQUEST, "InvalidRequest"
    if isinstance(error, errors.TooLarge):
        status, code = HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "TooLarge"
    elif isinstance(error, errors.KeyReused):
        status, code = HTTPStatus.UNPROCESSABLE_ENTITY, "IdempotencyKeyReused"
    return _error(status, code, error.text, error.target, error.details)


def _refused(error: Unauthenticated | errors.Forbidden) -> func.HttpResponse:
    if isinstance(error, errors.Forbidden):
        return _error(HTTPStatus.FORBIDDEN, "Forbidden", error.text)
    refusal = _error(HTTPStatus.UNAUTHORIZED, "Unauthorized", error.text)
    refusal.headers["WWW-Authenticate"] = "Bearer"
    return refusal


def error_body(
    code: str, message: str, target: str | None = None, details: tuple[Detail, ...] | list[Detail] = ()
) -> dict[str, object]:
    """The ``error`` object of the contract."""
    listed = [{"code": detail.code, "target": detail.target, "message": detail.message} for detail in details]
    return {"code": code, "message": message, "target": target, "details": listed}


def _error(
    status: HTTPStatus,
    code: str,
    message: str,
    target: str | None = None,
    details: tuple[Detail, ...] | list[Detail] = (),
    *,
    retry_after: int | None = None,
) -> func.HttpResponse:
    headers = {"x-ms-error-code": code}
    if retry_after is not None:
        headers["Retry-After"] = str(retry_after)
    return json_answer({"error": error_body(code, message, target, details)}, status=status, headers=headers)

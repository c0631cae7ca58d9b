"""What an operation may answer, in the words of Swagger 2.0."""

from http import HTTPStatus

from sandbox.connector.actions import Action
from sandbox.connector.schemas import Schema

_PATIENCE = {"Retry-After": {"type": "integer", "format": "int32", "description": "In how many seconds to ask again."}}
_WHERE = {"Location": {"type": "string", "description": "Where to ask what became of it."}}

_ERRORS = {
    HTTPStatus.BAD_REQUEST: "The call cannot be carried out as it is: the message names the field and the remedy.",
    HTTPStatus.UNAUTHORIZED: "The function key or the sign-in is missing or not valid.",
    HTTPStatus.FORBIDDEN: "The caller has no app role for this call, or the app settings do not allow it.",
    HTTPStatus.NOT_FOUND: "There is nothing under this ID.",
    HTTPStatus.CONFLICT: "It does not go with how things stand now: read them again, then decide.",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "There are more items than one call may hold: send them in several calls.",
    HTTPStatus.UNPROCESSABLE_ENTITY: "Every item failed, or the idempotency key belongs to another request.",
    HTTPStatus.FAILED_DEPENDENCY: "AvePoint refused the request: the message says why.",
    HTTPStatus.TOO_MANY_REQUESTS: "AvePoint or the request budget asks for patience: repeat after Retry-After seconds.",
    HTTPStatus.INTERNAL_SERVER_ERROR: "A fault of the app: its log says more.",
    HTTPStatus.BAD_GATEWAY: "AvePoint, or something on the way to it, did not answer as it should.",
    HTTPStatus.SERVICE_UNAVAILABLE: "A setting is missing or the storage is away: repeat after Retry-After seconds.",
}
_ALWAYS = frozenset({HTTPStatus.INTERNAL_SERVER_ERROR, HTTPStatus.SERVICE_UNAVAILABLE})
_BEHIND_THE_KEY = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.BAD_GATEWAY})
_PATIENT = frozenset({HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE})


def responses(action: Action, *, anonymous: bool) -> Schema:
    """The answers of an operation by status.

    Only 200 has a schema: the designer offers what a flow goes on with, and nothing else.
    """
    answers: Schema = {"200": {"description": action.ok, "schema": {"$ref": f"#/definitions/{action.answer}"}}}
    if action.lasts:
        answers["202"] = {"description": "It goes on: ask under Location.", "headers": _WHERE | _PATIENCE}
    for status in sorted(action.errors | _ALWAYS | (frozenset() if anonymous else _BEHIND_THE_KEY)):
        patience = {"headers": _PATIENCE} if status in _PATIENT else {}
        answers[str(int(status))] = {"description": _ERRORS[status], **patience}
    return answers

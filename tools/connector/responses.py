"""What an operation may answer, in the words of Swagger 2.0."""

from http import HTTPStatus

from tools.connector.actions import Action
from tools.connector.schemas import Schema

_PATIENCE = {
    "Retry-After": {"type": "integer", "format": "int32", "description": "After how many seconds to ask again."}
}
_WHERE = {"Location": {"type": "string", "description": "The address to ask for the outcome."}}

ERRORS = {
    HTTPStatus.BAD_REQUEST: "The call has an error: the message names the field and the remedy.",
    HTTPStatus.UNAUTHORIZED: "The function key or the sign-in is missing or not valid.",
    HTTPStatus.FORBIDDEN: "The caller has no app role for this call, or the app settings do not allow it.",
    HTTPStatus.NOT_FOUND: "Nothing has this ID.",
    HTTPStatus.CONFLICT: "The call does not fit the current state: read the state again, then decide.",
    HTTPStatus.GONE: "The app no longer keeps this data: begin the list again, or use what the message names.",
    HTTPStatus.LENGTH_REQUIRED: "The body came without Content-Length, so it did not arrive.",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "The call has too many items: send them in several calls.",
    HTTPStatus.UNPROCESSABLE_ENTITY: "Every item failed, or the idempotency key belongs to another request.",
    HTTPStatus.FAILED_DEPENDENCY: "AvePoint refused the request: the message says why.",
    HTTPStatus.TOO_MANY_REQUESTS: "AvePoint or the request budget is busy: repeat after Retry-After seconds.",
    HTTPStatus.INTERNAL_SERVER_ERROR: "An error in the app itself: its log says more.",
    HTTPStatus.BAD_GATEWAY: "AvePoint, or a proxy before it, did not answer correctly.",
    HTTPStatus.SERVICE_UNAVAILABLE: "A setting is missing or storage is down: repeat after Retry-After seconds.",
}
_ALWAYS = frozenset({HTTPStatus.INTERNAL_SERVER_ERROR, HTTPStatus.SERVICE_UNAVAILABLE})
BEHIND_THE_KEY = frozenset(
    {HTTPStatus.BAD_REQUEST, HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.BAD_GATEWAY}
)
WITH_A_BODY = frozenset({HTTPStatus.LENGTH_REQUIRED, HTTPStatus.REQUEST_ENTITY_TOO_LARGE})
_PATIENT = frozenset({HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE})


def always_possible() -> frozenset[HTTPStatus]:
    """Return the errors that any call may have."""
    return _ALWAYS


def responses(action: Action, *, anonymous: bool) -> Schema:
    """Return the answers of an operation by status.

    Only 200 has a schema: the designer offers what a flow goes on with, and nothing else.
    """
    answers: Schema = {"202": {"description": action.ok}}
    if action.answer:
        answers = {"200": {"description": action.ok, "schema": {"$ref": f"#/definitions/{action.answer}"}}}
    if action.lasts:
        waits = "There is nothing new: ask at Location." if action.trigger else "The work continues: ask at Location."
        answers["202"] = {"description": waits, "headers": _WHERE | _PATIENCE}
    errors = action.errors | _ALWAYS
    errors |= frozenset() if anonymous else BEHIND_THE_KEY
    errors |= WITH_A_BODY if action.body else frozenset()
    for status in sorted(errors):
        patience = {"headers": _PATIENCE} if status in _PATIENT else {}
        answers[str(int(status))] = {"description": ERRORS[status], **patience}
    if action.answer == "Health":  # not an error of the call, so nobody is told when to ask again
        answers["503"] = {"description": "The app cannot work."}
    return answers

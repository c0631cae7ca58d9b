"""What the requests of the Opus functions ask for, beyond their bodies."""

from datetime import date

import azure.functions as func

from functions.auth import caller
from functions.http import flag
from shared.errors import InvalidInput
from shared.opus.inputs import idempotency_key
from shared.opus.operations import Call

CLIENT_HEADERS = (
    "x-ms-client-request-id",
    "x-ms-client-tracking-id",
    "x-ms-correlation-id",
    "x-ms-workflow-id",
    "x-ms-workflow-name",
    "x-ms-workflow-run-id",
    "traceparent",
)
"""What Power Automate, Logic Apps and custom connectors call a request by; it goes into the evidence."""


def call_of(req: func.HttpRequest) -> Call:
    """Who asks, under which key and ids, and how.

    Raises:
        InvalidInput: The idempotency key, or a flag, is none.
        Unauthenticated: Nobody has signed in.
    """
    key = idempotency_key(req.headers)
    given = {"idempotency-key": key, **{name: req.headers.get(name) for name in CLIENT_HEADERS}}
    client = {name: value[:255] for name, value in given.items() if value}
    return Call(caller(req), key, client, wait=flag(req, "wait", default=True), atomic=flag(req, "atomic"))


def day_of(req: func.HttpRequest, *, today: date) -> date:
    """The query parameter ``date``.

    Raises:
        InvalidInput: It is no day.
    """
    text = req.params.get("date")
    try:
        return date.fromisoformat(text) if text else today
    except ValueError:
        raise InvalidInput(f"date is a day such as 2026-01-31, not {text!r}", target="date") from None

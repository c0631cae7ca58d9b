"""What requests say beside their bodies: who makes them, how, and what for."""

import re
from collections.abc import Sequence
from datetime import date
from typing import Final
from urllib.parse import parse_qsl, unquote_plus, urlsplit

import azure.functions as func

from functions.http.auth import caller
from functions.http.queries import ATOMIC, FORMAT, WAIT, Flag, Parameter, WholeNumber
from shared.closest import closest_hint
from shared.errors import InvalidInput
from shared.opus.intake.dates import parse_date
from shared.opus.intake.inputs import idempotency_key
from shared.opus.operations.operations import Call

CLIENT_HEADERS: Final = (
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
    """Return who makes a request, under which key and ids, and how.

    Raises:
        InvalidInput: The idempotency key, or a flag, is not valid.
        Unauthenticated: Nobody has signed in.
    """
    key = idempotency_key(req.headers)
    given = {"idempotency-key": key, **{name: req.headers.get(name) for name in CLIENT_HEADERS}}
    client = {name: value[:255] for name, value in given.items() if value}
    return Call(caller(req), key, client, wait=flag(req, WAIT), atomic=flag(req, ATOMIC))


def flag(req: func.HttpRequest, parameter: Flag) -> bool:
    """Return a yes-or-no parameter.

    Raises:
        InvalidInput: It is neither ``true`` nor ``false``.
    """
    value = (text(req, parameter) or str(parameter.default)).lower()
    if value not in {"true", "false"}:
        raise InvalidInput(f"{parameter.name} is 'true' or 'false', not {value!r}", target=parameter.name)
    return value == "true"


def whole_number(req: func.HttpRequest, parameter: WholeNumber) -> int:
    """Return a whole number.

    Raises:
        InvalidInput: It is not one, or not within its limits.
    """
    value = text(req, parameter) or str(parameter.default)
    if not re.fullmatch("[0-9]{1,9}", value) or not parameter.least <= int(value) <= parameter.most:
        limits = f"from {parameter.least} to {parameter.most}"
        raise InvalidInput(f"{parameter.name} is a whole number {limits}, not {value!r}", target=parameter.name)
    return int(value)


def day(req: func.HttpRequest, parameter: Parameter) -> date | None:
    """Return a day; ``None`` where the query has none.

    Raises:
        InvalidInput: It is not a day from 1900 to 9998.
    """
    value = text(req, parameter)
    found = parse_date(value) if value else None
    if value and found is None:
        raise InvalidInput(f"{parameter.name} is a day such as 2026-01-31, not {value!r}", target=parameter.name)
    return found


def text(req: func.HttpRequest, parameter: Parameter) -> str | None:
    """Return the value of a parameter as it was sent; ``None`` where there is none, or an empty one."""
    return dict(parse_qsl(urlsplit(req.url).query)).get(parameter.name)


def sent_bytes(req: func.HttpRequest, parameter: Parameter) -> int:
    """Return how long the value of a parameter is as it stands in the URL."""
    pairs = (pair.partition("=") for pair in urlsplit(req.url).query.split("&"))
    return next((len(value.encode()) for name, _, value in pairs if unquote_plus(name) == parameter.name), 0)


def choice[T: str](req: func.HttpRequest, parameter: Parameter, choices: Sequence[T]) -> T | None:
    """Return one of a few words; ``None`` where the query has none.

    Raises:
        InvalidInput: It is another one.
    """
    value = text(req, parameter)
    chosen = next((one for one in choices if one == value), None)
    if value is not None and chosen is None:
        problem = f"{parameter.name} is one of {', '.join(choices)}, not {value[:100]!r}{closest_hint(value, choices)}"
        raise InvalidInput(problem, target=parameter.name)
    return chosen


def wants_csv(req: func.HttpRequest) -> bool:
    """Return whether ``format`` asks for CSV.

    Raises:
        InvalidInput: It is neither ``json`` nor ``csv``.
    """
    return choice(req, FORMAT, ("json", "csv")) == "csv"

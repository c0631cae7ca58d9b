"""Opus for flows: submit records, list what is due, destroy it, and see what became of it."""

import logging
from collections.abc import Mapping, Sequence
from datetime import date
from http import HTTPStatus
from urllib.parse import urlencode

import azure.functions as func

from functions.http import NotFound, accepted, answering, api_url, error_body, flag, json_answer, number, parsed
from shared.clock import rfc3339
from shared.errors import InvalidInput
from shared.events import log_event
from shared.opus.assembly import dates_of, operations_of, opus_of
from shared.opus.client import Position
from shared.opus.documents import Operation
from shared.opus.inputs import DestroyInput, SubmitInput, connection_id, due_before, idempotency_key
from shared.opus.operations import Call, Progress, poked
from shared.services import services

CLIENT_HEADERS = ("x-ms-client-request-id", "x-ms-client-tracking-id", "x-ms-workflow-run-id", "traceparent")

bp = func.Blueprint()
log = logging.getLogger(__name__)


@bp.route("opus/connections/{opusConnectionId}/records", methods=["POST"], auth_level=func.AuthLevel.FUNCTION)
@answering
async def submit_records(req: func.HttpRequest) -> func.HttpResponse:
    """Submit records to a connection."""
    connection = connection_id(req.route_params["opusConnectionId"])
    call, body = _call(req), parsed(SubmitInput, req)
    return _told(req, await operations_of(await services()).submit(call, connection, body))


@bp.route("opus/connections/{opusConnectionId}/records/due", methods=["GET"], auth_level=func.AuthLevel.FUNCTION)
@answering
async def list_due_records(req: func.HttpRequest) -> func.HttpResponse:
    """List the records of a connection that are due for disposal."""
    connection = connection_id(req.route_params["opusConnectionId"])
    top = number(req, "top", default=100, least=1, most=1000)
    start = Position(req.params.get("startIndex"), number(req, "skip", default=0, least=0, most=1000))
    app = await services()
    before = due_before(req.params.get("before"), dates_of(app.settings), now=app.clock())
    due = await opus_of(app).due(connection, before, top=top, start=start)
    rest = {"before": rfc3339(before), "top": top, **due.rest.query} if due.rest else None
    return _page(req, f"opus/connections/{connection}/records/due", due.records, rest)


@bp.route("opus/records/destroy", methods=["POST"], auth_level=func.AuthLevel.FUNCTION)
@answering
async def destroy_records(req: func.HttpRequest) -> func.HttpResponse:
    """Mark records as destroyed, or say what would be sent."""
    call, body = _call(req), parsed(DestroyInput, req)
    operations = operations_of(await services())
    if flag(req, "dryRun"):
        return json_answer({"dryRun": True, "requested": len(body.ids), "requests": operations.rehearse_destroy(body)})
    return _told(req, await operations.destroy(call, body))


@bp.route("operations", methods=["GET"], auth_level=func.AuthLevel.FUNCTION)
@answering
async def list_operations(req: func.HttpRequest) -> func.HttpResponse:
    """List the operations of a day, today unless a date is given."""
    app = await services()
    day = _date(req.params.get("date"), today=app.clock().date())
    listing = await operations_of(app).of_date(day, after=req.params.get("after", ""))
    rest = {"date": day.isoformat(), "after": listing.rest} if listing.rest else None
    return _page(req, "operations", [_body(operation) for operation in listing.operations], rest)


@bp.route("operations/{operationId}", methods=["GET"], auth_level=func.AuthLevel.FUNCTION)
@answering
async def get_operation(req: func.HttpRequest) -> func.HttpResponse:
    """Say what became of an operation, in the way its first call would have been answered."""
    operation_id = req.route_params["operationId"]
    progress = await operations_of(await services()).get(operation_id)
    if progress is None:
        raise NotFound(f"There is no operation {operation_id}.")
    return _told(req, progress)


@bp.queue_trigger("msg", queue_name="opus-operations", connection="INVENTORY_STORAGE")
async def run_operation(msg: func.QueueMessage) -> None:
    """Go on with an operation."""
    if operation_id := _poked(msg):
        await operations_of(await services()).run(operation_id)


@bp.queue_trigger("msg", queue_name="opus-operations-poison", connection="INVENTORY_STORAGE")
async def run_operation_poison(msg: func.QueueMessage) -> None:
    """End an operation that cannot go on."""
    if operation_id := _poked(msg):
        await operations_of(await services()).give_up(operation_id)


def _call(req: func.HttpRequest) -> Call:
    key = idempotency_key(req.headers)
    given = {"idempotency-key": key, **{name: req.headers.get(name) for name in CLIENT_HEADERS}}
    return Call(_caller(req), key, {name: value[:255] for name, value in given.items() if value})


def _caller(_: func.HttpRequest) -> str:
    """Who calls: everybody with the function key is the same caller, and principal headers prove nothing."""
    return "key"


def _poked(msg: func.QueueMessage) -> str | None:
    operation_id = poked(msg.get_body())
    if operation_id is None:
        log_event(log, "operation.poke_malformed", logging.ERROR, message_id=msg.id)
    return operation_id


def _told(req: func.HttpRequest, progress: Progress) -> func.HttpResponse:
    operation = progress.operation
    if progress.retry_after is not None:
        location = api_url(req, f"operations/{operation.operation_id}")
        return accepted(operation, location=location, retry_after=progress.retry_after)
    if operation.status != "Failed":
        return json_answer(operation)
    error = error_body("AllFailed", f"Every item failed. The first one: {operation.failed[0].message}")
    body = {"error": error, "operation": _body(operation)}
    return json_answer(body, status=HTTPStatus.UNPROCESSABLE_ENTITY, headers={"x-ms-error-code": "AllFailed"})


def _page(
    req: func.HttpRequest, path: str, value: Sequence[Mapping[str, object]], rest: Mapping[str, object] | None
) -> func.HttpResponse:
    link = {"nextLink": api_url(req, f"{path}?{urlencode(rest)}")} if rest else {}
    return json_answer({"value": value, **link})


def _body(operation: Operation) -> dict[str, object]:
    return operation.model_dump(mode="json", by_alias=True)


def _date(text: str | None, *, today: date) -> date:
    try:
        return date.fromisoformat(text) if text else today
    except ValueError:
        raise InvalidInput(f"date is a day such as 2026-01-31, not {text!r}", target="date") from None

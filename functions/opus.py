"""Opus for flows: submit records, list what is due, destroy it, and see what became of it."""

import logging

import azure.functions as func

from functions.asking import call_of, day_of
from functions.auth import Unauthenticated
from functions.http import NotFound, answering, flag, json_answer, number, parsed
from functions.telling import listed, page, told
from shared.errors import InvalidInput
from shared.events import log_event
from shared.opus.assembly import dates_of, links_of, operations_of, opus_of
from shared.opus.client import Position
from shared.opus.inputs import DestroyInput, ResolveInput, SubmitInput, connection_id, due_before
from shared.opus.links import DueList
from shared.opus.operations import Progress, poked
from shared.services import Services, services
from shared.signing import BadStatement

bp = func.Blueprint()
log = logging.getLogger(__name__)


@bp.route("opus/connections/{opusConnectionId}/records", methods=["POST"])
@answering
async def submit_records(req: func.HttpRequest) -> func.HttpResponse:
    """Submit records to a connection."""
    connection = connection_id(req.route_params["opusConnectionId"])
    call, body, app = call_of(req), parsed(SubmitInput, req), await services()
    return await told(req, await operations_of(app).submit(call, connection, body), links_of(app), wait=call.wait)


@bp.route("opus/connections/{opusConnectionId}/records/due", methods=["GET"])
@answering
async def list_due_records(req: func.HttpRequest) -> func.HttpResponse:
    """List the records of a connection that are due for disposal: first collect all pages, then destroy."""
    connection = connection_id(req.route_params["opusConnectionId"])
    top = number(req, "top", default=100, least=1, most=1000)
    app = await services()
    asked = DueList(connection, due_before(req.params.get("before"), dates_of(app.settings), now=app.clock()), top)
    due = await opus_of(app).due(connection, asked.before, top=top, start=await _start(req, app, asked))
    rest = asked.query(await links_of(app).list_token(asked, due.rest)) if due.rest else None
    return page(req, f"opus/connections/{connection}/records/due", due.records, rest)


@bp.route("opus/records/destroy", methods=["POST"])
@answering
async def destroy_records(req: func.HttpRequest) -> func.HttpResponse:
    """Mark records as destroyed, or say what would be sent."""
    call, body, app = call_of(req), parsed(DestroyInput, req), await services()
    operations = operations_of(app)
    if flag(req, "dryRun"):
        return json_answer({"dryRun": True, "requested": len(body.ids), "requests": operations.rehearse_destroy(body)})
    return await told(req, await operations.destroy(call, body), links_of(app), wait=call.wait)


@bp.route("operations", methods=["GET"])
@answering
async def list_operations(req: func.HttpRequest) -> func.HttpResponse:
    """List the operations of a day, today unless a date is given, or those with items that wait for a person."""
    app, after = await services(), req.params.get("after", "")
    if flag(req, "uncertain"):
        return listed(req, await operations_of(app).uncertain(after=after), uncertain="true")
    day = day_of(req, today=app.clock().date())
    return listed(req, await operations_of(app).of_date(day, after=after), date=day.isoformat())


@bp.route("operations/{operationId}", methods=["GET"])
@answering
async def get_operation(req: func.HttpRequest) -> func.HttpResponse:
    """Say what became of an operation, in the way its first call would have been answered."""
    app = await services()
    return await told(req, await _progress(req, app), links_of(app))


@bp.route("operations/{operationId}/poll", methods=["GET"], auth_level=func.AuthLevel.ANONYMOUS)
@answering
async def poll_operation(req: func.HttpRequest) -> func.HttpResponse:
    """Say what became of an operation to whoever has the link of its 202, which is good for 48 hours."""
    app = await services()
    try:
        await links_of(app).check_poll(req.params.get("token", ""), req.route_params["operationId"])
    except BadStatement as error:
        raise Unauthenticated(
            f"this link is no good: {error}",
            remedy="Repeat the call with the same Idempotency-Key, or read the operation with a key.",
        ) from None
    return await told(req, await _progress(req, app), links_of(app))


@bp.route("operations/{operationId}/resolve", methods=["POST"])
@answering
async def resolve_operation(req: func.HttpRequest) -> func.HttpResponse:
    """Write down what a person who has looked into Opus says of uncertain items."""
    operation_id, call, body = req.route_params["operationId"], call_of(req), parsed(ResolveInput, req)
    operation = await operations_of(await services()).resolve(operation_id, call, body)
    if operation is None:
        raise NotFound(f"There is no operation {operation_id}.")
    return json_answer(operation)


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


async def _progress(req: func.HttpRequest, app: Services) -> Progress:
    operation_id = req.route_params["operationId"]
    progress = await operations_of(app).get(operation_id)
    if progress is None:
        raise NotFound(f"There is no operation {operation_id}.")
    return progress


async def _start(req: func.HttpRequest, app: Services, due: DueList) -> Position:
    token = req.params.get("token")
    try:
        return await links_of(app).position(token, due) if token else Position()
    except BadStatement as error:
        raise InvalidInput(f"token: {error}", target="token", remedy="Begin the list again without it.") from None


def _poked(msg: func.QueueMessage) -> str | None:
    operation_id = poked(msg.get_body())
    if operation_id is None:
        log_event(log, "operation.poke_malformed", logging.ERROR, message_id=msg.id)
    return operation_id

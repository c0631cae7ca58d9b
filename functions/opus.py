"""Opus for flows: submit records, list what is due, destroy it, and see what became of it."""

import logging

import azure.functions as func

from functions.http.bodies import Most, parse_body
from functions.http.endpoint import endpoint
from functions.http.operation_responses import operation_response
from functions.http.queries import BEFORE, DRY_RUN, RECORDS_TOP, TOKEN
from functions.http.requests import call_of, flag, text, whole_number
from functions.http.responses import json_response, page_response
from shared.credentials.signing import BadStatement
from shared.errors import InvalidInput
from shared.opus.client.due_list import Cursor
from shared.opus.client.links import DueList
from shared.opus.intake.inputs import DestroyInput, SubmitInput, connection_id, due_before
from shared.opus.operations.assembly import dates_of, links_of, operations_of, opus_of
from shared.opus.operations.worker import OperationMessage, parse_message
from shared.services import Services, services
from shared.telemetry.events import log_event

bp = func.Blueprint()
log = logging.getLogger(__name__)


@bp.route("opus/connections/{opusConnectionId}/records", methods=["POST"])
@endpoint
async def submit_records(req: func.HttpRequest) -> func.HttpResponse:
    """Submit records to a connection."""
    connection = connection_id(req.route_params["opusConnectionId"])
    call, app = call_of(req), await services()
    body = await parse_body(
        SubmitInput, req, most={"records": Most(app.settings.opus_submit_max_records, "OPUS_SUBMIT_MAX_RECORDS")}
    )
    progress = await operations_of(app).submit(call, connection, body)
    return await operation_response(req, progress, links_of(app), wait=call.wait)


@bp.route("opus/connections/{opusConnectionId}/records/due", methods=["GET"])
@endpoint
async def list_due_records(req: func.HttpRequest) -> func.HttpResponse:
    """List the records of a connection that are due for disposal: first collect all pages, then destroy."""
    connection = connection_id(req.route_params["opusConnectionId"])
    top = whole_number(req, RECORDS_TOP)
    app = await services()
    asked = DueList(connection, due_before(text(req, BEFORE), dates_of(app.settings), now=app.clock()), top)
    due = await opus_of(app).due(connection, asked.before, top=top, start=await _start(req, app, asked))
    next_query = asked.query(await links_of(app).list_token(asked, due.next_cursor)) if due.next_cursor else None
    return page_response(req, f"opus/connections/{connection}/records/due", due.records, next_query)


@bp.route("opus/records/destroy", methods=["POST"])
@endpoint
async def destroy_records(req: func.HttpRequest) -> func.HttpResponse:
    """Mark records as destroyed, or say what would be sent."""
    call, dry_run, app = call_of(req), flag(req, DRY_RUN), await services()
    body = await parse_body(
        DestroyInput, req, most={"ids": Most(app.settings.opus_destroy_max_ids, "OPUS_DESTROY_MAX_IDS")}
    )
    operations = operations_of(app)
    if dry_run:
        sent = {"dryRun": True, "requested": len(body.ids), "requests": operations.rehearse_destroy(call, body)}
        return json_response(sent)
    return await operation_response(req, await operations.destroy(call, body), links_of(app), wait=call.wait)


@bp.queue_trigger("msg", queue_name="opus-operations", connection="INVENTORY_STORAGE")
async def run_operation(msg: func.QueueMessage) -> None:
    """Go on with an operation."""
    if message := _message_of(msg):
        await operations_of(await services()).run(message.operation_id, watch=message.watch)


@bp.queue_trigger("msg", queue_name="opus-operations-poison", connection="INVENTORY_STORAGE")
async def run_operation_poison(msg: func.QueueMessage) -> None:
    """End an operation that cannot go on."""
    if message := _message_of(msg):
        await operations_of(await services()).give_up(message.operation_id)


async def _start(req: func.HttpRequest, app: Services, due: DueList) -> Cursor:
    token = text(req, TOKEN)
    try:
        return await links_of(app).cursor(token, due) if token else Cursor()
    except BadStatement as error:
        raise InvalidInput(f"token: {error}", target="token", remedy="Begin the list again without it.") from None


def _message_of(msg: func.QueueMessage) -> OperationMessage | None:
    message = parse_message(msg.get_body())
    if message is None:
        log_event(log, "operation.message_malformed", logging.ERROR, message_id=msg.id)
    return message

"""Operations over HTTP: what became of a submit or destroy, and what a person found out about it."""

import azure.functions as func

from functions.http.auth import Unauthenticated
from functions.http.bodies import Most, parse_body
from functions.http.endpoint import endpoint
from functions.http.operation_responses import operation_response, operations_response
from functions.http.queries import AFTER, DATE, TOKEN, UNCERTAIN
from functions.http.requests import call_of, day, flag, text
from functions.http.responses import json_response
from shared.credentials.signing import BadStatement
from shared.errors import InvalidInput, NotFound
from shared.opus.intake.inputs import ResolveInput
from shared.opus.ledger.marks import is_mark
from shared.opus.operations.assembly import links_of, operations_of
from shared.opus.operations.progress import OperationProgress
from shared.services import Services, services

bp = func.Blueprint()


@bp.route("operations", methods=["GET"])
@endpoint
async def list_operations(req: func.HttpRequest) -> func.HttpResponse:
    """List the operations of a day, today unless a date is given, or those with items that wait for a person."""
    date, uncertain, after = day(req, DATE), flag(req, UNCERTAIN), _after(req)
    if date and uncertain:
        raise InvalidInput("uncertain lists those of every day", target="date", remedy="Leave date or uncertain out.")
    app = await services()
    if uncertain:
        return operations_response(req, await operations_of(app).uncertain(after=after), {"uncertain": "true"})
    date = date or app.clock().date()
    return operations_response(req, await operations_of(app).of_date(date, after=after), {"date": date.isoformat()})


@bp.route("operations/{operationId}", methods=["GET"])
@endpoint
async def get_operation(req: func.HttpRequest) -> func.HttpResponse:
    """Say what became of an operation, in the way its first call would have been answered."""
    app = await services()
    return await operation_response(req, await _progress(req, app), links_of(app))


@bp.route("operations/{operationId}/poll", methods=["GET"], auth_level=func.AuthLevel.ANONYMOUS)
@endpoint
async def poll_operation(req: func.HttpRequest) -> func.HttpResponse:
    """Say what became of an operation to a caller that has the link of its 202, which is good for 48 hours."""
    app = await services()
    try:
        await links_of(app).check_poll(text(req, TOKEN) or "", req.route_params["operationId"])
    except BadStatement as error:
        raise Unauthenticated(
            f"this link is not valid: {error}",
            remedy="Repeat the call with the same Idempotency-Key, or read the operation with a key.",
        ) from None
    return await operation_response(req, await _progress(req, app), links_of(app))


@bp.route("operations/{operationId}/cancel", methods=["POST"])
@endpoint
async def cancel_operation(req: func.HttpRequest) -> func.HttpResponse:
    """End what has not been sent of an operation; while a batch is in flight, it ends after that."""
    operation_id, call, app = req.route_params["operationId"], call_of(req), await services()
    progress = await operations_of(app).cancel(operation_id, call)
    if progress is None:
        raise NotFound(f"There is no operation {operation_id}.")
    if progress.retry_after is None:  # what has ended is told as it is, also where nothing was processed
        return json_response(progress.operation)
    return await operation_response(req, progress, links_of(app))


@bp.route("operations/{operationId}/resolve", methods=["POST"])
@endpoint
async def resolve_operation(req: func.HttpRequest) -> func.HttpResponse:
    """Write down what a person who has looked into Opus says of uncertain items."""
    operation_id, call, app = req.route_params["operationId"], call_of(req), await services()
    body = await parse_body(
        ResolveInput, req, most={"ids": Most(app.settings.opus_destroy_max_ids, "OPUS_DESTROY_MAX_IDS")}
    )
    operation = await operations_of(app).resolve(operation_id, call, body)
    if operation is None:
        raise NotFound(f"There is no operation {operation_id}.")
    return json_response(operation)


async def _progress(req: func.HttpRequest, app: Services) -> OperationProgress:
    operation_id = req.route_params["operationId"]
    progress = await operations_of(app).get(operation_id)
    if progress is None:
        raise NotFound(f"There is no operation {operation_id}.")
    return progress


def _after(req: func.HttpRequest) -> str:
    after = text(req, AFTER) or ""
    if after and not is_mark(after):
        raise InvalidInput("after is not from a link of this app", target="after", remedy="Begin the list again.")
    return after

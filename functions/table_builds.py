"""Building tables: the worker on the queue, and making tables again."""

import logging

import azure.functions as func

from functions.datasets import dataset_of
from functions.http.endpoint import endpoint
from functions.http.queries import WITH_CHANGES
from functions.http.requests import flag
from functions.http.responses import json_response
from shared.errors import DamagedDocument
from shared.harvest.snapshots.table_builds import TableAddress
from shared.services import services
from shared.tables.build.requests import fail_build, request_rebuild
from shared.telemetry.events import log_failure

bp = func.Blueprint()
log = logging.getLogger(__name__)


@bp.queue_trigger(arg_name="msg", queue_name="table-builds", connection="INVENTORY_STORAGE")
async def build_table(msg: func.QueueMessage) -> None:
    """Bring the table of a dataset up to date."""
    address = _address(msg)
    if address is not None:
        from shared.tables.build.builder import advance_table

        await advance_table(await services(), address)


@bp.queue_trigger(arg_name="msg", queue_name="table-builds-poison", connection="INVENTORY_STORAGE")
async def build_table_poison(msg: func.QueueMessage) -> None:
    """All attempts at a build are spent: write the reason where datasets are listed."""
    address = _address(msg)
    if address is not None:
        await fail_build(await services(), address)


@bp.route("datasets/{source}/{dataset}/rebuild", methods=["POST"])
@endpoint
async def rebuild_table(req: func.HttpRequest) -> func.HttpResponse:
    """Make the tables of a dataset again; with ``changes`` from all snapshots that are still there."""
    source, dataset = dataset_of(req)
    await request_rebuild(await services(), source, dataset, "changes" if flag(req, WITH_CHANGES) else "table")
    return json_response({}, status=202)


def _address(msg: func.QueueMessage) -> TableAddress | None:
    """Return the table a message names; what cannot be read can never be worked on, so it is logged and dropped."""
    try:
        return TableAddress.from_json(msg.get_body())
    except DamagedDocument:
        log_failure(log, "table.message_malformed", message_id=msg.id)
        return None

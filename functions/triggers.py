"""Polling triggers for flows: snapshots that were published, and items that were added, removed or changed.

The first call is answered 202 and begins from now. From then on the caller asks at ``Location``: 200 with what is new,
or 202. All state is in that address, so that nothing has to be kept for a flow, and nothing is lost with it. The state
stands beside what is new as well, for the gateway of a connector, which makes an address of its own with it.
"""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Final

import azure.functions as func

from functions.http.endpoint import endpoint
from functions.http.queries import CHANGE, DATASET, SOURCE, TRIGGER_STATE
from functions.http.requests import choice, text
from functions.http.responses import api_url, rows_response
from shared.avepoint.platform import SOURCES
from shared.services import services
from shared.tables.serving.changes import KINDS
from shared.tables.serving.events import Events, Watched, change_events, snapshot_events
from shared.tables.serving.positions import Positions, positions_text, read_positions

POLL_SECONDS: Final = 60

bp = func.Blueprint()


@bp.route("triggers/snapshots", methods=["GET"])
@endpoint
async def on_snapshot(req: func.HttpRequest) -> func.HttpResponse:
    """Tell a flow which snapshots were published since it last asked."""
    watched, positions = _watched(req), _positions(req)
    events = await snapshot_events(await services(), watched, positions)
    return _told(req, "triggers/snapshots", _filters(watched), events)


@bp.route("triggers/changes", methods=["GET"])
@endpoint
async def on_change(req: func.HttpRequest) -> func.HttpResponse:
    """Tell a flow which items were added, removed or changed since it last asked."""
    watched, positions, change = _watched(req), _positions(req), choice(req, CHANGE, KINDS)
    events = await change_events(await services(), watched, change, positions)
    return _told(req, "triggers/changes", _filters(watched) | ({"change": change} if change else {}), events)


def _watched(req: func.HttpRequest) -> Watched:
    watched = Watched(choice(req, SOURCE, SOURCES), text(req, DATASET))
    watched.datasets()
    return watched


def _positions(req: func.HttpRequest) -> Positions | None:
    state = text(req, TRIGGER_STATE)
    return None if state is None else read_positions(state)


def _filters(watched: Watched) -> dict[str, str]:
    given = {"source": watched.source, "dataset": watched.dataset}
    return {name: value for name, value in given.items() if value}


def _told(req: func.HttpRequest, path: str, filters: Mapping[str, str], events: Events) -> func.HttpResponse:
    state = positions_text(events.positions)
    location = api_url(req, path, {**filters, TRIGGER_STATE.name: state})
    headers = {"Location": location, "Retry-After": "1" if events.more else str(POLL_SECONDS)}
    if not events.events:
        return func.HttpResponse(status_code=HTTPStatus.ACCEPTED, headers=headers, mimetype="application/json")
    response = rows_response(events.events, None, triggerState=state)
    response.headers.update(headers)
    return response

from datetime import timedelta
from http import HTTPStatus

from starlette.applications import Starlette
from starlette.routing import Route

from sandbox.avepoint import opus, opus_legacy
from sandbox.avepoint.control import Control
from sandbox.avepoint.edge import Edge, Handler
from sandbox.avepoint.lists import list_handler
from sandbox.avepoint.opus_legacy import LegacyOpus
from sandbox.avepoint.simulation import AvePoint
from sandbox.avepoint.wire import Answer, Call, json_answer

_OPUS_PATH = "/records/connector/records"
_OAUTH_ERROR = {"error": "$message"}


def create_app(avepoint: AvePoint) -> Starlette:
    """Return identity, lists, Opus and the `/_sandbox` routes as one ASGI application on one origin."""
    edge = Edge(avepoint)
    return Starlette(
        routes=[
            *Control(avepoint).routes(),
            edge.route("POST", "/connect/token", _token_handler(avepoint), error=_OAUTH_ERROR),
            *_list_routes(edge, avepoint),
            *_opus_routes(edge, avepoint),
            edge.anything_else(),
        ]
    )


def _token_handler(avepoint: AvePoint) -> Handler:
    async def token(call: Call) -> Answer:
        audience = str(call.request.url.replace(query=""))
        granted = avepoint.identity.issue(await call.form(), avepoint.settings.token_seconds, audience=audience)
        return json_answer(HTTPStatus.OK, granted)

    return token


def _list_routes(edge: Edge, avepoint: AvePoint) -> list[Route]:
    return [
        edge.route(
            listing.resource.method,
            listing.resource.path,
            list_handler(avepoint, listing),
            error=listing.error,
            resource=name,
        )
        for name, listing in avepoint.listings.items()
    ]


def _opus_routes(edge: Edge, avepoint: AvePoint) -> list[Route]:
    async def submit(call: Call) -> Answer:
        avepoint.identity.require(call.request, [opus.SCOPE])
        return avepoint.opus.submit(await call.document(), fail=call.rule.fail_row_keys)

    async def due(call: Call) -> Answer:
        avepoint.identity.require(call.request, [opus.SCOPE])
        return avepoint.opus.due(call.query, _retention(avepoint))

    async def destroy(call: Call) -> Answer:
        avepoint.identity.require(call.request, [opus.SCOPE])
        return avepoint.opus.destroy(await call.document(), _retention(avepoint), fail=call.rule.fail_row_keys)

    async def legacy_submit(call: Call) -> Answer:
        avepoint.identity.require(call.request, [opus.SCOPE])
        return LegacyOpus(avepoint.opus).submit(await call.document(), fail=call.rule.fail_row_keys)

    async def legacy_due(call: Call) -> Answer:
        avepoint.identity.require(call.request, [opus.SCOPE])
        return LegacyOpus(avepoint.opus).due(await call.document(), _retention(avepoint))

    async def dispose(call: Call) -> Answer:
        avepoint.identity.require(call.request, [opus.SCOPE])
        legacy, retention = LegacyOpus(avepoint.opus), _retention(avepoint)
        return legacy.dispose(await call.document(), retention, fail=call.rule.fail_row_keys)

    return [
        edge.route("POST", _OPUS_PATH, submit, error=opus.ERROR, resource="opus-submit"),
        edge.route("GET", _OPUS_PATH, due, error=opus.ERROR, resource="opus-due"),
        edge.route("DELETE", _OPUS_PATH, destroy, error=opus.ERROR, resource="opus-destroy"),
        edge.route("POST", opus_legacy.SUBMIT_PATH, legacy_submit, error=opus_legacy.ERROR, resource="opus-submit"),
        edge.route("POST", opus_legacy.DUE_PATH, legacy_due, error=opus_legacy.ERROR, resource="opus-due"),
        edge.route("POST", opus_legacy.DISPOSE_PATH, dispose, error=opus_legacy.ERROR, resource="opus-destroy"),
    ]


def _retention(avepoint: AvePoint) -> timedelta:
    return timedelta(days=avepoint.settings.retention_days)

import asyncio
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import NoReturn
from uuid import uuid4

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sandbox.avepoint.bodies import fill
from sandbox.avepoint.faults import Rule
from sandbox.avepoint.log import Entry
from sandbox.avepoint.simulation import AvePoint
from sandbox.avepoint.wire import Answer, Call, RefusedError, json_answer, respond

type Handler = Callable[[Call], Awaitable[Answer]]

_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")


class Edge:
    """What all calls of the simulated service pass through: faults, latency, error bodies, request ids, the log."""

    def __init__(self, avepoint: AvePoint) -> None:
        self._avepoint = avepoint

    def route(self, method: str, path: str, handler: Handler, *, error: object, resource: str | None = None) -> Route:
        """Return a route to the handler; `error` is the service's error body with markers."""

        async def endpoint(request: Request) -> Response:
            return await self._serve(request, handler, error, resource)

        return Route(path, endpoint, methods=[method])

    def anything_else(self) -> Route:
        async def endpoint(request: Request) -> Response:
            return await self._serve(request, _nothing_here, {"message": "$message"}, None)

        return Route("/{path:path}", endpoint, methods=list(_METHODS))

    async def _serve(self, request: Request, handler: Handler, error: object, resource: str | None) -> Response:
        rule = self._avepoint.faults.take(request.method, request.url.path)
        await asyncio.sleep((self._avepoint.settings.latency_ms + rule.latency_ms) / 1000)
        request_id = str(uuid4())
        answer = await self._answer(Call(request, rule), handler, error, request_id)
        self._log(request, resource, None if rule.cut == 0 else answer)
        return respond(answer, request=request, request_id=request_id, rule=rule)

    async def _answer(self, call: Call, handler: Handler, error: object, request_id: str) -> Answer:
        answer = Answer(HTTPStatus.OK, b"")
        if not call.rule.prevents_execution:
            try:
                answer = await handler(call)
            except RefusedError as refusal:
                answer = _refusal(refusal.status, refusal.message, error, request_id)
        return _replacement(call.rule, error, request_id) if call.rule.replaces_answer else answer

    def _log(self, request: Request, resource: str | None, answer: Answer | None) -> None:
        self._avepoint.log.add(
            Entry(
                time=self._avepoint.clock(),
                method=request.method,
                path=request.url.path,
                query=request.url.query if resource else "",
                status=answer.status if answer else None,
                client_request_id=request.headers.get("client-request-id"),
                resource=resource,
                items=answer.items if answer else 0,
            )
        )


def _refusal(status: int, message: str, error: object, request_id: str) -> Answer:
    return json_answer(status, fill(error, {"$status": status, "$message": message, "$requestId": request_id}))


def _replacement(rule: Rule, error: object, request_id: str) -> Answer:
    status = rule.status or HTTPStatus.OK
    if "body" not in rule.model_fields_set:
        return _refusal(status, "A fault was set for this request.", error, request_id)
    return Answer(status, rule.body.encode()) if isinstance(rule.body, str) else json_answer(status, rule.body)


async def _nothing_here(_: Call) -> NoReturn:
    raise RefusedError(HTTPStatus.NOT_FOUND, "There is nothing at this address.")

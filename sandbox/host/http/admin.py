"""The admin routes that the host answers itself; all of them need the key."""

import json
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox.host.http.functions import HTTP_TRIGGER, route
from sandbox.host.http.keys import authorized
from sandbox.host.runtime import Function

# Runs a function out of turn; takes the input of the request, which timers ignore.
type Trigger = Callable[[str], Coroutine[None, None, None]]
type Endpoint = Callable[[Request], Awaitable[Response]]

BAD_INPUT: Final = 'the body must be a JSON object such as {"input": "text"}'


class Admin:
    """Lists the functions and runs those without a route of their own.

    Args:
        functions: all functions.
        triggers: those that can be run from here, by name.
        prefix: of HTTP routes.
        key: the function key.
        spawn: runs a coroutine in the background.
    """

    def __init__(
        self,
        functions: tuple[Function, ...],
        triggers: Mapping[str, Trigger],
        *,
        prefix: str,
        key: str,
        spawn: Callable[[Coroutine[None, None, None]], object],
    ) -> None:
        self._functions = functions
        self._triggers = triggers
        self._prefix = prefix
        self._key = key
        self._spawn = spawn

    def routes(self) -> list[Route]:
        return [
            Route("/admin/host/status", self._guarded(self._status), methods=["GET"]),
            Route("/admin/functions", self._guarded(self._list), methods=["GET"]),
            Route("/admin/functions/{name}", self._guarded(self._run), methods=["POST"]),
        ]

    def _guarded(self, endpoint: Endpoint) -> Endpoint:
        async def guarded(request: Request) -> Response:
            return await endpoint(request) if authorized(request, self._key) else Response(status_code=401)

        return guarded

    async def _status(self, _: Request) -> Response:
        return JSONResponse({"state": "Running"})

    async def _list(self, request: Request) -> Response:
        return JSONResponse([self._describe(function, str(request.base_url)) for function in self._functions])

    async def _run(self, request: Request) -> Response:
        trigger = self._triggers.get(request.path_params["name"])
        if trigger is None:
            return Response(status_code=404)
        try:
            given = json.loads(await request.body()).get("input") or ""
        except (ValueError, AttributeError):
            return Response(BAD_INPUT, status_code=400)
        self._spawn(trigger(given if isinstance(given, str) else json.dumps(given)))
        return Response(status_code=202)

    def _describe(self, function: Function, base_url: str) -> dict[str, object]:
        description: dict[str, object] = {"name": function.name, "config": {"bindings": function.bindings}}
        if function.trigger["type"] == HTTP_TRIGGER:
            description["invoke_url_template"] = base_url + route(function, self._prefix).template
        return description

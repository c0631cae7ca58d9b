"""HTTP triggers as an ASGI application: routing, keys, and the way of a request into the runtime and back."""

from collections.abc import Iterable, Mapping
from itertools import groupby
from operator import itemgetter
from typing import Final

from azure.functions.meta import Datum
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from sandbox.host.http.keys import authorized
from sandbox.host.http.routes import Route, Router, parse
from sandbox.host.http.urls import encoded_url, query_values
from sandbox.host.runtime import Function, Invoke

HTTP_TRIGGER: Final = "httpTrigger"
ANONYMOUS: Final = "ANONYMOUS"
FUNCTION: Final = "FUNCTION"
MOST_OF_BODY: Final = 100 * 1024 * 1024


class HttpFunctions:
    """The HTTP functions of an app.

    Raises:
        StartError: a route is not supported, or belongs to two functions.
    """

    def __init__(
        self, functions: Iterable[Function], *, prefix: str, key: str, own_keys: Mapping[str, str], invoke: Invoke
    ) -> None:
        self._functions = {function.name: function for function in functions}
        self._router = Router(route(function, prefix) for function in self._functions.values())
        self._key = key
        self._own_keys = own_keys
        self._invoke = invoke

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        response = await self._respond(Request(scope, receive))
        await response(scope, receive, send)

    async def _respond(self, request: Request) -> Response:
        found = self._router.find(request.method, request.scope["path"])
        if found is None:
            return Response(status_code=404)
        function = self._functions[found.function]
        level = function.trigger["authLevel"]
        own = self._own_keys.get(function.name) if level == FUNCTION else None
        if level != ANONYMOUS and not authorized(request, self._key, *([own] if own else [])):
            return Response(status_code=401)
        if int(request.headers.get("content-length", 0)) > MOST_OF_BODY:
            return Response(status_code=500)
        outcome = await self._invoke(function, await encode(request, found.parameters), {})
        return decode(outcome.returned) if outcome.succeeded else Response(status_code=500)


def route(function: Function, prefix: str) -> Route:
    """Return the route of an HTTP function under this prefix."""
    trigger = function.trigger
    return parse(function.name, trigger["route"], trigger.get("methods", ()), prefix)


async def encode(request: Request, parameters: Mapping[str, str]) -> Datum:
    """Return a request as the .NET host hands it to Python: without the body, unless its length was given."""
    path, query = request.scope["path"], request.scope["query_string"].decode("ascii")
    origin = f"{request.scope['scheme']}://{request.headers.get('host', '')}"
    measured = "content-length" in request.headers and "transfer-encoding" not in request.headers
    parts = {
        "method": _text(request.method),
        "url": _text(encoded_url(origin, path, query)),
        "headers": _texts(request.headers.items()),
        "query": _texts(query_values(query).items()),
        "params": _texts(parameters.items()),
        "body": Datum(await request.body() if measured else b"", "bytes"),
    }
    return Datum(parts, "http")


def decode(returned: Datum | None) -> Response:
    """Return what a function returned, as a response."""
    if returned is None:
        return Response(status_code=204)
    if returned.type != "http":
        return Response(returned.value, media_type="text/plain")
    answer = returned.value
    headers = {name: value.value for name, value in answer["headers"].items()}
    response = Response(answer["body"].value, int(answer["status_code"].value), headers)
    for cookie in answer["cookies"] or ():
        for morsel in cookie.values():
            response.headers.append("set-cookie", morsel.OutputString())
    return response


def _text(value: str) -> Datum:
    return Datum(value, "string")


def _texts(pairs: Iterable[tuple[str, str]]) -> dict[str, Datum]:
    """Texts by name; values that share a name are joined by commas, as .NET does."""
    named = groupby(sorted(pairs, key=itemgetter(0)), key=itemgetter(0))
    return {name: _text(",".join(value for _, value in group)) for name, group in named}

"""What Kestrel does before a request reaches a function: limits, the form of the target, and the path without dots."""

from typing import Final

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from sandbox.host.http.urls import origin_form, resolve_path

MOST_OF_REQUEST_LINE: Final = 8192
MOST_OF_HEADERS: Final = 32 * 1024
MOST_HEADERS: Final = 100
HTTP_VERSION: Final = len(" HTTP/1.1\r\n")


class Edge:
    """Answers what Kestrel refuses by itself, without a body; hands on the rest with its path resolved."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope)
        path = _over_limit(scope, headers) or _path(scope, headers)
        if isinstance(path, int):
            await Response(status_code=path)(scope, receive, send)
        else:
            await self._app({**scope, "path": path}, receive, send)


def _over_limit(scope: Scope, headers: Headers) -> int | None:
    """Return the status for a request line or headers that are too long."""
    method, path, query = scope["method"], scope["raw_path"], scope["query_string"]
    if len(method) + 1 + len(path) + bool(query) + len(query) + HTTP_VERSION > MOST_OF_REQUEST_LINE:
        return 414
    if len(headers) > MOST_HEADERS or sum(len(name) + len(value) + 4 for name, value in headers.raw) > MOST_OF_HEADERS:
        return 431
    return None


def _path(scope: Scope, headers: Headers) -> str | int:
    """Return the path without escapes and dots, or the status with which the target is refused."""
    path = origin_form(scope["method"], scope["raw_path"].decode("ascii"), headers.get("host", ""))
    try:
        return path if isinstance(path, int) else resolve_path(path)
    except ValueError:
        return 400

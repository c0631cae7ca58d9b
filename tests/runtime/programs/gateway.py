"""A way to the app that remembers calls, asks nobody to wait for long, may lose answers, and may sign callers in."""

import asyncio
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import httpx
import uvicorn
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from sandbox.serving import HOST, GuestServer, listen

PRINCIPAL = b"x-ms-client-principal"
TABLE_RUN = re.compile(rb'("table": ?{"runId": ?")\d{4}')
OF_THE_CONNECTION = {"transfer-encoding", "content-length", "connection", "content-encoding"}


@dataclass
class Gateway:
    """Passes each call on.

    Attributes:
        loses: Whether the first caller with a method and path gets 503 in place of the answer.
        newer: Whether a newer run has made each table by the time that somebody asks.
        principals: What App Service Authentication says of the bearer of each token.
        calls: The methods and paths that were called.
    """

    app: httpx.AsyncClient
    loses: bool
    newer: bool
    principals: Mapping[str, str]
    calls: set[tuple[str, str]] = field(default_factory=set)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        url = httpx.URL(str(self.app.base_url)).copy_with(raw_path=_target(request))
        content = await request.body()
        answer = await self.app.request(request.method, url, headers=self._signed_in(request.headers), content=content)
        call = (request.method, request.url.path)
        if self.loses and call not in self.calls:
            response = Response(status_code=503, headers={"Retry-After": "0"})
        else:
            kept = {name: value for name, value in answer.headers.items() if name not in OF_THE_CONNECTION}
            soon = {"retry-after": "1"} if "retry-after" in kept else {}
            newer = self.newer and request.url.path == "/api/datasets"
            content = TABLE_RUN.sub(rb"\g<1>9999", answer.content) if newer else answer.content
            response = Response(content, answer.status_code, headers=kept | soon)
        self.calls.add(call)
        await response(scope, receive, send)

    def _signed_in(self, headers: Headers) -> list[tuple[bytes, bytes]]:
        """The headers, with the principal of the token: what poses as one from outside never arrives."""
        principal = self.principals.get(headers.get("authorization", "").removeprefix("Bearer "))
        kept = [(name, value) for name, value in headers.raw if name != PRINCIPAL]
        return [*kept, (PRINCIPAL, principal.encode())] if principal else kept


def _target(request: Request) -> bytes:
    path: bytes = request.scope["raw_path"]
    query: bytes = request.scope["query_string"]
    return path + b"?" + query if query else path


@asynccontextmanager
async def gateway_to(
    app_url: str, *, loses: bool = False, newer: bool = False, principals: Mapping[str, str] | None = None
) -> AsyncIterator[tuple[Gateway, str]]:
    """Serve a gateway to the app, and yield it with its URL."""
    async with httpx.AsyncClient(base_url=app_url, timeout=60) as app:
        gateway = Gateway(app, loses, newer, principals or {})
        with listen(0) as listener:
            server = GuestServer(uvicorn.Config(gateway, lifespan="off", log_config=None, server_header=False))
            running = asyncio.create_task(server.serve(sockets=[listener]))
            yield gateway, f"http://{HOST}:{listener.getsockname()[1]}"
            server.should_exit = True
            await running

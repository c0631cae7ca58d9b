"""The stand-in of Azure on loopback, with TLS, behind a proxy by which no name of a host leads anywhere else."""

import asyncio
import base64
import json
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import trustme
import uvicorn
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from sandbox.serving import HOST, GuestServer, listen
from tests.infra.azure.management import SUBSCRIPTION, TENANT, Management

# No name below .test is anybody's (RFC 6761).
MANAGEMENT: Final = "management.azure.test"
LOGIN: Final = "login.azure.test"

type Handler = Callable[[Request], Awaitable[Response]]


@dataclass
class Standin:
    """Azure, as far as programs of this machine can tell.

    Attributes:
        services: What answers besides, by the end of the name of its host.
        environ: What leads a program here.
    """

    management: Management = field(default_factory=Management)
    services: dict[str, Handler] = field(default_factory=dict)
    environ: dict[str, str] = field(default_factory=dict)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer whatever is asked."""
        if scope["type"] == "http":
            request = Request(scope, receive)
            response = await self._handler(request.url.hostname or "")(request)
            await response(scope, receive, send)

    def _handler(self, host: str) -> Handler:
        if host == MANAGEMENT:
            return self._management
        if host == LOGIN:
            return _login
        return next((one for end, one in self.services.items() if host.endswith(end)), _nobody)

    async def _management(self, request: Request) -> Response:
        if request.url.path == "/metadata/endpoints":
            return JSONResponse(_endpoints())
        return await self.management.answer(request)


async def _nobody(request: Request) -> Response:
    return Response(f"nobody is at {request.url}", status_code=404)


def _endpoints() -> dict[str, object]:
    login, management = f"https://{LOGIN}", f"https://{MANAGEMENT}"
    return {
        "name": "standin",
        "authentication": {
            "loginEndpoint": login,
            "audiences": [management],
            "tenant": "common",
            "identityProvider": "AAD",
        },
        "resourceManager": management,
        "microsoftGraphResourceId": "https://graph.azure.test/",
        **dict.fromkeys(("graph", "graphAudience", "batch", "portal", "media"), management),
        "suffixes": {"storage": "core.azure.test", "keyVaultDns": "vault.azure.test"},
    }


async def _login(request: Request) -> Response:
    """Say where tokens are, and give one for the asking."""
    here = f"https://{LOGIN}/{TENANT}"
    if request.method == "GET":
        return JSONResponse(
            {
                "issuer": f"{here}/v2.0",
                "token_endpoint": f"{here}/oauth2/v2.0/token",
                "authorization_endpoint": f"{here}/oauth2/v2.0/authorize",
            }
        )
    claims = {"tid": TENANT, "oid": "5b0ca1ab-0000-4000-8000-000000000003", "exp": int(time.time()) + 3600}
    middle = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    return JSONResponse({"access_token": f"e30.{middle}.c2ln", "token_type": "Bearer", "expires_in": 3600})


@asynccontextmanager
async def standin(directory: Path) -> AsyncIterator[Standin]:
    """Serve on free ports of the loopback interface; the certificate of the authority goes into ``directory``."""
    azure, authority, ca_file = Standin(), trustme.CA(), directory / "azure-ca.pem"
    azure.management.put(
        f"/subscriptions/{SUBSCRIPTION}",
        subscriptionId=SUBSCRIPTION,
        displayName="standin",
        tenantId=TENANT,
        state="Enabled",
    )
    authority.cert_pem.write_to_path(str(ca_file))
    async with _serving(azure, authority) as port, _proxy(port) as proxy:
        azure.environ |= dict.fromkeys(("HTTPS_PROXY", "https_proxy"), proxy) | dict.fromkeys(
            ("NO_PROXY", "no_proxy"), ""
        )
        azure.environ |= dict.fromkeys(("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"), str(ca_file))
        yield azure


@asynccontextmanager
async def _serving(app: Standin, authority: trustme.CA) -> AsyncIterator[int]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    names = (MANAGEMENT, LOGIN, "*.azure.test", "*.vault.azure.test", "*.blob.core.azure.test", "*.sites.azure.test")
    authority.issue_cert(*names, "*.scm.sites.azure.test").configure_cert(context)
    config = uvicorn.Config(app, log_level="warning", lifespan="off", ssl_context_factory=lambda *_: context)
    with listen(0) as listener:
        server = GuestServer(config)
        task = asyncio.create_task(server.serve([listener]))
        try:
            yield listener.getsockname()[1]
        finally:
            server.should_exit = True
            await task


@asynccontextmanager
async def _proxy(port: int) -> AsyncIterator[str]:
    """Lead every CONNECT, whatever host it names, to ``port`` of this machine."""

    async def lead(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        inner_reader, inner_writer = await asyncio.open_connection(HOST, port)
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        await asyncio.gather(_pump(reader, inner_writer), _pump(inner_reader, writer))

    server = await asyncio.start_server(lead, HOST, 0)
    async with server:
        yield f"http://{HOST}:{server.sockets[0].getsockname()[1]}"
        server.close_clients()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    except ConnectionError:
        pass  # either side may hang up
    finally:
        writer.close()

import asyncio
import ssl
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import trustme
import uvicorn
from starlette.applications import Starlette

from sandbox.serving import HOST, GuestServer, listen
from sandbox.vault.app import IDENTITY_PATH, RESOURCE, create_app
from sandbox.vault.keyvault import KeyVault
from sandbox.vault.managed_identity import ManagedIdentity


@dataclass(frozen=True, slots=True)
class Running:
    """A vault that answers.

    Attributes:
        environ: The settings and the environment with which an app takes its secrets from it.
    """

    url: str
    ca_file: Path
    keyvault: KeyVault
    identity: ManagedIdentity
    _server: "_Server"

    @property
    def environ(self) -> dict[str, str]:
        return {
            "KEY_VAULT_URL": self.url,
            "SSL_CERT_FILE": str(self.ca_file),
            "IDENTITY_ENDPOINT": f"{self.url}{IDENTITY_PATH}",
            "IDENTITY_HEADER": self.identity.header,
        }

    @asynccontextmanager
    async def outage(self) -> AsyncIterator[None]:
        """Let nothing listen at the address of vault and identity meanwhile."""
        await self._server.stop()
        try:
            yield
        finally:
            await self._server.start()


@asynccontextmanager
async def vault(
    secrets: Mapping[str, str],
    *,
    directory: Path,
    client_id: str | None = None,
    token_seconds: float = 3600,
    clock: Callable[[], float] = time.time,
) -> AsyncIterator[Running]:
    """Serve on a free port of the loopback interface, with a certificate of an authority of its own.

    Args:
        directory: Where the authority's certificate is written, as `vault-ca.pem`.
        client_id: Of the user-assigned identity; without it, it is the system-assigned one.
        token_seconds: How long the tokens of the managed identity are good.
    """
    authority = trustme.CA()
    ca_file = _written(authority, directory)
    keyvault = KeyVault(secrets, clock)
    identity = ManagedIdentity(RESOURCE, clock, client_id=client_id)
    server = _Server(create_app(keyvault, identity, token_seconds=token_seconds), _server_context(authority))
    await server.start()
    try:
        yield Running(f"https://{HOST}:{server.port}", ca_file, keyvault, identity, server)
    finally:
        await server.stop()


def _written(authority: trustme.CA, directory: Path) -> Path:
    directory.mkdir(parents=True, exist_ok=True)
    ca_file = directory / "vault-ca.pem"
    ca_file.write_bytes(authority.cert_pem.bytes())
    return ca_file


def _server_context(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(HOST, "localhost").configure_cert(context)
    return context


class _Server:
    """An ASGI application on one port, which can be stopped and started again."""

    def __init__(self, app: Starlette, tls: ssl.SSLContext) -> None:
        self.port = 0
        self._app = app
        self._tls = tls
        self._running: tuple[GuestServer, asyncio.Task[None]] | None = None

    async def start(self) -> None:
        listener = listen(self.port)
        self.port = listener.getsockname()[1]
        config = uvicorn.Config(
            self._app,
            ssl_context_factory=lambda _config, _default: self._tls,
            lifespan="off",
            log_config=None,
            access_log=False,
            timeout_graceful_shutdown=1,
        )
        server = GuestServer(config)
        self._running = server, asyncio.create_task(server.serve(sockets=[listener]))

    async def stop(self) -> None:
        if self._running is None:
            return
        server, task = self._running
        self._running = None
        server.should_exit = True
        await task

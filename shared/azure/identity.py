"""What the Azure clients of the app have in common: its identity, whom they trust, and how often they try again.

Import it at first use: the SDKs take half a second to load.
"""

import logging
import os
import ssl
from collections.abc import Mapping
from typing import TypedDict, override

import aiohttp
from azure.core.credentials_async import AsyncTokenCredential
from azure.core.pipeline.transport import AioHttpTransport, AsyncHttpResponse, HttpRequest
from azure.identity.aio import DefaultAzureCredential, ManagedIdentityCredential

from shared.http.proxies import Proxies
from shared.settings import StorageSettings
from shared.telemetry.events import log_event


class RetryOptions(TypedDict):
    """Options of an Azure client: how often to try again, and how many seconds to wait for what."""

    retry_total: int
    retry_backoff_factor: float
    connection_timeout: float
    read_timeout: float


QUICK: RetryOptions = {"retry_total": 3, "retry_backoff_factor": 0.2, "connection_timeout": 5, "read_timeout": 10}
"""For a client whose caller has somebody waiting: three quick retries, where the default is minutes."""

log = logging.getLogger(__name__)


class _Transport(AioHttpTransport):  # type: ignore[misc]  # azure-core exports it without its type
    """Opens its session at first use, so that a client that is never used has nothing to close.

    The context sits in the connector: given as ``connection_verify``, azure-core reads the bundle for every single
    request, keeps no connection for the next, and trusts nobody else. Proxies are those of the environment, read once:
    aiohttp's own ``trust_env`` looks for them, and for a ``.netrc``, in a thread at every request, which costs as much
    as the rest of it.
    """

    def __init__(self, tls: ssl.SSLContext) -> None:
        super().__init__()
        self._tls = tls
        self._proxies = Proxies()

    @override
    async def open(self) -> None:
        if not self._has_been_opened:
            self.session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(ssl=self._tls),
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
            )
        await super().open()

    @override
    async def send(self, request: HttpRequest, **options: object) -> AsyncHttpResponse:
        proxy = self._proxies.proxy_for(request.url)
        if proxy is not None:
            options.setdefault("proxy", proxy)
        response: AsyncHttpResponse = await super().send(request, **options)
        return response


def azure_transport(tls: ssl.SSLContext) -> AioHttpTransport:
    """Return the HTTP transport of one client, which closes it."""
    return _Transport(tls)


def open_identity(
    settings: StorageSettings, tls: ssl.SSLContext, *, environ: Mapping[str, str] = os.environ
) -> AsyncTokenCredential:
    """Return the identity of the app: in Azure its managed identity, on a laptop the developer's.

    It is Azure where ``INVENTORY_STORAGE__credential`` is ``managedidentity``, or where the platform offers a managed
    identity (``IDENTITY_ENDPOINT`` and ``IDENTITY_HEADER``). The managed identity is the user-assigned one of
    ``INVENTORY_STORAGE__clientId`` or ``AZURE_CLIENT_ID``, else the system-assigned one.
    """
    offered = environ.get("IDENTITY_ENDPOINT") and environ.get("IDENTITY_HEADER")
    if settings.storage_credential == "managedidentity" or offered:
        client_id = settings.storage_client_id or environ.get("AZURE_CLIENT_ID") or None
        log_event(log, "identity.chosen", credential="managed", client_id=client_id or "system-assigned")
        return ManagedIdentityCredential(client_id=client_id, transport=azure_transport(tls), **QUICK)
    log_event(log, "identity.chosen", credential="developer")
    return DefaultAzureCredential(transport=azure_transport(tls), **QUICK)

"""What the functions work with: built once per process and event loop, at first use."""

import asyncio
import os
import random
import ssl
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from shared.avepoint.platform import Registration
from shared.azure.storage import Storage, open_storage, open_tables_storage
from shared.clock import Clock, Sleep, utc_now
from shared.credentials.client_credentials import ClientCredentials
from shared.credentials.secrets import Secrets
from shared.credentials.tokens import Tokens
from shared.errors import StorageUnavailable
from shared.http.client import HttpClient
from shared.http.throttling import Throttle
from shared.http.tls import client_context
from shared.settings import Settings, StorageSettings, load_settings
from shared.telemetry.redaction import redact_logs, register_secrets
from shared.transport.budget import Budget, Limits
from shared.transport.transport import Transport

if TYPE_CHECKING:
    from azure.core.credentials_async import AsyncTokenCredential


@dataclass(frozen=True, slots=True)
class Services:
    """The collaborators of every function."""

    settings: Settings
    storage: Storage
    tables: Storage
    transport: Transport
    clock: Clock
    http: HttpClient
    secrets: Secrets | None
    credentials: ClientCredentials
    tokens: Tokens
    opened: AsyncExitStack

    async def close(self) -> None:
        """End what runs in the background and close all connections."""
        await self.opened.aclose()


_AWAY_SECONDS = 10


@dataclass(frozen=True, slots=True)
class _Away:
    """Why storage could not be looked at, and until when (by the clock of the event loop) that is taken for granted."""

    reason: str
    until: float


_away: WeakKeyDictionary[asyncio.AbstractEventLoop, _Away] = WeakKeyDictionary()
_opening: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Task[Services]] = WeakKeyDictionary()


async def services() -> Services:
    """Return the services of this process, opened by the first caller.

    While storage is away, only one caller in ten seconds finds out again, which takes that long; the others are told.

    Raises:
        Misconfigured: An app setting is missing or wrong.
        StorageUnavailable: The containers cannot be looked at.
    """
    loop = asyncio.get_running_loop()
    opening = _opening.get(loop)
    if opening is None or (opening.done() and _failed(opening)):
        if (away := _away.get(loop)) and loop.time() < away.until:
            raise StorageUnavailable(away.reason)
        opening = _opening[loop] = loop.create_task(open_services(load_settings()))
    try:
        return await asyncio.shield(opening)
    except StorageUnavailable as error:
        _away[loop] = _Away(str(error), loop.time() + _AWAY_SECONDS)
        raise


def _failed(opening: asyncio.Task[Services]) -> bool:
    return opening.cancelled() or opening.exception() is not None


async def open_services(settings: Settings, *, clock: Clock = utc_now, sleep: Sleep = asyncio.sleep) -> Services:
    """Build the services for ``settings`` and create the containers and queues that are missing."""
    redact_logs()
    register_secrets(*settings.secrets())
    await asyncio.to_thread(_export_telemetry)
    async with AsyncExitStack() as opened:
        tls = client_context(settings.ssl_cert_file)
        identity = _identity(settings, tls, opened)
        secrets = _secrets(settings, identity, tls, opened, clock=clock)
        storage = open_storage(settings, identity, tls)
        opened.push_async_callback(storage.close)
        tables = open_tables_storage(settings, storage, identity, tls)
        if tables is not storage:
            opened.push_async_callback(tables.close)
        http = HttpClient(tls)
        opened.push_async_callback(http.close)
        credentials = ClientCredentials(settings, secrets, clock=clock)
        tokens = Tokens(
            settings.identity_url, credentials=credentials, post=http.post_form, clock=clock, random=random.random
        )
        opened.push_async_callback(tokens.close)
        transport = Transport(
            http.send,
            tokens=tokens,
            throttle=Throttle(
                concurrency=settings.throttle_concurrency, clock=clock, sleep=sleep, random=random.random
            ),
            budget=_budget(settings, storage, clock=clock, sleep=sleep),
            clock=clock,
            sleep=sleep,
            random=random.random,
        )
        await asyncio.gather(storage.prepare(), *([tables.prepare()] if tables is not storage else []))
        return Services(
            settings, storage, tables, transport, clock, http, secrets, credentials, tokens, opened.pop_all()
        )


@asynccontextmanager
async def storage_alone(settings: StorageSettings) -> AsyncIterator[Storage]:
    """Open the storage account of the inventory and nothing else, for commands that only look: nothing is created."""
    async with storages_alone(settings) as (storage, _):
        yield storage


@asynccontextmanager
async def storages_alone(settings: StorageSettings) -> AsyncIterator[tuple[Storage, Storage]]:
    """Open the storage accounts of the inventory and of the tables, which may be one, and nothing else."""
    register_secrets(*settings.secrets())
    async with AsyncExitStack() as opened:
        tls = client_context(settings.ssl_cert_file)
        identity = None
        if settings.storage_connection_string is None or settings.tables_blob_url is not None:
            from shared.azure.identity import open_identity

            identity = open_identity(settings, tls)
            opened.push_async_callback(identity.close)
        storage = open_storage(settings, identity, tls)
        opened.push_async_callback(storage.close)
        tables = open_tables_storage(settings, storage, identity, tls)
        if tables is not storage:
            opened.push_async_callback(tables.close)
        yield storage, tables


def _export_telemetry() -> None:
    """Send what is logged, measured and traced to Application Insights, where the platform names one."""
    if os.environ.get("APPLICATIONINSIGHTS_CONNECTION_STRING"):
        from shared.telemetry.exporter import export

        export()


def limits_of(settings: Settings) -> Limits:
    """Return the request budget of the settings."""
    return Limits(
        requests=settings.throttle_requests,
        window=timedelta(seconds=settings.throttle_window_seconds),
        reserved_percent=settings.throttle_reserved_percent,
    )


def _budget(settings: Settings, storage: Storage, *, clock: Clock, sleep: Sleep) -> Budget:
    """Return the request budget that all instances share."""

    def client_id(registration: Registration) -> str:
        return settings.credential(registration).client_id

    return Budget(storage, limits_of(settings), client_id=client_id, clock=clock, sleep=sleep, random=random.random)


def _identity(settings: Settings, tls: ssl.SSLContext, opened: AsyncExitStack) -> "AsyncTokenCredential | None":
    """Return the identity of the app, where anything needs one."""
    with_keys = settings.storage_connection_string is not None and settings.tables_blob_url is None
    if with_keys and settings.key_vault_url is None:
        return None
    from shared.azure.identity import open_identity

    identity = open_identity(settings, tls)
    opened.push_async_callback(identity.close)
    return identity


def _secrets(
    settings: Settings,
    identity: "AsyncTokenCredential | None",
    tls: ssl.SSLContext,
    opened: AsyncExitStack,
    *,
    clock: Clock,
) -> Secrets | None:
    """Return the secrets of the vault, or ``None`` where the settings hold them."""
    if settings.key_vault_url is None or identity is None:
        return None
    from shared.azure.vault import open_vault

    vault = open_vault(settings.key_vault_url, identity, tls)
    opened.push_async_callback(vault.close)
    secrets = Secrets(vault.read, clock=clock)
    opened.push_async_callback(secrets.close)
    return secrets

"""What the functions work with: built once per process and event loop, at first use."""

import asyncio
import os
import random
import ssl
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from shared.avepoint.platform import Registration
from shared.budget import Budget, Limits
from shared.clock import Clock, Sleep, utc_now
from shared.proofs import Proofs
from shared.redaction import redact_logs
from shared.secrets import Secrets
from shared.settings import Settings, load_settings
from shared.storage import Storage, open_storage
from shared.throttling import Throttle
from shared.tls import client_context
from shared.tokens import Tokens
from shared.transport import Transport
from shared.wire import Wire

if TYPE_CHECKING:
    from azure.core.credentials_async import AsyncTokenCredential


@dataclass(frozen=True, slots=True)
class Services:
    """The collaborators of every function."""

    settings: Settings
    storage: Storage
    transport: Transport
    clock: Clock
    wire: Wire
    secrets: Secrets | None
    proofs: Proofs
    tokens: Tokens
    opened: AsyncExitStack

    async def close(self) -> None:
        """End what runs in the background and close all connections."""
        await self.opened.aclose()


_opening: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Task[Services]] = WeakKeyDictionary()


async def services() -> Services:
    """The services of this process, opened by whoever asks first; a failure is not remembered.

    Raises:
        Misconfigured: An app setting is missing or wrong.
        StorageUnavailable: The containers cannot be looked at.
    """
    loop = asyncio.get_running_loop()
    opening = _opening.get(loop)
    if opening is None or (opening.done() and (opening.cancelled() or opening.exception() is not None)):
        opening = _opening[loop] = loop.create_task(open_services(load_settings()))
    return await asyncio.shield(opening)


async def open_services(settings: Settings, *, clock: Clock = utc_now, sleep: Sleep = asyncio.sleep) -> Services:
    """Build the services for ``settings`` and create the containers and queues that are missing."""
    redact_logs()
    await asyncio.to_thread(_export_telemetry)
    async with AsyncExitStack() as opened:
        tls = client_context(settings.ssl_cert_file)
        identity = _identity(settings, tls, opened)
        secrets = _secrets(settings, identity, tls, opened, clock=clock)
        storage = open_storage(settings, identity, tls)
        opened.push_async_callback(storage.close)
        wire = Wire(tls)
        opened.push_async_callback(wire.close)
        proofs = Proofs(settings, secrets, clock=clock)
        tokens = Tokens(settings.identity_url, proofs=proofs, post=wire.post_form, clock=clock, random=random.random)
        opened.push_async_callback(tokens.close)
        transport = Transport(
            wire.exchange,
            tokens=tokens,
            throttle=Throttle(
                concurrency=settings.throttle_concurrency, clock=clock, sleep=sleep, random=random.random
            ),
            budget=_budget(settings, storage, clock=clock, sleep=sleep),
            clock=clock,
            sleep=sleep,
            random=random.random,
        )
        await storage.prepare()
        return Services(settings, storage, transport, clock, wire, secrets, proofs, tokens, opened.pop_all())


def _export_telemetry() -> None:
    """Send what is logged, measured and traced to Application Insights, where the platform names one."""
    if os.environ.get("APPLICATIONINSIGHTS_CONNECTION_STRING"):
        from shared.exporter import export

        export()


def limits_of(settings: Settings) -> Limits:
    """The request budget of the settings."""
    return Limits(
        requests=settings.throttle_requests,
        window=timedelta(seconds=settings.throttle_window_seconds),
        reserved_percent=settings.throttle_reserved_percent,
    )


def _budget(settings: Settings, storage: Storage, *, clock: Clock, sleep: Sleep) -> Budget:
    """The request budget that all instances share."""

    def client_id(registration: Registration) -> str:
        return settings.credential(registration).client_id

    return Budget(storage, limits_of(settings), client_id=client_id, clock=clock, sleep=sleep, random=random.random)


def _identity(settings: Settings, tls: ssl.SSLContext, opened: AsyncExitStack) -> "AsyncTokenCredential | None":
    """The identity of the app, where anything needs one."""
    if settings.storage_connection_string is not None and settings.key_vault_url is None:
        return None
    from shared.azure import open_identity

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
    """The secrets of the vault, or ``None`` where the settings hold them."""
    if settings.key_vault_url is None or identity is None:
        return None
    from shared.vault import open_vault

    vault = open_vault(settings.key_vault_url, identity, tls)
    opened.push_async_callback(vault.close)
    secrets = Secrets(vault.read, clock=clock)
    opened.push_async_callback(secrets.close)
    return secrets

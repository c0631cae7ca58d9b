"""What the functions work with: built once per process and event loop, at first use."""

import asyncio
import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from shared.avepoint.platform import Registration
from shared.clock import Clock, utc_now
from shared.secrets import Secrets, client_secret, open_secrets
from shared.settings import Settings, load_settings
from shared.storage import Storage, open_storage
from shared.throttling import Throttle
from shared.tokens import Tokens
from shared.transport import Transport, Wire

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

    async def close(self) -> None:
        """Close all connections."""
        await self.wire.close()
        await self.storage.close()
        if self.secrets is not None:
            await self.secrets.close()


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


async def open_services(settings: Settings, *, clock: Clock = utc_now) -> Services:
    """Build the services for ``settings`` and create the containers and queues that are missing."""
    identity = _identity(settings)
    secrets = open_secrets(settings, identity, clock=clock) if identity is not None else None
    storage = open_storage(settings, identity)
    wire = Wire(ssl_cert_file=settings.ssl_cert_file)

    async def proof(registration: Registration) -> Mapping[str, str]:
        credential = settings.credential(registration)
        return {"client_id": credential.client_id, "client_secret": await client_secret(credential, secrets)}

    tokens = Tokens(settings.identity_url, proof=proof, post=wire.post_form, clock=clock, random=random.random)
    throttle = Throttle(concurrency=settings.throttle_concurrency, clock=clock, sleep=asyncio.sleep)
    transport = Transport(
        wire.exchange, tokens=tokens, throttle=throttle, clock=clock, sleep=asyncio.sleep, random=random.random
    )
    opened = Services(settings, storage, transport, clock, wire, secrets)
    try:
        await storage.prepare()
    except BaseException:  # whatever happens, nothing stays open behind a failed start
        await opened.close()
        raise
    return opened


def _identity(settings: Settings) -> "AsyncTokenCredential | None":
    """The identity of the app, where anything needs one: the managed identity in Azure, the developer's on a laptop."""
    if settings.storage_connection_string is not None and settings.key_vault_url is None:
        return None
    from azure.identity.aio import DefaultAzureCredential, ManagedIdentityCredential

    if settings.storage_credential == "managedidentity":
        return ManagedIdentityCredential(client_id=settings.storage_client_id)
    return DefaultAzureCredential()

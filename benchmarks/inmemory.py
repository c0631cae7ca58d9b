"""The app without Azure: its real parts, on a storage that keeps documents in memory and lets parts go."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import override

from sandbox.memory_storage import MemoryStorage
from sandbox.stack import app_settings
from shared.azure.storage import Container, Storage
from shared.clock import Clock, utc_now
from shared.credentials.client_credentials import ClientCredentials
from shared.credentials.tokens import Tokens
from shared.http.client import HttpClient
from shared.http.throttling import Throttle
from shared.http.tls import client_context
from shared.services import Services
from shared.settings import Settings, load_settings
from shared.transport.budget import Budget, Limits
from shared.transport.transport import SendRequest, Transport, origin_of

_NOT_USED = "AccountName=unused;AccountKey=unused"


@dataclass
class ForgetfulStorage(MemoryStorage):
    """Storage in memory that counts the blocks of parts and forgets them."""

    clock: Clock = utc_now
    block_bytes: int = 0

    @override
    async def stage(self, container: Container, path: str, block: int, data: bytes) -> None:
        self.transactions["write"] += 1
        self.block_bytes += len(data)

    @override
    async def commit(self, container: Container, path: str, blocks: int) -> None:
        self.transactions["write"] += 1


def settings_for(url: str, **changes: str) -> Settings:
    """Return the settings of an app that asks the AvePoint at ``url``."""
    return load_settings(environ_for(url, _NOT_USED) | changes)


def environ_for(url: str, storage: str) -> dict[str, str]:
    """Return the app settings of an app that asks the AvePoint at ``url``, whose path says how large it is."""
    environ = app_settings(avepoint_url=url, storage=storage)
    return environ | {"AVEPOINT_IDENTITY_URL": origin_of(url), "AVEPOINT_CLIENT_SECRET": "of the benchmark"}


@asynccontextmanager
async def app(
    settings: Settings, storage: MemoryStorage, *, exchange: SendRequest | None = None
) -> AsyncIterator[Services]:
    """Provide the services of the app, as ``shared.services`` builds them but for the storage.

    Args:
        exchange: What sends a request instead of the wire.
    """
    async with AsyncExitStack() as opened:
        http = HttpClient(client_context(None))
        opened.push_async_callback(http.close)
        credentials = ClientCredentials(settings, None, clock=utc_now)
        tokens = Tokens(
            settings.identity_url, credentials=credentials, post=http.post_form, clock=utc_now, random=random.random
        )
        opened.push_async_callback(tokens.close)
        transport = Transport(
            exchange or http.send,
            tokens=tokens,
            throttle=Throttle(
                concurrency=settings.throttle_concurrency, clock=utc_now, sleep=asyncio.sleep, random=random.random
            ),
            budget=budget(settings, storage),
            clock=utc_now,
            sleep=asyncio.sleep,
            random=random.random,
        )
        yield Services(settings, storage, storage, transport, utc_now, http, None, credentials, tokens, opened)


def budget(settings: Settings, storage: Storage) -> Budget:
    """Return the request budget of the app."""
    limits = Limits(
        settings.throttle_requests,
        timedelta(seconds=settings.throttle_window_seconds),
        settings.throttle_reserved_percent,
    )
    return Budget(
        storage,
        limits,
        client_id=lambda _: settings.client_id,
        clock=utc_now,
        sleep=asyncio.sleep,
        random=random.random,
    )

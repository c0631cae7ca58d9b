"""The app without Azure: its real parts, on a storage that keeps documents in memory and lets parts go."""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from typing import override

from sandbox.stack import app_settings
from shared.budget import Budget, Limits
from shared.clock import utc_now
from shared.errors import Conflict
from shared.proofs import Proofs
from shared.services import Services
from shared.settings import Settings, load_settings
from shared.storage import Container, Queue, Storage, Stored
from shared.throttling import Throttle
from shared.tls import client_context
from shared.tokens import Tokens
from shared.transport import Exchange, Transport
from shared.wire import Wire

_NOT_USED = "AccountName=unused;AccountKey=unused"


class MemoryStorage(Storage):
    """Documents in memory, with conditional writes; blocks of parts are counted and forgotten, pokes counted."""

    def __init__(self) -> None:
        self.documents: dict[tuple[Container, str], Stored] = {}
        self.transactions: Counter[str] = Counter()
        self.block_bytes = 0

    @override
    async def prepare(self) -> None:
        return

    @override
    async def read(self, container: Container, path: str) -> Stored | None:
        self.transactions["read"] += 1
        return self.documents.get((container, path))

    @override
    async def stream(self, container: Container, path: str) -> AsyncIterator[bytes]:
        self.transactions["read"] += 1
        yield self.documents[container, path].data

    @override
    async def delete(self, container: Container, path: str) -> None:
        self.transactions["delete"] += 1
        self.documents.pop((container, path), None)

    @override
    async def list(self, container: Container, prefix: str) -> AsyncIterator[str]:
        self.transactions["list"] += 1
        for path in sorted(path for holder, path in self.documents if holder is container and path.startswith(prefix)):
            yield path

    @override
    async def list_folders(self, container: Container, prefix: str) -> AsyncIterator[str]:
        below = [path.removeprefix(prefix) async for path in self.list(container, prefix)]
        for folder in sorted({path.split("/")[0] for path in below if "/" in path}):
            yield folder

    @override
    async def stage(self, container: Container, path: str, block: int, data: bytes) -> None:
        self.transactions["write"] += 1
        self.block_bytes += len(data)

    @override
    async def commit(self, container: Container, path: str, blocks: int) -> None:
        self.transactions["write"] += 1

    @override
    async def poke(self, queue: Queue, message: str, *, delay: timedelta = timedelta(0)) -> None:
        self.transactions["poke"] += 1

    @override
    async def close(self) -> None:
        return

    @override
    async def _write(self, container: Container, path: str, data: bytes, *, etag: str | None) -> str:
        self.transactions["write"] += 1
        there = self.documents.get((container, path))
        if (there.etag if there else None) != etag:
            raise Conflict(f"{container}/{path} was written by somebody else")
        stored = Stored(data, f"etag {self.transactions['write']}")
        self.documents[container, path] = stored
        return stored.etag


def settings_for(url: str, **changes: str) -> Settings:
    """The settings of an app that asks the AvePoint at ``url``."""
    environ = app_settings(avepoint_url=url, storage=_NOT_USED) | {"AVEPOINT_CLIENT_SECRET": "of the benchmark"}
    return load_settings(environ | changes)


@asynccontextmanager
async def app(
    settings: Settings, storage: MemoryStorage, *, exchange: Exchange | None = None
) -> AsyncIterator[Services]:
    """The services of the app, as ``shared.services`` builds them but for the storage.

    Args:
        exchange: What sends a request instead of the wire.
    """
    async with AsyncExitStack() as opened:
        wire = Wire(client_context(None))
        opened.push_async_callback(wire.close)
        proofs = Proofs(settings, None, clock=utc_now)
        tokens = Tokens(settings.identity_url, proofs=proofs, post=wire.post_form, clock=utc_now, random=random.random)
        opened.push_async_callback(tokens.close)
        transport = Transport(
            exchange or wire.exchange,
            tokens=tokens,
            throttle=Throttle(
                concurrency=settings.throttle_concurrency, clock=utc_now, sleep=asyncio.sleep, random=random.random
            ),
            budget=budget(settings, storage),
            clock=utc_now,
            sleep=asyncio.sleep,
            random=random.random,
        )
        yield Services(settings, storage, transport, utc_now, wire, None, proofs, tokens, opened)


def budget(settings: Settings, storage: Storage) -> Budget:
    """The request budget of the app."""
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

"""A process of the app that can be killed between any two requests."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from datetime import timedelta

from shared.avepoint.request import Response
from shared.azure.storage import Storage
from shared.clock import Clock, Sleep
from shared.credentials.client_credentials import ClientCredentials
from shared.credentials.secrets import Secret, Secrets
from shared.credentials.tokens import Tokens
from shared.http.client import HttpClient
from shared.http.throttling import Throttle
from shared.services import Services
from shared.settings import Settings
from shared.transport.budget import Budget, Limits
from shared.transport.transport import Transport
from tests.faults.points import Fate, Killed, PointedStorage, Points, pointed, unharmed

type Errand[T] = Callable[[Services], Awaitable[T]]
type ReadSecret = Callable[[str], Awaitable[Secret]]


class Process:
    """What one process holds in memory, and loses when it dies.

    Args:
        storage: Outlives it, as ``wire`` does.
        fate: What happens at each of its await points.
        vault: Reads a secret of the vault, where the settings name one.
    """

    def __init__(
        self,
        settings: Settings,
        storage: Storage,
        http: HttpClient,
        *,
        clock: Clock,
        sleep: Sleep,
        fate: Fate = unharmed,
        vault: ReadSecret | None = None,
    ) -> None:
        self._points = Points(fate)
        secrets = Secrets(vault, clock=clock) if vault else None
        self.services = _services(settings, storage, http, self._points, clock=clock, sleep=sleep, secrets=secrets)

    async def run[T](self, errand: Errand[T]) -> T:
        """Do an errand.

        Raises:
            Killed: The process died on the way, and what was in its memory is gone.
        """
        doing = asyncio.ensure_future(errand(self.services))
        dying = asyncio.ensure_future(self._points.died.wait())
        await asyncio.wait({doing, dying}, return_when=asyncio.FIRST_COMPLETED)
        dying.cancel()
        if not self._points.died.is_set():
            return await doing
        doing.cancel()
        self._points.buried.set()
        await asyncio.gather(doing, self.close(), return_exceptions=True)
        raise Killed

    async def close(self) -> None:
        """End what still runs in the background."""
        await self.services.tokens.close()
        if self.services.secrets is not None:
            await self.services.secrets.close()


def _services(
    settings: Settings,
    storage: Storage,
    http: HttpClient,
    points: Points,
    *,
    clock: Clock,
    sleep: Sleep,
    secrets: Secrets | None,
) -> Services:
    """What ``open_services`` builds, on a storage and a wire that can come to grief."""
    storage = PointedStorage(storage, points)

    async def post(url: str, form: Mapping[str, str]) -> Response:
        async with points.around("POST", url):
            return await http.post_form(url, form)

    credentials = ClientCredentials(settings, secrets, clock=clock)
    tokens = Tokens(settings.identity_url, credentials=credentials, post=post, clock=clock, random=random.random)
    limits = Limits(
        requests=settings.throttle_requests,
        window=timedelta(seconds=settings.throttle_window_seconds),
        reserved_percent=settings.throttle_reserved_percent,
    )
    budget = Budget(
        storage,
        limits,
        client_id=lambda registration: settings.credential(registration).client_id,
        clock=clock,
        sleep=sleep,
        random=random.random,
    )
    transport = Transport(
        pointed(http.send, points),
        tokens=tokens,
        throttle=Throttle(concurrency=settings.throttle_concurrency, clock=clock, sleep=sleep, random=random.random),
        budget=budget,
        clock=clock,
        sleep=sleep,
        random=random.random,
    )
    return Services(settings, storage, storage, transport, clock, http, secrets, credentials, tokens, AsyncExitStack())

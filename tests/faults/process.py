"""A process of the app that can be killed between any two requests."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from datetime import timedelta

from shared.avepoint.request import Answer
from shared.budget import Budget, Limits
from shared.clock import Clock, Sleep
from shared.proofs import Proofs
from shared.services import Services
from shared.settings import Settings
from shared.storage import Storage
from shared.throttling import Throttle
from shared.tokens import Tokens
from shared.transport import Transport
from shared.wire import Wire
from tests.faults.points import Fate, Killed, PointedStorage, Points, pointed, unharmed

type Errand[T] = Callable[[Services], Awaitable[T]]


class Process:
    """What one process holds in memory, and loses when it dies.

    Args:
        storage: Outlives it, as ``wire`` does.
        fate: What happens at each of its await points.
    """

    def __init__(
        self, settings: Settings, storage: Storage, wire: Wire, *, clock: Clock, sleep: Sleep, fate: Fate = unharmed
    ) -> None:
        self._points = Points(fate)
        self.services = _services(settings, storage, wire, self._points, clock=clock, sleep=sleep)

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
        await asyncio.gather(doing, self.close(), return_exceptions=True)
        raise Killed

    async def close(self) -> None:
        """End what still runs in the background."""
        await self.services.tokens.close()


def _services(
    settings: Settings, storage: Storage, wire: Wire, points: Points, *, clock: Clock, sleep: Sleep
) -> Services:
    """What ``open_services`` builds, on a storage and a wire that can come to grief."""
    storage = PointedStorage(storage, points)

    async def post(url: str, form: Mapping[str, str]) -> Answer:
        async with points.around("POST", url):
            return await wire.post_form(url, form)

    proofs = Proofs(settings, None, clock=clock)
    tokens = Tokens(settings.identity_url, proofs=proofs, post=post, clock=clock, random=random.random)
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
        pointed(wire.exchange, points),
        tokens=tokens,
        throttle=Throttle(concurrency=settings.throttle_concurrency, clock=clock, sleep=sleep, random=random.random),
        budget=budget,
        clock=clock,
        sleep=sleep,
        random=random.random,
    )
    return Services(settings, storage, transport, clock, wire, None, proofs, tokens, AsyncExitStack())

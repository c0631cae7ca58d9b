"""Values that are fetched and grow old: kept, renewed ahead of their end, and asked for once however many wait."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Hashable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial

from shared.clock import Clock
from shared.errors import AppError
from shared.events import log_event
from shared.redaction import redacted

PAUSE = timedelta(seconds=30)
"""Between two attempts to renew a value that is still good."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Held[V]:
    """A value, when to renew it in the background, and how long it is good."""

    value: V = field(repr=False)
    renew_at: datetime
    good_until: datetime


@dataclass(frozen=True, slots=True)
class Failure:
    """Why the last attempt failed, and when that was."""

    error: AppError
    at: datetime


class Refreshing[K: Hashable, V]:
    """A cache with single flight: while a value is good nobody waits, and while it is fetched everybody waits together.

    Args:
        fetch: Gets the value of a key, with how long it is good.
    """

    def __init__(self, fetch: Callable[[K], Awaitable[Held[V]]], *, clock: Clock) -> None:
        self._fetch = fetch
        self._clock = clock
        self._held: dict[K, Held[V]] = {}
        self._failures: dict[K, Failure] = {}
        self._flights: dict[K, asyncio.Task[Held[V]]] = {}

    async def get(self, key: K) -> V:
        """The value of ``key``; a caller that is cancelled does not take the others down.

        Raises:
            Exception: What ``fetch`` raises, when there is no good value.
        """
        held = self._held.get(key)
        now = self._clock()
        if held is None or now >= held.good_until:
            return (await asyncio.shield(self._flight(key))).value
        if now >= held.renew_at:
            self._flight(key)
        return held.value

    def forget(self, key: K, value: V) -> None:
        """``value`` turned out to be bad: fetch anew, unless there is another one already."""
        held = self._held.get(key)
        if held is not None and held.value == value:
            del self._held[key]

    def retry_failed(self, *, older_than: timedelta) -> None:
        """Ask again, in the background, for whatever failed that long ago."""
        now = self._clock()
        for key, failure in self._failures.items():
            if now - failure.at >= older_than:
                self._flight(key)

    @property
    def held(self) -> Mapping[K, Held[V]]:
        """What is known, good or not any more."""
        return self._held

    @property
    def failures(self) -> Mapping[K, Failure]:
        """The keys whose last attempt failed."""
        return self._failures

    async def close(self) -> None:
        """End the attempts under way."""
        flights = list(self._flights.values())
        for flight in flights:
            flight.cancel()
        await asyncio.gather(*flights, return_exceptions=True)

    def _flight(self, key: K) -> asyncio.Task[Held[V]]:
        flight = self._flights.get(key)
        if flight is None:
            flight = self._flights[key] = asyncio.ensure_future(self._fetched(key))
            flight.add_done_callback(partial(self._landed, key))
        return flight

    async def _fetched(self, key: K) -> Held[V]:
        return await self._fetch(key)

    def _landed(self, key: K, flight: asyncio.Task[Held[V]]) -> None:
        del self._flights[key]
        if flight.cancelled():
            return
        error = flight.exception()
        if error is None:
            self._held[key] = flight.result()
            self._failures.pop(key, None)
            return
        log_event(log, "refresh.failed", logging.WARNING, key=key, error=redacted(f"{error!r}"))
        now = self._clock()
        if isinstance(error, AppError):
            self._failures[key] = Failure(error, now)
        if held := self._held.get(key):
            self._held[key] = replace(held, renew_at=now + PAUSE)

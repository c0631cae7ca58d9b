"""Values that are fetched and grow old: kept, renewed ahead of their end, and asked for once however many wait."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Hashable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial

from shared.clock import Clock
from shared.errors import AppError
from shared.telemetry.events import log_event
from shared.telemetry.redaction import redacted

PAUSE = timedelta(seconds=30)
"""Between two attempts to renew a value that is still good."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class CachedValue[V]:
    """A value, when to renew it in the background, and how long it is good."""

    value: V = field(repr=False)
    renew_at: datetime
    good_until: datetime


@dataclass(frozen=True, slots=True)
class Failure:
    """Why the last attempt failed, and when that was."""

    error: AppError
    at: datetime


class RefreshingCache[K: Hashable, V]:
    """A cache with single task: while a value is good nobody waits, and while it is fetched everybody waits together.

    Args:
        fetch: Gets the value of a key, with how long it is good.
    """

    def __init__(self, fetch: Callable[[K], Awaitable[CachedValue[V]]], *, clock: Clock) -> None:
        self._fetch = fetch
        self._clock = clock
        self._cached: dict[K, CachedValue[V]] = {}
        self._failures: dict[K, Failure] = {}
        self._fetch_tasks: dict[K, asyncio.Task[CachedValue[V]]] = {}

    async def get(self, key: K) -> V:
        """Return the value of ``key``; a caller that is cancelled does not take the others down.

        Raises:
            Exception: What ``fetch`` raises, when there is no good value.
        """
        cached = self._cached.get(key)
        now = self._clock()
        if cached is None or now >= cached.good_until:
            return (await asyncio.shield(self._fetch_task(key))).value
        if now >= cached.renew_at:
            self._fetch_task(key)
        return cached.value

    def forget(self, key: K, value: V) -> None:
        """``value`` turned out to be bad: fetch anew, unless there is another one already."""
        cached = self._cached.get(key)
        if cached is not None and cached.value == value:
            del self._cached[key]

    def drop(self, key: K) -> None:
        """Serve no earlier value of ``key`` any more."""
        self._cached.pop(key, None)

    def retry_failed(self, *, older_than: timedelta) -> None:
        """Ask again, in the background, for whatever failed that long ago."""
        now = self._clock()
        for key, failure in self._failures.items():
            if now - failure.at >= older_than:
                self._fetch_task(key)

    @property
    def cached(self) -> Mapping[K, CachedValue[V]]:
        """What is known, good or not any more."""
        return self._cached

    @property
    def failures(self) -> Mapping[K, Failure]:
        """The keys whose last attempt failed."""
        return self._failures

    async def close(self) -> None:
        """End the attempts under way."""
        tasks = list(self._fetch_tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _fetch_task(self, key: K) -> asyncio.Task[CachedValue[V]]:
        task = self._fetch_tasks.get(key)
        if task is None:
            task = self._fetch_tasks[key] = asyncio.ensure_future(self._fetched(key))
            task.add_done_callback(partial(self._fetch_done, key))
        return task

    async def _fetched(self, key: K) -> CachedValue[V]:
        return await self._fetch(key)

    def _fetch_done(self, key: K, task: asyncio.Task[CachedValue[V]]) -> None:
        del self._fetch_tasks[key]
        if task.cancelled():
            return
        error = task.exception()
        if error is None:
            self._cached[key] = task.result()
            self._failures.pop(key, None)
            return
        log_event(log, "refresh.failed", logging.WARNING, key=key, error=redacted(f"{error!r}"))
        now = self._clock()
        if isinstance(error, AppError):
            self._failures[key] = Failure(error, now)
        if cached := self._cached.get(key):
            self._cached[key] = replace(cached, renew_at=now + PAUSE)

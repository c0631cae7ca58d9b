"""Patience: how long to wait before asking again, and how many may ask at once."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

from shared.clock import Clock, Sleep, rfc3339
from shared.errors import Throttled

PATIENCE = timedelta(seconds=5)
"""The longest wait spent asleep; a longer one is handed back to whoever can come again."""

_LONGEST_WAIT = timedelta(days=1)
_BACKOFF_BASE = timedelta(seconds=1)
_BACKOFF_CEILING = timedelta(seconds=60)


def retry_after(value: str | None, now: datetime) -> timedelta | None:
    """How long a ``Retry-After`` header asks to wait: seconds, fractions of them, or an HTTP date.

    Returns:
        ``None`` without a header, or with one that cannot be read; never negative, at most a day.
    """
    if not value:
        return None
    try:
        wait = _seconds(value) if value.strip()[:1].isdecimal() else _until_http_date(value, now)
    except (ValueError, OverflowError):
        return None
    return min(max(wait, timedelta(0)), _LONGEST_WAIT)


def _seconds(value: str) -> timedelta:
    return timedelta(seconds=min(float(value), _LONGEST_WAIT.total_seconds()))


def _until_http_date(value: str, now: datetime) -> timedelta:
    instant = parsedate_to_datetime(value)
    return (instant if instant.tzinfo else instant.replace(tzinfo=UTC)) - now


def backoff(attempt: int, *, random: Callable[[], float]) -> timedelta:
    """Exponential backoff with full jitter: up to 1, 2, 4 … 60 s before attempt 1, 2, 3 …; ``random`` gives 0 to 1."""
    ceiling: timedelta = min(_BACKOFF_BASE * 2 ** min(attempt - 1, 10), _BACKOFF_CEILING)
    return ceiling * random()


class Throttle:
    """Who may ask now: so many in flight per origin, and nobody while an origin wants to be left alone."""

    def __init__(self, *, concurrency: int, clock: Clock, sleep: Sleep) -> None:
        self._concurrency = concurrency
        self._clock = clock
        self._sleep = sleep
        self._slots: dict[str, asyncio.Semaphore] = {}
        self._not_before: dict[str, datetime] = {}

    @asynccontextmanager
    async def admitted(self, origin: str) -> AsyncIterator[None]:
        """Hold one of the places of ``origin``, after its pause is over.

        Raises:
            Throttled: The pause is longer than ``PATIENCE``.
        """
        async with self._slots.setdefault(origin, asyncio.Semaphore(self._concurrency)):
            await self._paused(origin)
            yield

    def pause(self, origin: str, until: datetime) -> None:
        """Let nobody ask ``origin`` before ``until``."""
        self._not_before[origin] = max(until, self._not_before.get(origin, until))

    async def _paused(self, origin: str) -> None:
        while (wait := self._not_before.get(origin, self._clock()) - self._clock()) > timedelta(0):
            if wait > PATIENCE:
                until = self._not_before[origin]
                raise Throttled(f"{origin} wants no request before {rfc3339(until)}", until=until)
            await self._sleep(wait.total_seconds())

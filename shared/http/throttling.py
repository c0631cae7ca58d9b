"""Delays: how long to wait before asking again, how fast to ask, and how many may ask at once."""

import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Self

import anyio

from shared.clock import LONGEST_WAIT, Clock, Sleep, rfc3339
from shared.errors import AppError, Throttled

LONGEST_SLEEP = timedelta(seconds=5)
"""The longest time one call sleeps in all; a longer wait is handed back to the caller."""

_SPREAD = timedelta(milliseconds=10)
"""How far apart requests begin at most: longer than the app is busy with one of them."""

_BACKOFF_BASE = timedelta(seconds=1)
_BACKOFF_CEILING = timedelta(seconds=60)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SECONDS = re.compile(r"\s*(\d+\.?\d*|\.\d+)\s*", re.ASCII)


def retry_after(value: str | None, now: datetime) -> timedelta | None:
    """How long a ``Retry-After`` header asks to wait: seconds, fractions of them, or an HTTP date.

    Of several values, which proxies join with commas, the longest counts: an HTTP date has a comma itself.

    Returns:
        ``None`` without a header, or with one that cannot be read; never negative, at most a day.
    """
    given = value or ""
    waits = [wait for one in (given, *given.split(",")) if (wait := _wait_of(one, now)) is not None]
    return min(max(*waits, timedelta(0)), LONGEST_WAIT) if waits else None


def _wait_of(value: str, now: datetime) -> timedelta | None:
    try:
        return _seconds(value) if _SECONDS.fullmatch(value) else _until_http_date(value, now)
    except (ValueError, OverflowError):
        return None


def _seconds(value: str) -> timedelta:
    return timedelta(seconds=min(float(value), LONGEST_WAIT.total_seconds()))


def _until_http_date(value: str, now: datetime) -> timedelta:
    instant = parsedate_to_datetime(value)
    return (instant if instant.tzinfo else instant.replace(tzinfo=UTC)) - now


def backoff(attempt: int, *, random: Callable[[], float]) -> timedelta:
    """Exponential backoff with full jitter: up to 1, 2, 4 … 60 s before attempt 1, 2, 3 …; ``random`` gives 0 to 1."""
    ceiling: timedelta = min(_BACKOFF_BASE * 2 ** min(attempt - 1, 10), _BACKOFF_CEILING)
    return ceiling * random()


class RetryDelay:
    """How long one call is ready to sleep in all, and how long it has slept so far."""

    def __init__(self, sleep: Sleep) -> None:
        self._sleep = sleep
        self.waited = timedelta(0)

    async def sleep(self, wait: timedelta, error: AppError) -> None:
        """Sleep for ``wait``; where that makes more than ``LONGEST_SLEEP`` in all, raise ``error`` instead."""
        if self.waited + wait > LONGEST_SLEEP:
            raise error
        self.waited += max(wait, timedelta(0))
        await self._sleep(max(wait.total_seconds(), 0))


@dataclass(frozen=True, slots=True)
class OriginPace:
    """How fast an origin may be asked: halved when it refuses, raised a little with every answer.

    Attributes:
        most: The most requests in flight there may ever be.
        in_flight: How many there may be now; its whole part counts.
        gap: Seconds between the beginnings of two requests.
    """

    most: int
    in_flight: float
    gap: float = 0.0

    def slower(self) -> Self:
        """After a refusal."""
        return replace(self, in_flight=max(1.0, self.in_flight / 2), gap=min(max(0.1, self.gap * 2), 1.0))

    def faster(self) -> Self:
        """After an answer."""
        gap = self.gap * 0.9
        in_flight = min(float(self.most), self.in_flight + 1 / self.in_flight)
        return replace(self, in_flight=in_flight, gap=gap if gap > 0.01 else 0.0)  # noqa: PLR2004 - no longer felt


@dataclass(slots=True)
class _OriginState:
    """What is known of one origin. Requests are numbered in the order in which they are let in."""

    places: anyio.CapacityLimiter
    pace: OriginPace
    not_before: datetime = _EPOCH
    next_start: datetime = _EPOCH
    fastest: timedelta = timedelta(0)
    admitted: int = 0
    refused_up_to: int = 0
    refusals: int = 0

    @property
    def spread(self) -> timedelta:
        """How far apart requests begin: spread over most of the time that the fastest answer took.

        Requests that begin together are answered together, and then each waits for what is done with all the others.
        Over the whole of that time, one that is late would delay all that follow.
        """
        return min(0.85 * self.fastest / self.pace.most, _SPREAD)


class Throttle:
    """Who may ask now: so many in flight per origin, fewer when it refuses, and nobody while it wants to be left alone.

    Args:
        concurrency: The most requests in flight per origin.
        random: Gives 0 to 1; spreads the waits.
    """

    def __init__(self, *, concurrency: int, clock: Clock, sleep: Sleep, random: Callable[[], float]) -> None:
        self._concurrency = concurrency
        self._clock = clock
        self._sleep = sleep
        self._random = random
        self._origins: dict[str, _OriginState] = {}

    @asynccontextmanager
    async def admitted(self, origin: str) -> AsyncIterator[int]:
        """Hold one of the places of ``origin``, and get the number of one's turn.

        Raises:
            Throttled: It wants to be left alone; nobody waits for that with a place in hand.
        """
        state = self._state(origin)
        async with state.places:
            await self._keep_distance(state)
            if state.not_before > self._clock():
                raise Throttled(
                    f"{origin} accepts no request before {rfc3339(state.not_before)}", until=state.not_before
                )
            state.admitted += 1
            began = self._clock()
            yield state.admitted
            took = self._clock() - began
            state.fastest = min(took, state.fastest or took)

    def served(self, origin: str, turn: int) -> None:
        """Return the origin answered: it may be asked a little faster."""
        state = self._state(origin)
        if turn > state.refused_up_to:
            state.refusals = 0
            self._set_pace(state, state.pace.faster())

    def refused(self, origin: str, turn: int, wait: timedelta | None) -> datetime:
        """Note that the origin asks for patience, and return the instant before which nobody asks it again.

        Those who were let in before the last refusal have nothing new to say about the pace.

        Args:
            wait: What it asks for; without it, the wait grows with each refusal in a row.
        """
        state = self._state(origin)
        if turn > state.refused_up_to:
            state.refused_up_to = state.admitted
            state.refusals += 1
            self._set_pace(state, state.pace.slower())
        until = self._clock() + (wait or backoff(state.refusals, random=self._random))
        state.not_before = max(state.not_before, until)
        return until

    def _state(self, origin: str) -> _OriginState:
        if origin not in self._origins:
            most = self._concurrency
            self._origins[origin] = _OriginState(anyio.CapacityLimiter(most), OriginPace(most, most))
        return self._origins[origin]

    def _set_pace(self, state: _OriginState, pace: OriginPace) -> None:
        state.pace = pace
        state.places.total_tokens = int(pace.in_flight)

    async def _keep_distance(self, state: _OriginState) -> None:
        now, apart = self._clock(), max(timedelta(seconds=state.pace.gap), state.spread)
        farthest = now + state.pace.most * apart  # with all others before this one; beyond, the clock has gone back
        start = max(now, min(state.next_start, farthest))
        state.next_start = start + apart
        if start > now:
            await self._sleep((start - now).total_seconds())

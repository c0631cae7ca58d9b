"""Patience: how long to wait before asking again, how fast to ask, and how many may ask at once."""

import asyncio
import re
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Self

from shared.clock import Clock, Sleep, rfc3339
from shared.errors import AppError, Throttled

PATIENCE = timedelta(seconds=5)
"""The longest time spent asleep on one errand; a longer wait is handed back to whoever can come again."""

_LONGEST_WAIT = timedelta(days=1)
_BACKOFF_BASE = timedelta(seconds=1)
_BACKOFF_CEILING = timedelta(seconds=60)
_SECONDS = re.compile(r"\s*(\d+\.?\d*|\.\d+)\s*", re.ASCII)


def retry_after(value: str | None, now: datetime) -> timedelta | None:
    """How long a ``Retry-After`` header asks to wait: seconds, fractions of them, or an HTTP date.

    Returns:
        ``None`` without a header, or with one that cannot be read; never negative, at most a day.
    """
    if not value:
        return None
    try:
        wait = _seconds(value) if _SECONDS.fullmatch(value) else _until_http_date(value, now)
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


class Patience:
    """What one errand is ready to sleep in all, and what it has slept so far."""

    def __init__(self, sleep: Sleep) -> None:
        self._sleep = sleep
        self.waited = timedelta(0)

    async def rest(self, wait: timedelta, error: AppError) -> None:
        """Sleep for ``wait``; where that makes more than ``PATIENCE`` in all, raise ``error`` instead."""
        if self.waited + wait > PATIENCE:
            raise error
        self.waited += max(wait, timedelta(0))
        await self._sleep(max(wait.total_seconds(), 0))


@dataclass(frozen=True, slots=True)
class Pace:
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


class _Places:
    """A semaphore whose number of places may change; who came first is let in first."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._taken = 0
        self._waiting: deque[asyncio.Future[None]] = deque()

    async def enter(self) -> None:
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        self._let_in()
        try:
            await turn
        except asyncio.CancelledError:
            if not turn.cancelled():  # let in at the very moment of giving up
                self.leave()
            raise

    def leave(self) -> None:
        self._taken -= 1
        self._let_in()

    def resize(self, most: int) -> None:
        self._most = most
        self._let_in()

    def _let_in(self) -> None:
        while self._waiting and self._taken < self._most:
            turn = self._waiting.popleft()
            if not turn.done():
                self._taken += 1
                turn.set_result(None)


@dataclass(slots=True)
class _Gate:
    """What is known of one origin. Requests are numbered in the order in which they are let in."""

    places: _Places
    pace: Pace
    not_before: datetime
    next_start: datetime
    admitted: int = 0
    refused_up_to: int = 0
    refusals: int = 0


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
        self._gates: dict[str, _Gate] = {}

    @asynccontextmanager
    async def admitted(self, origin: str) -> AsyncIterator[int]:
        """Hold one of the places of ``origin``, and get the number of one's turn.

        Raises:
            Throttled: It wants to be left alone; nobody waits for that with a place in hand.
        """
        gate = self._gate(origin)
        await gate.places.enter()
        try:
            await self._keep_distance(gate)
            if gate.not_before > self._clock():
                raise Throttled(f"{origin} wants no request before {rfc3339(gate.not_before)}", until=gate.not_before)
            gate.admitted += 1
            yield gate.admitted
        finally:
            gate.places.leave()

    def served(self, origin: str, turn: int) -> None:
        """The origin answered: it may be asked a little faster."""
        gate = self._gate(origin)
        if turn > gate.refused_up_to:
            gate.refusals = 0
            self._set_pace(gate, gate.pace.faster())

    def refused(self, origin: str, turn: int, wait: timedelta | None) -> datetime:
        """The origin asks for patience: nobody asks it before the instant that is returned, and then more slowly.

        Those who were let in before the last refusal have nothing new to say about the pace.

        Args:
            wait: What it asks for; without it, the wait grows with each refusal in a row.
        """
        gate = self._gate(origin)
        if turn > gate.refused_up_to:
            gate.refused_up_to = gate.admitted
            gate.refusals += 1
            self._set_pace(gate, gate.pace.slower())
        until = self._clock() + (wait or backoff(gate.refusals, random=self._random))
        gate.not_before = max(gate.not_before, until)
        return until

    def _gate(self, origin: str) -> _Gate:
        if origin not in self._gates:
            now, most = self._clock(), self._concurrency
            self._gates[origin] = _Gate(_Places(most), Pace(most, most), not_before=now, next_start=now)
        return self._gates[origin]

    def _set_pace(self, gate: _Gate, pace: Pace) -> None:
        gate.pace = pace
        gate.places.resize(int(pace.in_flight))

    async def _keep_distance(self, gate: _Gate) -> None:
        now = self._clock()
        start = max(now, gate.next_start)
        gate.next_start = start + timedelta(seconds=gate.pace.gap)
        if start > now:
            await self._sleep((start - now).total_seconds())

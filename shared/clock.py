"""Time, as values that can be passed in."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

type Clock = Callable[[], datetime]
"""Gives the present instant, in UTC."""

type Sleep = Callable[[float], Awaitable[None]]
"""Waits a number of seconds."""


def utc_now() -> datetime:
    """The present instant, in UTC."""
    return datetime.now(UTC)


def rfc3339(instant: datetime) -> str:
    """``instant`` as RFC 3339 with ``Z`` and whole seconds."""
    return instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

"""Time, as values that can be passed in."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

from shared.errors import FutureTime

type Clock = Callable[[], datetime]
"""Gives the present instant, in UTC."""

type Sleep = Callable[[float], Awaitable[None]]
"""Waits a number of seconds."""


TOLERANCE = timedelta(minutes=30)
"""How far apart the clocks of two instances may be."""

LONGEST_WAIT = timedelta(days=1)
"""The longest that anything waits before it looks again."""


def utc_now() -> datetime:
    """Return the present instant, in UTC."""
    return datetime.now(UTC)


def rfc3339(instant: datetime) -> str:
    """``instant`` as RFC 3339 with ``Z`` and whole seconds."""
    return instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def credible(*instants: datetime | None, now: datetime, ahead: timedelta = timedelta(0)) -> list[datetime]:
    """Return those stored times that a clock which is right can have written.

    A time that is further ahead stands for nothing: whoever would wait for it, or count from it, waits for years.

    Args:
        ahead: How far after its own present a writer may have put them; 0 where they tell of the past.
    """
    return [instant for instant in instants if instant is not None and instant <= now + ahead + TOLERANCE]


def is_recent(instant: datetime, *, within: timedelta, now: datetime) -> bool:
    """Return whether a stored time is less than ``within`` ago; one that is still to come is not."""
    return bool(credible(instant, now=now)) and now - instant < within


def awaited(until: datetime | None, *, now: datetime) -> datetime | None:
    """Return until when a stored document wants to be left alone; ``None`` when that is over, or cannot be meant."""
    return next((one for one in credible(until, now=now, ahead=LONGEST_WAIT) if one > now), None)


WRONG_CLOCK = "The clock of its writer was wrong: ./avepoint doctor --repair says what to repair."


def check_past(instant: datetime, *, now: datetime, what: str, remedy: str = WRONG_CLOCK) -> datetime:
    """Return a stored time that tells of the past.

    Args:
        what: Where it stands, for the error: ``finishedAt of latest/graph/aos-jobs.json``.

    Raises:
        FutureTime: It is later than ``now`` by more than clocks may be apart.
    """
    if not credible(instant, now=now):
        raise FutureTime(f"{what} is {rfc3339(instant)}, which is in the future", remedy=remedy)
    return instant

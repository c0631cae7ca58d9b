"""Which items of a list that is asked by time belong to a window; times are UTC unless they say otherwise."""

from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta

from sandbox.avepoint.numbers import Timeline

_FIRST = datetime.min.replace(tzinfo=UTC)
_TICK = timedelta.resolution
_DOTNET = "%m/%d/%Y %H:%M:%S"


@dataclass(frozen=True, slots=True)
class Span:
    """A window; a bound of None leaves that side open."""

    since: datetime | None
    until: datetime | None


@dataclass(frozen=True, slots=True)
class Events:
    """A list whose items happen every so many minutes: the `count` last ones up to `now`, the newest first.

    Item k happens k steps after the first minute of the year 1, so that an item keeps its number as time goes by.
    """

    now: datetime
    count: int
    step: timedelta

    @property
    def newest(self) -> int:
        return self.newest_at(self.now)

    def newest_at(self, moment: datetime) -> int:
        """Return the number of the newest item that had happened by then."""
        return (moment - _FIRST) // self.step

    def numbers(self, span: Span | None = None, *, end_included: bool = True) -> range:
        """Return the numbers of the items in the span: its start belongs to it, its end as the argument says."""
        newest, oldest = self.newest, max(self.newest - self.count + 1, 0)
        if span and span.since:
            oldest = max(oldest, -((_FIRST - span.since) // self.step))
        if span and span.until:
            until = span.until if end_included else span.until - _TICK
            newest = min(newest, (until - _FIRST) // self.step)
        return range(newest, oldest - 1, -1)


def timeline(step_minutes: int) -> Timeline:
    """Return the timeline of items that happen every so many minutes."""
    return Timeline(first=0, step=step_minutes)


def moment(text: str, *, is_end: bool, end_day_included: bool, ahead: timedelta) -> datetime:
    """Return the instant a filter names: ISO 8601, or as .NET writes it (`12/31/9999 23:59:59`).

    A text without a zone is local time, `ahead` of UTC. A day alone is its first instant; as the end of a window it can
    be its last.

    Raises:
        ValueError: it is no time.
    """
    local, is_day = _parsed(text)
    if is_day and is_end and end_day_included:
        local = datetime.combine(local, time.max)
    try:
        return local.astimezone(UTC) if local.tzinfo else _shifted(local.replace(tzinfo=UTC), ahead)
    except OverflowError as error:
        raise ValueError(text) from error


def _parsed(text: str) -> tuple[datetime, bool]:
    try:
        return datetime.fromisoformat(text), len(text) == len("2026-01-15")
    except ValueError:
        return datetime.strptime(text, _DOTNET), False  # noqa: DTZ007 - the zone is the caller's to add


def _shifted(moment: datetime, ahead: timedelta) -> datetime:
    """Return the moment less `ahead`; the ends of time stay, as they stand for no bound at all."""
    try:
        return moment - ahead
    except OverflowError:
        return moment

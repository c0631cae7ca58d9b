"""Schedules as the Functions host reads them: six NCRONTAB fields in UTC. Pure.

The reading is that of NCrontab 3.3.3, the host's own. It differs from cron: day of month *and* weekday have to fit,
ends of a range that runs backwards are swapped, a name may be cut to its first letters, ``5/10`` means from 5 on.
Stricter than the host: names are compared letter by letter, and there are always six fields.
"""

import re
from bisect import bisect_right
from calendar import monthrange
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import MAXYEAR, UTC, date, datetime, time, timedelta
from itertools import pairwise
from typing import NamedTuple, Self

WEEKDAYS = ("Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday")
MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)
SECOND = timedelta(seconds=1)
LONGEST_GAP = timedelta(days=41 * 366)
"""Between two ticks: 29 February falls on a given weekday every 40 years at least."""

_INT32 = 2**31 - 1
# What .NET's Int32.Parse takes: white space around, one sign, the digits of ASCII.
_WHOLE = re.compile(r"[\t-\r ]*[+-]?[0-9]+[\t-\r ]*")


class _Part(NamedTuple):
    """One item of a field's list, as written: from ``first`` to ``last``, every ``step``."""

    first: int
    last: int
    step: int


@dataclass(frozen=True, slots=True)
class _Field:
    name: str
    least: int
    most: int
    names: tuple[str, ...] = ()

    def values(self, text: str) -> tuple[int, ...]:
        """Return all values that ``text`` names, in order."""
        found: set[int] = set()
        for part in map(self._part, text.split(",")):
            first, last = sorted((part.first, part.last))
            found.update(range(first, last + 1, part.step))
        return tuple(sorted(found))

    def backward(self, text: str) -> str | None:
        """Return the first range whose end is not above its start."""
        ranges = (item for item in text.split(",") if "-" in item.partition("/")[0])
        return next((item for item in ranges if self._part(item).last <= self._part(item).first), None)

    def _part(self, text: str) -> _Part:
        span, slash, step = text.partition("/")
        every = max(_whole(step), 1) if slash else 1
        first, last = self._span(span, stepped=bool(slash))
        if min(first, last) - self.least + every > _INT32:
            raise ValueError(f"the step of {text!r} is too large")
        return _Part(first, last, every)

    def _span(self, text: str, *, stepped: bool) -> tuple[int, int]:
        if text == "*":
            return self.least, self.most
        first, dash, last = text.partition("-")
        if dash and first:
            return self._value(first), self._value(last)
        return self._value(text), self.most if stepped else self._value(text)

    def _value(self, text: str) -> int:
        value = _whole(text) if text[:1] in tuple("0123456789") else self._named(text)
        if value is None or not self.least <= value <= self.most:
            alternative = f", or a name such as {self.names[0]}" if self.names else ""
            raise ValueError(f"{text!r} is no {self.name}: use a number from {self.least} to {self.most}{alternative}")
        return value

    def _named(self, text: str) -> int | None:
        """Return the value of the first name that begins with ``text``; case does not matter."""
        if not text or not text.isascii():
            return None
        matches = (
            number for number, name in enumerate(self.names, self.least) if name.lower().startswith(text.lower())
        )
        return next(matches, None)


FIELDS = (
    _Field("second", 0, 59),
    _Field("minute", 0, 59),
    _Field("hour", 0, 23),
    _Field("day", 1, 31),
    _Field("month", 1, 12, MONTHS),
    _Field("weekday", 0, 6, WEEKDAYS),
)


@dataclass(frozen=True, slots=True)
class Schedule:
    """When a timer fires: the values of each field, in order. ``0 30 2 * * *`` is every day at 02:30:00 UTC."""

    seconds: tuple[int, ...]
    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    days: tuple[int, ...]
    months: tuple[int, ...]
    weekdays: tuple[int, ...]

    @classmethod
    def parse(cls, expression: str) -> Self:
        """Read an expression as the host does.

        Raises:
            ValueError: The host refuses it, or it does not have six fields.
        """
        return cls(*(field.values(text) for field, text in zip(FIELDS, _split(expression), strict=True)))

    @property
    def never(self) -> bool:
        """Whether no tick ever comes, as on 30 February."""
        return not any(self.days[0] <= monthrange(2000, month)[1] for month in self.months)

    def next(self, after: datetime) -> datetime | None:
        """Return the first tick after this instant, in UTC; ``None`` if none ever comes."""
        if self.never:
            return None
        start = after.astimezone(UTC).replace(microsecond=0) + SECOND
        for day in self._days_from(start.date()):
            moment = self._time_from(start.time() if day == start.date() else time.min)
            if moment is not None:
                return datetime.combine(day, moment, UTC)
        return None

    def latest(self, until: datetime) -> datetime | None:
        """Return the newest tick that is not after this instant, in UTC; ``None`` if none ever came."""
        before = until.astimezone(UTC).replace(microsecond=0) - LONGEST_GAP
        if self.never:
            return None

        def following(seconds: int) -> datetime:
            return self.next(before + seconds * SECOND) or datetime.max.replace(tzinfo=UTC)

        # ``following`` never falls: the newest tick follows the last instant that is followed by one in time.
        found = bisect_right(range(LONGEST_GAP // SECOND + 1), until, key=following)
        return following(found - 1) if found else None

    def pause(self, now: datetime) -> timedelta:
        """Return the longer of the pauses before and after the newest tick; without two ticks, none."""
        newest, following = self.latest(now), self.next(now)
        before = self.latest(newest - SECOND) if newest else None
        ticks = [tick for tick in (before, newest, following) if tick]
        return max((later - earlier for earlier, later in pairwise(ticks)), default=timedelta(0))

    def _days_from(self, first: date) -> Iterator[date]:
        for year in range(first.year, MAXYEAR + 1):
            for month in self.months:
                if (year, month) >= (first.year, first.month):
                    dates = (date(year, month, day) for day in self.days if day <= monthrange(year, month)[1])
                    yield from (one for one in dates if one >= first and one.isoweekday() % 7 in self.weekdays)

    def _time_from(self, earliest: time) -> time | None:
        minutes = (
            (hour, minute)
            for hour in self.hours
            if hour >= earliest.hour
            for minute in self.minutes
            if (hour, minute) >= (earliest.hour, earliest.minute)
        )
        moments = (time(hour, minute, second) for hour, minute in minutes for second in self.seconds)
        return next((moment for moment in moments if moment >= earliest), None)


def check_schedule(expression: str) -> None:
    """Refuse what the host refuses, and what it reads otherwise than a person.

    Raises:
        ValueError: Says what is wrong, and what to write instead.
    """
    if "  " in expression.strip(" "):
        raise ValueError(f"{expression!r} has several spaces between two fields: write one")
    schedule = Schedule.parse(expression)
    for field, text in zip(FIELDS, _split(expression), strict=True):
        if (item := field.backward(text)) is not None:
            raise ValueError(
                f"the range {item!r} of the {field.name} does not end above its start, and the host swaps the ends: "
                "write two ranges, such as '22-23,0-2' for hours, or one value"
            )
    if schedule.never:
        raise ValueError(f"{expression!r} never comes: no month of it has such a day")


def _split(expression: str) -> list[str]:
    fields = [text for text in expression.split(" ") if text]
    if len(fields) != len(FIELDS):
        names = ", ".join(field.name for field in FIELDS)
        raise ValueError(f"{expression!r} does not have six fields with one space between them: {names}")
    return fields


def _whole(text: str) -> int:
    if not _WHOLE.fullmatch(text):
        raise ValueError(f"{text!r} is not a whole number")
    value = int(text)
    if abs(value) > _INT32:
        raise ValueError(f"{text!r} is too large a number")
    return value

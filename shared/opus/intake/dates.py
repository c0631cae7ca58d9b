"""Times as callers write them, as a tenant's Opus wants them, and as it gives them back."""

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

from shared.clock import rfc3339

_RFC3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d(:\d\d(\.\d+)?)?(?P<zone>[Zz]|[+-]\d\d:\d\d)?", re.ASCII)
_DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)

_YEARS = range(1900, 9999)


def parse_record_time(text: str) -> datetime:
    """Return an RFC 3339 time, with its zone.

    Raises:
        ValueError: It is not one, it has no zone, or its year is not from 1900 to 9998.
    """
    time = _parse_time(text)
    if time.tzinfo is None:
        raise ValueError("a time needs its zone: Z, or an offset such as +01:00")
    return time


def parse_date(text: str) -> date | None:
    """Return the date that ``text`` is, if it is one alone, without a time."""
    if not _DATE.fullmatch(text):
        return None
    try:
        day = date.fromisoformat(text)
    except ValueError:
        return None
    return day if day.year in _YEARS else None


def zoned_time(text: str) -> datetime | None:
    """Return the time that ``text`` is, if it is a whole RFC 3339 time with its zone, and so hardly anything else."""
    try:
        return parse_record_time(text)
    except ValueError:
        return None


def _parse_time(text: str) -> datetime:
    if not _RFC3339.fullmatch(text):
        raise ValueError("must be a time such as 2026-01-15T08:30:00Z")
    if int(text[:4]) not in _YEARS:
        raise ValueError(f"the year {text[:4]} is not from {_YEARS[0]} to {_YEARS[-1]}")
    try:
        return datetime.fromisoformat(text.upper())
    except ValueError:
        raise ValueError("there is no such day, time of day or offset") from None


@dataclass(frozen=True, slots=True)
class Dates:
    """The dates of one tenant.

    Attributes:
        format: For ``strftime``; ``None`` is ISO 8601 without zone, as in AvePoint's sample ``2024-12-20T11:13:00``.
    """

    zone: ZoneInfo
    format: str | None = None

    def __str__(self) -> str:
        return f"{self.format or 'ISO 8601'} in {self.zone}"

    def instant(self, time: datetime) -> datetime:
        """``time`` in UTC; without a zone it is a time of the tenant."""
        return (time if time.tzinfo else time.replace(tzinfo=self.zone)).astimezone(UTC)

    def written_date(self, day: date) -> str:
        """``day`` as Opus wants it: a date has no zone, so nothing shifts it."""
        return self._formatted(datetime(day.year, day.month, day.day))  # noqa: DTZ001 - it is local to the tenant

    def written(self, time: datetime) -> str:
        """``time`` as Opus wants it."""
        instant = time if time.tzinfo else self.instant(time)
        return self._formatted(instant.astimezone(self.zone).replace(tzinfo=None))

    def _formatted(self, local: datetime) -> str:
        return local.strftime(self.format) if self.format else local.isoformat(timespec="seconds")

    def read(self, text: str) -> str:
        """Return a time that Opus gave, as RFC 3339 in UTC; what cannot be read stays as it is."""
        try:
            return rfc3339(self.instant(self._parsed(text.strip())))
        except (ValueError, OverflowError):
            return text.strip()

    def _parsed(self, text: str) -> datetime:
        try:
            return _parse_time(text)
        except ValueError:
            if self.format is None:
                raise
            return datetime.strptime(text, self.format)  # noqa: DTZ007 - the zone is the tenant's, added by the caller

"""Times as callers write them, as a tenant's Opus wants them, and as it gives them back."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from shared.clock import rfc3339

_RFC3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d(:\d\d(\.\d+)?)?(?P<zone>[Zz]|[+-]\d\d:\d\d)?")

_EDGES = ("0001", "9999")  # in another zone these years leave the calendar


def parse_time(text: str) -> datetime:
    """An RFC 3339 time; without a zone it stays naive, for the tenant's zone is not known here.

    Raises:
        ValueError: It is none.
    """
    if not _RFC3339.fullmatch(text) or text[:4] in _EDGES:
        raise ValueError("a time such as 2026-01-15T08:30:00Z is wanted")
    return datetime.fromisoformat(text)


def zoned_time(text: str) -> datetime | None:
    """The time that ``text`` is, if it is a whole RFC 3339 time with its zone, and so hardly anything else."""
    match = _RFC3339.fullmatch(text)
    if match is None or match["zone"] is None:
        return None
    try:
        return parse_time(text)
    except ValueError:
        return None


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

    def written(self, time: datetime) -> str:
        """``time`` as Opus wants it."""
        local = (time if time.tzinfo else self.instant(time)).astimezone(self.zone).replace(tzinfo=None)
        return local.strftime(self.format) if self.format else local.replace(microsecond=0).isoformat()

    def read(self, text: str) -> str:
        """A time that Opus gave, as RFC 3339 in UTC; what cannot be read stays as it is."""
        try:
            return rfc3339(self.instant(self._parsed(text.strip())))
        except (ValueError, OverflowError):
            return text.strip()

    def _parsed(self, text: str) -> datetime:
        try:
            return parse_time(text)
        except ValueError:
            if self.format is None:
                raise
            return datetime.strptime(text, self.format)  # noqa: DTZ007 - the zone is the tenant's, added by the caller

"""Times as AvePoint writes them, and what it writes where there is none. Pure."""

import re
from datetime import UTC, datetime, timedelta

NO_TIME = ("0001-01-01", "1970-01-01")
"""How a time begins that means none (AvePoint/cloud-api, sample answers)."""

NO_TEXT = frozenset({"", "N/A"})
"""What stands in place of a time that is not there."""

_TIME = re.compile(
    r"\d{4}-\d\d-\d\d(?:[Tt ](?P<time>\d\d:\d\d(?::\d\d(?:\.\d+)?)?) ?(?P<zone>[Zz]|[+-]\d\d(?::?\d\d)?)?)?",
    re.ASCII,
)
_PLAIN = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d", re.ASCII).fullmatch
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def parse_time(text: str) -> int | None:
    """Return the microseconds since 1970 (UTC) of a time, or ``None`` when ``text`` is not one.

    Without a zone it is UTC; digits behind the microseconds are cut. What lies behind the year 9999 in UTC is not a
    time: no reader of the tables knows it.
    """
    try:
        if _PLAIN(text):
            return int(datetime.fromisoformat(f"{text}+00:00").timestamp()) * 1_000_000
        return _parse_any(text)
    except (ValueError, OverflowError):
        return None


def _parse_any(text: str) -> int | None:
    match = _TIME.fullmatch(text)
    if match is None:
        return None
    plain = text if match["time"] is None else f"{text[:10]}T{match['time']}{(match['zone'] or 'Z').upper()}"
    moment = datetime.fromisoformat(plain)
    moment = moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    return (moment - _EPOCH) // _MICROSECOND

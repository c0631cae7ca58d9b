"""The constants of a filter: text, numbers, times, ``true``, ``false`` and ``null``. Pure."""

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from shared.tables.queries.conditions import Constant, Instant

TEXT = re.compile(r"'(?:[^']|'')*'")

_WORDS: dict[str, Constant] = {"null": None, "true": True, "false": False}

_NUMBER = re.compile(r"(?P<digits>-?[0-9]+(?:\.[0-9]+)?)(?:[eE](?P<exponent>[+-]?[0-9]+))?")

_TIME = re.compile(
    r"(?P<date>[0-9]{4}-[0-9]{2}-[0-9]{2})T(?P<time>(?:[01][0-9]|2[0-3]):[0-9]{2}:[0-9]{2})(?:\.(?P<fraction>[0-9]+))?"
    r"(?:Z|(?P<sign>[+-])(?P<hours>[01][0-9]|2[0-3]):(?P<minutes>[0-5][0-9]))"
)
"""A time of RFC 3339, with ``T``, ``Z`` and the digits of ASCII."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

_LARGEST_EXPONENT = 5_000
"""Beyond it, either way, a number of at most 2,000 digits stays where it is: outside of every column, or next to 0."""


def read_text(quoted: str) -> str:
    """Return the text between single quotes; two of them inside stand for one."""
    return quoted[1:-1].replace("''", "'")


def read_constant(word: str) -> Constant:
    """Return what an unquoted word stands for.

    Raises:
        ValueError: It is not a number, a time, ``true``, ``false`` or ``null``.
    """
    if word in _WORDS:
        return _WORDS[word]
    if number := _NUMBER.fullmatch(word):
        return _number(number)
    if time := _TIME.fullmatch(word):
        return _instant(time)
    raise ValueError(word)


def _number(found: re.Match[str]) -> Decimal:
    exponent = max(-_LARGEST_EXPONENT, min(_LARGEST_EXPONENT, int(found["exponent"] or 0)))
    return Decimal(f"{found['digits']}e{exponent}")


def _instant(found: re.Match[str]) -> Instant:
    fraction = found["fraction"] or ""
    local = _seconds(found["date"], found["time"])
    microseconds = (local - _offset(found)) * 1_000_000 + int(fraction[:6].ljust(6, "0"))
    return Instant(microseconds, between=bool(fraction[6:].strip("0")))


def _offset(found: re.Match[str]) -> int:
    seconds = int(found["hours"] or 0) * 3600 + int(found["minutes"] or 0) * 60
    return -seconds if found["sign"] == "-" else seconds


def _seconds(date: str, time: str) -> int:
    """Return the seconds from 1970 to a date and time; Python lacks the year 0, which is like 400, one cycle later."""
    if date.startswith("0000"):
        cycle = timedelta(days=146_097)
        moment = datetime.fromisoformat(f"0400{date[4:]}T{time}Z") - _EPOCH - cycle
    else:
        moment = datetime.fromisoformat(f"{date}T{time}Z") - _EPOCH
    return moment // timedelta(seconds=1)

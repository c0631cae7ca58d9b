"""What makes one item differ from the next: parts that are made from the item's number, and lead back to it."""

import re
from binascii import hexlify
from collections.abc import Callable
from datetime import date
from functools import lru_cache
from hashlib import blake2b
from typing import NamedTuple

type Maker = Callable[[int], bytes]

_TOKEN = re.compile(rb'"\{(?P<number>number)\}"|\{(?P<text>n|guid|hex|date|clock)(?:[:+](?P<argument>[\w.-]+))?\}')
_ANY_TOKEN = re.compile(rb"\{(?P<kind>\w+)(?:[:+](?P<argument>[\w.-]+))?\}")
_LEADS_BACK = {"n": rb"(\d{1,18})", "guid": rb"([0-9a-f-]{36})", "hex": rb"([0-9a-f]{32})"}

_DAY = 24 * 60
_UNITS = {"": 0, "m": 1, "d": _DAY}
_CLOCKS = tuple(b"%02d:%02d:00" % divmod(minute, 60) for minute in range(_DAY))
_DIGITS = 12
_MODULUS = 1 << 4 * _DIGITS


class Timeline(NamedTuple):
    """When items happen: item n in the minute `first + n * step`, counted from the first minute of the year 1."""

    first: int = (date(2024, 1, 15).toordinal() - 1) * _DAY + 8 * 60 + 30
    step: int = 1


def cut(source: bytes, salt: str, timeline: Timeline) -> tuple[bytes, dict[bytes, Maker]]:
    """Return the source as a format of `%` with named parts, and the maker of each part."""
    makers: dict[bytes, Maker] = {}

    def part(match: re.Match[bytes]) -> bytes:
        kind, argument = (match["number"] or match["text"]).decode(), (match["argument"] or b"").decode()
        key = f"{kind}:{argument}".encode()
        makers.setdefault(key, _maker(kind, argument, salt, timeline))
        return b"%%(%s)s" % key

    return _TOKEN.sub(part, source.replace(b"%", b"%%")), makers


def guid(n: int, label: str) -> bytes:
    """Return the id that `{guid:…}` makes of number n, the label with the salt before it."""
    return _dashed(_hexadecimal(label)(n))


def number_of(pattern: str, value: str, salt: str) -> int | None:
    """Return the only number with which the pattern can read `value`; None if the value is of another form."""
    token, form = _form(pattern)
    found = form.fullmatch(value.encode())
    if token is None or found is None:
        return None
    kind, argument = token
    return int(found[1]) - 1 if kind == "n" else _number_of_digits(found[1], f"{salt}/{argument}")


def leads_back(pattern: str) -> bool:
    """Tell whether a number can be found from what the pattern reads."""
    return _form(pattern)[0] is not None


@lru_cache(maxsize=256)
def _form(pattern: str) -> tuple[tuple[str, str] | None, re.Pattern[bytes]]:
    first: tuple[str, str] | None = None
    form, end = b"", 0
    source = pattern.encode()
    for match in _ANY_TOKEN.finditer(source):
        kind, argument = match["kind"].decode(), (match["argument"] or b"").decode()
        form += re.escape(source[end : match.start()])
        form += _LEADS_BACK[kind] if first is None and kind in _LEADS_BACK else b".*?"
        first = first or ((kind, argument) if kind in _LEADS_BACK else None)
        end = match.end()
    return first, re.compile(form + re.escape(source[end:]))


def _maker(kind: str, argument: str, salt: str, timeline: Timeline) -> Maker:
    match kind:
        case "n":
            width = int(argument or 2)
            return lambda n: b"%0*d" % (width, n + 1)
        case "guid":
            digits_of = _hexadecimal(f"{salt}/{argument}")
            return lambda n: _dashed(digits_of(n))
        case "hex":
            return _hexadecimal(f"{salt}/{argument}")
        case "date":
            first = timeline.first + _minutes(argument)
            return lambda n: _day((n * timeline.step + first) // _DAY)
        case "clock":
            first = timeline.first + _minutes(argument)
            return lambda n: _CLOCKS[(n * timeline.step + first) % _DAY]
        case _:
            return lambda n: b"%d" % (n + 1)


@lru_cache(maxsize=4096)
def _noise(label: str) -> tuple[int, int, int]:
    """Return a factor, a summand, and the inverse of the factor for the last digits; the factor is odd to have one."""
    noise = blake2b(label.encode()).digest()
    factor = int.from_bytes(noise[:16]) | 1
    inverse: int = pow(factor, -1, _MODULUS)
    return factor, int.from_bytes(noise[16:32]), inverse


def _hexadecimal(label: str) -> Maker:
    """Return a maker of 32 digits that look random; the last 12 are those of no other number."""
    factor, first, _ = _noise(label)
    return lambda n: hexlify(((n * factor + first) % (1 << 128)).to_bytes(16))


def _number_of_digits(digits: bytes, label: str) -> int:
    _, first, inverse = _noise(label)
    return (int(digits[-_DIGITS:], 16) - first) * inverse % _MODULUS


def _dashed(digits: bytes) -> bytes:
    return b"-".join((digits[:8], digits[8:12], b"5" + digits[13:16], b"8" + digits[17:20], digits[20:]))


@lru_cache(maxsize=4096)
def _day(number: int) -> bytes:
    return date.fromordinal(number + 1).isoformat().encode()


def _minutes(offset: str) -> int:
    return int(offset[:-1]) * _UNITS[offset[-1:]] if offset else 0

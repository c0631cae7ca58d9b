import re
from binascii import hexlify
from collections.abc import Callable
from datetime import date, timedelta
from functools import cache
from hashlib import blake2b

TENANTS = ("b0232ae1-2bea-5075-8d90-650082f72552", "5f0c7d3e-9a41-5b86-8c2d-71e4a9d03b18")
"""The two tenants that all items are spread over: item n belongs to tenant n modulo 2."""

_PER_TENANT = {
    b"tenant": tuple(tenant.encode() for tenant in TENANTS),
    b"domain": (b"contoso.example", b"fabrikam.example"),
    b"company": (b"Contoso", b"Fabrikam"),
}
_VARIANTS = 64
_VARIANT_STEP = 37  # odd, so that a variant belongs to one tenant
_VARIANT = re.compile(rb'"\{(?P<count>count)\}"|\{(?P<text>tenant|domain|company)\}')
_TOKEN = re.compile(rb'"\{(?P<number>number)\}"|\{(?P<text>n|guid|hex|date|clock)(?:[:+](?P<argument>[\w.-]+))?\}')

_FIRST_DAY = date(2024, 1, 15)
_FIRST_MINUTE = 8 * 60 + 30
_MINUTES = 24 * 60
_CLOCKS = tuple(b"%02d:%02d:00" % divmod(minute, 60) for minute in range(_MINUTES))
_UNITS = {"": 0, "m": 1, "d": _MINUTES}

type Maker = Callable[[int], bytes]


class Template:
    """The items of one list: JSON text once cut at its varying parts, so that an item is one formatting of bytes.

    Varying parts are written `{kind}` or `{kind:argument}`:

    - `n` the number of the item from 1, two digits at least or as many as the argument says;
    - `guid:label`, `hex:label` an id; the same label gives the same id in every list, so that ids meet;
    - `date`, `clock` a moment one minute after the item before, `+30d` or `+7m` later;
    - `tenant`, `domain`, `company` of the item's tenant;
    - `"{number}"`, `"{count}"`, quotes included: n from 1, and a small number that looks random.

    What need not differ from item to item (tenants and counts) is filled in once for each of 64 variants.
    """

    def __init__(self, name: str, source: bytes, seed: int) -> None:
        self._salt = f"{seed}/{name}/".encode()
        self._seed = seed
        self._makers: dict[bytes, Maker] = {}
        self._variants: dict[int, bytes] = {}
        self._source = _TOKEN.sub(self._cut, source.replace(b"%", b"%%"))

    def render(self, n: int) -> bytes:
        """Return the JSON text of item n: a pure function of the list's name, n and the seed."""
        return self._variant(n * _VARIANT_STEP % _VARIANTS) % {key: make(n) for key, make in self._makers.items()}

    def _cut(self, match: re.Match[bytes]) -> bytes:
        kind, argument = (match["number"] or match["text"]).decode(), (match["argument"] or b"").decode()
        key = f"{kind}:{argument}".encode()
        self._makers.setdefault(key, _maker(kind, argument, self._seed))
        return b"%%(%s)s" % key

    def _variant(self, number: int) -> bytes:
        if number not in self._variants:
            self._variants[number] = self._filled_in(number)
        return self._variants[number]

    def _filled_in(self, number: int) -> bytes:
        counts = iter(blake2b(self._salt + b"%d" % number).digest())

        def part(match: re.Match[bytes]) -> bytes:
            return b"%d" % next(counts) if match["count"] else _PER_TENANT[match["text"]][number % len(TENANTS)]

        return _VARIANT.sub(part, self._source)


def _maker(kind: str, argument: str, seed: int) -> Maker:
    match kind:
        case "n":
            width = int(argument or 2)
            return lambda n: b"%0*d" % (width, n + 1)
        case "guid":
            digits_of = _hexadecimal(f"{seed}/{argument}")
            return lambda n: _dashed(digits_of(n))
        case "hex":
            return _hexadecimal(f"{seed}/{argument}")
        case "date":
            late = _FIRST_MINUTE + _minutes(argument)
            return lambda n: _day((n + late) // _MINUTES)
        case "clock":
            late = _FIRST_MINUTE + _minutes(argument)
            return lambda n: _CLOCKS[(n + late) % _MINUTES]
        case _:
            return lambda n: b"%d" % (n + 1)


def _hexadecimal(label: str) -> Maker:
    """Return a maker of 32 digits that look random; the factor is odd, so that no two of the last 12 are the same."""
    noise = blake2b(label.encode()).digest()
    factor, first = int.from_bytes(noise[:16]) | 1, int.from_bytes(noise[16:32])
    return lambda n: hexlify(((n * factor + first) % (1 << 128)).to_bytes(16))


def _dashed(digits: bytes) -> bytes:
    return b"-".join((digits[:8], digits[8:12], b"5" + digits[13:16], b"8" + digits[17:20], digits[20:]))


@cache
def _day(number: int) -> bytes:
    return (_FIRST_DAY + timedelta(days=number)).isoformat().encode()


def _minutes(offset: str) -> int:
    return int(offset[:-1]) * _UNITS[offset[-1:]] if offset else 0

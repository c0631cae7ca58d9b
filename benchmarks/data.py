"""The items that are measured with: Power Apps with all documented fields, 3 KB each.

The simulated AvePoint gives the fields; ids, times, names and counts are drawn anew for every item, so that gzip finds
no more than in an inventory of a tenant with a few environments: a fifth of a page is left.
"""

import re
from collections.abc import Callable, Iterator
from random import Random
from typing import Final

import msgspec

from sandbox.avepoint import AvePoint

RESOURCE: Final = "enpower-powerapps"
WINDOWED: Final = "aos-audit"
"""A list of half a kilobyte a line, which has neither keys nor a total."""

_WORDS: Final[list[str]] = re.findall(
    r"\w+",
    """
    Absence Approval Asset Audit Budget Case Checklist Claim Client Contract Contoso Customer Dashboard Delivery
    Desk Expense Facility Feedback Field Fleet Incident Inspection Intake Inventory Invoice Kiosk Leave
    Maintenance Manager Meeting Northwind Onboarding Order Outage Parking Payroll Permit Planner Project Purchase
    Quality Receipt Register Report Request Reservation Risk Room Safety Sales Schedule Service Shift Site
    Supplier Survey Team Ticket Tracker Training Travel Vendor Visitor Warehouse Workflow
    """,
)
_GUID: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_DATE: Final = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d")
_OWN_IDS: Final = frozenset({"id", "appId"})

type Make = Callable[[Random], object]


def items(count: int, *, seed: int, resource: str = RESOURCE) -> Iterator[bytes]:
    """Yield the JSON text of so many items; the same for the same seed."""
    random = Random(seed)  # noqa: S311 - data to measure with, no secret
    template: dict[str, object] = msgspec.json.decode(AvePoint().listings[resource].template().render(0))
    make = _object(template)
    for _ in range(count):
        yield msgspec.json.encode(make(random))


def _object(template: dict[str, object]) -> Make:
    makers = {name: _maker(name, value) for name, value in template.items()}
    return lambda random: {name: make(random) for name, make in makers.items()}


def _maker(name: str, value: object) -> Make:
    """How values like this one are made: ids, times, names and counts vary, everything else stays as it is."""
    match value:
        case dict():
            return _object(value)
        case bool():
            return lambda random: random.random() < 0.5  # noqa: PLR2004 - a coin
        case int():
            return lambda random: random.randrange(300)
        case str():
            return _text(name, value)
        case _:
            return lambda _: value


def _text(name: str, value: str) -> Make:
    if _GUID.search(value):
        guid = _guid if name in _OWN_IDS else _known_guid
        return lambda random: _GUID.sub(lambda _: guid(random), value, count=1)
    if _DATE.fullmatch(value):
        return _time
    if "@" in value:
        return lambda random: f"{_word(random)}.{_word(random)}{random.randrange(100)}@contoso.example".lower()
    if value.startswith("Sample"):
        return lambda random: f"{_word(random)} {_word(random)}"
    return lambda _: value


def _word(random: Random) -> str:
    return _WORDS[random.randrange(len(_WORDS))]


def _guid(random: Random) -> str:
    digits = f"{random.getrandbits(128):032x}"
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def _known_guid(random: Random) -> str:
    return _KNOWN[random.randrange(len(_KNOWN))]


def _time(random: Random) -> str:
    minute = random.randrange(24 * 60)
    return (
        f"202{random.randrange(3, 6)}-{random.randrange(1, 13):02d}-{random.randrange(1, 29):02d}"
        f" {minute // 60:02d}:{minute % 60:02d}:{random.randrange(60):02d}"
    )


_KNOWN: Final = [_guid(Random(number)) for number in range(24)]  # noqa: S311 - environments, owners, creators: no secrets

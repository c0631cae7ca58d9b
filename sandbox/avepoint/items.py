import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from hashlib import blake2b
from typing import Protocol

import msgspec

from sandbox.avepoint.numbers import Timeline, cut, guid, number_of

TENANTS = ("b0232ae1-2bea-5075-8d90-650082f72552", "5f0c7d3e-9a41-5b86-8c2d-71e4a9d03b18")
"""The two tenants that all items are spread over: item n belongs to tenant n modulo 2, a child to its parent's."""

_PER_TENANT = {
    b"tenant": tuple(tenant.encode() for tenant in TENANTS),
    b"domain": (b"contoso.example", b"fabrikam.example"),
    b"company": (b"Contoso", b"Fabrikam"),
}
_VARIANTS = 64
_VARIANT_STEP = 37  # odd, so that a variant belongs to one tenant
_VARIANT = re.compile(rb'"\{(?P<count>count)\}"|\{(?P<text>tenant|domain|company)\}')
_OF_PARENT = re.compile(rb'"\{number:(?P<number>\w+)\}"|\{parent:(?P<text>\w+)\}|\{row:(?P<label>[\w.-]+)\}')


@dataclass(frozen=True, slots=True)
class Family:
    """What a child list belongs to: its parent values by parameter, the row of the nearest one, the tenant (0 or 1)."""

    values: tuple[tuple[str, str], ...]
    row: int
    tenant: int


@dataclass(frozen=True, slots=True)
class Origin:
    """Where the items of a list come from; lists of the same origin give the same ids for the same labels."""

    seed: int
    timeline: Timeline
    family: Family | None = None

    @property
    def salt(self) -> str:
        values = self.family.values if self.family else ()
        return "/".join([str(self.seed), *(value for _, value in values)])


class Items(Protocol):
    def render(self, n: int) -> bytes:
        """Return the JSON text of item n."""


class Template:
    """The items of one list: JSON text once cut at its varying parts, so that an item is one formatting of bytes.

    Varying parts are written `{kind}` or `{kind:argument}`:

    - `n` the number of the item from 1, two digits at least or as many as the argument says;
    - `guid:label`, `hex:label` an id; the same label gives the same id in every list of the same parents, so that
      ids meet;
    - `date`, `clock` the moment of the item on the timeline, `+30d` or `+7m` later;
    - `tenant`, `domain`, `company` of the item's tenant;
    - `"{number}"`, `"{count}"`, quotes included: n from 1, and a small number that looks random;
    - `parent:name` the value of a parent, `"{number:name}"`, quotes included, the same as a number; `row:label` the
      `guid:label` that the nearest parent's row would have in a list without parents.

    Several sources take turns. What need not differ from item to item (tenants and counts) is filled in once for each
    of 64 variants.
    """

    def __init__(self, name: str, sources: Sequence[bytes], origin: Origin) -> None:
        self._name = name
        self._origin = origin
        self.sources = [_with_parents(source, origin) for source in sources]
        self._cut = [cut(source, origin.salt, origin.timeline) for source in self.sources]
        self._variants: dict[tuple[int, int], bytes] = {}

    def render(self, n: int) -> bytes:
        """Return the JSON text of item n: a pure function of the list's name, its origin and n."""
        turn = n % len(self._cut)
        makers = self._cut[turn][1]
        return self._variant(turn, n * _VARIANT_STEP % _VARIANTS) % {key: make(n) for key, make in makers.items()}

    def number_of(self, pattern: str, value: str) -> int | None:
        """Return the number of the only item in which the pattern can read `value`, if one can be told."""
        return number_of(pattern, value, self._origin.salt)

    def like(self, pattern: str) -> "Template":
        """Return the template of a text that the items could show beside what they do."""
        return Template(self._name, [msgspec.json.encode(pattern)], self._origin)

    def _variant(self, turn: int, number: int) -> bytes:
        if (turn, number) not in self._variants:
            self._variants[turn, number] = self._filled_in(turn, number)
        return self._variants[turn, number]

    def _filled_in(self, turn: int, number: int) -> bytes:
        counts = iter(blake2b(f"{self._origin.salt}/{self._name}/{number}".encode()).digest())
        family = self._origin.family
        tenant = family.tenant if family else number % len(TENANTS)

        def part(match: re.Match[bytes]) -> bytes:
            return b"%d" % next(counts) if match["count"] else _PER_TENANT[match["text"]][tenant]

        return _VARIANT.sub(part, self._cut[turn][0])


class Joined:
    """The items of several lists, one list after the other, `each` of every list."""

    def __init__(self, lists: Sequence[Items], each: int) -> None:
        self._lists = lists
        self._each = each

    def render(self, n: int) -> bytes:
        which, number = divmod(n, self._each)
        return self._lists[which].render(number)


def _with_parents(source: bytes, origin: Origin) -> bytes:
    return _OF_PARENT.sub(partial(_of_parent, origin.seed, origin.family), source) if origin.family else source


def _of_parent(seed: int, family: Family, match: re.Match[bytes]) -> bytes:
    if match["label"]:
        return guid(family.row, f"{seed}/{match['label'].decode()}")
    value = dict(family.values)[(match["number"] or match["text"]).decode()]
    return value.encode() if match["number"] else msgspec.json.encode(value)[1:-1]

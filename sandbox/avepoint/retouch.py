"""Items that differ from what their template makes of them: jobs that still run, keys in another case, odd items."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import msgspec

from sandbox.avepoint.bodies import recased
from sandbox.avepoint.items import Items
from sandbox.avepoint.settings import KeyCase, Oddity

type Item = dict[str, object]

_ODD: Mapping[str, bytes] = {
    "surrogate": rb'"Expenses \ud83d"',
    "newline": b'"two\nlines"',
    "nan": b"NaN",
    "huge": b"1e999",
    "deep": b"[" * 10_000 + b"]" * 10_000,
}
_WHOLE: Mapping[str, bytes] = {"null": b"null", "text": b'"an item that is no object"'}


class Edit(Protocol):
    """Changes item n; equal edits change alike."""

    def __call__(self, n: int, item: Item, /) -> Item:
        """Return the item as it is to be."""


@dataclass(frozen=True, slots=True)
class Retouched:
    """Items after some edits, one after the other; what is no object stays as it is."""

    items: Items
    edits: tuple[Edit, ...]

    def render(self, n: int) -> bytes:
        item = msgspec.json.decode(self.items.render(n))
        if not isinstance(item, dict):
            return msgspec.json.encode(item)
        for edit in self.edits:
            item = edit(n, item)
        return msgspec.json.encode(item)


@dataclass(frozen=True, slots=True)
class Running:
    """Lets the items from number ``first`` on be jobs that have not ended."""

    first: int
    shown: bytes

    def __call__(self, n: int, item: Item, /) -> Item:
        return item | msgspec.json.decode(self.shown, type=dict[str, object]) if n >= self.first else item


@dataclass(frozen=True, slots=True)
class Recased:
    """Writes the names of the fields in another case."""

    case: KeyCase

    def __call__(self, _: int, item: Item, /) -> Item:
        return {recased(name, self.case): value for name, value in item.items()}


@dataclass(frozen=True, slots=True)
class Odd:
    """Items some of which are no clean JSON, or not what a list should hold: by number."""

    items: Items
    oddities: tuple[tuple[int, Oddity], ...]

    def render(self, n: int) -> bytes:
        oddity = dict(self.oddities).get(n)
        if oddity is None:
            return self.items.render(n)
        if oddity in _WHOLE:
            return _WHOLE[oddity]
        item = self.items.render(n)
        return item[:-1] + b',"odd":' + _ODD[oddity] + b"}" if item.endswith(b"}") else _ODD[oddity]

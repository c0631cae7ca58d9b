"""Answers filled in from the templates of the catalogue."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import msgspec
from isal import igzip

from sandbox.avepoint.items import Items
from sandbox.avepoint.settings import KeyCase

_FASTEST = 1

_CASES: Mapping[KeyCase, Callable[[str], str]] = {
    "documented": str,
    "lower": str.lower,
    "upper": str.upper,
    "camel": lambda key: key[:1].lower() + key[1:],
    "pascal": lambda key: key[:1].upper() + key[1:],
}


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a list: its items with what stands before and after them."""

    items: Items
    numbers: Sequence[int]
    before: bytes
    after: bytes

    def render(self) -> bytes:
        """Return the JSON text, item by item the very bytes of `Items.render`."""
        return b"".join((self.before, b",".join(map(self.items.render, self.numbers)), self.after))


@lru_cache(maxsize=128)
def compressed(page: Page) -> bytes:
    """Return the page as gzip; harvests repeat the same pages, so the last ones are kept."""
    return igzip.compress(page.render(), _FASTEST)


def around(body: object, marks: Mapping[str, object]) -> tuple[bytes, bytes]:
    """Return the JSON text of a body before and after its `$items` (or `$item`), with the other markers replaced."""
    before, _, after = msgspec.json.encode(fill(body, marks)).replace(b'"$items"', b'["$item"]').partition(b'"$item"')
    return before, after


def fill(template: object, marks: Mapping[str, object]) -> object:
    """Return the template with its markers replaced; a key whose marker stands for `...` is left out."""
    match template:
        case dict():
            filled = {key: fill(value, marks) for key, value in template.items()}
            return {key: value for key, value in filled.items() if value is not ...}
        case list():
            return [fill(value, marks) for value in template]
        case str():
            return marks.get(template, template)
        case _:
            return template


def rekeyed(body: object, names: Mapping[str, str], case: KeyCase) -> object:
    """Return the body with its keys renamed at every depth, then written in another case."""
    match body:
        case dict():
            return {_CASES[case](names.get(key, key)): rekeyed(value, names, case) for key, value in body.items()}
        case list():
            return [rekeyed(value, names, case) for value in body]
        case _:
            return body

"""Answers filled in from the templates of the catalogue."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import EllipsisType

import msgspec
from isal import igzip

from sandbox.avepoint.catalog import Listing

_FASTEST = 1


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a list before it is written out. `next_link` is `...` where the key itself is to be missing."""

    listing: Listing
    indices: range
    total: int
    next_link: str | EllipsisType | None
    number: int
    size: int

    def render(self) -> bytes:
        """Return the JSON text, item by item the very bytes of `Template.render`."""
        marks = {"$total": self.total, "$next": self.next_link, "$page": self.number, "$size": self.size}
        envelope = msgspec.json.encode(fill(self.listing.resource.body, marks))
        before, _, after = envelope.replace(b'"$items"', b'["$item"]').partition(b'"$item"')
        return b"".join((before, b",".join(map(self.listing.template.render, self.indices)), after))


@lru_cache(maxsize=128)
def compressed(page: Page) -> bytes:
    """Return the page as gzip; harvests repeat the same pages, so the last ones are kept."""
    return igzip.compress(page.render(), _FASTEST)


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

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain

import msgspec

from sandbox.avepoint.items import Template
from sandbox.avepoint.numbers import leads_back


class Column:
    """A field of a list's items, read forwards (what item n shows) and backwards (which item shows a value).

    `field` is a dotted path, with `[]` behind a list; or a pattern in braces for what the items could show and do not.
    """

    def __init__(self, template: Template, field: str) -> None:
        self._template = template.like(field) if field.startswith("{") else template
        self._path = [] if field.startswith("{") else field.removesuffix("[]").split(".")

    def values(self, n: int) -> list[str]:
        return list(map(str, _walk(msgspec.json.decode(self._template.render(n)), self._path)))

    def candidates(self, value: str, numbers: Sequence[int]) -> Iterable[int]:
        """Return the numbers among which are those of the items that show the value: few where they can be told."""
        patterns = list(self._patterns())
        told = [self._template.number_of(pattern, value) for pattern in patterns]
        if not any(map(leads_back, patterns)):
            return numbers
        return [n for n in told if n is not None and n in numbers]

    def _patterns(self) -> Iterator[str]:
        for source in self._template.sources:
            yield from map(str, _walk(msgspec.json.decode(source), self._path))


def _walk(value: object, path: Sequence[str]) -> Iterator[object]:
    match value:
        case list():
            yield from chain.from_iterable(_walk(entry, path) for entry in value)
        case dict() if path:
            yield from _walk(value.get(path[0].removesuffix("[]")), path[1:])
        case None:
            return
        case _:
            yield value

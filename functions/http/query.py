"""The query of a request as it was sent: the host drops empty values and merges names that differ in case."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import unquote_plus, urlsplit

import azure.functions as func

from shared.closest import closest_hint
from shared.errors import InvalidInput

MAX_QUERY_BYTES = 3_000

_OF_THE_HOST = frozenset({"code", "clientId"})
"""Where a caller may put the function key, and the name of it: the host's own parameters."""


@dataclass(frozen=True, slots=True)
class Query:
    """The parameters of a query by name, still encoded; one without a value is absent, and only named."""

    encoded: Mapping[str, str]
    empty: frozenset[str] = frozenset()

    @classmethod
    def of(cls, req: func.HttpRequest, known: Collection[str]) -> "Query":
        """Return the query of a request.

        Raises:
            InvalidInput: It has a name that is not known, or one twice.
        """
        encoded: dict[str, str] = {}
        for pair in filter(None, urlsplit(req.url).query.split("&")):
            name, _, value = pair.partition("=")
            _add(encoded, _decoded(name, name), value, known)
        empty = frozenset(name for name, value in encoded.items() if not value)
        return cls({name: value for name, value in encoded.items() if value}, empty)

    def text(self, name: str) -> str | None:
        """Return a value, or ``None`` where there is none.

        Raises:
            InvalidInput: It is not UTF-8.
        """
        value = self.encoded.get(name)
        return None if value is None else _decoded(name, value)

    def bytes(self, name: str) -> int:
        """Return how long a value is as it stands in the URL."""
        return len(self.encoded.get(name, "").encode())

    def number(self, name: str, *, default: int, least: int, most: int) -> int:
        """Return a whole number from ``least`` to ``most``.

        Raises:
            InvalidInput: It is not one.
        """
        value = self.text(name) or str(default)
        if not (
            value.isascii() and value.isdecimal() and len(value) < len(str(most)) + 3 and least <= int(value) <= most
        ):
            raise InvalidInput(f"{name} is a whole number from {least} to {most}, not {value[:50]!r}", target=name)
        return int(value)

    def choice[T: str](self, name: str, choices: Sequence[T]) -> T | None:
        """Return one of a few words, or ``None`` where there is none.

        Raises:
            InvalidInput: It is another one.
        """
        value = self.text(name)
        chosen = next((choice for choice in choices if choice == value), None)
        if value is not None and chosen is None:
            raise InvalidInput(f"{name} is one of {', '.join(choices)}, not {value[:50]!r}", target=name)
        return chosen

    def check_size(self) -> None:
        """Make sure that links to the rest of a list do not become too long.

        Raises:
            InvalidInput: The query has more than 3,000 bytes; the target is its longest parameter.
        """
        size = sum(len(name.encode()) + 1 + self.bytes(name) for name in self.encoded) + len(self.encoded) - 1
        if size > MAX_QUERY_BYTES:
            longest = max(self.encoded, key=self.bytes)
            message = f"the query has {size:,} bytes, of which {longest} takes {self.bytes(longest):,}"
            raise InvalidInput(message, target=longest, remedy=f"It may have {MAX_QUERY_BYTES:,}.")


def _add(encoded: dict[str, str], name: str, value: str, known: Collection[str]) -> None:
    if name in _OF_THE_HOST:
        return
    if name not in known:
        message = f"there is no query parameter {name[:100]!r}{closest_hint(name, known)}"
        raise InvalidInput(message, target=name[:100])
    if name in encoded:
        raise InvalidInput(f"{name} appears twice in the query", target=name)
    encoded[name] = value


def _decoded(name: str, value: str) -> str:
    try:
        return unquote_plus(value, errors="strict")
    except UnicodeDecodeError:
        raise InvalidInput(f"{name[:100]} is not UTF-8", target=name[:100]) from None

"""Route templates of HTTP triggers and how a request finds its function, as the host does it. Pure.

The first route that fits wins, in alphabetical order of the names of the functions; a literal has no precedence.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from itertools import combinations
from typing import Final

from sandbox.host.errors import StartError

PARAMETER: Final = re.compile(r"\{(?P<rest>\*{0,2})(?P<name>\w+)(?::(?P<constraint>guid))?(?P<optional>\?)?\}")
_HYPHENS: Final = "-".join(f"[0-9A-Fa-f]{{{digits}}}" for digits in (8, 4, 4, 4, 12))
# What .NET's Guid.TryParse takes, but for its form of hexadecimal numbers in braces.
GUID: Final = re.compile(rf"[0-9A-Fa-f]{{32}}|{_HYPHENS}|\{{{_HYPHENS}\}}|\({_HYPHENS}\)")


class Kind(Enum):
    """What a segment of a template is."""

    LITERAL = auto()
    PARAMETER = auto()
    GUID = auto()
    REST = auto()


@dataclass(frozen=True, slots=True)
class Segment:
    """One part of a template between slashes: a literal in lower case, or the name of a parameter."""

    kind: Kind
    text: str
    optional: bool = False

    def takes(self, part: str) -> bool:
        """Return whether this part of a path fits."""
        if self.kind is Kind.LITERAL:
            return part.isascii() and part.lower() == self.text
        return self.kind is Kind.PARAMETER or _is_guid(part)


@dataclass(frozen=True, slots=True)
class Route:
    """The route of one function; no methods means all."""

    function: str
    template: str
    segments: tuple[Segment, ...]
    methods: frozenset[str]

    @property
    def shape(self) -> tuple[str | Kind, ...]:
        """What two routes share when no path can tell them apart."""
        return tuple(part.text if part.kind is Kind.LITERAL else part.kind for part in self.segments)

    def takes(self, method: str) -> bool:
        return not self.methods or method.upper() in self.methods

    def match(self, parts: Sequence[str]) -> dict[str, str] | None:
        """Return the values of the parameters when this path, split, fits."""
        end = len(parts) - (parts[-1] == "")  # one slash at the end is none
        values: dict[str, str] = {}
        for position, segment in enumerate(self.segments):
            if position == end:
                return values if segment.optional or segment.kind is Kind.REST else None
            if parts[position] == "":
                return None
            if segment.kind is Kind.REST:
                return values | {segment.text: "/".join(parts[position:])}
            if not segment.takes(parts[position]):
                return None
            if segment.kind is not Kind.LITERAL:
                values[segment.text] = parts[position]
        return values if end == len(self.segments) else None


@dataclass(frozen=True, slots=True)
class Found:
    """The function that a request is for, and its route parameters."""

    function: str
    parameters: Mapping[str, str]


class Router:
    """Finds the function for a method and a path.

    Raises:
        StartError: two functions have one route, where Azure would never call the second.
    """

    def __init__(self, routes: Iterable[Route]) -> None:
        self._routes = sorted(routes, key=lambda route: route.function)
        for one, other in combinations(self._routes, 2):
            if one.shape == other.shape and (not one.methods or not other.methods or one.methods & other.methods):
                raise StartError(f"functions {one.function} and {other.function} share the route {other.template}")

    def find(self, method: str, path: str) -> Found | None:
        """Return the function for this request; the path is decoded and without dots."""
        parts = path.removeprefix("/").split("/")
        for route in self._routes:
            if route.takes(method) and (parameters := route.match(parts)) is not None:
                return Found(route.function, parameters)
        return None


def parse(function: str, template: str, methods: Iterable[str], prefix: str = "") -> Route:
    """Read a route template.

    Raises:
        StartError: a segment mixes text and parameters, is no parameter, or has a constraint other than ``guid``.
    """
    whole = f"{prefix}/{template}".strip("/")
    segments = tuple(_segment(function, part) for part in whole.split("/") if part)
    return Route(function, whole, segments, frozenset(method.upper() for method in methods))


def _segment(function: str, text: str) -> Segment:
    if not set("{}") & set(text):
        return Segment(Kind.LITERAL, text.lower())
    parameter = PARAMETER.fullmatch(text)
    if parameter is None:
        raise StartError(f"function {function}: route segment {text!r} is not supported")
    kind = Kind.REST if parameter["rest"] else Kind.GUID if parameter["constraint"] else Kind.PARAMETER
    return Segment(kind, parameter["name"], optional=bool(parameter["optional"]))


def _is_guid(text: str) -> bool:
    return GUID.fullmatch(text.strip()) is not None

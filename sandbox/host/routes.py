"""Route templates of HTTP triggers and how a request finds its function, as ASP.NET does it for Azure. Pure."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from itertools import combinations
from typing import Final
from urllib.parse import unquote

from sandbox.host.errors import StartError

PARAMETER: Final = re.compile(r"\{(?P<rest>\*{0,2})(?P<name>\w+)(?::[^{}]+?)?(?P<optional>\?)?\}")
ENCODED_SLASH: Final = re.compile("%2f", re.IGNORECASE)


class Kind(IntEnum):
    """What a segment of a template is; the lower value wins where several templates fit."""

    LITERAL = 0
    PARAMETER = 1
    REST = 2


@dataclass(frozen=True, slots=True)
class Segment:
    """One part of a template between slashes: a literal in lower case, or the name of a parameter."""

    kind: Kind
    text: str
    optional: bool = False


@dataclass(frozen=True, slots=True)
class Route:
    """The route of one function; no methods means all."""

    function: str
    template: str
    segments: tuple[Segment, ...]
    methods: frozenset[str]

    @property
    def precedence(self) -> tuple[Kind, ...]:
        return tuple(segment.kind for segment in self.segments)

    @property
    def shape(self) -> tuple[tuple[Kind, str], ...]:
        """What two routes share when no path can tell them apart."""
        return tuple((part.kind, part.text if part.kind is Kind.LITERAL else "") for part in self.segments)

    def takes(self, method: str) -> bool:
        return not self.methods or method in self.methods

    def match(self, path: Sequence[str]) -> dict[str, str] | None:
        """The values of the parameters when this path, split and decoded, fits."""
        values: dict[str, str] = {}
        for position, segment in enumerate(self.segments):
            if segment.kind is Kind.REST:
                return values | {segment.text: "/".join(path[position:])}
            if position == len(path):
                return values if segment.optional else None
            if segment.kind is Kind.PARAMETER:
                values[segment.text] = path[position]
            elif segment.text != path[position].lower():
                return None
        return values if len(path) <= len(self.segments) else None


@dataclass(frozen=True, slots=True)
class Found:
    """The function that a request is for, and its route parameters."""

    function: str
    parameters: Mapping[str, str]


class Router:
    """Finds the function for a method and a path.

    Raises:
        StartError: two functions answer the same method on the same route.
    """

    def __init__(self, routes: Iterable[Route]) -> None:
        self._routes = sorted(routes, key=lambda route: route.precedence)
        for one, other in combinations(self._routes, 2):
            if one.shape == other.shape and (not one.methods or not other.methods or one.methods & other.methods):
                raise StartError(f"functions {one.function} and {other.function} share the route {other.template}")

    def find(self, method: str, raw_path: str) -> Found | None:
        """The function for this request; the path is the one on the wire, percent-encoded, without the query."""
        path = split(raw_path)
        for route in self._routes:
            if route.takes(method) and (parameters := route.match(path)) is not None:
                return Found(route.function, parameters)
        return None


def parse(function: str, template: str, methods: Iterable[str], prefix: str = "") -> Route:
    """Read a route template; constraints such as ``{id:guid}`` are left to the function.

    Raises:
        StartError: a segment mixes text and parameters, or is no parameter.
    """
    whole = f"{prefix}/{template}".strip("/")
    segments = tuple(_segment(function, part) for part in whole.split("/") if part)
    return Route(function, whole, segments, frozenset(method.upper() for method in methods))


def split(raw_path: str) -> list[str]:
    """The decoded segments of a path; an encoded slash stays encoded, as in ASP.NET, and a trailing one is dropped."""
    parts = raw_path.strip("/").split("/") if raw_path.strip("/") else []
    return [unquote(ENCODED_SLASH.sub("%252F", part)) for part in parts]


def _segment(function: str, text: str) -> Segment:
    if not set("{}") & set(text):
        return Segment(Kind.LITERAL, text.lower())
    parameter = PARAMETER.fullmatch(text)
    if parameter is None:
        raise StartError(f"function {function}: route segment {text!r} is not supported")
    kind = Kind.REST if parameter["rest"] else Kind.PARAMETER
    return Segment(kind, parameter["name"], optional=bool(parameter["optional"]))

"""No two routes claim one path: the host would give it to the function whose name comes first in the alphabet."""

from itertools import combinations

from functions.http.auth import ROLES
from functions.http.queries import QUERIES
from tools.connector.routes import Route, routes

ROUTES = list(routes())


def overlap(one: Route, other: Route) -> bool:
    """Whether some path fits both templates."""
    segments = one.path.split("/"), other.path.split("/")
    return len(segments[0]) == len(segments[1]) and all(
        a == b or a.startswith("{") or b.startswith("{") for a, b in zip(*segments, strict=True)
    )


def test_each_path_belongs_to_one_function() -> None:
    both = [(a.function, b.function) for a, b in combinations(ROUTES, 2) if a.method == b.method and overlap(a, b)]
    assert both == []


def test_every_function_has_its_roles_and_its_names() -> None:
    assert {route.function for route in ROUTES} <= ROLES.keys()
    assert ROLES.keys() == QUERIES.keys()

"""The page about access says what the code does: each route with its roles, each caller with its functions."""

import json
import re

from functions.http.auth import ROLES, Role
from sandbox.processes import ROOT

PAGE = (ROOT / "docs" / "access.md").read_text()
OPENAPI = json.loads((ROOT / "docs" / "openapi.json").read_text())
OF_ALL = "get_openapi"


def rows(title: str) -> list[list[list[str]]]:
    """What is named in each cell of the table below a title."""
    section = PAGE.partition(f"## {title}\n")[2].partition("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("| ")][1:]
    return [[re.findall(r"`([^`]+)`", cell) for cell in line.split("|")[1:-1]] for line in lines]


def test_every_route_stands_with_its_roles() -> None:
    told = {names[0]: (routes[0], roles) for names, routes, roles in rows("Routes")}
    assert {name: set(roles) for name, (_, roles) in told.items()} == {
        name: set(roles or ()) for name, roles in ROLES.items()
    }
    described = {f"{method.upper()} /api{path}" for path, methods in OPENAPI["paths"].items() for method in methods} | {
        "GET /api/status",
        "GET /api/status/{file}",
    }
    assert {route for route, _ in told.values()} == described - {"HEAD /api/health"}


def test_every_caller_gets_what_its_role_gives_and_no_more() -> None:
    of_role: dict[str, set[str]] = {role: set() for role in Role}
    for _, functions, roles in rows("Callers"):
        for role in roles:
            of_role[role] |= set(functions)
    for role, told in of_role.items():
        admitting = {name for name, wanted in ROLES.items() if wanted and role in wanted}
        assert {*told, OF_ALL} == {*admitting, OF_ALL}, role


def test_the_commands_give_the_keys_of_a_caller() -> None:
    submitting = next(functions for _, functions, roles in rows("Callers") if roles == [Role.SUBMIT])
    loops = re.findall(r"for function in ([a-z_ ]+); do", PAGE)
    assert [loop.split() for loop in loops] == [submitting, submitting]

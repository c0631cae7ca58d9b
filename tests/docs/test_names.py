"""What the pages name exists: routes, make targets, commands, datasets, and the files they link to."""

import re
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import pytest

import function_app
from sandbox.processes import ROOT
from tests.docs.fences import PAGES
from tools.commands.listing import COMMANDS

ROUTE = re.compile(r"\b(GET|POST) /api/([\w{}/…-]+(?:\.json)?)")
LINK = re.compile(r"\]\((?!https?://|#)([^)#]+)[^)]*\)")


def name(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


@cache
def routes() -> tuple[tuple[str, str], ...]:
    """The method and the path of every route."""
    triggers = [trigger.get_dict_repr() for one in function_app.app.get_functions() if (trigger := one.get_trigger())]
    http = [trigger for trigger in triggers if trigger["type"] == "httpTrigger"]
    return tuple((str(method), str(trigger["route"])) for trigger in http for method in trigger["methods"])


def exists(method: str, written: str) -> bool:
    """Whether there is such a route: a parameter may have a value, and ``…`` stands for the rest."""
    beginning, left_out, _ = written.partition("…")
    if left_out:
        return any(known == method and route.startswith(beginning) for known, route in routes())
    return any(
        known == method and re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", route), written) for known, route in routes()
    )


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_routes_exist(page: Path) -> None:
    still_to_come = re.compile(r"^ *```diff .*?^ *```$", re.MULTILINE | re.DOTALL)
    written = ROUTE.findall(still_to_come.sub("", page.read_text()))
    assert [f"{method} {route}" for method, route in written if not exists(method, route)] == []


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_lead_somewhere(page: Path) -> None:
    assert [link for link in LINK.findall(page.read_text()) if not (page.parent / link).exists()] == []


@cache
def anchors(page: Path) -> set[str]:
    """What a page may be entered by: its headings, as GitHub names them."""
    prose = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    headings = re.findall(r"^#+ (.+)$", prose, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_into_a_page_lead_to_a_heading(page: Path) -> None:
    links = re.findall(r"\]\((?!https?://)([^)#]*)#([^)]+)\)", page.read_text())
    there = [(target, anchor, (page.parent / target) if target else page) for target, anchor in links]
    assert [f"{target}#{anchor}" for target, anchor, file in there if anchor not in anchors(file.resolve())] == []


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_commands_exist(page: Path) -> None:
    text = page.read_text()
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"(?:^|`)make ([a-z-]+)", text, re.MULTILINE)) <= targets
    modules = re.findall(r"python -m ([a-z_.]+[a-z])", text)
    assert [module for module in modules if find_spec(module) is None] == []
    assert set(re.findall(r"\./avepoint ([a-z]+)", text)) <= COMMANDS.keys()


def test_every_page_is_reached_from_the_first() -> None:
    reached, new = set[Path](), {ROOT / "README.md"}
    while new:
        reached |= new
        linked = {(page.parent / link).resolve() for page in new for link in LINK.findall(page.read_text())}
        new = {page for page in linked if page.suffix == ".md"} - reached
    assert [name(page) for page in PAGES if page not in reached] == []

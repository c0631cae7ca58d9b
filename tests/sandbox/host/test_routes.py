from collections.abc import Mapping
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.host.errors import StartError
from sandbox.host.routes import Found, Router, parse, split

names = st.text("abcdefgh", min_size=1, max_size=4)
values = st.text(min_size=1).filter(lambda text: "/" not in text and "%2f" not in text.lower())


def router(*templates: str) -> Router:
    """A router whose functions are named like their templates."""
    return Router(parse(template, template, ["GET"]) for template in templates)


@pytest.mark.parametrize(
    ("path", "function", "parameters"),
    [
        ("/runs", "runs/{id?}", {}),
        ("/runs/7", "runs/{id?}", {"id": "7"}),
        ("/runs/latest", "runs/latest", {}),
        ("/runs/7/resume", "runs/{id:guid}/resume", {"id": "7"}),
        ("/files", "files/{*path}", {"path": ""}),
        ("/files/a/b%20c", "files/{*path}", {"path": "a/b c"}),
        ("/files/index", "files/index", {}),
    ],
)
def test_the_most_literal_template_wins(path: str, function: str, parameters: Mapping[str, str]) -> None:
    routes = router("files/{*path}", "runs/{id?}", "runs/latest", "runs/{id:guid}/resume", "files/index")
    assert routes.find("GET", path) == Found(function, parameters)


@pytest.mark.parametrize("path", ["/", "/run", "/runs/7/resume/now", "//runs"])
def test_what_fits_no_template_finds_nothing(path: str) -> None:
    assert router("runs", "runs/{id}/resume", "other").find("GET", path.replace("//", "/x/")) is None


@pytest.mark.parametrize("literal", ["a", "z"])
def test_the_order_of_the_functions_does_not_matter(literal: str) -> None:
    routes = Router([parse("m", "x/{id}", ["GET"]), parse(literal, "x/y", ["GET"])])
    assert routes.find("GET", "/x/y") == Found(literal, {})


def test_a_template_of_another_method_is_passed_over() -> None:
    routes = Router([parse("literal", "a/b", ["POST"]), parse("parameter", "a/{x}", ["GET"])])
    assert routes.find("GET", "/a/b") == Found("parameter", {"x": "b"})
    assert routes.find("PUT", "/a/b") is None


def test_a_template_without_methods_takes_all() -> None:
    assert Router([parse("any", "a", [], "api")]).find("PURGE", "/api/a") == Found("any", {})


@pytest.mark.parametrize("methods", [["GET"], []])
def test_two_functions_on_one_route_are_refused(methods: list[str]) -> None:
    with pytest.raises(StartError, match=r"one and other"):
        Router([parse("one", "a/{x}", ["get", "post"]), parse("other", "A/{y}", methods)])


@pytest.mark.parametrize("template", ["things/{id}.json", "{id", "{}", "a/{b}{c}"])
def test_a_segment_that_mixes_text_and_parameters_is_refused(template: str) -> None:
    with pytest.raises(StartError, match=r"function mixed: route segment"):
        parse("mixed", template, [])


@given(st.lists(st.tuples(names, values), min_size=1, max_size=4, unique_by=lambda pair: pair[0]))
def test_every_value_comes_back_decoded(pairs: list[tuple[str, str]]) -> None:
    template = "/".join(f"{name}/{{{name}}}" for name, _ in pairs)
    path = "/".join(f"{name}/{quote(value, safe='')}" for name, value in pairs)
    assert router(template).find("GET", f"/{path}") == Found(template, dict(pairs))


@given(st.lists(names, min_size=1, max_size=4))
def test_a_literal_path_finds_itself_whatever_parameters_there_are(parts: list[str]) -> None:
    literal = "/".join(parts)
    parameters = "/".join(f"{{p{number}}}" for number in range(len(parts)))
    found = router(parameters, literal, "{*rest}").find("GET", f"/{literal.upper()}")
    assert found == Found(literal, {})


def test_an_encoded_slash_stays_in_its_segment() -> None:
    assert split("/a%2Fb/c%2fd/") == ["a%2Fb", "c%2Fd"]

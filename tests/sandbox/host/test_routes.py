from collections.abc import Mapping
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.host.errors import StartError
from sandbox.host.http.routes import Found, Router, parse
from sandbox.host.http.urls import encoded_url, query_values, resolve_path

names = st.text("abcdefgh", min_size=1, max_size=4)
values = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0/"), min_size=1).filter(
    lambda text: text not in {".", ".."} and "%2f" not in text.lower()
)


def router(**templates: str) -> Router:
    """A router of functions for GET, by name."""
    return Router(parse(name, template, ["GET"]) for name, template in templates.items())


@pytest.mark.parametrize(
    ("path", "function", "parameters"),
    [
        ("/runs", "b", {}),
        ("/runs/7", "b", {"id": "7"}),
        ("/runs/latest", "b", {"id": "latest"}),
        ("/runs/7/resume", "a", {"id": "7"}),
        ("/files", "d", {}),
        ("/files/a/b c/", "d", {"path": "a/b c/"}),
        ("/files/a//b", "d", {"path": "a//b"}),
        ("/files/index", "c", {}),
    ],
)
def test_the_first_in_the_alphabet_that_fits_wins(path: str, function: str, parameters: Mapping[str, str]) -> None:
    routes = router(z="runs/latest", b="runs/{id?}", d="files/{*path}", a="runs/{id}/resume", c="files/index")
    assert routes.find("GET", path) == Found(function, parameters)


@pytest.mark.parametrize("path", ["/", "/run", "/runs/7/resume/now", "//runs", "/runs//", "/runs//resume", ""])
def test_what_fits_no_template_finds_nothing(path: str) -> None:
    assert router(a="runs", b="runs/{id}/resume", c="other").find("GET", path) is None


def test_a_guid_is_held_against_its_constraint() -> None:
    routes = router(a="runs/{id:guid}")
    assert routes.find("GET", "/runs/7") is None
    assert routes.find("GET", "/runs/3f2504e0-4f89-11d3-9a0c-0305e82c3301")


def test_a_template_of_another_method_is_passed_over() -> None:
    routes = Router([parse("a", "a/b", ["POST"]), parse("b", "a/{x}", ["GET"])])
    assert routes.find("GET", "/a/b") == Found("b", {"x": "b"})
    assert routes.find("PUT", "/a/b") is None


def test_a_template_without_methods_takes_all() -> None:
    assert Router([parse("any", "a", [], "api")]).find("PURGE", "/api/a") == Found("any", {})


@pytest.mark.parametrize("methods", [["GET"], []])
def test_two_functions_on_one_route_are_refused(methods: list[str]) -> None:
    with pytest.raises(StartError, match=r"one and other"):
        Router([parse("one", "a/{x}", ["get", "post"]), parse("other", "A/{y}", methods)])


@pytest.mark.parametrize("template", ["things/{id}.json", "{id", "{}", "a/{b}{c}", "{id:int}"])
def test_a_segment_that_is_not_supported_is_refused(template: str) -> None:
    with pytest.raises(StartError, match=r"function mixed: route segment"):
        parse("mixed", template, [])


GUID = "3f2504e0-4f89-11d3-9a0c-0305e82c3301"


@pytest.mark.parametrize(
    ("value", "fits"),
    [
        *((text, True) for text in (GUID, GUID.upper(), GUID.replace("-", ""), f"{{{GUID}}}", f"({GUID})", f" {GUID}")),
        *((text, False) for text in (f"urn:uuid:{GUID}", GUID.replace("-", "", 1), f"{{{GUID})", f"{GUID}0", "abc")),
    ],
)
def test_a_guid_is_what_dotnet_takes_for_one(value: str, *, fits: bool) -> None:
    assert (router(a="things/{id:guid}").find("GET", f"/things/{value}") is not None) == fits


@given(st.lists(st.tuples(names, values), min_size=1, max_size=4, unique_by=lambda pair: pair[0]))
def test_every_value_comes_back_decoded(pairs: list[tuple[str, str]]) -> None:
    template = "/".join(f"{name}/{{{name}}}" for name, _ in pairs)
    path = "/".join(f"{name}/{quote(value, safe='')}" for name, value in pairs)
    assert router(a=template).find("GET", resolve_path(f"/{path}")) == Found("a", dict(pairs))


@given(st.text("./%2eEfF0a", max_size=12))
def test_a_resolved_path_has_no_dots_left_to_resolve(text: str) -> None:
    path = resolve_path(f"/{text.replace('%00', '')}")
    assert path.startswith("/")
    assert not {".", ".."} & set(path.split("/"))


@pytest.mark.parametrize("escapes", ["%ff%fe", "%C1%81", "%E4", "%ED%A0%80", "%F4%90%80%80", "%E4%BD", "%2f", "%2F"])
def test_escapes_that_are_not_utf_8_or_a_slash_stay_as_they_are(escapes: str) -> None:
    assert resolve_path(f"/a{escapes}%C3%A4") == f"/a{escapes}ä"


@given(st.text(max_size=20), st.text(max_size=20))
def test_a_form_value_comes_back_under_the_last_spelling_of_its_name(first: str, second: str) -> None:
    query = f"name={quote(first)}&other=&NAME={quote(second)}"
    joined = ",".join(value for value in (first, second) if value)
    assert query_values(query) == ({"NAME": joined} if joined else {})


def test_the_url_is_put_together_again_from_what_was_resolved() -> None:
    assert encoded_url("http://h", "/a b/%25/ü", "x=#") == "http://h/a%20b/%25/%C3%BC?x=%23"

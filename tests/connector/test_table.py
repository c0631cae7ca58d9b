"""The words fit the app: nothing is left unsaid, and nothing is said of what is not there."""

import ast
from collections.abc import Iterator

import pytest

from sandbox.connector.actions import ACTIONS, PATH
from sandbox.connector.definitions import DEFINITIONS
from sandbox.connector.routes import routes
from sandbox.connector.schemas import WORDS, body, either, title
from sandbox.processes import ROOT
from shared.opus.inputs import DestroyInput
from tests.connector.reading import PROPERTIES_SHOWN

READERS = frozenset({"flag", "number"})


def query_parameters_read() -> Iterator[str]:
    """The names of the query parameters that the functions read."""
    for path in (ROOT / "functions").glob("*.py"):
        yield from filter(None, map(_read, ast.walk(ast.parse(path.read_text()))))


def _read(node: ast.AST) -> str | None:
    match node:
        case ast.Call(func=ast.Name(id=reader), args=[_, ast.Constant(value=str(name)), *_]) if reader in READERS:
            return name
        case ast.Call(func=ast.Attribute(value=ast.Attribute(attr="params")), args=[ast.Constant(value=str(name)), *_]):
            return name
        case ast.Subscript(value=ast.Attribute(attr="params"), slice=ast.Constant(value=str(name))):
            return name
        case _:
            return None


def test_every_function_has_its_words() -> None:
    assert {route.function for route in routes()} == ACTIONS.keys()


def test_every_query_parameter_has_its_words() -> None:
    assert set(query_parameters_read()) == {one.name for action in ACTIONS.values() for one in action.query}


def test_every_parameter_of_a_path_is_in_a_path() -> None:
    paths = " ".join(route.path for route in routes())
    assert [name for name in PATH if f"{{{name}}}" not in paths] == []


def test_no_words_are_left_over() -> None:
    said = {description for words in WORDS.values() for description in words.values()}
    assert said <= {schema["description"] for schema in PROPERTIES_SHOWN.values()}


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("opusConnectionId", "Opus Connection ID"),
        ("ids", "IDs"),
        ("sha256", "SHA-256"),
        ("leastRequests", "Least Requests"),
    ],
)
def test_a_name_becomes_a_title(name: str, shown: str) -> None:
    assert title(name) == shown


def test_what_must_be_given_is_important_and_the_rest_is_advanced() -> None:
    shown = {name: schema["x-ms-visibility"] for name, schema in body(DestroyInput)["properties"].items()}
    assert shown == {"ids": "important", "opusConnectionId": "advanced", "before": "advanced"}


def test_what_may_be_null_is_marked() -> None:
    assert DEFINITIONS["Dataset"]["properties"]["ageSeconds"]["x-nullable"] is True
    assert "x-nullable" not in DEFINITIONS["Dataset"]["properties"]["name"]


def test_of_two_answers_only_what_both_have_is_required() -> None:
    text, texts = {"type": "string"}, {"type": "array", "items": {"type": "string"}}
    one = {"type": "object", "required": ["a", "b"], "properties": {"a": text, "b": texts}}
    other = {"type": "object", "required": ["b", "c"], "properties": {"b": texts, "c": text}}
    both = either(one, other)
    assert both["required"] == ["b"]
    assert both["properties"].keys() == {"a", "b", "c"}

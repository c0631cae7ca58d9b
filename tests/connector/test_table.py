"""The words fit the app: nothing is left unsaid, and nothing is said of what is not there."""

import pytest

from functions.http.queries import QUERIES
from shared.opus.intake.inputs import DestroyInput
from tests.connector.reading import PROPERTIES_SHOWN
from tools.connector.actions import ACTIONS, OF_PROGRAMS, PATH
from tools.connector.definitions import DEFINITIONS
from tools.connector.routes import routes
from tools.connector.schemas import WORDS, body, either, title


def test_every_function_has_its_words() -> None:
    assert {route.function for route in routes()} == {*ACTIONS, *OF_PROGRAMS}


@pytest.mark.parametrize("function", ACTIONS)
def test_every_query_parameter_has_its_words(function: str) -> None:
    known = {parameter.name for parameter in QUERIES[function] or ()}
    assert {one.name for one in ACTIONS[function].query} == known


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

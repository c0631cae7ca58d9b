"""What is served against `documented.json`: for each call the keys of its answer and the fields of its items."""

import json
from typing import cast

import pytest

from sandbox.avepoint.catalog import load

from .conftest import Service
from .documented import DOCUMENTED
from .walking import NO_PARENTS, question

_TYPES = {str: "string", bool: "boolean", int: "number", float: "number", dict: "object", list: "array"}
LISTINGS = load(0)


def test_all_resources_are_documented() -> None:
    assert LISTINGS.keys() == DOCUMENTED.keys()


@pytest.mark.parametrize("name", DOCUMENTED)
def test_calls_are_those_of_the_documents(name: str) -> None:
    resource, call = LISTINGS[name].resource, DOCUMENTED[name]
    assert (resource.method, resource.path.replace(":path", "")) == (call.method, call.path)
    assert resource.window is None or (resource.window.since, resource.window.until) == call.window


@pytest.mark.parametrize("name", DOCUMENTED)
async def test_answers_have_the_documented_keys(service: Service, name: str) -> None:
    answer = await question(service, name, next(service.avepoint.parents(name), NO_PARENTS)).ask(service)
    body = answer.json()
    assert (list(body) if isinstance(body, dict) else []) == DOCUMENTED[name].envelope


@pytest.mark.parametrize("name", [name for name, call in DOCUMENTED.items() if call.fields])
def test_items_have_every_documented_field(service: Service, name: str) -> None:
    fields = {field.lower(): kind for field, kind in DOCUMENTED[name].fields.items()}
    parents = next(service.avepoint.parents(name), NO_PARENTS)
    for n in (0, 1, 12_345):
        shown = cast("dict[str, object]", json.loads(service.avepoint.item(name, n, parents)))
        item = {key.lower(): value for key, value in shown.items()}
        assert item.keys() == fields.keys()
        assert {field: _TYPES.get(type(item[field])) for field, kind in fields.items() if kind} == {
            field: kind for field, kind in fields.items() if kind
        }

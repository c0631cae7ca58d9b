"""What is served against `documented.json`: for each call the keys of its answer and the fields of its items.

A field has the JSON type of the documented sample, or null where only a table names it or the sample shows no value.
"""

import json
from pathlib import Path
from typing import TypedDict

import pytest

from sandbox.avepoint.catalog import load

from .conftest import Service
from .test_lists import asked_of

_TYPES = {str: "string", bool: "boolean", int: "number", float: "number", dict: "object", list: "array"}


class Documented(TypedDict):
    envelope: list[str]
    fields: dict[str, str | None]


DOCUMENTED: dict[str, Documented] = json.loads(Path(__file__).with_name("documented.json").read_text())
LISTINGS = load(0)


def test_all_resources_are_documented() -> None:
    assert LISTINGS.keys() == DOCUMENTED.keys()


@pytest.mark.parametrize("name", DOCUMENTED)
async def test_answers_have_the_documented_keys(service: Service, name: str) -> None:
    resource = LISTINGS[name].resource
    answer = await service.client.request(resource.method, resource.path, params=asked_of(LISTINGS[name]))
    assert list(answer.json()) == DOCUMENTED[name]["envelope"]


@pytest.mark.parametrize("name", DOCUMENTED)
def test_items_have_every_documented_field(name: str) -> None:
    for n in (0, 1, 12_345):
        item = {key.lower(): value for key, value in json.loads(LISTINGS[name].template.render(n)).items()}
        fields = {field.lower(): kind for field, kind in DOCUMENTED[name]["fields"].items()}
        assert item.keys() == fields.keys()
        assert {field: _TYPES.get(type(item[field])) for field, kind in fields.items() if kind} == {
            field: kind for field, kind in fields.items() if kind
        }

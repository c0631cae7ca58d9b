"""Rows as JSON and as cells: every value as it was harvested (promise 10)."""

import json
from datetime import UTC, datetime

import pytest

from shared.tables.queries.shaping import Shape, ShapedCell
from shared.tables.schema.columns import OWN, ColumnType

TYPES: dict[str, ColumnType] = {
    "_key": "string",
    "_rescued": "json",
    "_parent_envId": "string",
    "_parent_appId": "string",
    "name": "string",
    "tags": "json",
    "size": "long",
    "share": "double",
    "on": "boolean",
    "at": "timestamp",
}
OWN_NAMES = {*OWN, "_parent_envId", "_parent_appId"}
MOMENT = datetime(2026, 1, 2, 3, 4, 5, 600, tzinfo=UTC)
ROW: dict[str, ShapedCell] = {
    "_key": "e|a",
    "_rescued": None,
    "_parent_envId": "e",
    "_parent_appId": "a",
    "name": 'Ä "x"',
    "tags": '{"k":[1,1e400,"\\ud83d"]}',
    "size": 2**63 - 1,
    "share": 1e-7,
    "on": True,
    "at": MOMENT,
}


def shown(selected: list[str] | None = None, **cells: ShapedCell) -> str:
    shape = Shape(TYPES, OWN_NAMES, selected)
    return shape.as_json([(ROW | cells)[name] for name in shape.read])


def test_a_row_is_told_as_the_contract_has_it() -> None:
    assert shown() == (
        '{"_key":"e|a","_rescued":null,"name":"Ä \\"x\\"","tags":{"k":[1,1e400,"\\ud83d"]},"size":9223372036854775807,'
        '"share":1e-7,"on":true,"at":"2026-01-02T03:04:05.000600Z","_parent":{"envId":"e","appId":"a"}}'
    )


def test_what_was_rescued_stands_under_its_own_name() -> None:
    row = shown(size=None, _rescued='{"_key":7,"size":"007","app name":{"x":1e400},"\\ud83d":null}')
    assert '"size":"007"' in row
    assert '"app name":{"x":1e400}' in row
    told = json.loads(row)
    assert told["_key"] == "e|a"
    assert told["\ud83d"] is None


def test_of_selected_columns_nothing_else_is_told() -> None:
    row = shown(["size", "_parent_appId"], size=None, _rescued='{"size":"x","name":5}')
    assert json.loads(row) == {"size": "x", "_parent": {"appId": "a"}}


def test_nothing_is_null() -> None:
    told = json.loads(shown(**dict.fromkeys(ROW)))
    assert told == dict.fromkeys(name for name in ROW if not name.startswith("_parent")) | {
        "_parent": {"envId": None, "appId": None}
    }


@pytest.mark.parametrize(
    ("rescued", "cells"),
    [
        (None, ["9223372036854775807", "1e-7", "true", "2026-01-02T03:04:05.000600Z", ROW["tags"], "a"]),
        ('{"size":"=1","share":[1],"on":null}', ["=1", "[1]", "", "2026-01-02T03:04:05.000600Z", ROW["tags"], "a"]),
    ],
)
def test_cells_are_texts(rescued: str | None, cells: list[str]) -> None:
    shape = Shape(TYPES, OWN_NAMES, ["size", "share", "on", "at", "tags", "_parent_appId"])
    row = ROW | {"_rescued": rescued}
    assert shape.as_cells([row[name] for name in shape.read]) == cells

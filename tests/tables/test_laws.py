"""Whatever comes, tables and changes equal a reference in plain Python (promise 10)."""

import json
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sandbox.memory_storage import MemoryStorage
from shared.avepoint.fields import fields_of
from shared.tables.schema.columns import RESCUED, ColumnType, FieldSpec
from tests.conftest import Clock
from tests.tables import reference
from tests.tables.nights import Nights

type Item = Mapping[str, Any]

times = st.sampled_from(["2026-01-15 08:30:00", "2026-01-15T09:30:00+01:00", "", "N/A", "soon", "1970-01-01", None])
anything: st.SearchStrategy[Any] = st.sampled_from(
    [None, 1, 1.0, 2.5, "1", "x", True, {"b": 1, "a": 2}, {"a": 2.0, "b": 1}, [], 2**70]
)
items = st.fixed_dictionaries(
    {"id": st.sampled_from(["a", "b", "c", "d|e"])},
    optional={
        "displayName": anything,
        "sharedUsers": anything,
        "createdOn": times,
        "primaryContact": anything,
        "appLaunchesLast7Days": st.integers(0, 2),
        "x": anything,
        "X": anything,
        "k y": anything,
        "_key": anything,
    },
)
nights_of_items = st.lists(st.lists(st.lists(items, max_size=4), min_size=1, max_size=2), min_size=1, max_size=4)


class Reference:
    """The table and its changes, night after night."""

    def __init__(self, fields: list[FieldSpec]) -> None:
        self.fields = fields
        self.volatile = {field.name for field in fields if field.volatile}
        self.types: dict[str, ColumnType] = {}
        self.present: set[str] | None = None
        self.rows: dict[str, Item] | None = None
        self.changes: set[tuple[int, str, str, str]] = set()

    def night(self, number: int, pages: list[list[Item]]) -> None:
        items = [item for page in pages for item in page]
        rows = {item["id"].replace("|", r"\|"): item for item in items}
        there = {name for item in items for name in item}
        new = {name: kind for name, kind in reference.types(self.fields, items).items() if name not in self.types}
        self.types |= new if items else {}
        if self.rows is not None:
            self._compare(number, self.rows, rows, there if items else set(self.present or ()))
        self.rows = rows
        self.present = there if items else self.present

    def _compare(self, number: int, old: dict[str, Item], new: dict[str, Item], there: set[str]) -> None:
        compared = there & (self.present or set()) - self.volatile
        for key in old.keys() | new.keys():
            if key not in new:
                self.changes.add((number, key, "removed", ""))
            elif key not in old:
                self.changes.add((number, key, "added", ""))
            else:
                before, after = old[key], new[key]
                fields = [name for name in sorted(compared) if self._value(before, name) != self._value(after, name)]
                if fields:
                    self.changes.add((number, key, "changed", ",".join(fields)))

    def _value(self, item: Item, name: str) -> str:
        """What counts of a value: as its column holds it, or as JSON where it does not fit."""
        kind, value = self.types.get(name, "json"), item.get(name)
        held = value if name == "_key" else reference.typed(kind, value)
        if held is reference.NOTHING:
            return "rescued " + reference.canonical(value)
        return f"{kind} {held!r}" if kind == "timestamp" else f"{kind} {reference.canonical(held)}"


@settings(max_examples=6)
@given(nights_of_items)
async def test_tables_and_changes_equal_the_reference(every: list[list[list[Item]]]) -> None:
    await holds(every)


@pytest.mark.slow
@settings(max_examples=150)
@given(nights_of_items)
async def test_tables_and_changes_equal_the_reference_again_and_again(every: list[list[list[Item]]]) -> None:
    await holds(every)


async def holds(every: list[list[list[Item]]]) -> None:
    """Build every night, and compare."""
    clock = Clock()
    nights = Nights.of(MemoryStorage(clock), clock, "graph/enpower-powerapps")
    documented = [FieldSpec(one.name, one.type, volatile=one.volatile) for one in fields_of(nights.dataset)]
    expected = Reference(documented)
    for number, pages in enumerate(every):
        await nights.night(*pages)
        expected.night(number, pages)
    runs = {run: number for number, run in enumerate(nights.runs)}
    told = {(runs[row["run_id"]], row["key"], row["change"], row["fields"]) for row in nights.changes()}
    assert told == expected.changes
    assert len(nights.changes()) == len(told), "a change is told once"
    table = {row["_key"]: row for row in nights.table().to_dicts()}
    assert table.keys() == (expected.rows or {}).keys()
    assert nights.table().height == len(table), "one row a key"
    for key, item in (expected.rows or {}).items():
        rescued = json.loads(table[key][RESCUED] or "{}")
        for name, value in item.items():
            held = reference.typed(expected.types.get(name, "json"), value)
            if name == "_key" or held is reference.NOTHING:
                assert value is None or reference.same(rescued[name], value)
            elif name in table[key] and name not in rescued:
                cell = table[key][name]
                is_json = expected.types.get(name) == "json" and value is not None
                assert reference.same(json.loads(cell), value) if is_json else cell == held

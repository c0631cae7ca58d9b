"""Every JSON value is in a table, typed or rescued (promise 10)."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

import arro3.core as arrow
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.tables.schema.columns import RESCUED, ColumnType, FieldSpec, TableSchema, TableSpec
from shared.tables.schema.findings import Findings
from shared.tables.schema.policy import decide, drift, expected
from shared.tables.values.batches import types_of
from shared.tables.values.rows import Cells, RowReader, Rows
from shared.tables.values.text import json_text
from tests.tables import reference

type Item = Mapping[str, object]

NAMES = ["a", "b", "A", "c d", "c_d", "_key", "_Rescued", "é", 'q"q', "", "when"]

TEXTS = ["", "N/A", "x", "12", "007", "1.5", "true", "\ud83d", "ü"]
TIMES = ["2026-01-15 08:30", "2026-01-15 08:30:00", "2026-02-30T08:30:00", "0001-01-01", "1970-01-01 00:00:00"]

texts = st.sampled_from(TEXTS + TIMES)
numbers = st.one_of(
    st.integers(-3, 3),
    st.sampled_from([1.0, 2.5, -0.0, 2**53 + 1, 2**63, -(2**63), 2**64 - 1, 1e22, 0.1]),
)
scalars = st.one_of(st.none(), st.booleans(), numbers, texts, st.text(max_size=3))
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["x", "y"]), inner, max_size=2)
)
items = st.dictionaries(st.sampled_from(NAMES), values, max_size=6)
kinds = st.sampled_from(["boolean", "long", "double", "string", "timestamp", "json", None])


def spec(fields: Sequence[FieldSpec] = (), **others: object) -> TableSpec:
    given = {"source": "graph", "dataset": "things", "windowed": False, "key": (), "fields": tuple(fields)}
    return TableSpec(**{**given, **others})  # type: ignore[arg-type]  # as the tests name them


def line(item: object) -> bytes:
    return json.dumps(item).encode() + b"\n"


def read(
    schema: TableSchema, table: TableSpec, chunks: Sequence[bytes], *, undecided: bool = True
) -> tuple[list[Rows], Findings]:
    reader = RowReader(schema, table, undecided=schema.fields if undecided else frozenset())
    return [reader.read(chunk) for chunk in chunks], reader.findings


def converted(table: TableSpec, chunks: Sequence[bytes]) -> tuple[TableSchema, list[dict[str, object]]]:
    """The schema after a first snapshot, and its rows by column."""
    _, found = read(expected(TableSchema(), table, "r1"), table, chunks)
    schema = decide(TableSchema(), table, found, "r1")
    rows, _ = read(schema, table, chunks, undecided=False)
    return schema, [
        {name: cell(some.columns[name], n) for name in some.columns} for some in rows for n in range(some.count)
    ]


def cell(cells: Cells, row: int) -> object:
    """What a column holds in a row; times as microseconds since 1970."""
    if not isinstance(cells, arrow.Array):
        return cells[row]
    found = cells[row].as_py()
    return (found - reference.EPOCH) // timedelta(microseconds=1) if isinstance(found, datetime) else found


@given(
    st.lists(items, max_size=8),
    st.dictionaries(st.sampled_from(NAMES), kinds, max_size=5),
    st.integers(1, 4),
)
def test_every_value_is_typed_or_rescued(rows: list[Item], documented: dict[str, ColumnType | None], size: int) -> None:
    table = spec([FieldSpec(name, kind) for name, kind in documented.items()])
    lines = [line(row) for row in rows]
    schema, found = converted(table, [b"".join(lines[n : n + size]) for n in range(0, len(lines), size)])
    assert len(found) == len(rows)
    for row, cells in zip(rows, found, strict=True):
        rescued = json.loads(str(cells[RESCUED] or "{}"))
        for name, value in row.items():
            column = schema.column(name)
            held = cells[column.name] if column else None
            wanted = reference.typed(column.type, value) if column else reference.NOTHING
            if wanted is reference.NOTHING or (column and column.is_renamed):
                assert value is None or reference.same(rescued.pop(name), value)
            if column is None or value is None or wanted is reference.NOTHING:
                assert held is None
            elif column.type == "json":
                assert reference.same(json.loads(str(held)), value)
            elif column.type == "timestamp":
                assert held == (None if wanted is None else (wanted - reference.EPOCH) // timedelta(microseconds=1))  # type: ignore[operator]
            else:
                assert held == wanted
        assert rescued == {}


@given(st.lists(items, max_size=8), st.dictionaries(st.sampled_from(NAMES), kinds, max_size=5), st.randoms())
def test_types_are_those_that_the_first_rows_fit(
    rows: list[Item], documented: dict[str, ColumnType | None], random: object
) -> None:
    fields = [FieldSpec(name, kind) for name, kind in documented.items()]
    table = spec(fields)
    schema, _ = converted(table, [line(row) for row in rows])
    reserved = {"_key", "_rescued"}
    wanted = {name: kind for name, kind in reference.types(fields, rows).items() if name.lower() not in reserved}
    assert {column.field: column.type for column in schema.columns} == wanted
    folded = [name.casefold() for name in types_of(schema, table)]
    assert len(folded) == len(set(folded))
    random.shuffle(rows)  # type: ignore[attr-defined]  # a Random
    assert converted(table, [b"".join(line(row) for row in rows)])[0] == schema


@given(values, values)
def test_json_text_is_the_same_for_the_same_value(one: object, other: object) -> None:
    assert (json_text(one) == json_text(other)) == reference.same(one, other)


def test_a_line_that_is_no_json_is_kept() -> None:
    schema, rows = converted(spec(), [b'{"a": 1}\n', b'{"a": NaN, "b": "\xff"}\nnot json\n5\n{"a": 1e400}\n'])
    assert [column.field for column in schema.columns] == ["a", "b", "value"]
    rescued = [row[RESCUED] for row in rows]
    assert rescued == [None, '{"b":"\\udcff"}', '{"_line":"not json"}', None, None]
    assert [row["a"] for row in rows] == ["1", '"NaN"', None, None, "1e400"]
    assert [row["value"] for row in rows] == [None, None, None, 5, None]


def test_the_last_of_two_equal_names_counts() -> None:
    _, rows = converted(spec(), [b'{"a": 1, "a": 2, "b": {"x": 1, "x": 2}}\n'])
    assert (rows[0]["a"], rows[0]["b"]) == (2, '{"x":2}')


@pytest.mark.parametrize(
    ("item", "key"),
    [
        ({"id": "x", "n": 1}, "x|1"),
        ({"id": "a|b\\c", "n": 1.0}, r"a\|b\\c|1"),
        ({"ID": "x", "n": None}, r"x|\N"),
        ({"id": r"\N"}, r"\\N|\N"),
        ({"id": "2026-01-15T08:30:00Z", "n": True}, "2026-01-15T08:30:00Z|true"),
        ({"id": "\ud83d", "n": {"b": 1, "a": 2}}, r'\ud83d|{"a":2,"b":1}'),
    ],
)
def test_keys(item: Item, key: str) -> None:
    table = spec([FieldSpec("id", "string"), FieldSpec("n", "json")], key=("id", "n"))
    assert converted(table, [line(item)])[1][0]["_key"] == key


def test_the_parent_comes_first_in_a_key_and_an_item_may_have_one_of_its_own() -> None:
    table = spec([FieldSpec("id", "string")], key=("id",), parameters=("appId", "tenant"))
    text = b'{"_parent":{"appId":"a|1","tenant":5},"id":"x","_parent":{"mine":1}}\n{"_parent":{"appId":"b"},"id":"y"}\n'
    _, rows = converted(table, [text])
    assert [row["_key"] for row in rows] == [r"a\|1|5|x", r"b|\N|y"]
    assert [row["_parent_appId"] for row in rows] == ["a|1", "b"]
    assert [row[RESCUED] for row in rows] == ['{"_parent":{"mine":1}}', None]


def test_a_column_keeps_its_type_and_new_fields_come_last() -> None:
    table = spec([FieldSpec("a", "long")])
    first = decide(TableSchema(), table, read(expected(TableSchema(), table, "r1"), table, [line({"a": 1})])[1], "r1")
    _, found = read(expected(first, table, "r2"), table, [line({"a": "x", "b": True, "c": None})])
    second = decide(first, table, found, "r2")
    assert [(column.field, column.type) for column in second.columns] == [("a", "long"), ("b", "boolean")]
    rows, again = read(second, table, [line({"a": "x", "b": True})], undecided=False)
    assert rows[0].columns[RESCUED] == ['{"a":"x"}']
    told = drift(first, second, table, present=frozenset({"a", "z"}), found=again)
    assert [(one.field, one.event, one.count) for one in told] == [
        ("b", "new", 1),
        ("z", "vanished", 0),
        ("a", "rescued", 1),
    ]


def test_a_table_without_rows_decides_no_type() -> None:
    table = spec([FieldSpec("a", "long")])
    empty = decide(TableSchema(), table, Findings(), "r1")
    assert [column.field for column in empty.columns] == ["a"]
    assert not empty.decided
    _, found = read(expected(empty, table, "r2"), table, [line({"a": "x"})])
    assert [column.type for column in decide(empty, table, found, "r2").columns] == ["string"]


def test_hidden_fields_are_nowhere_but_in_the_key_as_a_digest() -> None:
    table = spec([FieldSpec("b", "long")], key=("mail",), hidden=("mail", "x*"))
    schema, rows = converted(table, [line({"mail": "jo@contoso.example", "x": [1], "b": "no"})])
    assert schema.fields == {"b"}
    assert "contoso" not in str(rows)
    assert len(str(rows[0]["_key"])) == 32


def test_drift_tells_of_types_and_names_that_did_not_hold() -> None:
    table = spec([FieldSpec("a", "long"), FieldSpec("b c", "string")])
    chunk = [line({"a": "x", "b c": "y", "_key": 1})]
    schema, _ = converted(table, chunk)
    _, found = read(schema, table, chunk, undecided=False)
    told = drift(TableSchema(), schema, table, present=None, found=found)
    assert [(one.field, one.event, one.count) for one in told] == [
        ("a", "typed", 1),
        ("b c", "renamed", 1),
        ("_key", "renamed", 1),
    ]

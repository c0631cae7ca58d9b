"""What docs/operations.md says is emitted is what the code emits: events with their fields, metrics and spans."""

import ast
import logging
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

from shared.telemetry.spans import MEASURES, Measure

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "operations.md").read_text()
SOURCES = [path for folder in ("shared", "functions") for path in sorted((ROOT / folder).rglob("*.py"))]
FUNNELS = {"log_event": 1, "log_failure": 1, "span": 0}
"""Which argument of a function is the name of what is emitted."""


@dataclass(frozen=True)
class Emission:
    """A call that emits something: what, with which fields, where."""

    function: str
    name: str
    fields: frozenset[str]
    where: str


type Function = ast.FunctionDef | ast.AsyncFunctionDef


@cache
def functions(tree: ast.AST) -> list[Function]:
    return [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]


@cache
def calls(tree: ast.AST) -> list[tuple[str, ast.Call]]:
    """Every call with the last part of the name that is called."""
    return [
        (node.func.id if isinstance(node.func, ast.Name) else node.func.attr, node)
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name | ast.Attribute)
    ]


TREES = {path.relative_to(ROOT).as_posix(): ast.parse(path.read_text()) for path in SOURCES}


def returned(name: str) -> Iterator[tuple[Function, ast.Dict]]:
    """The dictionaries that functions of that name write down and return."""
    for function in (one for tree in TREES.values() for one in functions(tree) if one.name == name):
        for node in ast.walk(function):
            if isinstance(node, ast.Return) and isinstance(node.value, ast.Dict):
                yield function, node.value


def texts(node: ast.expr) -> list[str]:
    """The texts that an expression may be: a literal, or either side of ``a if … else b``."""
    match node:
        case ast.Constant(value=str(text)):
            return [text]
        case ast.IfExp(body=body, orelse=orelse):
            return [*texts(body), *texts(orelse)]
    return []


def keys(node: ast.expr, within: Function) -> set[str]:
    """The names that ``**node`` stands for."""
    match node:
        case ast.Dict(keys=names, values=values):
            plain = {text for name in names if name for text in texts(name)}
            return plain.union(*(keys(value, within) for name, value in zip(names, values, strict=True) if not name))
        case ast.Name(id=name) if within.args.kwarg and within.args.kwarg.arg == name:
            return set()
        case ast.Name(id=name):
            return set().union(
                *(
                    keys(one.value, within)
                    for one in ast.walk(within)
                    if isinstance(one, ast.Assign) and [ast.unparse(target) for target in one.targets] == [name]
                )
            )
        case ast.Call(
            func=ast.Attribute(attr="model_dump"), keywords=[ast.keyword(arg="include", value=ast.Set(names))]
        ):
            return {text for name in names for text in texts(name)}
        case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name)) if found := list(returned(name)):
            return set().union(*(keys(value, function) for function, value in found))
    raise AssertionError(f"{within.name}: cannot tell which fields **{ast.unparse(node)} has")


def fields(call: ast.Call, within: Function) -> set[str]:
    named = {keyword.arg for keyword in call.keywords if keyword.arg}
    spread = (keys(keyword.value, within) for keyword in call.keywords if not keyword.arg)
    return named.union(*spread)


def set_later(within: Function) -> set[str]:
    """The attributes that a function gives to its span once it knows them."""
    given = [(name, call.args[0]) for name, call in calls(within) if name in {"set_attribute", "set_attributes"}]
    return set().union(*(texts(node) if name == "set_attribute" else keys(node, within) for name, node in given))


def emitted(path: str, tree: ast.AST) -> Iterator[Emission]:
    """What a file emits, also through functions of its own that pass the name of an event on."""
    funnels: dict[str, tuple[str, int, set[str]]] = {name: (name, at, set()) for name, at in FUNNELS.items()}
    for function in functions(tree):
        parameters = [one.arg for one in function.args.args if one.arg != "self"]
        for name, call in calls(function):
            if name in FUNNELS and ast.unparse(call.args[FUNNELS[name]]) in parameters:
                at = parameters.index(ast.unparse(call.args[FUNNELS[name]]))
                funnels[function.name] = (name, at, fields(call, function))
    for function in functions(tree):
        for name, call in calls(function):
            if name not in funnels or function.name in funnels:
                continue
            kind, at, given = funnels[name]
            found = texts(call.args[at])
            assert found, f"{path}:{call.lineno}: the name of what is emitted is a literal"
            for one in found:
                more = set_later(function) if kind == "span" else set()
                yield Emission(kind, one, frozenset(fields(call, function) | given | more), f"{path}:{call.lineno}")


EMITTED = [emission for path, tree in TREES.items() for emission in emitted(path, tree)]
EVENTS = [one for one in EMITTED if one.function != "span"]
SPANS = [one for one in EMITTED if one.function == "span"]


def table(title: str) -> dict[str, list[str]]:
    """The rows of the table under a heading, by the name in the first column."""
    section = re.search(rf"^### {title}\n(.*?)(?=^##|\Z)", PAGE, re.MULTILINE | re.DOTALL)
    assert section, f"docs/operations.md has no section {title!r}"
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in section[1].splitlines() if line[:3] == "| `"]
    assert len({row[0] for row in rows}) == len(rows), "nothing is listed twice"
    return {row[0].strip("`"): row[1:] for row in rows}


def names(cell: str) -> set[str]:
    return set(re.findall(r"`([^`]+)`", cell))


def together(emissions: list[Emission]) -> dict[str, set[str]]:
    """Every field of everything that is emitted, wherever it is."""
    found: dict[str, set[str]] = {}
    for one in emissions:
        found[one.name] = found.get(one.name, set()) | one.fields
    return found


def test_every_event_is_listed_with_its_fields() -> None:
    assert {name: names(row[-1]) for name, row in table("Events").items()} == together(EVENTS)


def test_every_span_is_listed_with_its_fields() -> None:
    assert {name: names(row[-1]) for name, row in table("Spans").items()} == together(SPANS)


def test_every_metric_is_listed() -> None:
    documented = {
        name: (unit.strip("`"), event.strip("`"), names(by)) for name, (unit, event, by, _) in table("Metrics").items()
    }
    assert documented == {one.name: (one.unit, one.event, set(one.by)) for one in MEASURES}


@pytest.mark.parametrize("measure", MEASURES, ids=lambda measure: measure.name)
def test_the_event_of_every_metric_carries_what_it_measures(measure: Measure) -> None:
    assert together(EVENTS)[measure.event] >= {*measure.by, *filter(None, [measure.field])}


def test_the_name_of_an_event_is_a_thing_and_what_became_of_it() -> None:
    assert [event for event in together(EVENTS) if not re.fullmatch(r"[a-z]+\.[a-z_]+", event)] == []


def test_no_field_hides_what_every_log_record_has() -> None:
    """``logging`` refuses such a field, when the line is written and not before."""
    taken = vars(logging.makeLogRecord({})).keys() | {"message", "asctime", "event"}
    assert [f"{one.where} {one.name}" for one in EVENTS if one.fields & taken] == []


def test_nothing_is_logged_past_the_events() -> None:
    logged = {"debug", "info", "warning", "error", "exception", "critical"}
    found = [
        f"{path}:{call.lineno}"
        for path, tree in TREES.items()
        for name, call in calls(tree)
        if name in logged and ast.unparse(call.func).startswith(("log.", "logging.", "logger."))
    ]
    assert found == []

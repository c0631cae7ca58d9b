"""The expressions of workflows, as far as the samples use them.

Their language: https://learn.microsoft.com/azure/logic-apps/workflow-definition-language-functions-reference
"""

import json
import re
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import unquote

type Value = Any  # JSON, as a workflow has it
type Lazy = Callable[[], Value]
type Functions = Mapping[str, Callable[..., Value]]

TOKEN = re.compile(r"\s*(?:(?P<text>'(?:[^']|'')*')|(?P<number>-?\d+)|(?P<name>[A-Za-z]+)|(?P<sign>\?\[|[\[\](),]))")
INSIDE = re.compile(r"@\{((?:[^{}']|'(?:[^']|'')*')*)\}")

LITERALS: Mapping[str, Value] = {"true": True, "false": False, "null": None}
PURE: Functions = {
    "addHours": lambda moment, hours: (datetime.fromisoformat(moment) + timedelta(hours=hours)).isoformat(),
    "and": lambda *values: all(values),
    "contains": lambda values, value: value in values,
    "createArray": lambda *values: [*values],
    "equals": lambda one, other: one == other,
    "greater": lambda one, other: one > other,
    "not": lambda value: not value,
    "or": lambda *values: any(values),
    "ticks": lambda moment: datetime.fromisoformat(moment).timestamp(),
    "add": lambda one, other: one + other,
    "coalesce": lambda *values: next((value for value in values if value is not None), None),
    "concat": lambda *values: "".join(map(str, values)),
    "decodeUriComponent": unquote,
    "div": lambda one, other: one // other,
    "empty": lambda value: not value,
    "formatDateTime": lambda moment, _: f"{datetime.fromisoformat(moment):%Y-%m-%dT%H:%M:%SZ}",
    "join": lambda values, between: between.join(map(str, values)),
    "json": json.loads,
    "length": len,
    "mul": lambda one, other: one * other,
    "range": lambda first, count: [*range(first, first + count)],
    "skip": lambda values, count: values[count:],
    "string": lambda value: value if isinstance(value, str) else json.dumps(value),
    "sub": lambda one, other: one - other,
    "take": lambda values, count: values[:count],
    "union": lambda one, other: [*dict.fromkeys([*one, *other])],
    "utcNow": lambda: datetime.now(UTC).isoformat(),
}


def evaluated(template: Value, functions: Functions) -> Value:
    """A part of a definition with its expressions worked out, however deep."""
    match template:
        case dict():
            return {name: evaluated(value, functions) for name, value in template.items()}
        case list():
            return [evaluated(value, functions) for value in template]
        case str() if template.startswith("@") and not template.startswith("@{"):
            return worked_out(template[1:], functions)
        case str():
            return INSIDE.sub(lambda found: _word(worked_out(found[1], functions)), template)
        case _:
            return template


def worked_out(expression: str, functions: Functions) -> Value:
    """The value of one expression."""
    reader = _Reader(expression, {**PURE, **functions})
    value = reader.value()
    assert not reader.words, expression
    return value()


class _Reader:
    """Reads an expression word by word; what it gives is worked out when it is called."""

    def __init__(self, expression: str, functions: Functions) -> None:
        found = [*TOKEN.finditer(expression)]
        assert "".join(one[0] for one in found) == expression.rstrip(), expression
        self.words = deque((one.lastgroup, one[0].strip()) for one in found)
        self._functions = functions

    def take(self, *signs: str) -> bool:
        """Whether one of these signs comes next, which is then taken."""
        comes = bool(self.words) and self.words[0][1] in signs
        if comes:
            self.words.popleft()
        return comes

    def value(self) -> Lazy:
        kind, word = self.words.popleft()
        if kind == "text":
            return lambda: word[1:-1].replace("''", "'")
        if kind == "number":
            return lambda: int(word)
        if word in LITERALS:
            return lambda: LITERALS[word]
        value = self._called(word, [*self.arguments()])
        while self.take("?[", "["):
            value = looked_up(value, self.value())
            assert self.take("]")
        return value

    def arguments(self) -> Iterator[Lazy]:
        assert self.take("(")
        while not self.take(")"):
            yield self.value()
            self.take(",")

    def _called(self, name: str, arguments: list[Lazy]) -> Lazy:
        if name == "if":  # the one function that works out only what it needs
            condition, this, other = arguments
            return lambda: this() if condition() else other()
        return lambda: self._functions[name](*(one() for one in arguments))


def looked_up(value: Lazy, path: Lazy) -> Lazy:
    """What lies below a path of names, if anything."""

    def found() -> Value:
        here = value()
        for name in path().split("/"):
            here = None if here is None else here.get(name)
        return here

    return found


def _word(value: Value) -> str:
    return "" if value is None else str(PURE["string"](value))

"""As much of Kusto as the queries of infra/ use, so that tests can see which rows they give.

What a query may say is held by Kusto's own language service (``kusto.mjs``); this says what it comes to. Semantics:
https://learn.microsoft.com/kusto/query/
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

type Row = dict[str, Any]
type Env = Mapping[str, Any]
type Expression = Callable[[Env], Any]

TOKEN = re.compile(
    r"""\s*(?://[^\n]*\s*)*(?:
    (?P<text>@"[^"]*"|@'[^']*'|"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')
    |(?P<span>\d+(?:d|h|m|s)\b)
    |(?P<number>\d+\.\d+|\d+)
    |(?P<literal>datetime\([^)]*\)|dynamic\(\[.*?\]\))
    |(?P<name>[A-Za-z_][\w]*(?:-[a-z]+)?)
    |(?P<sign>==|!=|<=|>=|=~|!~|\.\.|![a-z]+|[-+*/<>=(),.|;:\[\]{}])
    )""",
    re.VERBOSE | re.DOTALL,
)
UNITS = {"d": "days", "h": "hours", "m": "minutes", "s": "seconds"}
GROUP = " rows"
"""The name under which an aggregate finds the rows of its group."""

OPERATORS = {"where", "extend", "project", "summarize", "order", "mv-expand"}
DASHED = {"mv-expand"}


@dataclass
class Reader:
    """The tokens of a query, and where one is."""

    tokens: Sequence[tuple[str, str]]
    at: int = 0

    @classmethod
    def of(cls, text: str) -> "Reader":
        return cls(_tokens(text))

    @property
    def next(self) -> str:
        return self.tokens[self.at][1]

    def take(self, *expected: str) -> str:
        value = self.next
        assert not expected or value in expected, f"{value!r}, where {expected} should be"
        self.at += 1
        return value

    def has(self, value: str) -> bool:
        """Take a token, if it is the next one."""
        if self.next != value or self.tokens[self.at][0] == "text":
            return False
        self.at += 1
        return True

    def listed(self, end: str) -> Iterator[None]:
        """Go through what is separated by commas, up to and with ``end``."""
        while not self.has(end):
            yield
            self.has(",")


@dataclass
class Evaluator:
    """Evaluates queries at a time, over some tables."""

    now: datetime
    tables: Mapping[str, Sequence[Row]]
    functions: dict[str, tuple[list[str], Expression]] = field(default_factory=dict)

    def run(self, query: str) -> list[Row]:
        """The rows that a query gives."""
        reader, tables = Reader.of(query), dict(self.tables)
        while reader.has("let"):
            name = reader.take()
            reader.take("=")
            if reader.has("("):
                self.functions[name] = self._function(reader)
            else:
                tables[name] = self._pipeline(reader, tables)
            reader.take(";")
        return self._pipeline(reader, tables)

    def _function(self, reader: Reader) -> tuple[list[str], Expression]:
        names = []
        for _ in reader.listed(")"):
            names.append(reader.take())
            reader.take(":")
            reader.take()
        reader.take("{")
        body = self._expression(reader)
        reader.take("}")
        return names, body

    def _pipeline(self, reader: Reader, tables: Mapping[str, Sequence[Row]]) -> list[Row]:
        rows = [dict(row) for row in tables[reader.take()]]
        while reader.has("|"):
            rows = getattr(self, "_" + reader.take(*OPERATORS).replace("-", "_"))(reader, rows)
        return rows

    def _where(self, reader: Reader, rows: list[Row]) -> list[Row]:
        condition = self._expression(reader)
        return [row for row in rows if condition(row)]

    def _named(self, reader: Reader) -> Iterator[tuple[str, Expression]]:
        while True:
            name = reader.next
            if reader.tokens[reader.at + 1] == ("sign", "="):
                reader.at += 2
            yield name, self._expression(reader)
            if not reader.has(","):
                return

    def _extend(self, reader: Reader, rows: list[Row]) -> list[Row]:
        found = list(self._named(reader))
        return [row | {name: value(row) for name, value in found} for row in rows]

    def _project(self, reader: Reader, rows: list[Row]) -> list[Row]:
        found = list(self._named(reader))
        return [{name: value(row) for name, value in found} for row in rows]

    def _order(self, reader: Reader, rows: list[Row]) -> list[Row]:
        reader.take("by")
        keys = []
        while True:
            keys.append((reader.take(), not reader.has("asc")))
            reader.has("desc")
            if not reader.has(","):
                break
        for name, backwards in reversed(keys):
            rows.sort(key=lambda row: (row[name] is not None, row[name]), reverse=backwards)
        return rows

    def _mv_expand(self, reader: Reader, rows: list[Row]) -> list[Row]:
        ((name, value),) = self._named(reader)
        return [row | {name: one} for row in rows for one in value(row) or [None]]

    def _summarize(self, reader: Reader, rows: list[Row]) -> list[Row]:
        wanted: list[Callable[[list[Row]], Row]] = []
        while reader.next not in {"by", "|", ""}:
            wanted.append(self._arg_max(reader) if reader.next == "arg_max" else self._summed(reader))
            reader.has(",")
        by = list(self._named(reader)) if reader.has("by") else []
        groups: dict[str, list[Row]] = {} if by else {"[]": []}
        for row in rows:
            groups.setdefault(repr([value(row) for _, value in by]), []).append(row)
        found = list[Row]()
        for group in groups.values():
            one = {name: value(group[0]) for name, value in by}
            for work in wanted:
                one |= work(group)
            found.append(one)
        return found

    def _summed(self, reader: Reader) -> Callable[[list[Row]], Row]:
        name = reader.next
        assert reader.tokens[reader.at + 1] == ("sign", "="), f"{name} has no name"
        reader.at += 2
        value = self._expression(reader)
        return lambda group: {name: value({GROUP: group})}

    def _arg_max(self, reader: Reader) -> Callable[[list[Row]], Row]:
        reader.take("arg_max")
        reader.take("(")
        cells = list[tuple[str, Expression]]()
        for _ in reader.listed(")"):
            cells.append((reader.next, self._expression(reader)))
        most = cells[0][1]

        def work(group: list[Row]) -> Row:
            best = max((row for row in group if most(row) is not None), key=most, default=None)
            return {name: value(best) if best else None for name, value in cells}

        return work

    def _expression(self, reader: Reader) -> Expression:
        left = self._conjunction(reader)
        while reader.has("or"):
            left = _either(left, self._conjunction(reader))
        return left

    def _conjunction(self, reader: Reader) -> Expression:
        left = self._comparison(reader)
        while reader.has("and"):
            left = _both(left, self._comparison(reader))
        return left

    def _comparison(self, reader: Reader) -> Expression:
        left = self._sum(reader)
        sign = reader.next
        if sign in {"in", "!in"}:
            reader.take()
            reader.take("(")
            choices = [self._expression(reader) for _ in reader.listed(")")]
            return lambda row: (left(row) in [one(row) for one in choices]) == (sign == "in")
        if sign == "between":
            reader.take()
            reader.take("(")
            low = self._sum(reader)
            reader.take("..")
            high = self._sum(reader)
            reader.take(")")
            return lambda row: left(row) is not None and low(row) <= left(row) <= high(row)
        if sign in COMPARISONS:
            reader.take()
            right, compare = self._sum(reader), COMPARISONS[sign]
            return lambda row: compare(left(row), right(row))
        return left

    def _sum(self, reader: Reader) -> Expression:
        left = self._product(reader)
        while reader.next in {"+", "-"}:
            left = _calculated(reader.take(), left, self._product(reader))
        return left

    def _product(self, reader: Reader) -> Expression:
        left = self._value(reader)
        while reader.next in {"*", "/"}:
            left = _calculated(reader.take(), left, self._value(reader))
        return left

    def _value(self, reader: Reader) -> Expression:
        value = self._primary(reader)
        while True:
            if reader.has("."):
                value = _member(value, _constant(reader.take()))
            elif reader.has("["):
                value = _member(value, self._expression(reader))
                reader.take("]")
            else:
                return value

    def _primary(self, reader: Reader) -> Expression:
        kind, token = reader.tokens[reader.at]
        reader.at += 1
        match kind:
            case "text":
                return _constant(token.lstrip("@")[1:-1])
            case "span":
                return _constant(timedelta(**{UNITS[token[-1]]: int(token[:-1])}))
            case "number":
                return _constant(float(token) if "." in token else int(token))
            case "literal":
                return _constant(_literal(token))
        if token == "(":
            inner = self._expression(reader)
            reader.take(")")
            return inner
        if token in {"true", "false"}:
            return _constant(token == "true")
        if reader.has("("):
            return self._call(token, [self._expression(reader) for _ in reader.listed(")")])
        return lambda row: row[token]

    def _call(self, name: str, arguments: list[Expression]) -> Expression:
        if name in self.functions:
            names, body = self.functions[name]
            return lambda row: body(dict(zip(names, (one(row) for one in arguments), strict=True)))
        if name == "coalesce":
            return _coalesced(arguments)
        if name in {"now", "ago"}:
            return lambda row: self.now - arguments[0](row) if arguments else self.now
        if name in AGGREGATES:
            sum_up = AGGREGATES[name]
            return lambda row: sum_up([[one(each) for one in arguments] for each in row[GROUP]])
        work = FUNCTIONS[name]
        return lambda row: work(*(one(row) for one in arguments))


@cache
def _tokens(text: str) -> Sequence[tuple[str, str]]:
    """The tokens of a query, with their kinds."""
    tokens, at = list[tuple[str, str]](), 0
    while text[at:].strip():
        found = TOKEN.match(text, at)
        if found is None or found.lastgroup is None:
            if re.fullmatch(r"\s*(//[^\n]*\s*)*", text[at:]):
                break
            raise AssertionError(f"not understood: {text[at : at + 40]!r}")
        kind, value, at = found.lastgroup, found[found.lastgroup], found.end()
        if kind == "name" and "-" in value and value not in DASHED:
            name, _, rest = value.partition("-")
            tokens += [("name", name), ("sign", "-"), ("name", rest)]
        else:
            tokens.append((kind, value))
    return (*tokens, ("end", ""))


def _constant(value: Any) -> Expression:  # noqa: ANN401 - a cell
    return lambda _: value


def _either(left: Expression, right: Expression) -> Expression:
    return lambda row: bool(left(row)) or bool(right(row))


def _both(left: Expression, right: Expression) -> Expression:
    return lambda row: bool(left(row)) and bool(right(row))


def _member(value: Expression, name: Expression) -> Expression:
    def member(row: Env) -> Any:  # noqa: ANN401 - a cell
        held = value(row)
        return held.get(name(row)) if isinstance(held, dict) else None

    return member


def _calculated(sign: str, left: Expression, right: Expression) -> Expression:
    def calculated(row: Env) -> Any:  # noqa: ANN401 - a cell
        one, other = left(row), right(row)
        if one is None or other is None:
            return None
        whole = isinstance(one, int) and isinstance(other, int)
        match sign:
            case "+":
                return one + other
            case "-":
                return one - other
            case "*":
                return one * other
        return one // other if whole else one / other

    return calculated


def _literal(text: str) -> Any:  # noqa: ANN401 - a cell
    inside = text.partition("(")[2][:-1]
    if text.startswith("dynamic"):
        return json.loads(inside)
    return None if inside == "null" else datetime.fromisoformat(inside).replace(tzinfo=UTC)


def _known(compare: Callable[[Any, Any], bool]) -> Callable[[Any, Any], bool]:
    return lambda one, other: one is not None and other is not None and compare(one, other)


def _text(value: Any) -> str:  # noqa: ANN401 - a cell
    return "" if value is None else str(value)


COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "==": _known(lambda one, other: one == other),
    "!=": lambda one, other: one != other,
    "<": _known(lambda one, other: one < other),
    ">": _known(lambda one, other: one > other),
    "<=": _known(lambda one, other: one <= other),
    ">=": _known(lambda one, other: one >= other),
    "=~": lambda one, other: _text(one).casefold() == _text(other).casefold(),
    "!~": lambda one, other: _text(one).casefold() != _text(other).casefold(),
    "contains": lambda one, other: _text(other).casefold() in _text(one).casefold(),
    "!contains": lambda one, other: _text(other).casefold() not in _text(one).casefold(),
}


def _coalesced(choices: Sequence[Expression]) -> Expression:
    """The first value there is; what comes after it is not looked at."""

    def coalesced(row: Env) -> Any:  # noqa: ANN401 - a cell
        value = None
        for choice in choices:
            value = choice(row)
            if value is not None and value != "":
                break
        return value

    return coalesced


def _number(value: Any) -> int | None:  # noqa: ANN401 - a cell
    return int(value) if re.fullmatch(r"-?\d+", _text(value)) else None


def _extract(pattern: str, group: int, text: str) -> str:
    found = re.search(pattern, text)
    return (found[group] or "") if found else ""


def _bin(value: datetime, size: timedelta) -> datetime:
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    return epoch + (value - epoch) // size * size


def _there(cells: Sequence[Sequence[Any]]) -> list[Any]:
    return [one for one, *_ in cells if one is not None]


AGGREGATES: dict[str, Callable[[Sequence[Sequence[Any]]], Any]] = {
    "dcount": lambda cells: len(set(_there(cells))),
    "make_list_if": lambda cells: [one for one, condition in cells if condition],
    "max": lambda cells: max(_there(cells), default=None),
    "min": lambda cells: min(_there(cells), default=None),
    "sum": lambda cells: sum(_there(cells)),
}

FUNCTIONS: dict[str, Callable[..., Any]] = {
    "array_concat": lambda *lists: [one for each in lists for one in each],
    "bag_pack": lambda *cells: dict(zip(cells[::2], cells[1::2], strict=True)),
    "bin": _bin,
    "extract": _extract,
    "iff": lambda condition, then, otherwise: then if condition else otherwise,
    "isempty": lambda value: _text(value) == "",
    "isnotempty": lambda value: _text(value) != "",
    "not": lambda value: not value,
    "round": round,
    "strcat": lambda *values: "".join(map(_text, values)),
    "todatetime": lambda value: value,
    "todouble": lambda value: float(value) if _text(value) else None,
    "toint": _number,
    "tolong": _number,
    "tostring": _text,
    "trim": lambda what, text: text.strip(what),
}

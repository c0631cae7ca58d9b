"""Reads a filter: the part of OData 4.01 that compares columns with constants. Pure.

Written here and not taken from a library. ``odata-query`` 0.10 (of 2024) accepts 184 of 315 recorded filters that are
to be refused, because it reads far more of OData; it refuses ``not(…)``, rounds numbers, and names no place in errors.
``odatapy`` 5.3 is a whole server in an alpha version. Either way the rules below would have to stand here all the same.
"""

import re
from typing import NoReturn, cast

from shared.errors import InvalidInput
from shared.tables.queries.conditions import (
    AllOf,
    AnyOf,
    ComparisonCondition,
    Condition,
    Constant,
    Not,
    Operator,
    TextFunction,
    TextMatch,
)
from shared.tables.queries.constants import TEXT, read_constant, read_text

MAX_FILTER_BYTES = 2_000
"""How long a filter may be as it stands in the URL."""

MAX_DEPTH = 100
"""How many parentheses may be open at once."""

_BLANKS = re.compile(r"[ \t]*")
_SPACE = re.compile(r"[ \t]+")
_OPEN = re.compile(r"\([ \t]*")
_CLOSE = re.compile(r"[ \t]*\)")
_COMMA = re.compile(r"[ \t]*,[ \t]*")
_WORD = re.compile(r"[^ \t(),]+")
_FUNCTION = re.compile(r"[^ \t(),]+(?=\()")
_OPERATOR = re.compile(r"(?:eq|ne|gt|ge|lt|le)(?=[ \t]|\Z)")
_NOT = re.compile(r"not(?![ \t]+(?:eq|ne|gt|ge|lt|le)[ \t])(?:[ \t]+|(?=\())")
_JOIN = {word: re.compile(rf"(?:(?<=\))[ \t]*|[ \t]+){word}(?:[ \t]+|(?=\())") for word in ("and", "or")}
_FUNCTIONS = ("contains", "startswith", "endswith")


def parse_filter(text: str, *, url_bytes: int) -> Condition:
    """Return what a filter says.

    Args:
        text: The filter, decoded.
        url_bytes: How long it is as it stands in the URL.

    Raises:
        InvalidInput: It is too long, too deep, or not of the language; the message names the place in characters.
    """
    if url_bytes > MAX_FILTER_BYTES:
        message = f"filter has {url_bytes:,} bytes as it stands in the URL, and may have {MAX_FILTER_BYTES:,}"
        raise InvalidInput(message, target="filter")
    return _Reader(text).whole()


class _Reader:
    """Walks through one filter from left to right."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._depth = 0

    def whole(self) -> Condition:
        self._take(_BLANKS)
        condition = self._any_of()
        self._take(_BLANKS)
        if self._at < len(self._text):
            self._fail("'and', 'or' or the end")
        return condition

    def _any_of(self) -> Condition:
        conditions = [self._all_of()]
        while self._take(_JOIN["or"]):
            conditions.append(self._all_of())
        return AnyOf(tuple(conditions)) if len(conditions) > 1 else conditions[0]

    def _all_of(self) -> Condition:
        conditions = [self._term()]
        while self._take(_JOIN["and"]):
            conditions.append(self._term())
        return AllOf(tuple(conditions)) if len(conditions) > 1 else conditions[0]

    def _term(self) -> Condition:
        negated, after_not = False, False
        while self._take(_NOT):
            negated, after_not = not negated, True
        condition = self._group() or self._function()
        if condition is None and after_not:
            self._fail("a parenthesis or a function after 'not'")
        condition = condition or self._comparison()
        return Not(condition) if negated else condition

    def _group(self) -> Condition | None:
        if not self._open():
            return None
        condition = self._any_of()
        self._close("'and', 'or' or ')'")
        return condition

    def _function(self) -> Condition | None:
        name = self._take(_FUNCTION)
        if name is None:
            return None
        if name not in _FUNCTIONS:
            self._at -= len(name)
            self._fail(f"one of the functions {', '.join(_FUNCTIONS)}")
        self._open()
        place, column = self._column()
        if self._take(_COMMA) is None:
            self._fail("',' and a text in single quotes")
        text = self._take(TEXT)
        if text is None:
            self._fail("a text in single quotes")
        self._close("')'")
        return TextMatch(cast("TextFunction", name), column, read_text(text), place)

    def _comparison(self) -> Condition:
        place, column = self._column()
        operator = self._take(_OPERATOR) if self._take(_SPACE) else None
        if operator is None:
            self._fail(f"one of eq, ne, gt, ge, lt, le after {column!r}")
        self._take(_SPACE)
        return ComparisonCondition(column, cast("Operator", operator), self._constant(), place)

    def _column(self) -> tuple[int, str]:
        place = self._at + 1
        word = self._take(_WORD)
        if word is None:
            self._fail("the name of a column")
        return place, word

    def _constant(self) -> Constant:
        quoted = self._take(TEXT)
        if quoted is not None:
            return read_text(quoted)
        start, word = self._at, self._take(_WORD)
        try:
            return read_constant(word or "")
        except ValueError:
            self._at = start
            self._fail("a text in single quotes, a number, a time such as 2026-01-31T12:00:00Z, true, false or null")

    def _open(self) -> bool:
        if self._take(_OPEN) is None:
            return False
        self._depth += 1
        if self._depth > MAX_DEPTH:
            self._at -= 1
            self._fail(f"at most {MAX_DEPTH} parentheses in one another")
        return True

    def _close(self, expected: str) -> None:
        if self._take(_CLOSE) is None:
            self._fail(expected)
        self._depth -= 1

    def _take(self, pattern: re.Pattern[str]) -> str | None:
        found = pattern.match(self._text, self._at)
        if found is None:
            return None
        self._at = found.end()
        return found.group()

    def _fail(self, expected: str) -> NoReturn:
        rest = self._text[self._at : self._at + 20]
        found = repr(rest) if rest else "the end"
        raise InvalidInput(f"filter: at character {self._at + 1}, expected {expected}, found {found}", target="filter")

"""Answers filled in from the templates of the catalogue."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import cast

import msgspec
from isal import igzip

from sandbox.avepoint.faults import Failure
from sandbox.avepoint.items import Items
from sandbox.avepoint.settings import KeyCase

_FASTEST = 1

_TELLS = {"status": "$status", "statuscode": "$status", "message": "$message", "errormessage": "$message"}
_NOTHING: Mapping[str, object] = {"$next": "", "$total": 0}
_LISTS: Mapping[str, object] = {"null": None, "empty": [], "absent": ...}

_CASES: Mapping[KeyCase, Callable[[str], str]] = {
    "documented": str,
    "lower": str.lower,
    "upper": str.upper,
    "camel": lambda key: key[:1].lower() + key[1:],
    "pascal": lambda key: key[:1].upper() + key[1:],
}


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a list: its items with what stands before and after them."""

    items: Items
    numbers: Sequence[int]
    before: bytes
    after: bytes

    def render(self) -> bytes:
        """Return the JSON text, item by item the very bytes of `Items.render`."""
        return b"".join((self.before, b",".join(map(self.items.render, self.numbers)), self.after))


@lru_cache(maxsize=128)
def compressed(page: Page) -> bytes:
    """Return the page as gzip; harvests repeat the same pages, so the last ones are kept."""
    return igzip.compress(page.render(), _FASTEST)


def around(body: object, marks: Mapping[str, object]) -> tuple[bytes, bytes]:
    """Return the JSON text of a body before and after its `$items` (or `$item`), with the other markers replaced."""
    before, _, after = msgspec.json.encode(fill(body, marks)).replace(b'"$items"', b'["$item"]').partition(b'"$item"')
    return before, after


def failing(body: object, failure: Failure, error: object) -> object:
    """Return the body with a failure told in it: under its own keys for that, else under those of the error body.

    A body that is nothing but the list or the item is replaced.
    """
    marks = {"$status": failure.status, "$message": failure.message, "$requestId": ""}
    told = {} if failure.list == "kept" else {**_NOTHING, **dict.fromkeys(("$items", "$item"), _LISTS[failure.list])}
    if not isinstance(body, dict):
        return fill(error, marks)
    own = {key: marks[_TELLS[key.lower()]] for key in body if key.lower() in _TELLS}
    listed = msgspec.json.decode(msgspec.json.encode(body).replace(b'["$item"]', b'"$items"'))
    return {**cast("dict[str, object]", fill(listed, told)), **(own or cast("dict[str, object]", fill(error, marks)))}


def fill(template: object, marks: Mapping[str, object]) -> object:
    """Return the template with its markers replaced; a key whose marker stands for `...` is left out."""
    match template:
        case dict():
            filled = {key: fill(value, marks) for key, value in template.items()}
            return {key: value for key, value in filled.items() if value is not ...}
        case list():
            return [fill(value, marks) for value in template]
        case str():
            return marks.get(template, template)
        case _:
            return template


def recased(name: str, case: KeyCase) -> str:
    """Return the name of a key in another case."""
    return _CASES[case](name)


def rekeyed(body: object, names: Mapping[str, str], case: KeyCase) -> object:
    """Return the body with its keys renamed at every depth, then written in another case."""
    match body:
        case dict():
            return {recased(names.get(key, key), case): rekeyed(value, names, case) for key, value in body.items()}
        case list():
            return [rekeyed(value, names, case) for value in body]
        case _:
            return body

"""JSON text that is the same for the same value: keys sorted, numbers spelt one way. Pure."""

import json
import re
from typing import Final

import msgspec

plain_json_text: Final = msgspec.json.Encoder(order="sorted").encode
"""JSON text of a value without decimals, lone surrogates and numbers out of range."""

_MARK: Final = "\x00number:"
_MARKED: Final = re.compile(r'"\\u0000number:([^"]*)"')


class OutOfRange(str):
    """A number that no double can hold, such as ``1e400``, as it was written."""

    __slots__ = ()


def json_text(value: object) -> str:
    """Return ``value`` as JSON text with sorted keys, without blanks.

    A decimal without fraction is written as a whole number, a lone surrogate as an escape, a number out of range as it
    came.
    """
    plain = _plain(value)
    try:
        text = plain_json_text(plain).decode()
    except UnicodeEncodeError:
        text = json.dumps(plain, ensure_ascii=False, separators=(",", ":"), sort_keys=True)
        text = text.encode("utf-8", "backslashreplace").decode()
    return _MARKED.sub(r"\1", text)


def number(text: str) -> float | OutOfRange:
    """Read a decimal of a JSON text."""
    value = float(text)
    return OutOfRange(text) if value in {float("inf"), float("-inf")} else value


_DECODER: Final = json.JSONDecoder(parse_float=number, parse_constant=str, strict=False)

read_json: Final = _DECODER.decode
"""Reads JSON text as ``json_text`` writes it, and text that is not quite JSON."""

read_json_at: Final = _DECODER.raw_decode
"""Reads the JSON value that begins at a place of a text."""


def _plain(value: object) -> object:
    """Return the value with each number in its one form; what is nested too deeply stays as it is."""
    try:
        return _spelt(value)
    except RecursionError:
        return value


def _spelt(value: object) -> object:
    match value:
        case OutOfRange():
            return f"{_MARK}{value}"
        case dict():
            return {name: _spelt(one) for name, one in value.items()}
        case list():
            return [_spelt(one) for one in value]
        case float() if value.is_integer():
            return int(value)
        case _:
            return value

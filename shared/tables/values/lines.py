"""Reading a line that is not quite JSON, so that nothing of it is lost. Pure."""

from typing import Final

from shared.tables.schema.columns import LINE
from shared.tables.values.text import read_json, read_json_at

_PREFIX: Final = '{"_parent":'


def read_line(line: bytes) -> dict[str, object]:
    """Return the fields of a line, whatever it holds.

    Names are as UTF-8 can hold them. What is no object stands under ``value``, as a child dataset wraps it; what is no
    JSON, under ``_line``.
    """
    text = line.decode("utf-8", "surrogateescape")
    try:
        value = read_json(text)
    except (ValueError, RecursionError):
        return {LINE: text}
    return {_storable(name): one for name, one in value.items()} if isinstance(value, dict) else {"value": value}


def _storable(name: str) -> str:
    """Return a name as UTF-8 can hold it: what it cannot is written as an escape."""
    return name.encode("utf-8", "backslashreplace").decode()


def first_parent(line: bytes) -> object:
    """Return the parent that a harvest put first into a line: an item may have a field of that name, too."""
    text = line.decode("utf-8", "surrogateescape")
    if not text.startswith(_PREFIX):
        return None
    try:
        return read_json_at(text, len(_PREFIX))[0]
    except (ValueError, RecursionError):
        return None

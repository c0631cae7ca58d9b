"""What a row of a table is as JSON, and as cells of CSV. Pure.

Columns of JSON are JSON again, the values of a parent one object, and what did not fit its column stands under its own
name again, as it came. Rows are put together as text: some hold numbers and letters that only text can carry.
"""

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property, lru_cache

import msgspec

from shared.tables.queries.conditions import ColumnTypes
from shared.tables.schema.columns import PARENT, RESCUED, parent_column

type ShapedCell = bool | int | float | str | datetime | None

_PARENT_COLUMN = parent_column("")

_NOTHING: Mapping[str, str] = {}


@dataclass(frozen=True)
class Shape:
    """How rows are shown.

    Attributes:
        types: All columns of the table, in their order.
        own: Those of them that are not fields of the items.
        selected: The columns that are asked for, in their order; ``None``: all, and whatever was rescued.
        is_hidden: Whether a field is shown nowhere, not even where it was rescued.
    """

    types: ColumnTypes
    own: Collection[str]
    selected: Sequence[str] | None = None
    is_hidden: Callable[[str], bool] = lambda _: False

    @cached_property
    def shown(self) -> tuple[str, ...]:
        """The columns that are shown."""
        return tuple(self.types if self.selected is None else self.selected)

    @cached_property
    def read(self) -> tuple[str, ...]:
        """The columns that have to be read for it."""
        return tuple(dict.fromkeys([*self.shown, RESCUED]))

    def as_json(self, cells: Sequence[ShapedCell]) -> str:
        """Return a row, of which ``read`` was read, as a JSON object."""
        row, rescued = self._taken_apart(cells)
        members, parent = dict[str, str](), dict[str, str]()
        for name in self.shown:
            parameter = self._parameter(name)
            target = members if parameter is None else parent
            target[parameter or name] = self._json(name, row[name])
        if parent:
            members[PARENT] = json_object(parent)
        return json_object(members | {name: value for name, value in rescued.items() if self._stands_again(name)})

    def as_cells(self, cells: Sequence[ShapedCell]) -> list[str]:
        """Return a row, of which ``read`` was read, as texts in the order of ``shown``."""
        row, rescued = self._taken_apart(cells)
        again = {name: value for name, value in rescued.items() if self._stands_again(name)}
        return [_plain(again[name]) if name in again else self._text(row[name]) for name in self.shown]

    def _taken_apart(self, cells: Sequence[ShapedCell]) -> tuple[dict[str, ShapedCell], Mapping[str, str]]:
        """Return the cells by column, and what was rescued as JSON by field, without what is hidden."""
        row = dict(zip(self.read, cells, strict=True))
        text = row[RESCUED]
        if not isinstance(text, str):
            return row, _NOTHING
        rescued = {name: value for name, value in json_members(text).items() if not self.is_hidden(name)}
        row[RESCUED] = json_object(rescued) if rescued else None
        return row, rescued

    def _stands_again(self, name: str) -> bool:
        """Return whether what was rescued is shown under its name; the columns of the own keep theirs."""
        return name not in self.own and (self.selected is None or name in self.selected)

    def _parameter(self, name: str) -> str | None:
        """Return the parameter whose value a column holds, where it is one of the parent's."""
        is_parent = name in self.own and name.startswith(_PARENT_COLUMN)
        return name.removeprefix(_PARENT_COLUMN) if is_parent else None

    def _json(self, name: str, value: ShapedCell) -> str:
        if isinstance(value, str) and self.types[name] == "json":
            return value
        return msgspec.json.encode(value).decode()

    def _text(self, value: ShapedCell) -> str:
        match value:
            case None:
                return ""
            case str():
                return value
            case int() if not isinstance(value, bool):
                return str(value)
            case _:
                return _plain(msgspec.json.encode(value).decode())


def json_members(text: str) -> Mapping[str, str]:
    """Return the members of a JSON object without blanks, each as the JSON text it is."""
    decoder, members, at = json.JSONDecoder(), dict[str, str](), 1
    while text[at] != "}":
        name, at = decoder.raw_decode(text, at)
        start = at + 1
        _, at = decoder.raw_decode(text, start)
        members[name] = text[start:at]
        at += text[at] == ","
    return members


def json_object(members: Mapping[str, str]) -> str:
    """Return a JSON object of members that are JSON texts."""
    return f"{{{','.join(f'{_spelt(name)}:{value}' for name, value in members.items())}}}"


@lru_cache(maxsize=4_096)
def _spelt(name: str) -> str:
    """Return a name as JSON; the same ones come with every row."""
    return json.dumps(name)


def _plain(value: str) -> str:
    """Return JSON as a cell shows it: texts without their quotes, nothing for null."""
    if value == "null":
        return ""
    return str(json.loads(value)) if value.startswith('"') else value

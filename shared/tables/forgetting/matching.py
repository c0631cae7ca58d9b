"""Where a text stands, however it is written: as it is, in a key, inside JSON. Pure."""

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from shared.document import storable
from shared.errors import InvalidInput
from shared.tables.engine.connection import literal, quoted_path
from shared.tables.schema.columns import LINE_HASH, RUN_ID
from shared.tables.values.scalars import key_part
from shared.tables.values.text import json_text, read_json

SHORTEST: Final = 3
"""Characters: a shorter text stands nearly everywhere."""

_NESTED: Final = 2
"""JSON may stand in a text inside JSON."""


@dataclass(frozen=True)
class PersonText:
    """What names a person: an id, a name, an address. Upper and lower case are the same.

    Raises:
        InvalidInput: It is too short, or cannot stand in a table.
    """

    text: str

    def __post_init__(self) -> None:
        """Refuse what would be found everywhere, or nowhere."""
        if len(self.text.strip()) < SHORTEST or not storable(self.text) or "\x00" in self.text:
            raise InvalidInput(
                f"a text of fewer than {SHORTEST} characters, or with signs that no table holds, names nobody",
                target="--text",
                remedy="Give an id, a complete name or an address.",
            )

    @cached_property
    def forms(self) -> tuple[str, ...]:
        """The text as it may be written."""
        found = {unicodedata.normalize(form, self.text) for form in ("NFC", "NFD")} | {self.text}
        for _ in range(_NESTED):
            found |= {escaped for one in found for escaped in (json_text(one)[1:-1], key_part(one))}
        return tuple(sorted(found))

    def is_in(self, text: str) -> bool:
        """Whether it stands in a text, which may be JSON or lines of it."""
        lines = text.split("\n") if "\\" in text else [text]
        return any(form in line for line in map(_plain, lines) for form in self._folded)

    @cached_property
    def _folded(self) -> tuple[str, ...]:
        return tuple(form.casefold() for form in self.forms)

    def condition(self, columns: Mapping[str, str]) -> str:
        """Return the SQL that is true of the rows that have it in one of these columns, and never null.

        Args:
            columns: The types, as the engine has them, by name; a number has to be the text as a whole.
        """
        found = [self._cell(quoted_path(name), kind) for name, kind in columns.items()]
        return f"coalesce({' OR '.join(f'coalesce({one}, false)' for one in found)}, false)" if found else "false"

    def _cell(self, name: str, kind: str) -> str:
        if kind == "VARCHAR":
            return " OR ".join(f"contains({_lowered(name)}, {_lowered(literal(form))})" for form in self.forms)
        return f"CAST({name} AS VARCHAR) = {literal(self.text.strip())}" if kind in {"BIGINT", "DOUBLE"} else "false"


def _lowered(text: str) -> str:
    """Return SQL for a text in lower case, with sharp s and final sigma as what their capitals become again."""
    return f"replace(replace(lower({text}), 'ß', 'ss'), '\u03c2', '\u03c3')"


def _plain(line: str) -> str:
    """Return a line in lower case; the signs of JSON that are written as escapes become themselves."""
    if "\\" not in line:
        return line.casefold()
    try:
        return f"{line}\n{json_text(read_json(line))}".casefold()
    except (ValueError, RecursionError):
        return line.casefold()


def searched_columns(columns: Mapping[str, str], only: tuple[str, ...] | None) -> dict[str, str]:
    """Return the columns of a file that may name a person.

    Args:
        only: The columns that may, where it is known; else all but those that name the run and the line.
    """
    return {
        name: kind
        for name, kind in columns.items()
        if (name in only if only is not None else name not in {RUN_ID, LINE_HASH})
    }

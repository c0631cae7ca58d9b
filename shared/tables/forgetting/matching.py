"""Where a text stands, however it is written: in a key, an address, JSON inside JSON, or as a hash. Pure."""

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Final

from shared.document import storable
from shared.errors import InvalidInput
from shared.tables.engine.connection import literal, quoted_path
from shared.tables.schema.columns import LINE_HASH, RUN_ID
from shared.tables.values.scalars import digest

SHORTEST: Final = 3
"""Characters: a shorter text stands nearly everywhere."""

_BACKSLASHES: Final = r"\\\\*"
"""One or more, for JSON in a text inside JSON; Python is faster with a sign than with a repetition in front."""

_MANY_BACKSLASHES: Final = re.compile(r"\\{2,}")
_CONTROLS: Final = {"\b": "b", "\t": "t", "\n": "n", "\f": "f", "\r": "r"}


@dataclass(frozen=True)
class PersonText:
    """What names a person: an id, a name, an address. Upper and lower case are the same.

    Raises:
        InvalidInput: It is too short, or cannot stand in a table.
    """

    text: str

    def __post_init__(self) -> None:
        """Refuse what would be found everywhere, or nowhere."""
        if len(self._named) < SHORTEST or not storable(self.text) or "\x00" in self.text:
            raise InvalidInput(
                f"a text of fewer than {SHORTEST} characters, or with signs that no table holds, names nobody",
                target="--text",
                remedy="Give an id, a complete name or an address.",
            )

    @property
    def _named(self) -> str:
        """The text without the blanks around it, which come with what is copied from elsewhere."""
        return self.text.strip()

    @cached_property
    def pattern(self) -> str:
        """A regular expression, as Python and the engine read it, that finds the text in lower case, or its hash."""
        named = _collapsed(self._named)
        texts = {named, unicodedata.normalize("NFC", named)}
        return "|".join([*("".join(map(_sign_pattern, text)) for text in sorted(texts)), digest(self._named)])

    def is_in(self, text: str) -> bool:
        """Whether it stands in a text, which may be JSON or lines of it."""
        return self._compiled.search(_collapsed(text.casefold())) is not None

    @cached_property
    def _compiled(self) -> re.Pattern[str]:
        return re.compile(self.pattern)

    def condition(self, columns: Mapping[str, str]) -> str:
        """Return the SQL that is true of the rows that have it in one of these columns, and never null.

        Args:
            columns: The types, as the engine has them, by name; a number has to be the text as a whole.
        """
        found = [self._cell(quoted_path(name), kind) for name, kind in columns.items()]
        return f"coalesce({' OR '.join(f'coalesce({one}, false)' for one in found)}, false)" if found else "false"

    def _cell(self, name: str, kind: str) -> str:
        if kind == "VARCHAR":
            return f"regexp_matches({_lowered(name)}, {literal(self.pattern)})"
        return f"CAST({name} AS VARCHAR) = {literal(self._named)}" if kind in {"BIGINT", "DOUBLE"} else "false"


def _collapsed(text: str) -> str:
    """Return a text with one backslash for many in a row: otherwise Python tries every way to share them out."""
    return _MANY_BACKSLASHES.sub(r"\\", text)


def _lowered(text: str) -> str:
    """Return SQL for a text in lower case, with sharp s and final sigma as what their capitals become again."""
    return f"replace(replace(lower({text}), 'ß', 'ss'), '\u03c2', '\u03c3')"


@cache
def _sign_pattern(sign: str) -> str:
    """Return a regular expression for a sign in both cases, as one sign or with its accents apart."""
    cased = {sign, sign.lower(), sign.upper(), sign.casefold()}
    forms = cased | {unicodedata.normalize("NFD", one) for one in cased}
    patterns = {"".join(map(_spelling_pattern, form)) for form in forms}
    return f"(?:{'|'.join(sorted(patterns))})"


def _spelling_pattern(sign: str) -> str:
    r"""Return a regular expression for a sign as it is, and as ``\u0040`` or ``%40``; ``\`` may stand many times."""
    units = sign.encode("utf-16-be")
    escape = "".join(f"{_BACKSLASHES}u{units[n : n + 2].hex()}" for n in range(0, len(units), 2))
    percent = "".join(f"%{byte:02x}" for byte in sign.encode())
    found = [re.escape(sign), escape, percent]
    if sign == "\\":
        found.append(_BACKSLASHES)
    elif sign in _CONTROLS:
        found.append(f"{_BACKSLASHES}{_CONTROLS[sign]}")
    elif not sign.isalnum():
        found.append(f"{_BACKSLASHES}{re.escape(sign)}")
    return f"(?:{'|'.join(found)})"


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

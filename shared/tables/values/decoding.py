"""Lines in, one list of values for each field out, at the speed of typed decoding. Pure.

All lines of a chunk are decoded at once into a struct whose fields have the types of the columns. What does not fit
makes the decoder looser for good, field by field, so that a snapshot pays for its surprises once.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final

import msgspec

from shared.document import storable
from shared.tables.schema.columns import PARENT, ColumnType, TableSchema
from shared.tables.values.lines import first_parent, read_line
from shared.tables.values.text import OutOfRange, number

_LONG = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
_STRICT: Final[Mapping[ColumnType, tuple[object, type]]] = {
    "boolean": (bool | None, bool),
    "long": (_LONG | None, int),
    "string": (str | None, str),
    "timestamp": (str | None, str),
}
"""Of the types that msgspec can hold against the lines: how, and what comes of it."""

_UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)

type Values = Sequence[object]


@dataclass(frozen=True, slots=True)
class Chunk:
    """Some lines, and the values of their fields; a field that is in none of them is missing.

    Attributes:
        parents: The values of the parent that the harvest put in front of each line; ``None`` without a parent.
        strict: The fields whose values are known to have the type of their column, or to be null.
        is_plain: No value is, or holds, a decimal or something that is not quite JSON.
    """

    lines: list[bytes]
    values: dict[str, Values]
    parents: Values | None
    strict: frozenset[str]
    is_plain: bool


class LineDecoder:
    """Decodes the lines of one part after the other."""

    def __init__(self, schema: TableSchema, *, is_child: bool) -> None:
        self._types: dict[str, ColumnType | None] = {column.field: column.type for column in schema.columns}
        if is_child:
            self._types.setdefault(PARENT, None)
        self._is_child = is_child
        self._loose: set[str] = set()
        self._seen: set[str] = set()
        self._is_plain = True
        self._build()

    def decode(self, text: bytes) -> Chunk:
        """Decode whole lines, each ended by a line feed."""
        lines = text.split(b"\n")
        if not lines[-1]:
            lines.pop()
        self._is_plain = True
        try:
            rows = self._decode_lines(text)
        except _UNREADABLE:
            rows = self._decode_one_by_one(text, lines)
        return self._chunk(lines, rows if len(rows) == len(lines) else self._each(lines))

    def _build(self) -> None:
        """Make the struct anew: fields not seen so far tell whether they are absent, all others are null then."""
        fields = [
            (f"f{n}", self._annotation(name), msgspec.field(name=_encoded(n, name), default=self._default(name)))
            for n, name in enumerate(self._types)
        ]
        self._row = msgspec.defstruct("Row", fields, forbid_unknown_fields=True, gc=False)
        decoder: msgspec.json.Decoder[Any] = msgspec.json.Decoder(self._row, float_hook=self._float)
        self._decode, self._decode_lines = decoder.decode, decoder.decode_lines

    def _float(self, text: str) -> float | OutOfRange:
        """Note that there are numbers that can be spelt in several ways."""
        self._is_plain = False
        return number(text)

    def _default(self, name: str) -> object:
        return None if name in self._seen else msgspec.UNSET

    def _annotation(self, name: str) -> object:
        annotation = self._strict(name)
        if annotation is None:
            return Any
        return annotation[0] if name in self._seen else annotation[0] | msgspec.UnsetType

    def _strict(self, name: str) -> tuple[object, type] | None:
        kind = self._types[name]
        return None if kind is None or name in self._loose else _STRICT.get(kind)

    def _decode_one_by_one(self, text: bytes, lines: list[bytes]) -> list[object]:
        """Become as loose as these lines need it, and decode them again."""
        items = [self._relaxed(line) for line in lines]
        self._build()
        if None not in items:
            return self._each(lines)
        try:
            return self._decode_lines(text)
        except _UNREADABLE:
            return self._each(lines)

    def _relaxed(self, line: bytes) -> dict[str, object] | None:
        try:
            self._decode(line)
        except _UNREADABLE:
            item = read_line(line)
            self._is_plain = False
            for name, value in item.items():
                strict = self._strict(name) if name in self._types else None
                self._types.setdefault(name, None)
                if strict is not None and value is not None and not _is_strictly(value, strict[1]):
                    self._loose.add(name)
            return item
        return None

    def _each(self, lines: list[bytes]) -> list[object]:
        return [self._row_of(line) for line in lines]

    def _row_of(self, line: bytes) -> object:
        try:
            return self._decode(line)
        except _UNREADABLE:
            item = read_line(line)
            self._is_plain = False
            return self._row(*(item.get(name, self._default(name)) for name in self._types))

    def _chunk(self, lines: list[bytes], rows: list[object]) -> Chunk:
        columns: list[Values] = [*zip(*map(msgspec.structs.astuple, rows), strict=True)]  # type: ignore[arg-type]  # as above
        values: dict[str, Values] = {}
        seen = len(self._seen)
        for name, column in zip(self._types, columns, strict=False):
            if name in self._seen:
                values[name] = column
            elif column.count(msgspec.UNSET) < len(column):
                values[name] = [None if value is msgspec.UNSET else value for value in column]
                self._seen.add(name)
        if len(self._seen) > seen:
            self._build()
        parents = _parents(lines, values[PARENT]) if self._is_child and PARENT in values else None
        strict = frozenset(name for name in values if self._strict(name))
        return Chunk(lines, values, parents, strict, self._is_plain)


def _encoded(n: int, name: str) -> str:
    """Return the name for msgspec, which takes none that JSON would escape: lines with such a name are read slowly."""
    return name if name.isprintable() and '"' not in name and "\\" not in name else f"\ufffe{n}"


def _is_strictly(value: object, wanted: type) -> bool:
    match value:
        case bool():
            return wanted is bool
        case int():
            return wanted is int and -(2**63) <= value < 2**63
        case OutOfRange():
            return False
        case str():
            return wanted is str and storable(value)
        case _:
            return False


def _parents(lines: list[bytes], values: Values) -> Values:
    """Return the parent that came first in each line."""
    return [
        value if line.count(b'"_parent":') < 2 else first_parent(line)  # noqa: PLR2004 - one is the harvest's own
        for line, value in zip(lines, values, strict=True)
    ]

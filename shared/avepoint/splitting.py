"""Taking a page apart whose JSON is broken inside some items, so that one bad item does not cost the others. Pure.

AvePoint cuts texts at a length, which may leave half of an emoji (an escape of one surrogate), and no strict parser
reads such a page. The tokens of RFC 8259 are enough to find where each item begins and ends.
"""

import json
import re
from collections.abc import Buffer
from dataclasses import dataclass

import msgspec

_TOKEN = re.compile(rb'"(?:[^"\\]++|\\.)*+(?:"|\\?\Z)|[{}\[\],:]|[^\s{}\[\],:"]++', re.DOTALL)
"""A string that is cut reaches to the end: to look for a string behind each quote in it takes time by its square."""

_STRING_OR_BREAK = re.compile(rb'"(?:[^"\\]++|\\.)*+"|[\r\n]+', re.DOTALL)
_CLOSED_BY = {b"{": b"}", b"[": b"]"}


class UnbalancedJson(Exception):
    """The brackets of a text do not match: it is cut, or is not JSON at all."""


@dataclass(frozen=True, slots=True)
class SplitPage:
    """A page in two pieces: ``frame`` is the page with an empty list in place of the items."""

    frame: bytes
    items: tuple[bytes, ...]


def split_page(body: bytes, envelope: str) -> SplitPage | None:
    """Find the list that ``envelope`` names, and its items; ``None`` where there is none.

    Args:
        envelope: Dotted path of keys, compared without case, or ``$root`` for the whole body.

    Raises:
        UnbalancedJson: The page is cut.
    """
    wanted = [] if envelope == "$root" else envelope.casefold().split(".")
    scan = _Scan(wanted)
    for token in _TOKEN.finditer(body):
        scan.take(token.group(), token.start(), token.end())
    if scan.stack:
        raise UnbalancedJson
    if scan.begins is None or scan.ends is None:
        return None
    items = tuple(body[start:end] for start, end in scan.items)
    return SplitPage(body[: scan.begins] + body[scan.ends :], items)


class _Scan:
    """What has been seen of a page so far, one token after the other."""

    def __init__(self, wanted: list[str]) -> None:
        self._wanted = wanted
        self._depth: int | None = None
        self._last_text = b""
        self._key: str | None = None
        self._item_begins: int | None = None
        self._last_end = 0
        self.stack: list[tuple[bytes, str | None]] = []
        self.begins: int | None = None
        self.ends: int | None = None
        self.items: list[tuple[int, int]] = []

    def take(self, token: bytes, begins: int, ends: int) -> None:
        """Take the next token, and where it stands."""
        if self._depth == len(self.stack) and self.ends is None:
            self._take_in_list(token, begins)
        match token:
            case b"{" | b"[":
                self._open(token, ends)
            case b"}" | b"]":
                if not self.stack or _CLOSED_BY[self.stack.pop()[0]] != token:
                    raise UnbalancedJson
            case b":":
                self._key = self._last_text[1:-1].decode(errors="replace").casefold()
            case _:
                self._last_text = token
        self._last_end = ends

    def _take_in_list(self, token: bytes, begins: int) -> None:
        if token in {b",", b"]"}:
            if self._item_begins is not None:
                self.items.append((self._item_begins, self._last_end))
            self._item_begins = None
        elif self._item_begins is None:
            self._item_begins = begins
        if token == b"]":
            self.ends = begins

    def _open(self, bracket: bytes, ends: int) -> None:
        self.stack.append((bracket, self._key if self.stack and self.stack[-1][0] == b"{" else None))
        if self._depth is None and bracket == b"[" and [key for _, key in self.stack[1:]] == self._wanted:
            self._depth, self.begins = len(self.stack), ends


def one_line(item: bytes) -> bytes | None:
    """Return an item without the line breaks between its tokens; ``None`` where one stands inside a text."""
    if any(b"\n" in text or b"\r" in text for text in _STRING_OR_BREAK.findall(item) if text.startswith(b'"')):
        return None
    return _STRING_OR_BREAK.sub(lambda found: found.group() if found.group().startswith(b'"') else b"", item)


def fault_of(item: bytes) -> str | None:
    """Return why an item is not valid JSON in UTF-8; ``None`` where it is."""
    try:
        item.decode()
        msgspec.json.decode(item, type=msgspec.Raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return str(error)
    return None


def read_item(item: Buffer) -> object:
    """Return what an item holds, as far as it can be read; ``None`` where it cannot be read at all."""
    try:
        return msgspec.json.decode(item)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        pass  # half an emoji in a name, or NaN: the ids beside it can be read all the same
    try:
        return json.loads(bytes(item).decode(errors="surrogateescape"))
    except (ValueError, RecursionError):
        return None

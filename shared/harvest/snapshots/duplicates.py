"""Counts items that came twice, by their documented key, over a snapshot of any size.

Each part leaves the sorted 64-bit hashes of the keys of its items beside the checkpoint; publishing merges them.
Among ten million items the chance of one false duplicate is 1 in 370,000.
"""

import re
from array import array
from collections.abc import Buffer, Callable, Iterable, Sequence
from hashlib import blake2b
from heapq import merge

import msgspec

from shared.avepoint.catalog import Dataset
from shared.avepoint.page import Page

_HASH_BYTES = 8
_MISSING = msgspec.Raw(b"null")


class KeyReader:
    """Reads nothing of an item but its key."""

    def __init__(self, dataset: Dataset) -> None:
        fields = [
            (f"key_{n}", msgspec.Raw, msgspec.field(name=key, default=_MISSING)) for n, key in enumerate(dataset.key)
        ]
        self._dataset = dataset
        self._decode = msgspec.json.Decoder(msgspec.defstruct("Item", fields)).decode
        self._in_front = _in_front(dataset.key[0]) if len(dataset.key) == 1 else None

    def hashes(self, page: Page) -> array[int]:
        """One hash for each item of ``page``; none where the dataset has no key."""
        if not self._dataset.key:
            return array("Q")
        return _hashes(b"%b\0" % page.parent, self._keys(page.items))

    def _keys(self, items: Sequence[msgspec.Raw]) -> Iterable[bytes]:
        if (in_front := self._in_front) is None:
            return map(self._decoded, items)
        return [found[1] if (found := in_front(item)) else self._decoded(item) for item in items]

    def _decoded(self, item: msgspec.Raw) -> bytes:
        """Return the key of an item; an item without one is its own key."""
        try:
            values = msgspec.structs.astuple(self._decode(item))
            if _MISSING in values:
                values = self._in_other_case(item)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return bytes(item)
        return b"\0".join(map(bytes, values)) if any(value != _MISSING for value in values) else bytes(item)

    def _in_other_case(self, item: msgspec.Raw) -> tuple[msgspec.Raw, ...]:
        """Find the keys of an item that spells them otherwise than the documents."""
        fields = msgspec.json.decode(item, type=dict[str, msgspec.Raw])
        folded = {name.casefold(): value for name, value in fields.items()}
        return tuple(folded.get(key.casefold(), _MISSING) for key in self._dataset.key)


def _in_front(key: str) -> Callable[[Buffer], re.Match[bytes] | None]:
    """Find the key in an object that begins with it, as most do: the rest of the object need not be read.

    It finds none with a backslash in it, where a quotation mark may not be the end.
    """
    return re.compile(rb'\{%b:("[^"\\]*"|\d+)[,}]' % re.escape(msgspec.json.encode(key))).match


def line_hashes(page: Page) -> array[int]:
    """One hash for each line of ``page``, for datasets whose items may have no key."""
    items: Iterable[Buffer] = page.items
    if page.pretty:  # as they are stored
        items = (msgspec.json.format(bytes(item), indent=-1) for item in page.items)
    return _hashes(page.parent, items)


def stored_line_hashes(lines: Iterable[Buffer]) -> array[int]:
    """One hash for each stored line; without parents, what ``line_hashes`` gives for it."""
    return _hashes(b"", lines)


def _hashes(parent: bytes, texts: Iterable[Buffer]) -> array[int]:
    begun, digests = blake2b(parent, digest_size=_HASH_BYTES), bytearray()
    for text in texts:
        digest = begun.copy()
        digest.update(text)
        digests += digest.digest()
    return array("Q", digests)


def merged(stored: Sequence[bytes]) -> bytes:
    """Several stored hashes as one."""
    return array("Q", merge(*map(_unpacked, stored))).tobytes()


def packed(hashes: Iterable[int]) -> bytes:
    """Hashes as they are stored: sorted, eight bytes each."""
    return array("Q", sorted(hashes)).tobytes()


def _unpacked(stored: bytes) -> "memoryview[int]":
    """View stored hashes as numbers, without a copy: a large snapshot has many."""
    return memoryview(stored).cast("Q")

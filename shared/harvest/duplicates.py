"""Counts items that came twice, by their documented key, over a snapshot of any size.

Each part leaves the sorted 64-bit hashes of the keys of its items beside the checkpoint; publishing merges them.
Among ten million items the chance of one false duplicate is 1 in 370,000.
"""

import re
from array import array
from bisect import bisect_left
from collections.abc import Buffer, Callable, Iterable, Sequence
from hashlib import blake2b
from heapq import merge
from itertools import pairwise, starmap
from operator import eq

import msgspec

from shared.avepoint.catalog import Dataset
from shared.avepoint.paging import Page
from shared.errors import BadAnswer

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
        """One hash for each item of ``page``; none where the dataset has no key.

        Raises:
            BadAnswer: An item is no object.
        """
        if not self._dataset.key:
            return array("Q")
        return _hashes(b"%b\0" % page.parent, self._keys(page.items))

    def _keys(self, items: Sequence[msgspec.Raw]) -> Iterable[bytes]:
        if (in_front := self._in_front) is None:
            return map(self._decoded, items)
        return [found[1] if (found := in_front(item)) else self._decoded(item) for item in items]

    def _decoded(self, item: msgspec.Raw) -> bytes:
        try:
            return b"\0".join(msgspec.structs.astuple(self._decode(item)))
        except msgspec.ValidationError as error:
            raise BadAnswer(f"{self._dataset.name}: an item is no object: {error}") from error


def _in_front(key: str) -> Callable[[Buffer], re.Match[bytes] | None]:
    """Finds the key in an object that begins with it, as most do: the rest of the object need not be read.

    It finds none with a backslash in it, where a quotation mark may not be the end.
    """
    return re.compile(rb'\{%b:("[^"\\]*"|\d+)[,}]' % re.escape(msgspec.json.encode(key))).match


def line_hashes(page: Page) -> array[int]:
    """One hash for each line of ``page``, for datasets whose items may have no key."""
    return _hashes(page.parent, page.items)


def _hashes(parent: bytes, texts: Iterable[Buffer]) -> array[int]:
    begun, digests = blake2b(parent, digest_size=_HASH_BYTES), bytearray()
    for text in texts:
        digest = begun.copy()
        digest.update(text)
        digests += digest.digest()
    return array("Q", digests)


class SeenLines:
    """Lines that came before, by their hashes, in eight bytes each."""

    def __init__(self, stored: Sequence[bytes]) -> None:
        self._hashes = _unpacked(merged(stored))

    def __contains__(self, line_hash: int) -> bool:
        position = bisect_left(self._hashes, line_hash)
        return position < len(self._hashes) and self._hashes[position] == line_hash


def merged(stored: Sequence[bytes]) -> bytes:
    """Several stored hashes as one."""
    return array("Q", merge(*map(_unpacked, stored))).tobytes()


def packed(hashes: Iterable[int]) -> bytes:
    """Hashes as they are stored: sorted, eight bytes each."""
    return array("Q", sorted(hashes)).tobytes()


def count_duplicates(stored: Sequence[bytes]) -> int:
    """How many items of all parts have a key that an earlier one had."""
    return sum(starmap(eq, pairwise(merge(*map(_unpacked, stored)))))


def _unpacked(stored: bytes) -> "memoryview[int]":
    """Stored hashes as numbers, without a copy: a large snapshot has many."""
    return memoryview(stored).cast("Q")

"""Counts items that came twice, by their documented key, over a snapshot of any size.

Each part leaves the sorted 64-bit hashes of the keys of its items beside the checkpoint; publishing merges them.
Among ten million items the chance of one false duplicate is 1 in 370,000.
"""

from array import array
from bisect import bisect_left
from collections.abc import Sequence
from hashlib import blake2b
from heapq import merge
from itertools import pairwise

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
        self._dataset = dataset.name
        self._keyed = bool(dataset.key)
        item = msgspec.defstruct("Item", fields)
        self._decode = msgspec.json.Decoder(list[item]).decode  # type: ignore[valid-type]

    def hashes(self, page: Page) -> array[int]:
        """One hash for each item of ``page``; none where the dataset has no key.

        Raises:
            BadAnswer: An item is no object.
        """
        if not self._keyed:
            return array("Q")
        try:
            items = self._decode(page.envelope)
        except msgspec.ValidationError as error:
            raise BadAnswer(f"{self._dataset}: an item is no object: {error}") from error
        digests = (blake2b(b"\0".join(msgspec.structs.astuple(item)), digest_size=_HASH_BYTES) for item in items)
        return array("Q", b"".join([digest.digest() for digest in digests]))


def line_hashes(page: Page) -> array[int]:
    """One hash for each line of ``page``, for datasets whose items may have no key."""
    return array("Q", b"".join([blake2b(item, digest_size=_HASH_BYTES).digest() for item in page.items]))


class SeenLines:
    """Lines that came before, by their hashes, in eight bytes each."""

    def __init__(self, stored: Sequence[bytes]) -> None:
        self._hashes = array("Q", merged(stored))

    def __contains__(self, line_hash: int) -> bool:
        position = bisect_left(self._hashes, line_hash)
        return position < len(self._hashes) and self._hashes[position] == line_hash


def merged(stored: Sequence[bytes]) -> bytes:
    """Several stored hashes as one."""
    return array("Q", merge(*(array("Q", hashes) for hashes in stored))).tobytes()


def packed(hashes: array[int]) -> bytes:
    """Hashes as they are stored: sorted, eight bytes each."""
    return array("Q", sorted(hashes)).tobytes()


def count_duplicates(stored: Sequence[bytes]) -> int:
    """How many items of all parts have a key that an earlier one had."""
    return sum(one == other for one, other in pairwise(merge(*(array("Q", hashes) for hashes in stored))))

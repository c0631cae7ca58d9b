"""Which parents a child dataset is asked for: those of the newest snapshot, least recently harvested first. Pure."""

import heapq
from array import array
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from hashlib import blake2b
from itertools import groupby, product
from typing import Self

import msgspec

from shared.avepoint.catalog import Parent, Value
from shared.harvest.duplicates import packed

NO_VALUE = frozenset({"", "N/A"})
"""How AvePoint writes that there is none (AvePoint/cloud-api, sample answers)."""

type Values = tuple[Value, ...]
"""One value for each parameter, in the order of the catalogue."""


class Chosen(msgspec.Struct, frozen=True):
    """The parents of a run, each with the second until which it was harvested before, and how many were left out."""

    parents: list[tuple[Values, int | None]]
    left_out: int

    def to_json(self) -> bytes:
        """The document as it is stored."""
        return msgspec.json.encode(self)

    @classmethod
    def from_json(cls, data: bytes) -> Self:
        """Read what ``to_json`` wrote."""
        return msgspec.json.decode(data, type=cls)


class Known(msgspec.Struct, array_like=True, frozen=True):
    """What is remembered of a parent: the second until which it is harvested, and its last lines, as hashes."""

    until: int
    hashes: bytes = b""


type Ledger = dict[int, Known]
"""What is known of every parent that was ever asked for, by ``parent_hash``."""

read_hashes_by_parent = msgspec.msgpack.Decoder(dict[int, bytes]).decode
read_ledger = msgspec.msgpack.Decoder(dict[int, Known]).decode
write_by_parent = msgspec.msgpack.Encoder().encode


def encoded(parent: Mapping[str, Value]) -> bytes:
    """The parent values as a JSON object, as lines hold them under ``_parent``."""
    return msgspec.json.encode(parent)


def parent_hash(values: Values) -> int:
    """Eight bytes that stand for a parent."""
    return int.from_bytes(blake2b(msgspec.json.encode(values), digest_size=8).digest())


def values_of(line: bytes, parent: Parent) -> Iterator[Values]:
    """What one line of the parent's snapshot gives: a tuple for each combination of its values, none without one."""
    item = msgspec.json.decode(line)
    return product(*(_first_with_value(item, fields) for fields in parent.parameters.values()))


def _first_with_value(item: object, fields: Sequence[str]) -> list[Value]:
    return next(filter(None, (list(_dig(item, field.split("."))) for field in fields)), [])


def _dig(found: object, steps: Sequence[str]) -> Iterator[Value]:
    if not steps:
        if isinstance(found, str | int) and not isinstance(found, bool) and found not in NO_VALUE:
            yield found
        return
    step, *rest = steps
    inner = _get(found, step.removesuffix("[]"))
    for one in inner if step.endswith("[]") and isinstance(inner, list) else [inner]:
        yield from _dig(one, rest)


def _get(found: object, name: str) -> object:
    """Keys drift in their case between documents and answers."""
    if not isinstance(found, dict):
        return None
    folded = name.casefold()
    return found[name] if name in found else next((one for key, one in found.items() if key.casefold() == folded), None)


class Chooser:
    """Takes parents one by one and keeps those that were harvested longest ago; new ones come first.

    Its memory is the parents it keeps, and eight bytes for each other one.
    """

    def __init__(self, ledger: Ledger, *, most: int) -> None:
        self._ledger = ledger
        self._most = most
        self._offered = array("Q")
        self._kept: set[int] = set()
        self._newest_first: list[tuple[int, int, int, Values]] = []

    def offer(self, values: Values) -> None:
        """Take a parent, which may have come before."""
        mark = parent_hash(values)
        if mark in self._kept:
            return
        position = len(self._offered)
        self._offered.append(mark)
        entry = (-self._until(mark), -position, mark, values)
        if len(self._kept) < self._most:
            heapq.heappush(self._newest_first, entry)
        elif entry < self._newest_first[0]:
            return
        else:
            self._kept.remove(heapq.heapreplace(self._newest_first, entry)[2])
        self._kept.add(mark)

    def chosen(self) -> Chosen:
        """The parents kept, least recently harvested first, and how many others there are."""
        parents = [(values, self._since(mark)) for *_, mark, values in sorted(self._newest_first, reverse=True)]
        distinct = sum(1 for _ in groupby(sorted(self._offered)))
        return Chosen(parents, distinct - len(parents))

    def _until(self, mark: int) -> int:
        return self._since(mark) or 0

    def _since(self, mark: int) -> int | None:
        known = self._ledger.get(mark)
        return known.until if known else None


def hashes_by_parent(hashes: Mapping[bytes, array[int]], parent: Parent) -> dict[int, bytes]:
    """Hashes of lines, of each parent as ``encoded`` wrote it (with its choices behind), as a ledger keeps them."""
    found: defaultdict[int, array[int]] = defaultdict(lambda: array("Q"))
    for written, lines in hashes.items():
        values = tuple(msgspec.json.decode(written, type=dict[str, Value]).values())
        found[parent_hash(values[: len(parent.parameters)])].extend(lines)
    return {mark: packed(lines) for mark, lines in found.items()}


def renewed(ledger: Ledger, chosen: Chosen, *, until: int, hashes: Mapping[int, bytes]) -> Ledger:
    """The ledger after a run: its parents are harvested until ``until``, and these are the hashes of their lines."""
    marks = [parent_hash(values) for values, _ in chosen.parents]
    return ledger | {mark: Known(until, hashes.get(mark, b"")) for mark in marks}

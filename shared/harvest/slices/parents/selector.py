"""Which parents a child dataset is asked for: those of the newest snapshot, least recently harvested first. Pure."""

import heapq
from collections.abc import Iterator, Mapping, Sequence
from hashlib import blake2b
from itertools import chain, product
from typing import Self, TypeIs

import msgspec

from shared.avepoint.catalog import Parent, Value
from shared.avepoint.splitting import read_item
from shared.document import storable
from shared.harvest.snapshots.sorted_hashes import HashRuns, SortedHashes

NO_VALUE = frozenset({"", "N/A"})
"""How AvePoint writes that there is none (AvePoint/cloud-api, sample answers)."""

_NONE: Sequence[object] = (None, False, [], {}, *NO_VALUE)
_NO_ITEM = frozenset({b"", b"null"})
_NAME_LENGTH = 200

type ParentTuple = tuple[Value, ...]
"""One value for each parameter, in the order of the catalogue."""


class UnusableParent(msgspec.Struct, frozen=True):
    """A parent that cannot be asked for, as far as it can be named, and why."""

    values: ParentTuple
    reason: str


class SelectedParents(msgspec.Struct, frozen=True):
    """The parents of a run, each with the second until which it was harvested before, and how many were left out.

    ``unusable`` are those that cannot be asked for.
    """

    parents: list[tuple[ParentTuple, int | None]]
    left_out: int
    unusable: list[UnusableParent] = []

    def with_one_window(self) -> Self:
        """Return the parents as if none had been harvested before: each is asked for the whole window."""
        return msgspec.structs.replace(self, parents=[(values, None) for values, _ in self.parents])

    def to_json(self) -> bytes:
        """Return the document as it is stored."""
        return msgspec.json.encode(self)

    @classmethod
    def from_json(cls, data: bytes) -> Self:
        """Read what ``to_json`` wrote."""
        return msgspec.json.decode(data, type=cls)


class ParentState(msgspec.Struct, array_like=True, frozen=True):
    """What is remembered of a parent: the second until which it is harvested, and its last lines, as hashes.

    ``until`` is 0 before its first harvest; ``away`` counts the harvests in a row in which it was not there.
    ``open_since`` is the second in which the oldest item began that had not ended; ``None`` where all had.
    """

    until: int
    hashes: bytes = b""
    away: int = 0
    open_since: int | None = None


type ParentStates = dict[int, ParentState]
"""What is known of every parent that was ever asked for, by ``parent_hash``."""


write_by_parent = msgspec.msgpack.Encoder().encode


def encoded(parent: Mapping[str, Value]) -> bytes:
    """Return the parent values as a JSON object, as lines hold them under ``_parent``."""
    return msgspec.json.encode(parent)


def parent_hash(values: ParentTuple) -> int:
    """Eight bytes that stand for a parent."""
    return int.from_bytes(blake2b(msgspec.json.encode(values), digest_size=8).digest())


def values_of(line: bytes, parent: Parent) -> Iterator[ParentTuple | UnusableParent]:
    """Yield the parents in one line of the parent's snapshot: one for each combination, none where a list is empty."""
    item = read_item(line)
    if item is None:
        if line not in _NO_ITEM:
            yield UnusableParent((), "it cannot be read")
        return
    for values in product(*(_first_with_value(item, fields) for fields in parent.parameters.values())):
        usable = tuple(value for value in values if _is_usable(value))
        yield usable if len(usable) == len(values) else _unusable(parent, values)


def _unusable(parent: Parent, values: Sequence[object]) -> UnusableParent:
    names = (fields[0] for fields in parent.parameters.values())
    missing = next((name for name, value in zip(names, values, strict=True) if _is_none(value)), None)
    if missing is not None:
        return UnusableParent((), f"it cannot be asked for: it has no {missing}")
    return UnusableParent(tuple(map(_name_of, values)), _NOT_SENDABLE)


_NOT_SENDABLE = "it cannot be asked for: its id is not whole text or a whole number"


def _first_with_value(item: object, fields: Sequence[str]) -> list[object]:
    """Return the values of the first field that has one to ask for, else of the first that has any."""
    found = [values for field in fields if (values := list(_dig(item, field.split("."))))]
    usable = (values for values in found if any(map(_is_usable, values)))
    given = (values for values in found if not all(map(_is_none, values)))
    return next(chain(usable, given, found), [])


def _dig(found: object, steps: Sequence[str]) -> Iterator[object]:
    """Yield what a field holds: ``None`` where it is missing, and nothing where the list that holds it is empty."""
    if not steps:
        yield found
        return
    step, *rest = steps
    name = step.removesuffix("[]")
    inner = _get(found, name)
    if name == step:
        yield from _dig(inner, rest)
    elif isinstance(inner, list):
        yield from chain.from_iterable(_dig(one, rest) for one in inner)
    elif not (_has(found, name) and _is_none(inner)):
        yield from _dig(inner, rest)


def _is_none(value: object) -> bool:
    return not _is_usable(value) and value in _NONE


def _is_usable(value: object) -> TypeIs[Value]:
    """Whether a value can be sent and stored: half an emoji and a number beyond 64 bits cannot."""
    if isinstance(value, str):
        return value not in NO_VALUE and storable(value)
    return isinstance(value, int) and not isinstance(value, bool) and -(2**63) <= value < 2**64


def _name_of(value: object) -> Value:
    """Return a value as it can be stored: half an emoji as its escape."""
    if isinstance(value, list | dict):
        return "a list" if isinstance(value, list) else "an object"
    return value if _is_usable(value) else str(value)[:_NAME_LENGTH].encode(errors="backslashreplace").decode()


def _get(found: object, name: str) -> object:
    """Keys drift in their case between documents and answers."""
    if not isinstance(found, dict):
        return None
    folded = name.casefold()
    return found[name] if name in found else next((one for key, one in found.items() if key.casefold() == folded), None)


def _has(found: object, name: str) -> bool:
    return isinstance(found, dict) and any(key.casefold() == name.casefold() for key in found)


class ParentSelector:
    """Takes parents one by one and keeps those that were harvested longest ago; new ones come first.

    Its memory is the parents it keeps.
    """

    def __init__(self, ledger: ParentStates, *, most: int, open_from: int = 0) -> None:
        """Choose among the parents that are offered.

        Args:
            open_from: The second behind which no window reaches back for items that have not ended.
        """
        self._open_from = open_from
        self._ledger = ledger
        self._most = most
        self._offered = HashRuns()
        self._count = 0
        self._kept: set[int] = set()
        self._newest_first: list[tuple[int, int, int, ParentTuple]] = []
        self._unusable: dict[ParentTuple | str, UnusableParent] = {}

    def offer(self, values: ParentTuple) -> None:
        """Take a parent, which may have come before."""
        mark = parent_hash(values)
        if mark in self._kept:
            return
        self._offered.add((mark,))
        entry = (-self._until(mark), -self._count, mark, values)
        self._count += 1
        if len(self._kept) < self._most:
            heapq.heappush(self._newest_first, entry)
        elif entry < self._newest_first[0]:
            return
        else:
            self._kept.remove(heapq.heapreplace(self._newest_first, entry)[2])
        self._kept.add(mark)

    def pass_over(self, unusable: UnusableParent) -> None:
        """Take a parent that cannot be asked for; behind the limit it counts as left out."""
        name = unusable.values or unusable.reason
        if name in self._unusable or len(self._unusable) < self._most:
            self._unusable.setdefault(name, unusable)
        else:
            self._offered.add((parent_hash(("", *name)),))

    def chosen(self) -> SelectedParents:
        """Return the parents kept, least recently harvested first, and how many others there are."""
        parents = [(values, self._begin(mark)) for *_, mark, values in sorted(self._newest_first, reverse=True)]
        offered = SortedHashes(self._offered)
        return SelectedParents(parents, len(offered) - offered.duplicates - len(parents), [*self._unusable.values()])

    def _until(self, mark: int) -> int:
        return self._since(mark) or 0

    def _begin(self, mark: int) -> int | None:
        """Return the second from which on a parent is asked: there may be items that had not ended."""
        since, known = self._since(mark), self._ledger.get(mark)
        if since is None or known is None or known.open_since is None:
            return since
        return min(since, max(known.open_since, self._open_from))

    def _since(self, mark: int) -> int | None:
        known = self._ledger.get(mark)
        return known.until or None if known else None


def map_of(count: int) -> bytes:
    """Return what stands before so many entries of a ledger."""
    return b"\xdf" + count.to_bytes(4)


def oldest_by_parent(oldest: Mapping[bytes, int], parent: Parent | None) -> dict[str, int]:
    """Return seconds by the hash of each parent, given as ``encoded`` wrote it; without parents, under no name."""
    found: dict[str, int] = {}
    for written, second in oldest.items():
        name = str(hash_as_written(written, parent)) if parent is not None else ""
        found[name] = min(second, found.get(name, second))
    return found


def hash_as_written(written: bytes, parent: Parent) -> int:
    """Return what stands for a parent, given as ``encoded`` wrote it, with its choices behind."""
    values = tuple(msgspec.json.decode(written, type=dict[str, Value]).values())
    return parent_hash(values[: len(parent.parameters)])


def renewed(
    states: ParentStates,
    selected: SelectedParents,
    *,
    until: int,
    unharvested: frozenset[int],
    away: frozenset[int],
    open_since: Mapping[int, int],
) -> ParentStates:
    """Return the states, without hashes, after a run that harvested its parents until ``until``.

    Args:
        unharvested: The parents whose windows stay where they were.
        away: Those among them that were not there.
        open_since: When the oldest item that had not ended began, of the parents that have one.
    """
    marks = [parent_hash(values) for values, _ in selected.parents]
    harvested = {mark: ParentState(until, open_since=open_since.get(mark)) for mark in marks if mark not in unharvested}
    standing = {mark: states.get(mark, ParentState(0)) for mark in marks if mark in unharvested}
    kept = {mark: msgspec.structs.replace(state, away=state.away + (mark in away)) for mark, state in standing.items()}
    return states | harvested | kept

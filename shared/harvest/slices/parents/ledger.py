"""What is remembered of the parents of a dataset: until when each was harvested, and the hashes of its last lines."""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import islice
from operator import eq

import msgspec

from shared.avepoint.catalog import Dataset
from shared.azure.storage import Storage
from shared.errors import REPAIR, DamagedDocument
from shared.harvest.plan import paths
from shared.harvest.plan.run import Run
from shared.harvest.slices.checkpoint import Checkpoint
from shared.harvest.slices.parents.results import ParentResults, parent_results
from shared.harvest.slices.parents.selector import (
    ParentState,
    ParentStates,
    SelectedParents,
    map_of,
    parent_hash,
    renewed,
    write_by_parent,
)
from shared.harvest.snapshots.duplicates import merged
from shared.harvest.snapshots.manifest import Manifest
from shared.harvest.snapshots.sorted_hashes import HashRuns, ScratchFile, SortedHashes, numbers, stream_state

_NO_LEDGER = "the stored data about parents is incomplete or damaged"
_NOTHING = 0xC0
_SMALL = {**{n: n for n in range(0x80)}, **{n: n - 0x100 for n in range(0xE0, 0x100)}}
_BYTES = {0xC4: 1, 0xC5: 2, 0xC6: 4}
_UNSIGNED = {0xCC: 1, 0xCD: 2, 0xCE: 4, 0xCF: 8}
_SIGNED = {0xD0: 1, 0xD1: 2, 0xD2: 4, 0xD3: 8}
_ARRAYS = {0x90 + n: n for n in range(16)}
_MAPS = {0x80 + n: n for n in range(16)}
_LONG_MAPS = {0xDE: 2, 0xDF: 4}
_PIECE = 1 << 18
"""Bytes of hashes that are read at a time."""

type _Value = int | range | list[_Value] | None


class _Reader:
    """Reads the MessagePack of a ledger; of bytes only where they are.

    Its forms are those of the specification (https://github.com/msgpack/msgpack/blob/master/spec.md).
    """

    def __init__(self, file: ScratchFile, begin: int) -> None:
        self._file = file
        self._at = begin

    def entries(self) -> Iterator[tuple[_Value, _Value]]:
        kind = self._number(1)
        if kind not in _MAPS | _LONG_MAPS:
            raise DamagedDocument(_NO_LEDGER, remedy=REPAIR)
        for _ in range(_MAPS[kind] if kind in _MAPS else self._number(_LONG_MAPS[kind])):
            yield self._value(), self._value()

    def _value(self) -> _Value:
        kind = self._number(1)
        if kind in _ARRAYS:
            return [self._value() for _ in range(_ARRAYS[kind])]
        if kind in _BYTES:
            size = self._number(_BYTES[kind])
            self._at += size
            return range(self._at - size, self._at)
        if kind in _UNSIGNED:
            return self._number(_UNSIGNED[kind])
        if kind in _SIGNED:
            return self._number(_SIGNED[kind], signed=True)
        if kind == _NOTHING:
            return None
        if kind not in _SMALL:
            raise DamagedDocument(_NO_LEDGER, remedy=REPAIR)
        return _SMALL[kind]

    def _number(self, size: int, *, signed: bool = False) -> int:
        read = self._file.read(self._at, size)
        if len(read) < size:
            raise DamagedDocument(_NO_LEDGER, remedy=REPAIR)
        self._at += size
        return int.from_bytes(read, signed=signed)


def _entries(file: ScratchFile, begin: int) -> Iterator[tuple[int, range, ParentState | None]]:
    """Yield each parent, where the hashes of its lines are and, in a ledger, its state without them."""
    for mark, value in _Reader(file, begin).entries():
        match mark, value:
            case int(), range():
                yield mark, value, None
            case int(), [int(until), range() as place, *others]:
                yield mark, place, ParentState(until, b"", *others)
            case _:
                raise DamagedDocument(_NO_LEDGER, remedy=REPAIR)


class ParentLedger:
    """What is remembered of parents, from one document or several; the hashes of their lines stay in a file."""

    def __init__(self) -> None:
        self._file = ScratchFile()
        self._places: defaultdict[int, list[range]] = defaultdict(list)
        self.states: ParentStates = {}

    async def read(self, storage: Storage, path: str) -> None:
        """Take a document in; raises what ``stream_state`` raises."""
        begin = self._file.size
        async for piece in stream_state(storage, path):
            await asyncio.to_thread(self._file.append, piece)
        await asyncio.to_thread(self._take, begin)

    def _take(self, begin: int) -> None:
        for mark, place, state in _entries(self._file, begin):
            self._places[mark].append(place)
            if state is not None:
                self.states[mark] = state

    def hashes(self, mark: int) -> bytes:
        """Return the hashes of the lines of a parent."""
        return merged([self._file.read(place.start, len(place)) for place in self._places.get(mark, ())])

    def count_duplicates(self) -> int:
        """Return how many lines came again, under the same parent."""
        sorted_lines = map(numbers, map(self.hashes, self._places))
        return sum(sum(map(eq, lines, islice(lines, 1, None))) for lines in sorted_lines)


async def read_known_hashes(storage: Storage, remembered: str | None) -> SortedHashes:
    """Return the hashes of the lines of all parents that are remembered; none of them stays in memory."""
    runs = HashRuns()
    if remembered:
        await asyncio.to_thread(_add_hashes, runs, await _fetched(storage, remembered))
    return await asyncio.to_thread(SortedHashes, runs)


def _add_hashes(runs: HashRuns, file: ScratchFile) -> None:
    for _, place, _ in _entries(file, 0):
        for piece in file.pieces(place, _PIECE):
            runs.add(numbers(piece))


async def read_parent_states(storage: Storage, remembered: str | None) -> ParentStates:
    """Return what is remembered of each parent of a dataset, without hashes."""
    return await asyncio.to_thread(_states, await _fetched(storage, remembered)) if remembered else {}


def _states(file: ScratchFile) -> ParentStates:
    return {mark: state for mark, _, state in _entries(file, 0) if state is not None}


async def _fetched(storage: Storage, path: str) -> ScratchFile:
    file = ScratchFile()
    async for piece in stream_state(storage, path):
        await asyncio.to_thread(file.append, piece)
    return file


async def read_known_parents(storage: Storage, *stored: str | None) -> ParentLedger:
    """Return what is remembered of the parents of a dataset, in one document or several; raises what reading raises."""
    ledger = ParentLedger()
    for path in filter(None, stored):
        await ledger.read(storage, path)
    return ledger


async def read_parent_results(
    storage: Storage,
    run: Run,
    dataset: Dataset,
    checkpoints: Sequence[Checkpoint],
    selected: SelectedParents | None,
) -> ParentResults | None:
    """Return what became of the parents of a run; ``None`` where it asked for none."""
    if selected is None:
        return None
    states = await read_parent_states(storage, run.planned(dataset.name).remembered)
    return parent_results(run, dataset, checkpoints, selected, states)


async def renewed_parent_states(
    storage: Storage,
    manifest: Manifest,
    chosen: SelectedParents,
    *,
    until: datetime,
    remembered: str | None,
    results: ParentResults,
    open_since: Mapping[int, int],
) -> ScratchFile:
    """Return what is to be remembered of the parents once a snapshot is published."""
    parts = manifest.parts if manifest.window is not None else ()
    before = await read_known_parents(storage, remembered)
    found = await read_known_parents(storage, *(paths.keys(manifest.run_id, part.path) for part in parts))
    harvested = {parent_hash(values) for values, _ in chosen.parents} - results.unharvested
    states = renewed(
        before.states,
        chosen,
        until=int(until.timestamp()),
        unharvested=results.unharvested,
        away=results.away,
        open_since=open_since,
    )
    return await asyncio.to_thread(_written, states, lambda mark: (found if mark in harvested else before).hashes(mark))


def _written(states: ParentStates, hashes: Callable[[int], bytes]) -> ScratchFile:
    """Write states as they are stored, the hashes of one parent at a time."""
    file = ScratchFile()
    file.append(map_of(len(states)))
    for mark, state in states.items():
        file.append(write_by_parent(mark) + write_by_parent(msgspec.structs.replace(state, hashes=hashes(mark))))
    return file

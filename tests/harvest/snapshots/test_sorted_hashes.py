"""Hashes by the million: as right as a sorted list, in the memory of some ten thousand (promise 3)."""

import tracemalloc
from array import array
from collections import Counter
from random import Random
from secrets import token_bytes

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.memory_storage import MemoryStorage
from shared.azure.storage import Container
from shared.clock import utc_now
from shared.errors import DamagedDocument, MissingDocument
from shared.harvest.snapshots.sorted_hashes import HashRuns, SortedHashes, read_hashes, store_state

PLACES = st.lists(st.tuples(st.integers(0, 500), st.sampled_from([3, 300, 2**64])), max_size=6)
"""How many hashes come together, and below which number they are."""


def gathered(*groups: list[int], stored: bool) -> SortedHashes:
    runs = HashRuns()
    for group in groups:
        if stored:
            runs.append(array("Q", sorted(group)).tobytes())
            runs.end_run()
        else:
            runs.add(group)
    return SortedHashes(runs)


@given(places=PLACES, seed=st.integers(0, 9), stored=st.booleans())
def test_they_are_what_a_sorted_list_is(places: list[tuple[int, int]], seed: int, *, stored: bool) -> None:
    random = Random(seed)  # noqa: S311 - the same in every run
    groups = [[random.randrange(below) for _ in range(count)] for count, below in places]
    everything = sorted(one for group in groups for one in group)

    found = gathered(*groups, stored=stored)

    assert found.file.read(0, found.file.size) == array("Q", everything).tobytes()
    assert len(found) == len(everything)
    assert found.duplicates == sum(count - 1 for count in Counter(everything).values())
    for one in [*everything[::7], *(random.randrange(2**64) for _ in range(9)), 0, 2, 299, 2**64 - 1]:
        assert (one in found) == (one in everything)


async def test_they_are_stored_in_blocks_and_found_again() -> None:
    storage = MemoryStorage(utc_now)
    many, few = gathered(list(range(300_000)), stored=True), gathered([7, 5, 700_000], stored=False)
    await store_state(storage, "many", many.file)
    await store_state(storage, "few", few.file)
    assert storage.transactions["write"] == (3 + 1) + 1

    found = await read_hashes(storage, ["many", "few"])

    assert (len(found), found.duplicates, 700_000 in found, 300_000 in found) == (300_003, 2, True, False)
    assert (await read_hashes(storage, ["many"])).file.digest == many.file.digest != few.file.digest


async def test_what_is_not_there_or_was_cut_is_told() -> None:
    storage = MemoryStorage(utc_now)
    await storage.write(Container.HARVEST_STATE, "cut", b"seven..", etag=None)
    with pytest.raises(DamagedDocument):
        await read_hashes(storage, ["cut"])
    with pytest.raises(MissingDocument) as missing:
        await read_hashes(storage, ["nowhere"])
    assert "--repair" in missing.value.remedy


def test_twice_as_many_take_no_more_memory() -> None:
    def peak(count: int) -> int:
        runs = HashRuns()
        tracemalloc.start()
        for _ in range(count // 1000):
            runs.add(array("Q", token_bytes(8000)))
        assert len(SortedHashes(runs)) == count
        taken = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return taken

    assert peak(140_000) < 1.25 * peak(70_000)

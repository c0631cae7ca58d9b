"""What is remembered of parents is read as every version has written it, whatever the values (promise 2)."""

import tracemalloc
from array import array

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.memory_storage import MemoryStorage
from shared.avepoint.catalog import catalog
from shared.azure.storage import Container
from shared.clock import utc_now
from shared.errors import DamagedDocument
from shared.harvest.slices.parents.ledger import ParentLedger, read_known_hashes
from shared.harvest.slices.parents.selector import ParentState, encoded, parent_hash
from shared.harvest.slices.part import part_hashes

SECONDS = st.integers(-(2**40), 2**40)
HASHES = st.lists(st.integers(0, 2**64 - 1), max_size=70).map(sorted)
STATES = st.dictionaries(
    st.integers(0, 2**64 - 1), st.tuples(SECONDS, HASHES, st.integers(0, 400), SECONDS | st.none()), max_size=20
)


def packed(hashes: list[int]) -> bytes:
    return array("Q", hashes).tobytes()


async def ledger_of(*documents: bytes) -> ParentLedger:
    storage, ledger = MemoryStorage(utc_now), ParentLedger()
    for number, document in enumerate(documents):
        await storage.write(Container.HARVEST_STATE, str(number), document, etag=None)
        await ledger.read(storage, str(number))
    return ledger


@given(states=STATES)
async def test_a_ledger_is_read_as_msgspec_wrote_it(states: dict[int, tuple[int, list[int], int, int | None]]) -> None:
    whole = {mark: ParentState(until, packed(found), *rest) for mark, (until, found, *rest) in states.items()}  # type: ignore[arg-type]
    ledger = await ledger_of(msgspec.msgpack.encode(whole))
    assert ledger.states == {mark: msgspec.structs.replace(state, hashes=b"") for mark, state in whole.items()}
    assert {mark: ledger.hashes(mark) for mark in whole} == {mark: state.hashes for mark, state in whole.items()}


@given(parts=st.lists(st.dictionaries(st.sampled_from([1, 2, 2**60]), HASHES, max_size=3), max_size=3))
async def test_the_hashes_of_a_parent_in_several_parts_are_one(parts: list[dict[int, list[int]]]) -> None:
    ledger = await ledger_of(*(msgspec.msgpack.encode({m: packed(h) for m, h in part.items()}) for part in parts))
    for mark in (1, 2, 2**60):
        assert ledger.hashes(mark) == packed(sorted(one for part in parts for one in part.get(mark, ())))
    everything = sorted(one for part in parts for hashes in part.values() for one in hashes)
    assert everything == sorted(one for mark in (1, 2, 2**60) for one in array("Q", ledger.hashes(mark)))


async def test_short_entries_and_many_parents_are_read() -> None:
    many = {mark: (mark, packed([mark] * 9000)) for mark in range(20)} | dict.fromkeys(range(20, 300), (7, b""))
    written = msgspec.msgpack.encode(many)
    for document in (written, b"\xdf\0\0" + written.removeprefix(b"\xde")):
        ledger = await ledger_of(document)
        assert len(ledger.states) == 300
        assert ledger.states[19] == ParentState(19)
        assert ledger.hashes(19) == packed([19] * 9000)


async def test_the_hashes_of_a_part_lie_in_a_file_however_many_parents_it_has() -> None:
    storage, hashes = MemoryStorage(utc_now), part_hashes(catalog()["graph", "enpower-powerapp-launches"])
    tracemalloc.start()
    try:
        for n in range(2000):
            hashes.add(encoded({"appId": str(n % 1000)}), array("Q", range(100 * n, 100 * n + 100)))
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held < 100_000
    await hashes.store(storage, "part")
    ledger = ParentLedger()
    await ledger.read(storage, "part")
    assert ledger.hashes(parent_hash(("7",))) == packed([*range(700, 800), *range(100_700, 100_800)])
    assert len(await read_known_hashes(storage, "part")) == 200_000


@pytest.mark.parametrize("cut", [1, 3, 12, 30])
async def test_a_ledger_that_was_cut_is_damaged(cut: int) -> None:
    whole = msgspec.msgpack.encode({2**50: ParentState(1_700_000_000, packed([1, 2]), 0, -5)})
    with pytest.raises(DamagedDocument):
        await ledger_of(whole[:-cut])
    with pytest.raises(DamagedDocument):
        await ledger_of(b"{}" + whole)

"""Killed anywhere, a build goes on and ends exact; two builders and lost storage do no harm (promises 2 and 10)."""

import asyncio
from collections.abc import AsyncIterator
from copy import copy
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal, override

import pytest

from sandbox.memory_storage import MemoryStorage
from shared.azure.storage import Container, Listed, Queue, Stored
from shared.errors import StorageUnavailable
from shared.tables.build.builder import advance_table
from shared.tables.build.requests import fail_build, sweep_tables
from shared.tables.build.state import read_state
from tests.conftest import Clock
from tests.tables.nights import Nights

type When = Literal["before", "after"]


class Killed(BaseException):
    """The process is gone: nothing handles this."""


@dataclass
class FragileStorage(MemoryStorage):
    """Ends its caller, or fails, at the n-th request that changes something."""

    at: int = 0
    when: When = "before"
    error: BaseException | None = None
    requests: int = 0

    async def _fragile(self, when: When) -> None:
        await asyncio.sleep(0)
        if when == "before":
            self.requests += 1
        if self.error is not None and self.requests == self.at and when == self.when:
            self.at = 0
            raise self.error

    @override
    async def write(self, container: Container, path: str, data: bytes, *, etag: str | None) -> str:
        await self._fragile("before")
        written = await super().write(container, path, data, etag=etag)
        await self._fragile("after")
        return written

    @override
    async def commit(self, container: Container, path: str, blocks: int) -> None:
        await self._fragile("before")
        await super().commit(container, path, blocks)
        await self._fragile("after")

    @override
    async def enqueue(self, queue: Queue, message: str, *, delay: timedelta = timedelta(0)) -> None:
        await self._fragile("before")
        await super().enqueue(queue, message, delay=delay)
        await self._fragile("after")


@dataclass
class UnreadableStorage(FragileStorage):
    """Fails at the n-th request that reads something."""

    @override
    async def _fragile(self, when: When) -> None:
        await asyncio.sleep(0)

    async def _read_fails(self) -> None:
        self.requests += 1
        if self.requests == self.at and self.error is not None:
            raise self.error

    @override
    async def read(self, container: Container, path: str) -> Stored | None:
        await self._read_fails()
        return await super().read(container, path)

    @override
    async def list_details(self, container: Container, prefix: str) -> AsyncIterator[Listed]:
        await self._read_fails()
        async for listed in super().list_details(container, prefix):
            yield listed


def app(number: int, **fields: object) -> dict[str, object]:
    return {"id": f"app{number}", "displayName": f"App {number}", **fields}


async def prepared(storage: MemoryStorage, clock: Clock) -> Nights:
    """One night is built; the second, which changes, doubles, renames and types, is published."""
    nights = Nights.of(storage, clock, "graph/enpower-powerapps")
    await nights.night([app(1), app(2, status="on")], [app(3)])
    await nights.publish([app(1), app(2, status="off"), app(1, mine=1)], [app(4, mine="x")])
    return nights


def again(nights: Nights, storage: MemoryStorage) -> Nights:
    """The same nights on a copy of their storage."""
    storage.blobs |= {container: dict(blobs) for container, blobs in nights.storage.blobs.items()}
    storage._modified |= nights.storage._modified  # noqa: SLF001 - a copy
    storage._etags = nights.storage._etags  # noqa: SLF001
    other = copy(nights)
    other.storage = storage
    return other


def whole(nights: Nights) -> dict[str, Any]:
    """All that anybody can read of the tables, whatever the files are called."""
    drift = nights.read("inventory_drift")
    history = nights.read("inventory_history")
    return {
        "table": nights.table().sort("_key").rows(),
        "changes": nights.told(),
        "snapshots": nights.read("inventory_snapshots").sort("run_id").rows(),
        "drift": sorted(map(str, drift.rows())),
        "history": sorted(map(str, history.rows())),
    }


async def finish(nights: Nights, clock: Clock) -> None:
    """The messages that a killed worker left are handled, one after the other."""
    for _ in range(5):
        clock.advance(minutes=3)
        if await nights.build() == "nothing to do":
            return


@pytest.mark.parametrize("stride", [pytest.param(1, marks=pytest.mark.slow), 7])
async def test_a_build_that_is_killed_anywhere_ends_as_if_it_had_not_been(
    memory: MemoryStorage, clock: Clock, stride: int
) -> None:
    nights = await prepared(memory, clock)
    unharmed = again(nights, FragileStorage(clock))
    await unharmed.build()
    expected = whole(unharmed)
    requests = unharmed.storage.requests  # type: ignore[attr-defined]  # a fragile one
    assert requests > 15
    assert [row[1:] for row in expected["changes"]] == [
        ("changed", True, "status"),
        ("removed", True, ""),
        ("added", True, ""),
    ]
    for number in range(1, requests + 1, stride):
        for when in ("before", "after"):
            struck = again(nights, FragileStorage(clock, at=number, when=when, error=Killed()))
            with pytest.raises(Killed):
                await struck.build()
            assert struck.storage.queues[Queue.TABLES] or number <= 2, "somebody goes on within two minutes"
            await finish(struck, clock)
            assert whole(struck) == expected, (number, when)


@pytest.mark.slow
@pytest.mark.parametrize("kind", [FragileStorage, UnreadableStorage])
async def test_storage_that_fails_once_does_no_harm(
    memory: MemoryStorage, clock: Clock, kind: type[FragileStorage]
) -> None:
    nights = await prepared(memory, clock)
    unharmed = again(nights, kind(clock))
    await unharmed.build()
    expected = whole(unharmed)
    for number in range(1, unharmed.storage.requests + 1):  # type: ignore[attr-defined]  # a fragile one
        struck = again(nights, kind(clock, at=number, error=StorageUnavailable("away")))
        with pytest.raises(StorageUnavailable):
            await struck.build()
        await finish(struck, clock)
        assert whole(struck) == expected, number


async def test_of_two_builders_one_builds(memory: MemoryStorage, clock: Clock) -> None:
    nights = await prepared(memory, clock)
    single = again(nights, MemoryStorage(clock))
    await single.build()
    endings = await asyncio.gather(*(advance_table(nights.services(), nights.address) for _ in range(3)))
    assert sorted(endings) == ["finished", "nothing to do", "nothing to do"]
    assert whole(nights) == whole(single)


async def test_a_build_that_cannot_go_on_leaves_the_old_table_and_says_so(memory: MemoryStorage, clock: Clock) -> None:
    nights = await prepared(memory, clock)
    before = nights.table().sort("_key").rows()
    good = memory.blobs[Container.INVENTORY]
    path = max(path for path in good if path.startswith("raw/"))
    original = good[path]
    good[path] = Stored(b"not gzip", original.etag)
    assert await nights.build() == "failed"
    state = (await read_state(memory, "graph", "enpower-powerapps")).value
    assert path in (state.reason or "")
    assert nights.table().sort("_key").rows() == before
    assert await nights.build() == "nothing to do"
    good[path] = original
    clock.advance(hours=2)
    await sweep_tables(nights.services())
    assert len(memory.queues[Queue.TABLES]) == 1
    assert await nights.build() == "finished"
    assert (await read_state(memory, "graph", "enpower-powerapps")).value.reason is None


async def test_what_exhausted_its_message_is_written_down(
    memory: MemoryStorage, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    nights = await prepared(memory, clock)
    await fail_build(nights.services(), nights.address)
    assert (await read_state(memory, "graph", "enpower-powerapps")).value.reason
    assert "table.failed source=graph dataset=enpower-powerapps reason='the build failed 5 times'" in caplog.text


async def test_a_table_whose_message_was_lost_is_woken(memory: MemoryStorage, clock: Clock) -> None:
    nights = await prepared(memory, clock)
    memory.queues[Queue.TABLES].clear()
    clock.advance(minutes=10)
    await sweep_tables(nights.services())
    assert len(memory.queues[Queue.TABLES]) == 1
    await nights.build()
    clock.advance(minutes=10)
    await sweep_tables(nights.services())
    assert memory.queues[Queue.TABLES] == []


async def test_a_build_hands_over_when_its_time_is_over(memory: MemoryStorage, clock: Clock) -> None:
    nights = await prepared(memory, clock)
    whole_at_once = again(nights, MemoryStorage(clock))
    await whole_at_once.build()
    endings: list[str] = []
    while not endings or endings[-1] == "handed over":
        endings.append(await advance_table(nights.services(HARVEST_SLICE_SECONDS="0.000001"), nights.address))
        clock.advance(seconds=1)
    assert len(endings) == 1 or endings[0] == "handed over"
    assert whole(nights) == whole(whole_at_once)


async def test_datasets_without_tables_are_left_alone(memory: MemoryStorage, clock: Clock) -> None:
    nights = Nights.of(memory, clock, "graph/enpower-powerapps", TABLES_DATASETS="*, !graph/enpower-*")
    await nights.publish([app(1)])
    assert await nights.build() == "off"
    assert memory.blobs[Container.TABLES] == {}

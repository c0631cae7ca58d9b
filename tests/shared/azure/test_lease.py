"""One worker at a time changes a document, and the work of one that was killed goes on (promise 2)."""

import asyncio
from collections.abc import Awaitable
from datetime import timedelta

import pytest

from sandbox.memory_storage import MemoryStorage
from shared.azure.documents import Versioned, read_document
from shared.azure.lease import LASTS, RENEWED_AFTER, Lease, LeasedDocument
from shared.azure.storage import Container
from shared.clock import TOLERANCE
from shared.errors import Conflict
from tests.conftest import Clock
from tests.shared.memory import Memory

STATE = Container.HARVEST_STATE
BUDGET = timedelta(minutes=5)


class Work(LeasedDocument):
    done: int = 0


class Unforeseen(Exception):
    """What nobody has thought of."""


async def standing(storage: MemoryStorage) -> Versioned[Work]:
    return await read_document(storage, STATE, "work", Work) or Versioned(Work(), None)


async def lease_on(storage: MemoryStorage, clock: Clock) -> Lease[Work]:
    return Lease(storage, STATE, "work", await standing(storage), clock=clock, ends=clock() + BUDGET)


async def taken(storage: MemoryStorage, clock: Clock) -> Lease[Work]:
    lease = await lease_on(storage, clock)
    await lease.save(lease.document)
    return lease


async def fail_after(lease: Lease[Work], step: Awaitable[None]) -> None:
    async with lease.kept():
        await step
        raise Unforeseen


@pytest.fixture
def storage(clock: Clock) -> Memory:
    return Memory(clock)


async def test_of_two_takers_one_has_it(storage: Memory, clock: Clock) -> None:
    first, second = await lease_on(storage, clock), await lease_on(storage, clock)
    await first.save(Work())
    with pytest.raises(Conflict):
        await second.save(Work())


async def test_it_ends_a_minute_after_the_last_sign_of_life(storage: Memory, clock: Clock) -> None:
    lease = await taken(storage, clock)
    clock.advance(seconds=30)
    await lease.save(Work(done=1))
    assert (await standing(storage)).value.held_until(clock()) == clock() + LASTS
    clock.advance(seconds=LASTS.total_seconds())
    assert (await standing(storage)).value.held_until(clock()) is None


async def test_it_is_never_renewed_beyond_the_time_budget(storage: Memory, clock: Clock) -> None:
    lease = await taken(storage, clock)
    ends = clock() + BUDGET
    clock.advance(seconds=BUDGET.total_seconds() - 10)
    await lease.renew()
    assert (await standing(storage)).value.held_until(clock()) == ends


async def test_a_worker_that_lost_it_notices(storage: Memory, clock: Clock) -> None:
    lease = await taken(storage, clock)
    clock.advance(seconds=LASTS.total_seconds())
    await taken(storage, clock)
    with pytest.raises(Conflict):
        await lease.save(Work(done=1))
    assert (await standing(storage)).value.done == 0


async def test_it_is_renewed_while_its_worker_waits(storage: Memory, clock: Clock) -> None:
    lease = await taken(storage, clock)
    renewed = asyncio.Event()

    async def sleep(seconds: float) -> None:
        if clock.now < begun + 3 * RENEWED_AFTER:
            await clock.sleep(seconds)
        else:
            renewed.set()
            await asyncio.Event().wait()

    begun = clock.now
    async with lease.kept(sleep=sleep):
        await renewed.wait()
    assert (await standing(storage)).value.held_until(clock()) == clock() + LASTS


async def test_a_renewal_that_fails_is_tried_again(storage: Memory, clock: Clock) -> None:
    lease = await taken(storage, clock)
    turns = iter(range(3))
    ended = asyncio.Event()

    async def sleep(seconds: float) -> None:
        turn = next(turns)
        storage.fate = lambda: "refused" if turn == 0 else "done"
        if turn == 2:
            ended.set()
            await asyncio.Event().wait()
        await clock.sleep(seconds)

    async with lease.kept(sleep=sleep):
        await ended.wait()
    assert (await standing(storage)).value.held_until(clock()) == clock() + LASTS


async def test_an_error_that_nobody_foresaw_gives_it_back_and_counts(storage: Memory, clock: Clock) -> None:
    for _ in range(2):
        lease = await taken(storage, clock)
        with pytest.raises(Unforeseen):
            await fail_after(lease, lease.save(lease.document.model_copy(update={"done": 7})))
    found = (await standing(storage)).value
    assert (found.hold, found.attempts, found.done) == (None, 2, 7)


async def test_a_worker_that_is_told_to_stop_gives_it_back_without_counting(storage: Memory, clock: Clock) -> None:
    lease = await taken(storage, clock)

    async def work() -> None:
        async with lease.kept():
            await asyncio.Event().wait()

    working = asyncio.create_task(work())
    await asyncio.sleep(0)
    working.cancel()
    with pytest.raises(asyncio.CancelledError):
        await working
    found = (await standing(storage)).value
    assert (found.hold, found.attempts) == (None, 0)


async def test_an_error_that_the_worker_handled_is_not_counted_again(storage: Memory, clock: Clock) -> None:
    lease = await taken(storage, clock)
    with pytest.raises(Unforeseen):
        await fail_after(lease, lease.give_back(lambda work: work.model_copy(update={"done": 1})))
    found = (await standing(storage)).value
    assert (found.hold, found.attempts, found.done) == (None, 0, 1)


async def test_the_first_release_can_read_it(storage: Memory, clock: Clock) -> None:
    await taken(storage, clock)
    stored = await storage.read(STATE, "work")
    assert stored is not None
    assert b'"claim":{"owner":"' in stored.data


async def test_one_that_ends_later_than_any_can_is_none(
    storage: Memory, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    ahead = Clock(clock() + timedelta(days=365))
    await taken(storage, ahead)
    assert (await standing(storage)).value.held_until(clock()) is None

    lease = await taken(storage, clock)

    assert (await standing(storage)).value.hold == lease.hold
    assert "lease.ahead_of_time" in caplog.text


async def test_one_of_a_clock_that_is_a_little_ahead_is_kept(storage: Memory, clock: Clock) -> None:
    ahead = Clock(clock() + TOLERANCE)
    await taken(storage, ahead)
    assert (await standing(storage)).value.held_until(clock()) == ahead() + LASTS

"""A clock that was a year ahead has written what is stored: no operation waits for that year (promises 7, 9)."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta

import pytest

from shared.opus.operations.sweep import sweep_operations
from shared.services import open_services
from tests.conftest import Clock
from tests.opus.conftest import BEFORE, CONNECTION, Bench, ids, records
from tests.opus.dying import Killed, dying
from tests.opus.operations.test_destroy import LOST_BEFORE_EXECUTION


@asynccontextmanager
async def a_year_ahead(bench: Bench) -> AsyncIterator[Bench]:
    """What an instance does whose clock is a year ahead; what it has in memory ends with it."""
    clock, settings = Clock(bench.clock.now + timedelta(days=365)), bench.services.settings
    services = await open_services(settings, clock=clock, sleep=clock.sleep)
    try:
        yield replace(bench, services=services, clock=clock)
    finally:
        await services.close()


async def test_what_a_killed_worker_held_goes_on_at_once(bench: Bench) -> None:
    async with a_year_ahead(bench) as ahead:
        with pytest.raises(Killed):
            await dying(ahead).submit(records(1))
        operation_id = (await ahead.submit(records(1))).operation.operation_id
    await bench.lose_messages()

    await sweep_operations(bench.services)

    assert await bench.pokes() == [operation_id]
    before = bench.clock.now
    operation = (await bench.finish(operation_id)).operation
    assert [item.repeatable for item in operation.uncertain] == [True], "nobody knows how long it was tried"
    assert (await bench.submit(records(1))).operation.status == "Succeeded"
    assert bench.clock.now - before < timedelta(hours=1)


async def test_what_waited_goes_on_at_once(bench: Bench) -> None:
    bench.fault(method="POST", status=429, headers={"Retry-After": "1200"})
    async with a_year_ahead(bench) as ahead:
        operation_id = (await ahead.submit(records(1))).operation.operation_id

    await bench.operations.run(operation_id)

    progress = await bench.operations.get(operation_id)
    assert progress is not None
    assert progress.operation.status == "Succeeded"


async def test_a_destroy_in_doubt_settles_anew_and_is_never_sent_before(bench: Bench) -> None:
    keys = await bench.fill(1)
    bench.fault(**LOST_BEFORE_EXECUTION)
    async with a_year_ahead(bench) as ahead:
        body = ids(keys, opusConnectionId=CONNECTION, before=BEFORE)
        operation_id = (await ahead.destroy(body)).operation.operation_id
    before = bench.clock.now

    done = await bench.finish(operation_id)

    assert done.operation.status == "Succeeded"
    settled = timedelta(seconds=2 * bench.services.settings.opus_settle_seconds)
    assert settled <= bench.clock.now - before < settled + timedelta(hours=1)
    assert bench.destroyed() == dict.fromkeys(keys, 1)


async def test_a_body_that_was_seen_in_a_year_to_come_is_submitted(bench: Bench) -> None:
    async with a_year_ahead(bench) as ahead:
        first = await ahead.submit(records(1), key=None)

    again = await bench.submit(records(1), key=None)

    assert again.operation.operation_id != first.operation.operation_id
    assert len(bench.calls()) == 2

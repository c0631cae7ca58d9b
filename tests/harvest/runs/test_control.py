"""A partition that somebody else ends than its worker is told of as one that its worker ends."""

import logging

import pytest

from sandbox.memory_storage import MemoryStorage
from shared.harvest.plan.run import Address
from shared.harvest.runs.control import fail_partition
from tests.conftest import Clock
from tests.tables.nights import services_of

ADDRESS = Address(run_id="20260131T020000Z-graph", source="graph", dataset="enpower-powerapps", partition="all")


async def test_the_end_of_a_partition_is_logged_once(clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    services = services_of(MemoryStorage(clock), clock)
    for _ in range(2):
        await fail_partition(services, ADDRESS, reason="the run is over its deadline", remedy="Start a new run.")
    (told,) = [vars(record) for record in caplog.records if record.message.startswith("partition.failed")]
    assert {name: told[name] for name in ADDRESS.fields()} == ADDRESS.fields()
    assert (told["pages"], told["items"], told["reason"]) == (0, 0, "the run is over its deadline")

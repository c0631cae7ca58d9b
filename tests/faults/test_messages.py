"""Promise 2: a message only wakes a worker up; doubled, late, lost and out of order, it changes nothing."""

from collections.abc import Mapping
from datetime import timedelta
from functools import partial

import pytest

from shared.azure.lease import Hold
from shared.azure.storage import Container
from shared.harvest.plan.run import Address, read_run
from shared.harvest.runs.control import fail_exhausted
from shared.harvest.slices.checkpoint import Checkpoint, checkpoint_path, read_checkpoint
from shared.harvest.slices.worker import work
from tests.faults.chaos import Chaos
from tests.faults.scenarios import A_PAGE_A_SLICE, APPS, SCENARIOS, Scenario, begun, check_published
from tests.faults.world import Host, Simulation

BY_NAME = {scenario.name: scenario for scenario in SCENARIOS}


@pytest.mark.parametrize("name", ["a slice a page", "a part a page", "two tenants", "two datasets"])
@pytest.mark.parametrize("seed", range(3))
async def test_messages_and_workers_in_turmoil(simulation: Simulation, name: str, seed: int) -> None:
    await Chaos(BY_NAME[name], seed).play(simulation)


async def test_messages_and_requests_do_not_grow_in_number_while_an_outage_lasts(simulation: Simulation) -> None:
    scenario = Scenario("outage", faults=({"path": APPS, "status": 503, "times": None},))
    host = Host(scenario.world(simulation))
    await begun(host, scenario)
    world, most = host.world, 0
    begun_at = world.clock.now
    while world.clock.now < begun_at + timedelta(hours=2):
        await host.step()
        most = max(most, len(world.messages))
    assert most < 10
    assert len(simulation.avepoint.log.entries(APPS)) < 300
    await host.close()


class TestPoison:
    """A message that was tried in vain five times says so in its partition, unless others do well there."""

    async def test_where_a_worker_is_at_work(self, simulation: Simulation) -> None:
        host, address = await self.slices(simulation)
        now = host.world.clock.now
        taken = Checkpoint().taken(now=now).with_hold(Hold(owner="somebody", until=now + timedelta(minutes=5)))
        path = checkpoint_path(address)
        await host.world.storage.write(Container.HARVEST_STATE, path, taken.to_json(), etag=None)
        await self.changes_nothing(host, address)

    async def test_where_the_end_has_come(self, simulation: Simulation) -> None:
        host, address = await self.slices(simulation)
        await host.settle()
        await self.changes_nothing(host, address)

    async def test_where_others_wait_for_their_time(self, simulation: Simulation) -> None:
        told_to_wait = {"path": APPS, "status": 429, "headers": {"Retry-After": "900"}}
        host, address = await self.slices(simulation, told_to_wait)
        assert await host.run(partial(work, address=address)) == "handed over"
        await self.changes_nothing(host, address)

    async def slices(self, simulation: Simulation, *faults: Mapping[str, object]) -> tuple[Host, Address]:
        scenario = Scenario("slices", settings=A_PAGE_A_SLICE, faults=faults)
        host = Host(scenario.world(simulation))
        run = await begun(host, scenario)
        return host, run.addresses()[0]

    async def changes_nothing(self, host: Host, address: Address) -> None:
        before = await read_checkpoint(host.world.storage, address)
        await host.run(partial(fail_exhausted, address=address))
        assert await read_checkpoint(host.world.storage, address) == before
        await host.settle()
        run = await read_run(host.world.storage, address.run_id)
        assert run is not None
        await check_published(host.world, run, [address.dataset])

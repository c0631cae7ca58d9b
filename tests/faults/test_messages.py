"""Promise 2: a message is only a poke; doubled, late, lost and out of order, it changes nothing."""

from collections.abc import Mapping
from datetime import timedelta
from functools import partial

import pytest

from shared.harvest import paths
from shared.harvest.checkpoint import read_checkpoint
from shared.harvest.control import spend
from shared.harvest.runs import Address, read_run
from shared.harvest.slice import work
from shared.storage import Container
from tests.faults.chaos import Chaos
from tests.faults.scenarios import A_PAGE_A_SLICE, APPS, SCENARIOS, Scenario, begun, check_published
from tests.faults.world import Host, Simulation

BY_NAME = {scenario.name: scenario for scenario in SCENARIOS}


@pytest.mark.parametrize("name", ["a slice a page", "a part a page", "two tenants", "two datasets"])
@pytest.mark.parametrize("seed", range(3))
async def test_messages_and_workers_in_turmoil(simulation: Simulation, name: str, seed: int) -> None:
    await Chaos(BY_NAME[name], seed).play(simulation)


class TestPoison:
    """A message that was tried in vain five times says so in its partition, unless others do well there."""

    async def test_where_a_worker_is_at_work(self, simulation: Simulation) -> None:
        host, address = await self.slices(simulation)
        checkpoint, _ = await read_checkpoint(host.world.storage, address)
        lasts = timedelta(minutes=5)
        claimed = checkpoint.claimed("somebody", now=host.world.clock.now, lasts=lasts).to_json()
        path = paths.checkpoint(address.run_id, address.source, address.dataset, address.partition)
        await host.world.storage.create(Container.HARVEST_STATE, path, claimed)
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
        await host.run(partial(spend, address=address))
        assert await read_checkpoint(host.world.storage, address) == before
        await host.settle()
        run = await read_run(host.world.storage, address.run_id)
        assert run is not None
        await check_published(host.world, run, [address.dataset])

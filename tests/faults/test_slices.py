"""Promises 2 and 4: many slices, silences of every kind, and links that die while they wait."""

import logging

import pytest

from shared.harvest.plan.run import Run
from shared.harvest.slices.checkpoint import read_checkpoint
from tests.faults.points import DeathBefore
from tests.faults.scenarios import A_PAGE_A_SLICE, APPS, Scenario, begun, check_run, night, seen
from tests.faults.world import Host, Simulation

SLICES = Scenario("slices", settings=A_PAGE_A_SLICE)


async def test_a_hundred_slices_are_as_right_as_one(simulation: Simulation) -> None:
    scenario = Scenario("a hundred", settings={"page_size": 1, **A_PAGE_A_SLICE}, simulation={"items": 100})
    host = Host(scenario.world(simulation))
    run = await night(host, scenario)
    checkpoint = (await read_checkpoint(host.world.storage, run.addresses()[0])).value
    assert (checkpoint.epoch, len(checkpoint.progress.parts), checkpoint.progress.requests) == (100, 100, 100)


@pytest.mark.parametrize(
    "death",
    [
        pytest.param(DeathBefore("enqueue", ""), id="before the first poke"),
        pytest.param(DeathBefore("create", "/all.json"), id="before the first claim"),
        pytest.param(DeathBefore("commit", "part-"), id="with a part half written"),
        pytest.param(DeathBefore("create", "/keys/"), id="between part and checkpoint"),
        pytest.param(DeathBefore("enqueue", "", skip=1), id="between checkpoint and poke"),
        pytest.param(DeathBefore("create", "manifests/"), id="before the manifest"),
        pytest.param(DeathBefore("create", "latest/"), id="between manifest and latest"),
    ],
)
async def test_the_sweep_revives_every_kind_of_silence(simulation: Simulation, death: DeathBefore) -> None:
    """The message is lost with the worker, so that nobody else hears of it."""
    host = Host(SLICES.world(simulation), death, forgetful=True)
    await night(host, SLICES)
    assert host.deaths == 1


class TestLinksThatDie:
    @pytest.mark.parametrize("status", [400, 404, 410])
    async def test_a_stored_link_that_died_starts_the_chain_again_and_the_log_says_so(
        self, simulation: Simulation, caplog: pytest.LogCaptureFixture, status: int
    ) -> None:
        scenario = Scenario("died", settings=A_PAGE_A_SLICE, faults=({"path": APPS, "status": status, "skip": 2},))
        host = Host(scenario.world(simulation))
        with caplog.at_level(logging.INFO, "shared"):
            run = await night(host, scenario)
        checkpoint = (await read_checkpoint(host.world.storage, run.addresses()[0])).value
        assert checkpoint.restarts == 1
        assert [record.restarts for record in caplog.records if record.event == "partition.restarted"] == [1]  # type: ignore[attr-defined]

    async def test_the_third_death_is_the_last(self, simulation: Simulation) -> None:
        host, run = await self.dying(simulation, 2, 4, 6)
        standing = await seen(host.world, run)
        checkpoint = (await read_checkpoint(host.world.storage, run.addresses()[0])).value
        assert (standing.state, checkpoint.restarts) == ("failed", 2)
        assert "answered 404" in (standing.datasets[0].reason or "")

    async def test_the_last_death_says_what_to_do(self, simulation: Simulation) -> None:
        host, run = await self.dying(simulation, 2, 4, 6)
        assert (await seen(host.world, run)).datasets[0].remedy

    async def test_a_link_that_dies_at_once_is_no_reason_to_start_again(self, simulation: Simulation) -> None:
        """Only a stored link may have grown old."""
        scenario = Scenario("dies young", faults=({"path": APPS, "status": 404, "skip": 1},))
        host = Host(scenario.world(simulation))
        run = await begun(host, scenario)
        await host.settle()
        assert (await seen(host.world, run)).state == "failed"
        assert len(host.world.avepoint.log.entries(APPS)) == 2
        with pytest.raises(AssertionError, match="the run is failed"):
            await check_run(host.world, run, scenario.datasets)

    async def dying(self, simulation: Simulation, *requests: int) -> tuple[Host, Run]:
        """A run that has ended, some of whose requests were answered with 404."""
        deaths = tuple({"path": APPS, "status": 404, "skip": number} for number in requests)
        scenario = Scenario("dies again", settings=A_PAGE_A_SLICE, faults=deaths)
        host = Host(scenario.world(simulation))
        run = await begun(host, scenario)
        await host.settle()
        return host, run

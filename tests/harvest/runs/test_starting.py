import asyncio
from datetime import UTC, datetime

import pytest

from shared.azure.damage import unusable
from shared.azure.storage import Container
from shared.errors import Misconfigured
from shared.harvest.plan.run import run_ids
from shared.harvest.runs.starting import plan_requested, start_requested, start_scheduled
from shared.harvest.runs.state import view
from shared.services import Services
from tests.conftest import Clock, Simulator
from tests.harvest.conftest import finish

NOW = datetime(2026, 3, 20, 2, 0, 1, tzinfo=UTC)
TICK = datetime(2026, 3, 20, 2, 0, tzinfo=UTC)


@pytest.fixture
def clock() -> Clock:
    return Clock(NOW)


async def test_the_same_tick_twice_is_one_run(services: Services) -> None:
    first, second = [await start_scheduled(services, "enpower", due=TICK) for _ in range(2)]
    assert first == second
    assert first is not None
    assert (first.run_id, first.trigger) == ("20260320T020000Z-enpower", "timer")
    assert await run_ids(services.storage) == [first.run_id]


async def test_a_tick_that_meets_an_unfinished_run_skips_what_it_holds(
    services: Services, clock: Clock, avepoint: Simulator
) -> None:
    avepoint.avepoint.change({"items": 3})
    first = await start_scheduled(services, "enpower", due=TICK)
    assert first is not None
    await finish(services, first.addresses("powerapps")[0])
    clock.advance(hours=1)
    second = await start_scheduled(services, "enpower", due=clock.now)
    assert second is not None
    datasets = {one.dataset: one for one in (await view(services.storage, second)).datasets}
    assert datasets["powerapps"].state == "waiting"
    assert datasets["connections"].state == "skipped"
    assert first.run_id in (datasets["connections"].reason or "")


async def test_many_at_once_start_one_run(services: Services) -> None:
    """Callers retry and deliver twice: all of them get the run that goes on."""
    runs = await asyncio.gather(*(start_requested(services, "elements", ["customers"]) for _ in range(6)))
    assert await run_ids(services.storage) == [runs[0].run_id]
    assert {run.run_id for run in runs} == {runs[0].run_id}


async def test_a_run_that_holds_less_is_not_the_same(services: Services) -> None:
    first = await start_requested(services, "graph", ["aos-jobs"])
    second = await start_requested(services, "graph", ["aos-jobs", "enpower-powerapps"])
    assert second.run_id != first.run_id
    assert [one.skipped is None for one in second.datasets] == [False, True]


class TestConfigured:
    @pytest.fixture
    def environ(self, environ: dict[str, str]) -> dict[str, str]:
        return environ | {"HARVEST_ENPOWER_DATASETS": "", "HARVEST_GRAPH_DATASETS": "nothing-*"}

    async def test_nothing_configured_is_nothing_to_do(self, services: Services) -> None:
        assert await start_scheduled(services, "enpower", due=TICK) is None

    async def test_what_matches_nothing_is_named(self, services: Services) -> None:
        with pytest.raises(Misconfigured, match="HARVEST_GRAPH_DATASETS: 'nothing-\\*' matches no dataset"):
            await start_scheduled(services, "graph", due=TICK)


async def test_a_plan_does_without_a_pointer_that_cannot_be_read(services: Services) -> None:
    path = "latest/graph/enpower-powerapps.json"
    await services.storage.write(Container.INVENTORY, path, b"", etag=None)

    plan = await plan_requested(services, "graph", ["enpower-powerapps"])

    assert [(one.dataset, one.skipped, one.least_requests) for one in plan.datasets] == [("enpower-powerapps", None, 1)]
    assert path in unusable()

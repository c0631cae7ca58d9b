"""Promise 2 with real processes: killed by SIGKILL at a point, and another one goes on."""

import pytest

from shared.harvest.runs.starting import start_requested
from shared.harvest.runs.sweep import sweep
from shared.services import Services
from tests.conftest import Clock, Simulator
from tests.faults.scenarios import check_published
from tests.faults.test_storage_faults import Place
from tests.faults.victim import Yard
from tests.harvest.conftest import finish


@pytest.fixture
def environ(environ: dict[str, str]) -> dict[str, str]:
    return environ | {"HARVEST_PAGE_SIZE": "10", "HARVEST_PART_SECONDS": "0.000001"}


@pytest.mark.parametrize("death", [4, 14, 24])
async def test_another_process_goes_on(
    services: Services, clock: Clock, avepoint: Simulator, environ: dict[str, str], death: int
) -> None:
    avepoint.avepoint.change({"items": 25})
    run = await start_requested(services, "graph", ["enpower-powerapps"])
    address = run.addresses()[0]
    assert await Yard(environ).send("work", address.to_json().decode(), death=death)
    clock.now += services.settings.slice_budget * 2
    await finish(services, address)
    await sweep(services)
    await check_published(Place(services.storage, avepoint.avepoint), run, [address.dataset])

"""What is logged of a published snapshot says how many items the one before held."""

import logging

import pytest

from shared.avepoint.platform import Source
from shared.azure.storage import Storage
from shared.errors import StorageUnavailable
from shared.harvest.runs.starting import start_requested
from shared.harvest.slices.publishing import moving_on
from shared.harvest.snapshots.table_builds import enqueue_build
from shared.services import Services
from tests.conftest import Simulator
from tests.harvest.conftest import Harvest, finish


async def test_a_snapshot_is_told_with_the_size_of_the_one_before(
    avepoint: Simulator, harvest: Harvest, caplog: pytest.LogCaptureFixture
) -> None:
    told = []
    for items in (30, 12):
        avepoint.avepoint.change({"items": items})
        caplog.clear()
        with caplog.at_level(logging.INFO):
            await harvest("graph", "enpower-powerapps")
        told += [vars(one) for one in caplog.records if vars(one).get("event") == "snapshot.published"]
    assert [f"{one['items']} {one['before']}" for one in told] == ["30 None", "12 30"]


async def test_it_is_told_where_storage_goes_away_after_latest_has_moved(
    services: Services, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever goes on from there finds a manifest that stands, and tells of none."""
    failures = [StorageUnavailable("away")]

    async def failing_once(storage: Storage, source: Source, dataset: str) -> None:
        if failures:
            raise failures.pop()
        await enqueue_build(storage, source, dataset)

    monkeypatch.setattr(moving_on, "enqueue_build", failing_once)
    run = await start_requested(services, "graph", ["enpower-powerapps"])
    with caplog.at_level(logging.INFO):
        for address in run.addresses():
            with pytest.raises(StorageUnavailable):
                await finish(services, address)
            await finish(services, address)
    told = [one for one in caplog.records if vars(one).get("event") == "snapshot.published"]
    assert (failures, len(told)) == ([], 1)

"""What is logged of a published snapshot says how many items the one before held."""

import logging

import pytest

from tests.conftest import Simulator
from tests.harvest.conftest import Harvest


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

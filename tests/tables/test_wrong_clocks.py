"""A clock that was ahead has written times that are still to come: a table says so, and is not stale in silence."""

import json
from datetime import timedelta
from typing import Any, cast

import azure.functions as func
import pytest

from functions import datasets
from sandbox.memory_storage import MemoryStorage
from shared.azure.documents import update
from shared.azure.storage import Container, Queue
from shared.errors import InvalidInput
from shared.harvest.snapshots.manifest import pointer_to
from shared.services import Services
from shared.tables.build.names import state_path
from shared.tables.build.requests import is_silent_build
from shared.tables.build.state import TableState, read_state
from shared.tables.build.steps import RETRIED_AFTER, is_due
from shared.tables.serving.events import Watched, snapshot_events
from shared.tables.serving.positions import Positions, positions_text, read_positions
from tests.conftest import Clock
from tests.tables.nights import Nights

APPS = "graph/enpower-powerapps"
YEAR = timedelta(days=365)


@pytest.fixture
def apps(memory: MemoryStorage, clock: Clock) -> Nights:
    return Nights.of(memory, clock, APPS)


async def state_of(apps: Nights) -> TableState:
    return (await read_state(apps.storage, "graph", "enpower-powerapps")).value


async def test_a_table_of_a_run_still_to_come_says_so_and_can_be_made_again(apps: Nights, clock: Clock) -> None:
    now = clock.now
    ahead = await apps.night([{"appId": "a", "displayName": "ahead"}], at=now + YEAR)
    clock.now = now
    pointer = apps.storage.blobs[Container.INVENTORY].pop("latest/graph/enpower-powerapps.json")
    assert pointer.data == pointer_to(ahead).to_json()
    await apps.publish([{"appId": "a", "displayName": "now"}], at=now)

    assert await apps.build() == "failed"

    assert "the run that the table holds is " in ((await state_of(apps)).reason or "")
    await apps.rebuild("table")
    assert apps.table()["displayName"].to_list() == ["now"]


async def test_a_pointer_to_a_run_still_to_come_builds_nothing(apps: Nights, clock: Clock) -> None:
    now = clock.now
    await apps.publish([{"appId": "a"}], at=now + YEAR)
    clock.now = now

    assert await apps.build() == "failed"
    assert "runId of latest/graph/enpower-powerapps.json is " in ((await state_of(apps)).reason or "")


async def test_a_pointer_to_a_run_still_to_come_is_not_given(
    apps: Nights, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def opened() -> Services:
        return apps.services()

    async def latest() -> tuple[int, dict[str, Any]]:
        route = {"source": "graph", "dataset": "enpower-powerapps"}
        request = func.HttpRequest("GET", "https://app.example/api", route_params=route, body=b"")
        response: func.HttpResponse = await cast("Any", datasets.get_latest)(request)
        return response.status_code, json.loads(response.get_body())

    monkeypatch.setattr(datasets, "services", opened)
    now = clock.now
    manifest = await apps.publish([{"appId": "a"}], at=now + YEAR)
    clock.now = now

    status, body = await latest()

    assert (status, body["error"]["code"]) == (503, "Unavailable")
    assert "runId of latest/graph/enpower-powerapps.json is " in body["error"]["message"]
    clock.now = now + 2 * YEAR
    assert (await latest())[1]["runId"] == manifest.run_id


async def test_a_build_that_failed_in_a_year_to_come_is_tried_again(apps: Nights, clock: Clock) -> None:
    manifest = await apps.publish([{"appId": "a"}])
    state = TableState(source="graph", dataset="enpower-powerapps")
    failed = state.failed("no memory", "", run_id=manifest.run_id, now=clock.now + YEAR)
    latest, later = pointer_to(manifest), clock.now + RETRIED_AFTER
    assert is_due(failed, latest, now=later)
    assert is_silent_build(failed, latest, now=later)
    await update(
        apps.storage, Container.HARVEST_STATE, state_path("graph", "enpower-powerapps"), TableState, lambda _: failed
    )

    assert await apps.build() == "finished"


async def test_a_trigger_of_a_year_to_come_is_refused(apps: Nights, clock: Clock) -> None:
    manifest = await apps.publish([{"appId": "a"}])
    seen = {APPS: manifest.run_id.replace("2026", "2027")}
    for positions in (Positions(clock.now + YEAR), Positions(clock.now, seen)):
        given = read_positions(positions_text(positions))
        with pytest.raises(InvalidInput, match="in the future") as caught:
            await snapshot_events(apps.services(), Watched(dataset="enpower-powerapps"), given)
        assert caught.value.target == "triggerState"


async def test_a_trigger_does_not_begin_behind_a_run_still_to_come(apps: Nights, clock: Clock) -> None:
    now = clock.now
    await apps.publish([{"appId": "a"}], at=now + YEAR)
    clock.now = now

    begun = await snapshot_events(apps.services(), Watched(dataset="enpower-powerapps"), None)

    assert begun.positions.seen == {}
    assert apps.storage.queues[Queue.TABLES] == []

"""Two versions at work at once on one storage, as during an upgrade, and back again (promises 1, 2, 7).

The release before is taken from the history of the project. Instances of both are processes of their own, which are
killed in the middle of their work; what they stored has to serve both.
"""

import json
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from sandbox.azurite import Azurite
from sandbox.azurite import azurite as running_azurite
from shared.azure.storage import Queue
from shared.harvest.plan.windows import Window
from shared.services import Services
from tests.conftest import Simulator
from tests.harvest.conftest import latest_manifest, lines
from tests.upgrades.fleet import NEW_DATASET, Fleet, Instance, Version, release_before

pytestmark = pytest.mark.slow

APPS, AUDIT = "enpower-powerapps", "aos-audit"
CONNECTION = "b4bbdbbd-cf2d-5c44-939b-be86bc688035"
DUE = {"opusConnectionId": CONNECTION, "before": "2999-01-01T00:00:00Z"}
ITEMS = 500
FORWARD_AND_BACK: Sequence[tuple[Version, Version]] = (("old", "new"), ("new", "old"))


@pytest.fixture(scope="session")
async def old(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return await release_before(tmp_path_factory.mktemp("release"))


@pytest.fixture
async def azurite(tmp_path: Path) -> AsyncIterator[Azurite]:
    """Queues of its own, which no other instance listens to."""
    async with running_azurite(tmp_path / "azurite.log") as running:
        yield running


@pytest.fixture
async def fleet(old: Path, tmp_path: Path, azurite: Azurite, avepoint: Simulator) -> AsyncIterator[Fleet]:
    avepoint.avepoint.change({"items": ITEMS, "latencyMs": 50})
    settings = {
        "HARVEST_PAGE_SIZE": "10",
        "HARVEST_SLICE_SECONDS": "0.3",
        "OPUS_SYNC_SECONDS": "1",
        "OPUS_DESTROY_ENABLED": "true",
        "TABLES_DATASETS": "none",
    }
    fleet = Fleet.of(old, tmp_path, azurite, avepoint, **settings)
    yield fleet
    await fleet.close()


async def begun(instance: Instance, *datasets: str) -> str:
    run = await instance.call("start_harvest", "POST", "harvests", {"source": "graph", "datasets": datasets})
    return str(run["runId"])


async def ended(fleet: Fleet, instance: Instance, run_id: str) -> dict[str, Any]:
    """A run, once it has ended."""

    async def look() -> dict[str, Any] | None:
        run = await instance.call("get_run", "GET", f"runs/{run_id}", runId=run_id)
        return None if run["state"] == "running" else run

    return await fleet.until(instance, look)


async def settled(fleet: Fleet, instance: Instance, operation_id: str) -> dict[str, Any]:
    """An operation, once it has ended."""

    async def look() -> dict[str, Any] | None:
        told = await operation(instance, operation_id)
        return told if told["finishedAt"] else None

    return await fleet.until(instance, look)


async def operation(instance: Instance, operation_id: str) -> dict[str, Any]:
    path = f"operations/{operation_id}"
    return await instance.call("get_operation", "GET", path, operationId=operation_id)


async def in_the_middle(fleet: Fleet, instance: Instance, avepoint: Simulator, run_id: str) -> None:
    """Wait until a run has gone on for some pages, or has ended."""
    wanted = len(avepoint.requests()) + 5

    async def look() -> bool:
        if len(avepoint.requests()) >= wanted:
            return True
        run = await instance.call("get_run", "GET", f"runs/{run_id}", runId=run_id)
        return bool(run["state"] != "running")

    await fleet.until(instance, look)


@pytest.mark.parametrize(("first", "second"), FORWARD_AND_BACK)
async def test_a_run_that_one_began_is_finished_by_both_under_kills(
    fleet: Fleet, services: Services, avepoint: Simulator, first: Version, second: Version
) -> None:
    mine, other = await fleet.start(first), await fleet.start(second)
    run_id = await begun(mine, APPS)
    for kill in range(4):
        await in_the_middle(fleet, other, avepoint, run_id)
        if kill % 2:  # the messages of whoever is killed are lost for a minute: the sweep sends others
            await other.kill()
            other = await fleet.start(second)
        else:
            await mine.kill()
            mine = await fleet.start(first)

    one, another = await ended(fleet, mine, run_id), await ended(fleet, other, run_id)

    for told in (one, another):
        assert (told["state"], told["datasets"][0]["items"]) == ("succeeded", ITEMS)
    manifest = await latest_manifest(services, "graph", APPS)
    assert (manifest.run_id, manifest.verdict) == (run_id, "complete")
    assert await lines(services, manifest) == avepoint.served(APPS)


async def test_windows_go_on_where_the_other_version_ended(
    fleet: Fleet, services: Services, avepoint: Simulator
) -> None:
    avepoint.avepoint.change({"items": 400, "everyMinutes": 120})
    found, windows = list[bytes](), list[Window]()
    for version in ("old", "new", "old", "new"):
        instance = await fleet.start(version)
        run = await ended(fleet, instance, await begun(instance, AUDIT))
        assert run["state"] == "succeeded"
        manifest = await latest_manifest(services, "graph", AUDIT)
        assert manifest.run_id == run["runId"]
        assert manifest.window is not None
        windows.append(manifest.window)
        found += await lines(services, manifest)
        await instance.kill()
        fleet.advance(86_400)
        avepoint.avepoint.change({"now": fleet.now.isoformat()})

    assert len(found) == len(set(found)), "nothing is doubled"
    served = {datetime.fromisoformat(json.loads(line)["actionTime"]): line for line in avepoint.served(AUDIT)}
    wanted = {line for at, line in served.items() if windows[0].from_ <= at < windows[-1].to}
    assert len(wanted) > len(found) / 2
    assert wanted <= set(found), "nothing is lost"


async def test_a_dataset_that_the_older_one_does_not_know_is_left_to_the_newer(
    fleet: Fleet, services: Services, avepoint: Simulator
) -> None:
    older, newer = await fleet.start("old"), await fleet.start("new")
    run_id = await begun(newer, NEW_DATASET, APPS)
    await in_the_middle(fleet, newer, avepoint, run_id)
    await newer.kill()
    await older.sweep()
    await in_the_middle(fleet, older, avepoint, run_id)
    await older.kill()  # until then, it drops the messages for what it does not know
    newer = await fleet.start("new")

    run = await ended(fleet, newer, run_id)

    assert run["state"] == "succeeded"
    for dataset in (NEW_DATASET, APPS):
        manifest = await latest_manifest(services, "graph", dataset)
        assert await lines(services, manifest) == avepoint.served(dataset)
    older = await fleet.start("old")
    assert (await older.call("get_run", "GET", f"runs/{run_id}", runId=run_id))["state"] == "succeeded"


async def test_messages_of_a_later_version_do_no_harm(fleet: Fleet, services: Services) -> None:
    older, newer = await fleet.start("old"), await fleet.start("new")
    for queue in (Queue.SLICES, Queue.OPERATIONS):
        for message in ({"schema": 9, "whatever": [1]}, {"kind": "of a later version"}):
            await services.storage.enqueue(queue, json.dumps(message))
    run_id = await begun(older, APPS)

    assert (await ended(fleet, newer, run_id))["state"] == "succeeded"


def record(name: str) -> dict[str, str]:
    times = dict.fromkeys(("timeCreated", "timeModified"), "2020-01-15T08:30:00Z")
    return {"rowKey": name, "leafName": name, "createdBy": "u", "modifiedBy": "u", **times}


async def submit(instance: Instance, names: Sequence[str], *, key: str) -> dict[str, Any]:
    body = {"conflictOption": "Overwrite", "records": [record(name) for name in names]}
    path = f"opus/connections/{CONNECTION}/records"
    return await instance.call("submit_records", "POST", path, body, key=key, opusConnectionId=CONNECTION)


async def destroy(instance: Instance, names: Sequence[str], *, key: str) -> dict[str, Any]:
    return await instance.call("destroy_records", "POST", "opus/records/destroy", {"ids": names} | DUE, key=key)


@pytest.mark.parametrize(("first", "second"), FORWARD_AND_BACK)
async def test_an_operation_that_one_began_is_finished_by_the_other(
    fleet: Fleet, avepoint: Simulator, first: Version, second: Version
) -> None:
    names = [f"record-{number:03}" for number in range(60)]
    mine = await fleet.start(first)
    filled = (await submit(mine, names, key="fill"))["operationId"]
    assert (await settled(fleet, mine, filled))["status"] == "Succeeded"
    avepoint.avepoint.change({"latencyMs": 1500})  # so that it is handed over in the middle
    destroyed = (await destroy(mine, names, key="destroy"))["operationId"]
    await mine.kill()
    avepoint.avepoint.change({"latencyMs": 20})
    other = await fleet.start(second)

    told = await settled(fleet, other, destroyed)

    uncertain = {item["id"] for item in told["uncertain"]}
    assert told["succeeded"] + len(uncertain) == len(names), told
    counts = Counter({one.row_key: one.destroyed for one in avepoint.avepoint.opus.records})
    assert max(counts.values()) == 1, "nothing is destroyed twice"
    assert {name for name in names if not counts[name]} <= uncertain, "nothing is lost"
    mine = await fleet.start(first)
    again = [await destroy(one, names, key="destroy") for one in (mine, other)]
    assert {one["operationId"] for one in again} == {destroyed}
    assert [one["status"] for one in again] == [told["status"]] * 2
    assert Counter({one.row_key: one.destroyed for one in avepoint.avepoint.opus.records}) == counts


async def test_both_write_one_chain_of_evidence_that_both_can_verify(fleet: Fleet, avepoint: Simulator) -> None:
    instances = [await fleet.start(version) for version in ("old", "new", "old", "new")]
    for number, instance in enumerate(instances * 2):
        done = await submit(instance, [f"record-{number}"], key=f"key-{number}")
        await settled(fleet, instance, done["operationId"])

    for version in ("old", "new"):
        assert "8 pieces of evidence in 1 chains, 0 problems" in await fleet.verify_evidence(version)
    assert len(avepoint.avepoint.opus.records) == 8

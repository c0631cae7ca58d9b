"""What the release before has stored stays readable, is carried on, and is told as it was told then.

``fixtures/release-0.1.json`` holds what that release wrote: an operation of each kind that had ended, one that waits
for a person, one that was resolved, a destroy that was handed over after its first batch, and a submit that waits.
"""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from shared.azure.storage import Container
from shared.errors import KeyReused
from shared.opus.intake.inputs import SubmitInput
from shared.opus.ledger.documents import Operation
from shared.opus.operations.worker import parse_message
from tests.opus.world import CONNECTION, Host, World, call

TIMES = ("timeCreated", "timeModified")
RELEASE = json.loads((Path(__file__).parents[1] / "fixtures/release-0.1.json").read_text())


@pytest.fixture
def world() -> World:
    world = World()
    for container in (Container.OPERATIONS, Container.EVIDENCE):
        stored = {path: text.encode() for path, text in RELEASE["blobs"][container].items()}
        world.restore(container, stored)
    world.now += timedelta(minutes=2)
    return world


@pytest.fixture
def host(world: World) -> Host:
    return Host(world, world.mine)


def paths(name: str) -> list[str]:
    return [path for path in RELEASE["blobs"][Container.OPERATIONS] if path.endswith(f"/{name}.json")]


def orders() -> list[dict[str, Any]]:
    return [json.loads(RELEASE["blobs"][Container.OPERATIONS][path])["order"] for path in paths("order")]


async def test_every_operation_is_told_as_it_was_told(host: Host) -> None:
    for path in paths("operation"):
        told = Operation.from_json(RELEASE["blobs"][Container.OPERATIONS][path].encode())
        progress = await host.operations.get(told.operation_id)
        assert progress is not None
        if not told.uncertain:
            assert progress.operation == told
    (waiting,) = [one for one in (await host.operations.uncertain()).operations if len(one.uncertain) == 2]
    assert [item.id for item in waiting.uncertain] == ["u1", "u2"]


async def test_a_key_of_then_is_known_and_sends_nothing(world: World, host: Host) -> None:
    order = next(order for order in orders() if order["client"].get("idempotency-key") == "finished")
    asked = [record | {name: f"{record[name]}Z" for name in TIMES} for record in order["records"]]
    body = SubmitInput.model_validate({"conflictOption": "Overwrite", "records": asked})
    again = await host.operations.submit(call(order["client"]["idempotency-key"]), CONNECTION, body)

    assert again.replayed
    assert again.operation.succeeded == len(asked)
    assert world.mine.log == []
    with pytest.raises(KeyReused):
        await host.destroy("uncertain", ["another"])


async def test_a_destroy_of_then_is_carried_on(world: World, host: Host) -> None:
    running = await host.destroy("handed over", [f"h{number:02d}" for number in range(40)], looked_up=True)
    assert running.replayed

    operation = (await world.finish(host, running.operation.operation_id)).operation

    assert (operation.status, operation.succeeded) == ("Succeeded", 40)
    sent = [key for one in world.mine.log for key in one.ids]
    assert sent == [f"h{number:02d}" for number in range(15, 40)]


async def test_its_evidence_is_whole_and_its_chain_goes_on(world: World, host: Host) -> None:
    assert await world.problems() == []

    await host.submit("next", ["n1"])

    assert await world.problems() == []
    assert len(world.storage.blobs[Container.EVIDENCE]) == 6


async def test_an_operation_of_then_does_not_go_on_elsewhere(world: World, host: Host) -> None:
    await host.destroy("here", ["x"])  # this app has been at work here, in its place
    operation = await host.destroy("handed over", [f"h{number:02d}" for number in range(40)], looked_up=True)
    await host.operations.run(operation.operation.operation_id)
    before = len(world.mine.log)
    moved = Host(world, world.theirs)

    await world.finish(moved, operation.operation.operation_id)

    assert world.theirs.log == []
    assert len(world.mine.log) == before


def test_its_messages_are_understood() -> None:
    messages = [parse_message(text.encode()) for text in RELEASE["messages"]]

    assert all(message and message.watch is None for message in messages)


async def test_a_resolution_of_then_is_completed(host: Host) -> None:
    (path,) = paths("resolutions")

    progress = await host.operations.get(path.split("/")[1])

    assert progress is not None
    assert ([item.id for item in progress.operation.uncertain], progress.operation.succeeded) == (["v2"], 1)


async def test_names_of_a_newer_version_survive(world: World, host: Host) -> None:
    path = paths("state")[0]
    blobs = world.backup(Container.OPERATIONS)
    state = json.loads(blobs[path])
    state["newer"] = {"cancelled": True}
    state["batches"][0]["newest"] = 7
    blobs[path] = json.dumps(state).encode()
    world.restore(Container.OPERATIONS, blobs)
    world.mine.moods = ["throttled"] * 3

    operation_id = path.split("/")[1]
    world.now += timedelta(hours=1)
    await host.operations.run(operation_id)

    written = json.loads(world.backup(Container.OPERATIONS)[path])
    assert written["newer"] == {"cancelled": True}
    assert written["batches"][0]["newest"] == 7

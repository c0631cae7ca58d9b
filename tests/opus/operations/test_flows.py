"""A thousand operations by flows that retry, time out and deliver twice, on a host that is killed again and again."""

import asyncio
import logging
import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

import pytest

from functions import operations, opus
from shared.azure.storage import Container
from shared.opus.evidence.documents import Evidence
from shared.opus.evidence.findings import problems
from shared.opus.ledger.documents import Operation
from shared.opus.verify import gather_evidence
from tests.opus import flows
from tests.opus.flows import Answer, Flow, World
from tests.shared import virtual_time

pytestmark = pytest.mark.slow

OPERATIONS = 1000
AT_ONCE = 40
DESTROYS = 250
MISSING = 25
"""Of so many destroys, one asks for records that Opus does not have."""
DEADLY = 0.0006
FLAKY = 0.001
CONNECTION = UUID("b4bbdbbd-cf2d-5c44-939b-be86bc688035")
DESTROY = "/api/opus/records/destroy"

type Json = dict[str, object]


@dataclass(frozen=True)
class Task:
    """What one flow wants."""

    name: str
    path: str
    body: Json
    headers: dict[str, str]
    keys: Sequence[str]
    bad: frozenset[str] = frozenset()


def submit(number: int, dice: random.Random) -> Task:
    """Some records, now and then with one that breaks a rule, and now and then without the header."""
    keys = [f"s{number:04d}-{place:02d}" for place in range(dice.choice((1, 1, 2, 3, 15, 17)))]
    records = [record(key) for key in keys]
    bad = frozenset({keys[1]} if len(keys) > 1 and dice.random() < 0.1 else ())
    for one in records:
        if one["rowKey"] in bad:
            one["timeCreated"] = "yesterday"
    body: Json = {"conflictOption": dice.choice(("Overwrite", "Skip")), "records": records}
    keyless = dice.random() < 0.1  # such a call is the same only as long as nothing else goes to its connection
    headers = {} if keyless else {"Idempotency-Key": f"submit {number}"}
    path = f"/api/opus/connections/{UUID(int=10**6 + number) if keyless else CONNECTION}/records"
    return Task(f"submit {number}", path, body, headers, keys, bad)


def destroy(number: int, keys: Sequence[str], connection: str, dice: random.Random) -> Task:
    """Some ids, half of the time with what is needed to look them up."""
    looked_up: Json = {"opusConnectionId": connection, "before": "2999-01-01T00:00:00Z"} if dice.random() < 0.5 else {}
    name = dice.choice(("Idempotency-Key", "Repeatability-Request-ID"))
    return Task(f"destroy {number}", DESTROY, {"ids": keys, **looked_up}, {name: f"destroy {number}"}, keys)


def record(key: str) -> Json:
    return {
        "rowKey": key,
        "leafName": f"Record {key}",
        "timeCreated": "2020-01-15T08:30:00Z",
        "timeModified": "2020-01-15T08:30:00Z",
        "createdBy": "user01",
        "modifiedBy": "user01",
        "Column": [1, 3],
    }


async def fill(world: World, dice: random.Random) -> list[Task]:
    """Put the records that will be destroyed into Opus, and some that nobody asks to destroy; a few are not there."""
    tasks = []
    for number in range(DESTROYS):
        keys = [f"d{number:04d}-{place:02d}" for place in range(dice.choice((1, 1, 2, 3, 16)))]
        connection = str(UUID(int=number))
        there = () if number % MISSING == 0 else keys
        for key in (*there, f"kept-{number}"):
            world.avepoint.opus.submit({"id": connection, "conflictOption": "Skip", "data": [record(key)]})
        tasks.append(destroy(number, keys, connection, dice))
    return tasks


@dataclass(frozen=True)
class Played:
    """What came of everything; evidence and stored records go by the first key of their task."""

    world: World
    tasks: Mapping[str, Task]
    answers: Mapping[str, Answer | None]
    evidence: Mapping[str, Evidence]
    chain_problems: Sequence[str]

    @property
    def accepted(self) -> dict[str, Operation]:
        """What the ledger says of every task that the app has ever taken on."""
        return {key: evidence.operation for key, evidence in self.evidence.items()}


async def play(seed: int, count: int = OPERATIONS) -> Played:
    dice = random.Random(seed)  # noqa: S311 - dice, not keys
    world = World(dice, deadly=DEADLY, flaky=FLAKY)
    tasks = await fill(world, dice)
    tasks += [submit(number, dice) for number in range(count - len(tasks))]
    dice.shuffle(tasks)
    world.moods.on = True
    slots = asyncio.Semaphore(AT_ONCE)

    async def flow(task: Task) -> Answer | None:
        async with slots:
            return await Flow(world, dice).post(task.path, task.body, task.headers)

    async with world.running():
        answers = await asyncio.gather(*map(flow, tasks))
        await world.come_to_rest()
        seen = await gather_evidence(world.storage, today=virtual_time.clock().date())
    found = [Evidence.from_json(stored.data) for stored in world.storage.blobs[Container.EVIDENCE].values()]
    found.sort(key=lambda evidence: evidence.round)
    told = {(evidence.order.key(0), evidence.round) for evidence in found}
    assert len(told) == len(found), "one operation for each task, and one piece each time it was taken up"
    return Played(
        world,
        {task.keys[0]: task for task in tasks},
        {task.keys[0]: answer for task, answer in zip(tasks, answers, strict=True)},
        {evidence.order.key(0): evidence for evidence in found},
        list(problems(seen)),
    )


@pytest.fixture(scope="module")
def played() -> Played:
    """One history, looked at by all tests."""
    return played_with(seed=7)


def played_with(seed: int, count: int = OPERATIONS) -> Played:
    """Play a history with other dice."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(opus, "services", flows.services)
        patch.setattr(operations, "services", flows.services)
        logging.disable(logging.CRITICAL)
        try:
            return virtual_time.run(play(seed, count))
        finally:
            logging.disable(logging.NOTSET)


def test_it_was_as_bad_as_it_should_be(played: Played) -> None:
    assert played.world.deaths > 20
    for status in ("Succeeded", "PartiallySucceeded", "Uncertain", "Failed"):
        assert sum(operation.status == status for operation in played.accepted.values()) >= 3, status


def test_every_operation_ends_and_adds_up(played: Played) -> None:
    assert len(played.accepted) > 0.95 * OPERATIONS
    for key, operation in played.accepted.items():
        named = [(item.index, item.id) for items in (operation.failed, operation.uncertain) for item in items]
        assert operation.requested == len(played.tasks[key].keys)
        assert operation.succeeded + operation.skipped + len(named) == operation.requested
        assert len(set(named)) == len(named)
        assert all(played.tasks[key].keys[index] == name for index, name in named)


def test_no_flow_was_told_anything_else_than_the_ledger_says(played: Played) -> None:
    told = {key: answer for key, answer in played.answers.items() if answer}
    assert len(told) > 0.9 * OPERATIONS
    for key, answer in told.items():
        operation = played.accepted[key].model_dump(mode="json", by_alias=True)
        assert answer.body.get("operation", answer.body) == operation
        assert answer.status == (422 if operation["status"] == "Failed" else 200)


def test_no_record_was_destroyed_twice_or_without_being_asked(played: Played) -> None:
    asked = {key for task in played.tasks.values() if task.path == DESTROY for key in task.keys}
    for stored in played.world.avepoint.opus.records:
        assert stored.destroyed <= (1 if stored.row_key in asked else 0)


def test_what_was_destroyed_was_never_asked_for_again(played: Played) -> None:
    gone: set[str] = set()
    for execution in played.world.avepoint.opus.executions:
        if execution.operation == "destroy":
            assert gone.isdisjoint(execution.row_keys)
            gone |= set(execution.row_keys) - set(execution.failed)


def test_every_outcome_of_a_destroy_is_what_opus_did(played: Played) -> None:
    destroyed = Counter({stored.row_key: stored.destroyed for stored in played.world.avepoint.opus.records})
    for key, task in played.tasks.items():
        if task.path == DESTROY and key in played.accepted:
            succeeded, failed, _ = outcomes(played.accepted[key], task)
            assert {destroyed[name] for name in succeeded} <= {1}
            assert {destroyed[name] for name in failed} <= {0}
        elif task.path == DESTROY:
            assert {destroyed[name] for name in task.keys} == {0}


def test_every_outcome_of_a_submit_is_what_opus_did(played: Played) -> None:
    stored = {one.row_key: one for one in played.world.avepoint.opus.records}
    for key, task in played.tasks.items():
        if task.path != DESTROY and key in played.accepted:
            succeeded, failed, _ = outcomes(played.accepted[key], task)
            assert failed >= task.bad
            assert not failed & stored.keys()
            for name in succeeded:
                assert stored[name].fields == written(name)
                assert stored[name].submitted == 1 or task.body["conflictOption"] == "Overwrite"


def test_every_operation_has_its_evidence_in_a_whole_chain(played: Played) -> None:
    assert played.chain_problems == []
    assert len(played.evidence) > 0.95 * OPERATIONS


def outcomes(operation: Operation, task: Task) -> tuple[set[str], set[str], set[str]]:
    """The keys that succeeded, failed, and are uncertain."""
    failed = {item.id for item in operation.failed}
    uncertain = {item.id for item in operation.uncertain}
    return set(task.keys) - failed - uncertain, failed, uncertain


def written(key: str) -> Json:
    """A record as Opus gets it."""
    return record(key) | {"timeCreated": "2020-01-15T08:30:00", "timeModified": "2020-01-15T08:30:00"}

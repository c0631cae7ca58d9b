"""Operations without a host: the tests are the flow and the queue."""

import base64
import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import pytest

from sandbox.avepoint.faults import Rule
from shared.azure.storage import Container, Queue
from shared.opus.client.client import Opus
from shared.opus.evidence.documents import Evidence
from shared.opus.intake.inputs import DestroyInput, SubmitInput
from shared.opus.operations.assembly import dates_of, opus_of, tools_of
from shared.opus.operations.operations import Call, Operations
from shared.opus.operations.progress import OperationProgress
from shared.services import Services
from tests.conftest import Clock, Simulator
from tests.waiting import until

CONNECTION = "b4bbdbbd-cf2d-5c44-939b-be86bc688035"
BEFORE = "2999-01-01T00:00:00Z"
OPUS = "/records/connector/records"


@pytest.fixture
def environ(environ: dict[str, str]) -> dict[str, str]:
    return environ | {"OPUS_DESTROY_ENABLED": "true"}


@dataclass
class Bench:
    """Operations on the real parts; sleeping moves the clock."""

    services: Services
    clock: Clock
    avepoint: Simulator
    slept: list[float] = field(default_factory=list)

    @property
    def operations(self) -> Operations:
        """Operations as another process would open them."""
        return self.operations_with(opus_of(self.services))

    def operations_with(self, opus: Opus) -> Operations:
        """Operations that use ``opus``."""
        tools = replace(tools_of(self.services, opus), clock=self.clock, sleep=self._sleep, random=lambda: 0.5)
        return Operations(tools, settings=self.services.settings, dates=dates_of(self.services.settings))

    async def _sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.clock.advance(seconds=seconds)

    def fault(self, **rule: object) -> None:
        """Set a fault for the Opus calls."""
        self.avepoint.avepoint.faults.add([Rule.model_validate({"path": OPUS, **rule})])

    async def fault_struck(self) -> None:
        """Wait until the fault that was set has met its request."""

        async def struck() -> bool:
            return not any(rule["remaining"] for rule in self.avepoint.avepoint.faults.listed())

        await until(struck)

    async def submit(self, body: SubmitInput, *, key: str | None = "key-1") -> OperationProgress:
        return await self.operations.submit(call(key), CONNECTION, body)

    async def destroy(self, body: DestroyInput, *, key: str | None = "key-1") -> OperationProgress:
        return await self.operations.destroy(call(key), body)

    async def fill(self, count: int) -> list[str]:
        """Put records that are due into Opus, and forget how they got there."""
        body = records(count)
        await self.operations.submit(call("fill"), CONNECTION, body)
        self.avepoint.avepoint.opus.executions.clear()
        self.avepoint.avepoint.log.clear()
        return [record.row_key for record in body.records]

    def calls(self) -> list[tuple[str, ...]]:
        """The row keys of each call that Opus carried out."""
        return [execution.row_keys for execution in self.avepoint.avepoint.opus.executions]

    def destroyed(self) -> dict[str, int]:
        """How often each record was destroyed."""
        return {record.row_key: record.destroyed for record in self.avepoint.avepoint.opus.records}

    def asked(self, method: str) -> int:
        """How many requests of a method Opus got."""
        return sum(entry.method == method for entry in self.avepoint.requests(OPUS))

    async def pokes(self) -> list[str]:
        """The operations that the queue was asked to look at."""
        client = self.services.storage._queue(Queue.OPERATIONS)  # noqa: SLF001 - the app only writes to queues
        return [
            json.loads(base64.b64decode(message.content))["operationId"]
            for message in await client.peek_messages(max_messages=32)
        ]

    async def lose_messages(self) -> None:
        """Lose everything that is on the queue."""
        await self.services.storage._queue(Queue.OPERATIONS).clear_messages()  # noqa: SLF001 - the app never clears a queue

    async def paths(self, container: Container = Container.OPERATIONS) -> list[str]:
        """Everything that is stored."""
        return [path async for path in self.services.storage.list(container, "")]

    async def evidence(self) -> list[Evidence]:
        """All evidence there is."""
        found = []
        for path in await self.paths(Container.EVIDENCE):
            stored = await self.services.storage.read(Container.EVIDENCE, path)
            assert stored is not None
            found.append(Evidence.from_json(stored.data))
        return found

    async def finish(self, operation_id: str) -> OperationProgress:
        """Be the queue until the operation is finished."""
        for _ in range(60):
            await self.operations.run(operation_id)
            progress = await self.operations.get(operation_id)
            assert progress is not None
            if progress.retry_after is None:
                return progress
            self.clock.advance(seconds=progress.retry_after)
        raise AssertionError(f"{operation_id} does not end: {progress}")


@pytest.fixture
def bench(services: Services, clock: Clock, avepoint: Simulator) -> Bench:
    return Bench(services, clock, avepoint)


type Reopen = Callable[..., Bench]


@pytest.fixture
def reopen(bench: Bench) -> Reopen:
    """The same bench under other settings, as after a new deployment."""

    def reopened(**settings: object) -> Bench:
        changed = bench.services.settings.model_copy(update=settings)
        return replace(bench, services=replace(bench.services, settings=changed))

    return reopened


def call(key: str | None) -> Call:
    return Call("key", key, {"x-ms-client-request-id": "request-1"} | ({"idempotency-key": key} if key else {}))


def records(count: int, *, option: str = "Overwrite", name: str = "record") -> SubmitInput:
    """A submit of ``count`` records that are due already."""
    return SubmitInput.model_validate(
        {
            "conflictOption": option,
            "records": [
                {
                    "rowKey": f"{name}-{number:04d}",
                    "leafName": f"Record {number}",
                    "timeCreated": "2020-01-15T08:30:00Z",
                    "timeModified": "2020-01-15T08:30:00Z",
                    "createdBy": "user01",
                    "modifiedBy": "user01",
                }
                for number in range(count)
            ],
        }
    )


def ids(keys: list[str], **more: str) -> DestroyInput:
    return DestroyInput.model_validate({"ids": keys, **more})

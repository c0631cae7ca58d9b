"""Operations of several hosts on one storage account in memory, and an Opus that may be slow, deaf or forgetful.

What Opus was asked, and what it did, is its log: the model that outcomes are held against.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Literal, override
from zoneinfo import ZoneInfo

from sandbox.memory_storage import MemoryStorage, Message
from shared.avepoint.opus import ConflictOption, Generation, Record
from shared.avepoint.opus_answers import Processed
from shared.azure.storage import Container, Queue
from shared.errors import AppError
from shared.opus.client.client import Opus
from shared.opus.client.due_list import StillDue
from shared.opus.client.verdicts import Answered, CallVerdict, Later, NotSent, NotSentYet, Refused, Unknown
from shared.opus.evidence.findings import problems
from shared.opus.intake.dates import Dates
from shared.opus.intake.inputs import DestroyInput, SubmitInput
from shared.opus.ledger.documents import Place
from shared.opus.ledger.store import OperationStore
from shared.opus.operations.operations import Call, Operations
from shared.opus.operations.progress import OperationProgress
from shared.opus.operations.rules import OperationLimits
from shared.opus.operations.tools import Tools
from shared.opus.operations.worker import parse_message
from shared.opus.verify import gather_evidence
from shared.settings import Settings, load_settings

BEGIN = datetime(2026, 11, 20, 8, 0, tzinfo=UTC)
CONNECTION = "b4bbdbbd-cf2d-5c44-939b-be86bc688035"
BEFORE = "2026-11-20T00:00:00Z"
SETTLE = timedelta(minutes=5)
DATES = Dates(ZoneInfo("UTC"))

type Mood = Literal[
    "well",
    "partly",
    "lost",
    "unheard",
    "late",
    "refused",
    "throttled",
    "no token",
    "no connection",
    "killed before",
    "killed after",
]
"""``lost``: done, and the answer lost; ``unheard``: not done; ``late``: done minutes after the answer was lost."""


class Killed(BaseException):
    """The process is gone."""


@dataclass
class Sent:
    """One call that reached Opus: who sent it, and when it did what it was asked, if it did or still will."""

    kind: str
    ids: tuple[str, ...]
    origin: str
    at: datetime
    enabled: bool
    done_at: datetime | None
    failed: frozenset[str] = frozenset()


@dataclass
class Tenant:
    """The Opus of one tenant. Everything that is asked for is due until it is destroyed."""

    origin: str
    world: "World"
    moods: list[Mood] = field(default_factory=list)
    not_due: set[str] = field(default_factory=set)
    unlisted: list[AppError] = field(default_factory=list)
    """Why the next looks at what is due come to nothing."""
    looks: int = 0
    log: list[Sent] = field(default_factory=list)

    def done(self, key: str) -> list[Sent]:
        """The calls that have done something to a record by now."""
        return [
            sent
            for sent in self.log
            if key in sent.ids and key not in sent.failed and sent.done_at and sent.done_at <= self.world.now
        ]

    def may_be_done(self, key: str) -> list[Sent]:
        """The calls that have done something to a record, or still will."""
        return [sent for sent in self.log if key in sent.ids and key not in sent.failed and sent.done_at]

    def call(self, kind: str, ids: Sequence[str], *, enabled: bool) -> CallVerdict:
        """What a call comes to."""
        mood = self.moods.pop(0) if self.moods else "well"
        now = self.world.now
        if mood in {"throttled", "no token", "no connection", "killed before"}:
            return self._unsent(mood)
        late = now + SETTLE * 0.9
        done_at = {"unheard": None, "refused": None, "late": late}.get(mood, now)
        gone = {key for key in ids if kind == "destroy" and (key in self.not_due or self.done(key))}
        failed = frozenset(gone | ({ids[0]} if mood == "partly" else set()))
        self.log.append(Sent(kind, tuple(ids), self.origin, now, enabled, done_at, failed))
        if mood == "killed after":
            raise Killed
        if mood == "refused":
            return Refused("UpstreamRejected", "Opus answered 400.")
        if mood in {"lost", "unheard", "late"}:
            return Unknown("The answer was lost.")
        return Answered(Processed(dict.fromkeys(failed, "No.")), 200, "")

    def _unsent(self, mood: Mood) -> CallVerdict:
        if mood == "killed before":
            raise Killed
        if mood == "throttled":
            return Later(self.world.now + timedelta(seconds=90))
        return NotSentYet("There is no token.") if mood == "no token" else NotSent("There is no connection.")


@dataclass
class Host:
    """One instance of the app: its clock may be wrong, and its settings may be others than those of the next one."""

    world: "World"
    tenant: Tenant
    ahead: timedelta = timedelta(0)
    destroy_enabled: bool = True
    account: str = "one"
    patience: timedelta = timedelta(hours=2)
    sync_seconds: float = 25

    def clock(self) -> datetime:
        """What the host takes for the time: that of the storage account, as well as its writes tell it."""
        return self.world.now + self.ahead

    @property
    def place(self) -> Place:
        return Place(origin=self.tenant.origin, client_id="app", generation="graph", account=self.account)

    @property
    def operations(self) -> Operations:
        """Operations as any request opens them."""
        tools = Tools(
            store=OperationStore(self.world.storage),
            opus=StubOpus(self),
            place=self.place,
            destroy_enabled=lambda: self.destroy_enabled,
            clock=self.clock,
            sleep=self.world.sleep,
            random=lambda: 0.5,
            limits=OperationLimits(self.patience, SETTLE),
            submits_at_once=8,
            lookup_pages=100,
        )
        settings = self.world.settings.model_copy(update={"opus_sync_seconds": self.sync_seconds})
        return Operations(tools, settings=settings, dates=DATES)

    async def destroy(self, key: str, ids: Sequence[str], *, looked_up: bool = False) -> OperationProgress:
        """Ask for a destroy."""
        more = {"opusConnectionId": CONNECTION, "before": BEFORE} if looked_up else {}
        body = DestroyInput.model_validate({"ids": list(ids), **more})
        return await self.operations.destroy(call(key), body)

    async def submit(self, key: str | None, ids: Sequence[str]) -> OperationProgress:
        """Ask for a submit."""
        return await self.operations.submit(call(key), CONNECTION, records(ids))


class StubOpus(Opus):
    """What a host sees of its tenant."""

    def __init__(self, host: Host) -> None:
        self._host = host

    @property
    @override
    def origin(self) -> str:
        return self._host.tenant.origin

    @property
    @override
    def generation(self) -> Generation:
        return "graph"

    @override
    async def submit(self, connection: str, conflict_option: ConflictOption, records: Sequence[Record]) -> CallVerdict:
        keys = [str(record["rowKey"]) for record in records]
        return self._host.tenant.call("submit", keys, enabled=True)

    @override
    async def destroy(self, ids: Sequence[str]) -> CallVerdict:
        return self._host.tenant.call("destroy", ids, enabled=self._host.destroy_enabled)

    @override
    async def still_due(self, connection: str, before: datetime, ids: Collection[str], *, pages: int) -> StillDue:
        tenant = self._host.tenant
        tenant.looks += 1
        if tenant.unlisted:
            raise tenant.unlisted.pop(0)
        due = {key for key in ids if key not in tenant.not_due and not tenant.done(key)}
        return StillDue(frozenset(due), whole=True)


@dataclass
class World:
    """Storage, time, two tenants and their hosts."""

    now: datetime = BEGIN
    storage: MemoryStorage = field(init=False)
    settings: Settings = field(init=False)

    def __post_init__(self) -> None:
        self.storage = MemoryStorage(lambda: self.now)
        self.settings = load_settings(SETTINGS)
        self.mine, self.theirs = Tenant("https://mine.example", self), Tenant("https://theirs.example", self)

    async def sleep(self, seconds: float) -> None:
        """Let time pass."""
        self.now += timedelta(seconds=seconds)

    @property
    def queue(self) -> list[Message]:
        """The messages that wait."""
        return self.storage.queues[Queue.OPERATIONS]

    async def deliver(self, host: Host, *, keep: bool = False) -> bool:
        """Bring the message that is visible first, once it is; ``keep``: it will be brought again."""
        if not self.queue:
            return False
        first = min(self.queue, key=lambda one: one.visible_at)
        self.now = max(self.now, first.visible_at)
        if not keep:
            self.queue.remove(first)
        message = parse_message(first.body.encode())
        assert message is not None
        await host.operations.run(message.operation_id, watch=message.watch)
        return True

    async def finish(self, host: Host, operation_id: str) -> OperationProgress:
        """Be the queue until the operation is finished."""
        for _ in range(500):
            progress = await host.operations.get(operation_id)
            assert progress is not None
            if progress.retry_after is None:
                return progress
            if not await self.deliver(host):
                self.now += timedelta(minutes=10)
                await host.operations.revive(operation_id)
        raise AssertionError("the operation does not end")

    async def problems(self) -> list[str]:
        """What ``verify`` finds."""
        return list(problems(await gather_evidence(self.storage, today=self.now.date())))

    def restore(self, container: Container, blobs: dict[str, bytes]) -> None:
        """Bring a container back to what it was."""
        self.storage.blobs[container] = {}
        for path, data in blobs.items():
            self.storage._put(container, path, data)  # noqa: SLF001 - storage was restored from outside

    def backup(self, container: Container) -> dict[str, bytes]:
        """What a container holds."""
        return {path: stored.data for path, stored in self.storage.blobs[container].items()}


SETTINGS = {
    "AVEPOINT_DATA_CENTER": "us",
    "AVEPOINT_CLIENT_ID": "app",
    "AVEPOINT_CLIENT_SECRET": "s",
    "INVENTORY_STORAGE": "UseDevelopmentStorage=true",
    "HARVEST_ENPOWER_SCHEDULE": "0 0 2 * * *",
    "HARVEST_GRAPH_SCHEDULE": "0 0 2 * * *",
    "HARVEST_ELEMENTS_SCHEDULE": "0 0 2 * * *",
    "SWEEP_SCHEDULE": "0 */10 * * * *",
    "OPUS_DESTROY_ENABLED": "true",
}


def call(key: str | None) -> Call:
    return Call("key", key, {"idempotency-key": key} if key else {})


def records(keys: Sequence[str]) -> SubmitInput:
    return SubmitInput.model_validate(
        {
            "conflictOption": "Overwrite",
            "records": [
                {
                    "rowKey": key,
                    "leafName": key,
                    "timeCreated": "2020-01-15T08:30:00Z",
                    "timeModified": "2020-01-15T08:30:00Z",
                    "createdBy": "user01",
                    "modifiedBy": "user01",
                }
                for key in keys
            ],
        }
    )

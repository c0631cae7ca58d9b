"""Timers of several hosts in virtual time, with one status and one lock for all of them."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime

from azure.core.exceptions import HttpResponseError
from azure.functions.meta import Datum

from sandbox.host.runtime import Function, Outcome
from sandbox.host.timers.status import Status
from sandbox.host.timers.storage import StatusInMemory
from sandbox.host.timers.timer import Timer
from tests.shared import virtual_time


@dataclass(frozen=True, slots=True)
class Call:
    """A call of the function: when, by which host, and what the host said about it."""

    at: datetime
    host: str
    past_due: bool
    status: Mapping[str, str]

    @property
    def due(self) -> datetime:
        """``ScheduleStatus.Next``."""
        return datetime.fromisoformat(self.status["Next"]).astimezone(UTC)


type Function_ = Callable[[Call], Awaitable[None]]


class _LostError(HttpResponseError):
    status_code = 409


@dataclass
class Lease:
    """The lock of all hosts, which ends by itself."""

    holder: "Host | None" = None
    until: float = 0.0


@dataclass
class Host:
    """One process of the host; a dead one changes nothing any more."""

    world: "World"
    name: str
    stop: asyncio.Event = field(default_factory=asyncio.Event)
    dead: bool = False
    task: asyncio.Task[None] | None = None
    ending: asyncio.Task[None] | None = None

    async def acquire(self, seconds: int) -> "Host | None":
        lease = self.world.lease
        if lease.holder is not None and asyncio.get_running_loop().time() < lease.until:
            return None
        lease.holder, self.seconds = self, seconds
        await self.renew()
        return self

    async def renew(self) -> None:
        if self.world.lease.holder is not self:
            raise _LostError("another host has it")
        self.world.lease.until = asyncio.get_running_loop().time() + self.seconds

    async def release(self) -> None:
        if self.world.lease.holder is self and not self.dead:
            self.world.lease.holder = None

    async def read(self) -> Status | None:
        return await self.world.statuses.read()

    async def write(self, status: Status) -> None:
        if not self.dead:
            await self.world.statuses.write(status)

    async def end(self) -> None:
        """Drain, as after SIGTERM."""
        self.stop.set()
        if self.task is not None:
            await self.task

    async def kill(self) -> None:
        """End at once: what it did stays, what it was doing is cut off."""
        self.dead = True
        if self.task is not None:
            self.task.cancel()
            with suppress(asyncio.CancelledError):
                await self.task


@dataclass
class World:
    """What outlives a host."""

    schedule: str
    body: Function_ | None = None
    lease: Lease = field(default_factory=Lease)
    statuses: StatusInMemory = field(default_factory=StatusInMemory)
    calls: list[Call] = field(default_factory=list)

    def start(self, name: str = "host", **trigger: object) -> Host:
        """Start a host that runs the timer."""
        host = Host(self, name)

        async def invoke(_: Function, given: Datum, __: Mapping[str, Datum]) -> Outcome:
            info = json.loads(given.value)
            call = Call(virtual_time.clock(), name, info["IsPastDue"], info["ScheduleStatus"] or {})
            self.calls.append(call)
            if self.body is not None:
                await self.body(call)
            return Outcome(succeeded=True)

        binding = {"type": "timerTrigger", "name": "timer", "schedule": self.schedule, **trigger}
        timer = Timer(
            Function("nightly", "1", (binding,)), {}, invoke, statuses=host, lock=host, now=virtual_time.clock
        )
        host.task = asyncio.create_task(timer.run(host.stop))
        return host

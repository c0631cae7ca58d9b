"""The world around the processes of the app: storage, AvePoint, time, and the host that brings messages and timers."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import override

from sandbox.avepoint import AvePoint
from sandbox.avepoint.app import create_app
from sandbox.avepoint.faults import Rule
from sandbox.memory_storage import MemoryStorage, Message
from sandbox.stack import app_settings
from shared.azure.storage import Container, Queue
from shared.errors import AppError
from shared.harvest.plan.messages import WakeUp
from shared.harvest.runs.control import fail_exhausted
from shared.harvest.runs.sweep import sweep
from shared.harvest.runs.waking import receive
from shared.http.client import HttpClient
from shared.services import Services
from shared.settings import Settings, load_settings
from tests import conftest
from tests.faults import promises
from tests.faults.points import Fate, Killed, unharmed
from tests.faults.process import Errand, Process
from tests.loopback import Loopback

BEGIN = datetime(2026, 3, 20, 2, 0, tzinfo=UTC)
ORIGIN = "http://127.0.0.1"

# As host.json and Azure have it.
DEQUEUES = 5
HIDDEN_AFTER_FAILURE = timedelta(seconds=10)
HIDDEN_WHILE_AT_WORK = timedelta(minutes=10)
BETWEEN_SWEEPS = timedelta(minutes=10)


@dataclass
class Clock(conftest.Clock):
    """Moves on a little whenever somebody looks at it."""

    now: datetime = BEGIN

    @override
    def __call__(self) -> datetime:
        self.advance(milliseconds=1)
        return self.now


@dataclass
class Simulation:
    """The simulated AvePoint, with the wire to it; one is enough for all worlds, one after the other."""

    avepoint: AvePoint
    http: HttpClient

    @classmethod
    def create(cls) -> "Simulation":
        avepoint = AvePoint()
        return cls(avepoint, Loopback(create_app(avepoint)))

    def reset(self, changes: Mapping[str, object]) -> None:
        """As if it had just been started, with these settings."""
        self.avepoint.calm()
        self.avepoint.log.clear()
        self.avepoint.change(changes)

    def fault(self, **rule: object) -> None:
        """Set a fault, worded as ``POST /_sandbox/faults`` has it."""
        self.avepoint.faults.add([Rule.model_validate(rule)])


@dataclass
class World:
    """Everything that outlives a process."""

    simulation: Simulation
    settings: Settings
    clock: Clock = field(default_factory=Clock)
    storage: MemoryStorage = field(init=False)

    def __post_init__(self) -> None:
        self.storage = MemoryStorage(self.clock)
        self.storage.changed = promises.Guard(self._inventory)

    @property
    def avepoint(self) -> AvePoint:
        """The simulated AvePoint."""
        return self.simulation.avepoint

    @property
    def messages(self) -> list[Message]:
        """The messages on the queue of the slices, the next one first."""
        return sorted(self.storage.queues[Queue.SLICES], key=lambda message: message.visible_at)

    def process(self, fate: Fate = unharmed, *, clock: Clock | None = None) -> Process:
        """A new process, on its own clock if it has one."""
        clock = clock or self.clock
        http = self.simulation.http
        return Process(self.settings, self.storage, http, clock=clock, sleep=clock.sleep, fate=fate)

    def drop(self, message: Message) -> None:
        """Take a message off the queue, unless it is gone."""
        queue = self.storage.queues[Queue.SLICES]
        if message in queue:
            queue.remove(message)

    async def at_rest(self) -> bool:
        """Whether nothing is left to be done: no message, and no run that is not known to have ended."""
        return not self.messages and all(
            b'"finishedAt":null' not in stored.data
            for path, stored in self.storage.blobs[Container.HARVEST_STATE].items()
            if path.endswith("/run.json")
        )

    def _inventory(self, path: str) -> bytes | None:
        stored = self.storage.blobs[Container.INVENTORY].get(path)
        return stored.data if stored else None


@cache
def _settings() -> Settings:
    environ = app_settings(avepoint_url=ORIGIN, storage="UseDevelopmentStorage=true")
    return load_settings(environ | {"AVEPOINT_CLIENT_SECRET": "sandbox-secret"})


def settings_with(changes: Mapping[str, object]) -> Settings:
    """The settings of an app on loopback, with some fields changed."""
    return _settings().model_copy(update=dict(changes))


async def _look_after(services: Services, wake_up: WakeUp) -> None:
    """What the function on the poison queue does."""
    if wake_up.address is not None:
        await fail_exhausted(services, wake_up.address)


@dataclass
class Host:
    """Does what the Functions host does, in the time of the world: one process, a new one when it dies.

    Args:
        fate: What happens at each await point of each process.
        forgetful: Whether a message is lost with the process that worked on it, instead of coming back.
    """

    world: World
    fate: Fate = unharmed
    forgetful: bool = False
    deaths: int = 0
    _process: Process | None = None
    _next_sweep: datetime = BEGIN + BETWEEN_SWEEPS

    async def run[T](self, errand: Errand[T]) -> T:
        """Let the process that is alive do an errand; raises ``Killed`` when it dies of it."""
        self._process = self._process or self.world.process(self.fate)
        try:
            return await self._process.run(errand)
        except Killed:
            self.deaths += 1
            self._process = None
            raise

    async def insist[T](self, errand: Errand[T]) -> T:
        """Let an errand be done, and again when the process dies or fails, as callers do."""
        while True:
            try:
                return await self.run(errand)
            except (Killed, AppError):
                self.world.clock.now += HIDDEN_AFTER_FAILURE

    async def settle(self, *, steps: int = 300) -> None:
        """Bring messages and fire the sweep until nothing is left to be done."""
        for _ in range(steps):
            if await self.world.at_rest():
                return
            await self.step()
        raise AssertionError(f"it does not end: {[view async for view in promises.views(self.world.storage)]}")

    async def step(self) -> None:
        """Do what is due next: bring a message, or sweep."""
        due = self.world.messages[:1]
        if due and due[0].visible_at <= self._next_sweep:
            await self.deliver(due[0])
        else:
            await self.sweep()

    async def sweep(self) -> None:
        """Fire the timer of the sweep; nobody fires it again when it fails."""
        self.world.clock.now = max(self.world.clock.now, self._next_sweep)
        self._next_sweep = self.world.clock.now + BETWEEN_SWEEPS
        await self.attempt(sweep)

    async def deliver(self, message: Message) -> None:
        """Bring a message to the worker, or to the worker on poison when it has come too often."""
        now = self.world.clock.now = max(self.world.clock.now, message.visible_at)
        wake_up = WakeUp.from_json(message.body.encode())
        message.dequeued += 1
        message.visible_at = now + HIDDEN_WHILE_AT_WORK
        handle = receive if message.dequeued <= DEQUEUES else _look_after
        deaths = self.deaths
        if await self.attempt(lambda services: handle(services, wake_up)) or (self.forgetful and self.deaths > deaths):
            self.world.drop(message)
        elif self.deaths == deaths:
            message.visible_at = self.world.clock.now + HIDDEN_AFTER_FAILURE

    async def attempt(self, errand: Errand[object]) -> bool:
        """Let an errand be done once; whether it was. An error is the host's to log."""
        try:
            await self.run(errand)
        except AssertionError:
            raise
        except (Killed, Exception):  # noqa: BLE001 - as the host does, whatever it is
            return False
        return True

    async def close(self) -> None:
        """Stop in good order."""
        if self._process is not None:
            await self._process.close()
        await asyncio.sleep(0)

"""The real parts that tests share: Azurite, the simulated AvePoint, and services that use both."""

import asyncio
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from urllib.request import getproxies

import hypothesis
import pytest

from sandbox.__main__ import spare_loopback
from sandbox.avepoint import AvePoint, Credentials, serve
from sandbox.avepoint.faults import Rule
from sandbox.avepoint.log import Entry
from sandbox.avepoint.opus import Opus
from sandbox.azurite import Azurite
from sandbox.azurite import azurite as running_azurite
from sandbox.stack import CLIENT_ID
from sandbox.stack import app_settings as sandbox_settings
from shared.azure import damage
from shared.azure.storage import Container, Queue, Storage
from shared.services import Services, open_services
from shared.settings import Settings, load_settings

# How long an example takes is no property of the code, and a change is judged by examples that the one before passed:
# `pytest --hypothesis-profile=anew` looks for others.
hypothesis.settings.register_profile("steady", deadline=None, derandomize=True)
hypothesis.settings.register_profile("anew", deadline=None, derandomize=False)
hypothesis.settings.load_profile("steady")

if {"http", "https", "all"} & getproxies().keys():
    spare_loopback(os.environ)  # the parts are on this machine, for tests behind a proxy, too

CLIENT = Credentials(CLIENT_ID, "sandbox-secret")


@dataclass
class Simulator:
    """The simulated AvePoint, in this process, behind a real socket."""

    avepoint: AvePoint
    url: str

    def served(self, resource: str) -> list[bytes]:
        """Every item of a list, byte for byte."""
        return [self.avepoint.item(resource, n) for n in range(self.avepoint.item_count(resource))]

    def fault(self, **rule: object) -> None:
        """Set a fault, worded as ``POST /_sandbox/faults`` has it."""
        self.avepoint.faults.add([Rule.model_validate(rule)])

    def requests(self, path: str = "*") -> list[Entry]:
        """What it was asked below ``path``."""
        return self.avepoint.log.entries(path)


@dataclass
class Clock:
    """A clock that stands still until it is moved."""

    now: datetime = field(default_factory=lambda: datetime.now(UTC))

    def __call__(self) -> datetime:
        return self.now

    def advance(self, **duration: float) -> None:
        """Move on by a ``timedelta``."""
        self.now += timedelta(**duration)

    async def sleep(self, seconds: float) -> None:
        """Move on instead of waiting."""
        self.advance(seconds=seconds)
        await asyncio.sleep(0)


@pytest.fixture(autouse=True)
def _forgets_damage() -> None:
    """Let no test hear of what another has damaged: the app remembers it for its whole process."""
    damage._found.clear()  # noqa: SLF001 - the app itself forgets only what it reads again


@pytest.fixture(scope="session")
async def azurite(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Azurite]:
    async with running_azurite(tmp_path_factory.mktemp("azurite") / "azurite.log") as running:
        yield running


@pytest.fixture(scope="session")
async def simulator() -> AsyncIterator[Simulator]:
    avepoint = AvePoint(credentials=CLIENT)
    async with serve(avepoint) as url:
        yield Simulator(avepoint, url)


@pytest.fixture
def avepoint(simulator: Simulator) -> Simulator:
    """The one simulated AvePoint of all tests, as if it had just been started."""
    simulator.avepoint.calm()
    simulator.avepoint.log.clear()
    simulator.avepoint.opus = Opus(simulator.avepoint.clock)
    return simulator


@pytest.fixture
def environ(azurite: Azurite, avepoint: Simulator) -> dict[str, str]:
    """App settings that name the real parts; tests add their own before they open the services."""
    return app_settings(azurite, avepoint)


def app_settings(azurite: Azurite, simulator: Simulator) -> dict[str, str]:
    """The app settings of an app on the real parts."""
    settings = sandbox_settings(avepoint_url=simulator.url, storage=azurite.connection_string)
    return settings | {"AVEPOINT_CLIENT_SECRET": CLIENT.client_secret}


@pytest.fixture
def settings(environ: dict[str, str]) -> Settings:
    return load_settings(environ)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def services(settings: Settings, clock: Clock) -> AsyncIterator[Services]:
    """Services on the real parts, with empty storage."""
    opened = await open_services(settings, clock=clock, sleep=clock.sleep)
    await _empty(opened.storage)
    yield opened
    await opened.close()


@pytest.fixture
def storage(services: Services) -> Storage:
    return services.storage


async def _empty(storage: Storage) -> None:
    for container in Container:
        paths = [path async for path in storage.list(container, "")]
        await asyncio.gather(*(storage.delete(container, path) for path in paths))
    for queue in Queue:
        await storage._queue(queue).clear_messages()  # noqa: SLF001 - the app itself never clears a queue

"""A vault with certificates, a managed identity, an AvePoint that lives by the clock of the test, and a bare server."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta

import pytest

from sandbox.avepoint import AvePoint, serve
from sandbox.avepoint.identity import Identity
from sandbox.azurite import Azurite
from sandbox.stack import app_settings
from sandbox.vault import ClientCertificate, Running, client_certificate, vault
from shared.azure.identity import QUICK
from shared.doctor import Check, examine
from shared.services import Services, open_services
from shared.settings import load_settings
from tests.conftest import CLIENT, Clock, Simulator

SECRET_NAME = "avepoint-client-secret"

type Open = Callable[..., Awaitable[Services]]
"""Opens services whose secrets are in the vault, with these app settings on top."""


@pytest.fixture(scope="session")
def certificate() -> ClientCertificate:
    return client_certificate()


@pytest.fixture(scope="session")
def other_certificate() -> ClientCertificate:
    return client_certificate(lifetime=timedelta(days=10))


@pytest.fixture(scope="session")
async def running_vault(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Running]:
    async with vault({}, directory=tmp_path_factory.mktemp("vault")) as running:
        yield running


@pytest.fixture
def vaulted(running_vault: Running, monkeypatch: pytest.MonkeyPatch) -> Running:
    """A vault that holds the client secret; this process has the managed identity that may read it."""
    running_vault.keyvault.reset({SECRET_NAME: CLIENT.client_secret})
    running_vault.identity.reset()
    running_vault.identity.client_id = None
    for name in ("IDENTITY_ENDPOINT", "IDENTITY_HEADER"):
        monkeypatch.setenv(name, running_vault.environ[name])
    return running_vault


@dataclass
class Present:
    """The time of whichever test is running, in epoch seconds."""

    clock: Clock

    def __call__(self) -> float:
        return self.clock.now.timestamp()


@pytest.fixture(scope="session")
async def running_avepoint() -> AsyncIterator[tuple[Simulator, Present]]:
    present = Present(Clock())
    avepoint = AvePoint(credentials=CLIENT, clock=present)
    async with serve(avepoint) as url:
        yield Simulator(avepoint, url), present


@pytest.fixture
def timed(running_avepoint: tuple[Simulator, Present], clock: Clock) -> Simulator:
    """A simulated AvePoint that lives by the clock of the test."""
    simulator, present = running_avepoint
    present.clock = clock
    simulator.avepoint.calm()
    simulator.avepoint.log.clear()
    simulator.avepoint.identity = Identity(CLIENT, present)
    return simulator


@pytest.fixture
async def opening(
    azurite: Azurite, timed: Simulator, vaulted: Running, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Open]:
    """Opens services; their settings become the environment, which is where the doctor looks."""
    monkeypatch.setitem(QUICK, "retry_backoff_factor", 0.01)
    async with AsyncExitStack() as opened:

        async def opening(settings: Mapping[str, str] | None = None) -> Services:
            environ = app_settings(avepoint_url=timed.url, storage=azurite.connection_string)
            environ |= vaulted.environ | dict(settings or {})
            for name, value in environ.items():
                monkeypatch.setenv(name, value)
            services = await open_services(load_settings(environ), clock=clock, sleep=clock.sleep)
            opened.push_async_callback(services.close)
            return services

        yield opening


async def examined(services: Services, *, look: bool = False) -> list[Check]:
    async def opened() -> Services:
        return services

    return await examine(opened, look=look)


def check(checks: list[Check], name: str) -> Check:
    return next(one for one in checks if one.name == name)


async def until_ok(services: Services, name: str) -> None:
    """Ask for the health of the app until what runs in the background is done."""
    async with asyncio.timeout(60):
        while check(await examined(services), name).status != "ok":  # noqa: ASYNC110 - health is polled
            await asyncio.sleep(0.01)


@asynccontextmanager
async def answering(*pieces: bytes) -> AsyncIterator[str]:
    """A server that sends these bytes whatever it is asked, one after the other, and hangs up."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0.001)
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/list"

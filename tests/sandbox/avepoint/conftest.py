from collections.abc import AsyncIterator
from dataclasses import dataclass

import httpx
import pytest

from sandbox.avepoint import AvePoint, Credentials, Settings, serve
from sandbox.avepoint.catalog import scopes
from sandbox.avepoint.opus import Opus

TOKEN_FORM = {"grant_type": "client_credentials", "client_id": "me", "client_secret": "hush"}


@dataclass
class Clock:
    now: float = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


@dataclass(frozen=True)
class Service:
    """The simulated AvePoint behind a real socket, and a client that holds a token for every scope."""

    avepoint: AvePoint
    client: httpx.AsyncClient
    clock: Clock

    async def token(self, scope: str) -> httpx.Response:
        return await self.client.post("/connect/token", data={**TOKEN_FORM, "scope": scope})

    async def use_token_for(self, scope: str) -> None:
        token = (await self.token(scope)).json()["access_token"]
        self.client.headers["authorization"] = f"Bearer {token}"


@pytest.fixture(scope="session")
async def running() -> AsyncIterator[Service]:
    clock = Clock()
    avepoint = AvePoint(Settings(items=250), credentials=Credentials("me", "hush"), clock=clock)
    async with serve(avepoint) as url, httpx.AsyncClient(base_url=url) as client:
        yield Service(avepoint, client, clock)


@pytest.fixture
async def service(running: Service) -> Service:
    """The one service of all tests, as if it had just been started."""
    running.clock.now = Clock.now
    running.avepoint.calm()
    running.avepoint.opus = Opus(running.clock)
    await running.use_token_for(" ".join(scopes()))
    running.avepoint.log.clear()
    return running

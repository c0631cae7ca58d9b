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

    def use_token_for(self, scope: str) -> None:
        """Give the client a token as the token endpoint issues it."""
        answer = self.avepoint.identity.issue(
            {**TOKEN_FORM, "scope": scope}, self.avepoint.settings.token_seconds, audience=""
        )
        self.client.headers["authorization"] = f"Bearer {answer['access_token']}"


@pytest.fixture(scope="session")
async def running() -> AsyncIterator[Service]:
    clock = Clock()
    avepoint = AvePoint(Settings(items=250), credentials=Credentials("me", "hush"), clock=clock)
    async with serve(avepoint) as url, httpx.AsyncClient(base_url=url) as client:
        yield Service(avepoint, client, clock)


@pytest.fixture
def service(running: Service) -> Service:
    """The one service of all tests, as if it had just been started."""
    running.clock.now = Clock.now
    running.avepoint.calm()
    running.avepoint.opus = Opus(running.clock)
    running.use_token_for(" ".join(scopes()))
    running.avepoint.log.clear()
    return running

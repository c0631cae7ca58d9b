"""Promises 1 and 2, when Azure Storage fails: what was not written is written later, and what was is known again."""

from dataclasses import dataclass, replace
from itertools import cycle
from typing import Literal, override
from weakref import WeakSet

import pytest
from azure.core.exceptions import ServiceResponseError, ServiceResponseTimeoutError
from azure.core.pipeline.transport import AioHttpTransport, AsyncHttpResponse, HttpRequest
from azure.storage.blob.aio import BlobServiceClient, ExponentialRetry
from azure.storage.queue.aio import QueueServiceClient

from sandbox.avepoint import AvePoint
from sandbox.azurite import Azurite
from shared.azure.storage import Storage
from shared.errors import StorageUnavailable
from shared.harvest.runs.starting import start_requested
from shared.harvest.runs.sweep import sweep
from shared.services import Services
from tests.conftest import Clock, Simulator
from tests.faults.points import Point, Side
from tests.faults.process import Process
from tests.faults.scenarios import (
    A_PAGE_A_SLICE,
    Scenario,
    a_night_with_help,
    check_published,
    two_nights,
)
from tests.faults.world import Simulation
from tests.harvest.conftest import finish

SLICES = Scenario("slices", settings=A_PAGE_A_SLICE, simulation={"items": 15})
WINDOWS = Scenario(
    "windows",
    ("aos-audit",),
    settings={"window_days": 3},
    simulation={"items": 300, "everyMinutes": 480},
    story=two_nights,
)


@dataclass
class FailureAt:
    """Lets Azure Storage fail from one request on, before it does what was asked or after."""

    number: int | None
    side: Side
    times: int = 1
    reached: int = 0
    place: str = "nowhere"

    async def __call__(self, point: Point) -> None:
        if not point.of_storage or point.side != self.side:
            return
        self.reached += 1
        if self.number is not None and self.number <= self.reached < self.number + self.times:
            self.place = f"request {self.number}, {point}"
            raise StorageUnavailable("Azure Storage answered 503")


@pytest.mark.parametrize(
    ("scenario", "side", "times"),
    [
        (SLICES, "before", 1),
        (SLICES, "after", 1),
        (replace(SLICES, story=a_night_with_help), "before", 15),
        pytest.param(WINDOWS, "after", 1, marks=pytest.mark.slow),
    ],
    ids=["refused", "answer lost", "away for a while", "answers lost about windows"],
)
async def test_every_request_in_turn(scenario: Scenario, simulation: Simulation, side: Side, times: int) -> None:
    """What not even the SDK's retries can hide."""
    calm = FailureAt(None, side)
    await scenario.play(simulation, calm)
    assert calm.reached > 30
    broken = {}
    for number in range(1, calm.reached + 1):
        failure = FailureAt(number, side, times)
        try:
            await scenario.play(simulation, failure)
        except AssertionError as error:
            broken[failure.place] = error
    assert not broken, "\n".join(f"{place}: {error}" for place, error in broken.items())


type Mishap = Literal["500", "503", "timeout", "answer lost", "500 when it is done"]
MISHAPS: tuple[Mishap, ...] = ("500", "503", "timeout", "answer lost", "500 when it is done")
EVERY: dict[str, tuple[Mishap, ...]] = {"answer lost": ("answer lost",), "all by turns": MISHAPS}


class Mishaps(AioHttpTransport):  # type: ignore[misc]  # azure-core exports it without its type
    """Lets every request to Azure Storage go wrong once, so that the SDK tries it again."""

    def __init__(self, mishaps: tuple[Mishap, ...], elsewhere: str) -> None:
        super().__init__()
        self._mishaps = cycle(mishaps)
        self._elsewhere = elsewhere
        self._struck: WeakSet[HttpRequest] = WeakSet()
        self.statuses: set[int] = set()

    @override
    async def send(self, request: HttpRequest, **config: object) -> AsyncHttpResponse:
        if request in self._struck:
            response: AsyncHttpResponse = await super().send(request, **config)
            self.statuses.add(response.status_code)
            return response
        self._struck.add(request)
        return await self._go_wrong(next(self._mishaps), request, **config)

    async def _go_wrong(self, mishap: Mishap, request: HttpRequest, **config: object) -> AsyncHttpResponse:
        if mishap == "timeout":
            raise ServiceResponseTimeoutError("no answer came in time")
        done = mishap in {"answer lost", "500 when it is done"}
        response: AsyncHttpResponse = await super().send(
            request if done else HttpRequest("GET", self._elsewhere), **config
        )
        if mishap == "answer lost":
            response.internal_response.close()
            raise ServiceResponseError("the connection was closed")
        response.status_code = 503 if mishap == "503" else 500
        return response


@dataclass(frozen=True)
class Place:
    storage: Storage
    avepoint: AvePoint


class TestThroughTheSdk:
    """Against Azurite: every request of a harvest goes wrong once."""

    @pytest.fixture
    def environ(self, environ: dict[str, str]) -> dict[str, str]:
        return environ | {"HARVEST_PAGE_SIZE": "10", "HARVEST_PART_SECONDS": "0.000001"}

    @pytest.mark.parametrize("mishaps", EVERY.values(), ids=EVERY.keys())
    async def test_every_request_goes_wrong_once(
        self, azurite: Azurite, services: Services, clock: Clock, avepoint: Simulator, mishaps: tuple[Mishap, ...]
    ) -> None:
        avepoint.avepoint.change({"items": 15})
        blobs, queues = (Mishaps(mishaps, f"{url}/nowhere") for url in (azurite.blob_url, azurite.queue_url))
        account = azurite.connection_string
        storage = Storage(
            BlobServiceClient.from_connection_string(
                account, transport=blobs, retry_policy=ExponentialRetry(0, 0, random_jitter_range=0)
            ),
            QueueServiceClient.from_connection_string(
                account, transport=queues, retry_policy=ExponentialRetry(0, 0, random_jitter_range=0)
            ),
        )
        process = Process(services.settings, storage, services.http, clock=clock, sleep=clock.sleep)
        await storage.prepare()
        for _ in range(2):
            run = await start_requested(process.services, "graph", ["enpower-powerapps"])
            await finish(process.services, run.addresses()[0])
            await sweep(process.services)
            await check_published(Place(services.storage, avepoint.avepoint), run, ["enpower-powerapps"])
            clock.advance(days=1)
        if "answer lost" in mishaps:
            assert {409, 412} <= blobs.statuses
        await storage.close()
        await process.close()

"""Flows that call the app as Logic Apps do, on a host whose processes die, in time that passes only while all sleep."""

import asyncio
import json
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import timedelta
from typing import override
from urllib.parse import parse_qsl, urlsplit

import azure.functions as func
import httpx
from starlette.types import ASGIApp, Receive, Scope, Send

from functions import operations, opus
from sandbox.avepoint import AvePoint
from sandbox.avepoint.app import create_app
from sandbox.avepoint.faults import NO_FAULT, Faults, Rule
from sandbox.memory_storage import MemoryStorage, Message
from sandbox.stack import app_settings
from shared.azure.storage import Container, Queue
from shared.errors import AppError, StorageUnavailable
from shared.opus.ledger.marks import OPEN
from shared.opus.operations.sweep import sweep_operations
from shared.services import Services
from shared.settings import load_settings
from tests.faults.points import Killed, Point
from tests.faults.process import Errand, Process
from tests.loopback import Loopback
from tests.shared.virtual_time import clock

ORIGIN = "http://127.0.0.1"
HOST = "https://app.example"

DEQUEUES = 5
HIDDEN_AFTER_FAILURE = timedelta(seconds=10)
HIDDEN_WHILE_AT_WORK = timedelta(minutes=10)
BETWEEN_SWEEPS = 600
RESTART_SECONDS = 3

GIVES_UP_WAITING = 110
RETRIES = 6
TRANSIENT = {408, 429, 500, 502, 503, 504}

current: ContextVar[Services] = ContextVar("current")

type Handler = Callable[[func.HttpRequest], Awaitable[func.HttpResponse]]


class Moods(Faults):
    """An Opus that is throttled, broken, slow, forgetful or choosy at random; ``None`` is how it mostly is."""

    CALM = 76
    OTHER: tuple[tuple[int, Mapping[str, object]], ...] = (
        (5, {"status": 429, "headers": {"Retry-After": "7"}}),
        (1, {"status": 429, "headers": {"Retry-After": "90"}}),
        (4, {"status": 503, "headers": {"Retry-After": "2"}}),
        (2, {"status": 500}),
        (2, {"status": 500, "execute": True}),
        (2, {"cut": 0, "execute": True}),
        (2, {"cut": 0}),
        (1, {"cut": 9}),
        (2, {"failRowKeys": "*[37]"}),
        (2, {"failRowKeys": "*-00"}),
        (1, {"latencyMs": 40_000}),
    )

    def __init__(self, dice: random.Random) -> None:
        super().__init__()
        self._dice = dice
        self._rules = [NO_FAULT, *(Rule.model_validate(rule) for _, rule in self.OTHER)]
        self._weights = [self.CALM, *(weight for weight, _ in self.OTHER)]
        self.on = False

    @override
    def take(self, method: str, path: str) -> Rule:
        if not self.on or "/records/" not in path:
            return NO_FAULT
        return self._dice.choices(self._rules, self._weights)[0]


def _cuttable(app: ASGIApp) -> ASGIApp:
    """An application whose answers can be cut off."""

    async def cut(scope: Scope, receive: Receive, send: Send) -> None:
        closed = asyncio.Event()
        serving = asyncio.ensure_future(app({**scope, "state": {"close": closed.set}}, receive, send))
        closing = asyncio.ensure_future(closed.wait())
        await asyncio.wait({serving, closing}, return_when=asyncio.FIRST_COMPLETED)
        for task in (serving, closing):
            if not task.done():
                task.cancel()
        if closed.is_set():
            raise httpx.RemoteProtocolError("the connection was closed")
        await serving

    return cut


@dataclass
class World:
    """Everything that outlives a process, and a host that starts a new one when one dies."""

    dice: random.Random
    deadly: float = 0.0
    """How likely a process dies before or after a request to storage or Opus."""
    flaky: float = 0.0
    """How likely Azure Storage fails instead."""
    deaths: int = 0
    avepoint: AvePoint = field(init=False)
    storage: MemoryStorage = field(init=False)
    moods: Moods = field(init=False)
    _process: Process | None = None
    _at_work: set[asyncio.Task[None]] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.avepoint = AvePoint(clock=lambda: clock().timestamp())
        self.avepoint.change({"latencyMs": 120})
        self.avepoint.faults = self.moods = Moods(self.dice)
        self.storage = MemoryStorage(clock)
        self.http = Loopback(_cuttable(create_app(self.avepoint)))
        environ = app_settings(avepoint_url=ORIGIN, storage="UseDevelopmentStorage=true")
        own = {"AVEPOINT_CLIENT_SECRET": "s", "OPUS_DESTROY_ENABLED": "true", "THROTTLE_REQUESTS": "1000000"}
        self.settings = load_settings(environ | own)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Bring messages and fire the sweep meanwhile."""
        tasks = [asyncio.create_task(self._listen()), asyncio.create_task(self._sweep())]
        yield
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._process:
            await self._process.close()
        await self.http.close()

    async def run[T](self, errand: Errand[T]) -> T:
        """Let the process that is alive do an errand.

        Raises:
            Killed: It died of it, or of something else meanwhile.
        """
        process = self._process
        if process is None:
            process = self._process = self._started()
        try:
            return await process.run(errand)
        except Killed:
            if self._process is process:
                self.deaths += 1
                self._process = None
            raise

    async def answer(self, handler: Handler, request: func.HttpRequest) -> func.HttpResponse:
        """What a function answers."""

        async def called(services: Services) -> func.HttpResponse:
            current.set(services)
            return await handler(request)

        return await self.run(called)

    async def come_to_rest(self) -> None:
        """Let nobody die any more, and wait until no operation is left to be worked on, which takes less than a day."""
        self.deadly = self.flaky = 0
        async with asyncio.timeout(86400):
            while any(path.startswith(OPEN) for path in self.storage.blobs[Container.OPERATIONS]):  # noqa: ASYNC110 - nobody says when
                await asyncio.sleep(60)

    def _started(self) -> Process:
        return Process(self.settings, self.storage, self.http, clock=clock, sleep=asyncio.sleep, fate=self._fate)

    async def _fate(self, point: Point) -> None:
        if self.dice.random() < 0.2:
            await asyncio.sleep(0.02)
        if self.dice.random() < self.deadly:
            raise Killed
        if point.verb in {"read", "create", "replace", "delete", "enqueue"} and self.dice.random() < self.flaky:
            raise StorageUnavailable("Azure Storage answered 503")

    async def _listen(self) -> None:
        queue = self.storage.queues[Queue.OPERATIONS]
        while True:
            for message in [message for message in queue if message.visible_at <= clock()]:
                message.visible_at = clock() + HIDDEN_WHILE_AT_WORK
                task = asyncio.create_task(self._deliver(message))
                self._at_work.add(task)
                task.add_done_callback(self._at_work.discard)
            await asyncio.sleep(1)

    async def _deliver(self, message: Message) -> None:
        """Bring a message to its function, or to the one for poison; who dies leaves it to come back by itself."""
        message.dequeued += 1
        handler = opus.run_operation if message.dequeued <= DEQUEUES else opus.run_operation_poison

        async def called(services: Services) -> None:
            current.set(services)
            await handler(func.QueueMessage(body=message.body))

        try:
            await self.run(called)
        except AppError:
            message.visible_at = clock() + HIDDEN_AFTER_FAILURE
        except Killed:
            await asyncio.sleep(RESTART_SECONDS)
        else:
            self.storage.queues[Queue.OPERATIONS].remove(message)

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(BETWEEN_SWEEPS)
            try:
                await self.run(sweep_operations)
            except (AppError, Killed):
                continue


@dataclass(frozen=True)
class Answer:
    """What a flow got in the end."""

    status: int
    body: dict[str, object]


@dataclass
class Flow:
    """One HTTP action: it retries, gives up waiting, follows ``Location``, and now and then sends its request twice."""

    world: World
    dice: random.Random

    async def post(self, path: str, body: object, headers: Mapping[str, str]) -> Answer | None:
        """The final answer to a POST, or ``None`` when all retries were in vain."""
        content = json.dumps(body).encode()
        if self.dice.random() < 0.1:
            twin = asyncio.create_task(self._send("POST", path, content, headers))
            first = await self._persist("POST", path, content, headers)
            await asyncio.gather(twin, return_exceptions=True)
        else:
            first = await self._persist("POST", path, content, headers)
        return await self._followed(first)

    async def _followed(self, answer: func.HttpResponse | None) -> Answer | None:
        while answer is not None and answer.status_code == 202:
            location, wait = answer.headers["Location"], answer.headers["Retry-After"]
            await asyncio.sleep(int(wait))
            answer = await self._persist("GET", location.removeprefix(HOST), b"", {})
        return Answer(answer.status_code, json.loads(answer.get_body())) if answer else None

    async def _persist(
        self, method: str, path: str, content: bytes, headers: Mapping[str, str]
    ) -> func.HttpResponse | None:
        for attempt in range(RETRIES + 1):
            answer = await self._send(method, path, content, headers)
            if answer is not None and answer.status_code not in TRANSIENT:
                return answer
            asked = int(answer.headers.get("Retry-After", 0)) if answer else 0
            await asyncio.sleep(max(asked, 7.5 * 2**attempt * (0.5 + self.dice.random())))
        return None

    async def _send(
        self, method: str, path: str, content: bytes, headers: Mapping[str, str]
    ) -> func.HttpResponse | None:
        """One request; ``None`` when the connection breaks, or when it takes too long, which does not end the work."""
        serving = asyncio.ensure_future(self.world.answer(*request(method, path, content, headers)))
        serving.add_done_callback(lambda done: done.cancelled() or done.exception())
        try:
            async with asyncio.timeout(GIVES_UP_WAITING):
                return await asyncio.shield(serving)
        except (TimeoutError, Killed):
            return None


def request(method: str, path: str, content: bytes, headers: Mapping[str, str]) -> tuple[Handler, func.HttpRequest]:
    """A request and the function that it is for."""
    parts = urlsplit(path)
    segments = parts.path.removeprefix("/api/").split("/")
    match segments:
        case ["opus", "connections", connection, "records"]:
            handler, route = opus.submit_records, {"opusConnectionId": connection}
        case ["opus", "records", "destroy"]:
            handler, route = opus.destroy_records, {}
        case ["operations", operation, "poll"]:
            handler, route = operations.poll_operation, {"operationId": operation}
        case ["operations", operation]:
            handler, route = operations.get_operation, {"operationId": operation}
        case _:
            raise AssertionError(path)
    params = dict(parse_qsl(parts.query))
    made = func.HttpRequest(
        method, f"{HOST}{parts.path}?{parts.query}", headers=headers, params=params, route_params=route, body=content
    )
    return handler, made


async def services() -> Services:
    """The services of the process that serves the caller."""
    return current.get()

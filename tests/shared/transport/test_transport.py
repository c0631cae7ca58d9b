"""What becomes of a request: against the simulated AvePoint over real sockets, and against scripted answers."""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import cast

import pytest

from sandbox.avepoint.faults import Rule
from shared.avepoint.platform import Registration
from shared.avepoint.request import Request, Response
from shared.azure.storage import Container
from shared.credentials.tokens import Tokens
from shared.errors import (
    AppError,
    BadResponse,
    Gone,
    Interrupted,
    Rejected,
    Throttled,
    TokenUnavailable,
    Unauthorized,
    UnreadableResponse,
    UpstreamFailed,
)
from shared.http.throttling import Throttle
from shared.services import Services, open_services
from shared.settings import Settings, load_settings
from shared.transport.budget import Budget, BudgetWindow, Limits
from shared.transport.transport import CALL_ATTEMPTS, CallResult, SendRequest, Transport, origin_of
from tests.conftest import Clock, Simulator
from tests.shared.memory import Memory

HTML = "<!DOCTYPE html><html><body>Sign in to the network</body></html>"


@dataclass
class Live:
    """The transport of real services, asking the simulated AvePoint for a list."""

    services: Services
    avepoint: Simulator
    clock: Clock
    request: Request

    def fault(self, **rule: object) -> None:
        self.avepoint.avepoint.faults.add([Rule.model_validate({"path": self.path, **rule})])

    @property
    def path(self) -> str:
        return self.request.url.removeprefix(self.avepoint.url).partition("?")[0]

    async def send(self, *, repeatable: bool = True) -> CallResult:
        return await self.services.transport.send(self.request, repeatable=repeatable)

    async def failure(self, *, repeatable: bool = True) -> AppError:
        with pytest.raises(AppError) as caught:
            await self.send(repeatable=repeatable)
        return caught.value

    def asked(self) -> int:
        return len(self.avepoint.requests(self.path))

    async def ledgers(self) -> list[BudgetWindow]:
        storage = self.services.storage
        blobs = [
            await storage.read(Container.HARVEST_STATE, path)
            async for path in storage.list(Container.HARVEST_STATE, "budget/")
        ]
        return [BudgetWindow.from_json(blob.data) for blob in blobs if blob]


@pytest.fixture
def live(services: Services, avepoint: Simulator, clock: Clock) -> Live:
    request = Request("GET", f"{avepoint.url}/aos/jobs?top=3", "autodiscovery.readwrite.all", "avepoint")
    return Live(services, avepoint, clock, request)


async def test_an_answer_comes_with_what_it_took(live: Live) -> None:
    reply = await live.send()

    assert json.loads(reply.response.body)["jobs"]
    assert (reply.retries, reply.waited) == (0, timedelta(0))


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize(("header", "seconds"), [("2", 2), ("0.5", 0.5), ("Sat, 01 Mar 2025 12:00:03 GMT", 3)])
async def test_a_short_wait_is_obeyed_here(live: Live, clock: Clock, status: int, header: str, seconds: float) -> None:
    clock.now = clock.now.replace(year=2025, month=3, day=1, hour=12, minute=0, second=0, microsecond=0)
    live.fault(status=status, headers={"Retry-After": header})

    reply = await live.send()

    assert (reply.retries, reply.waited, live.asked()) == (1, timedelta(seconds=seconds), 2)


@pytest.mark.parametrize("status", [429, 503])
async def test_a_long_wait_is_handed_back_and_kept_by_all_instances(
    live: Live, settings: Settings, clock: Clock, status: int
) -> None:
    live.fault(status=status, headers={"Retry-After": "90"})
    until = clock() + timedelta(seconds=90)

    for _ in range(2):
        error = await live.failure()
        assert isinstance(error, Throttled)
        assert error.until == until
    assert [ledger.not_before for ledger in await live.ledgers()] == [until]

    other = await open_services(settings, clock=clock, sleep=clock.sleep)
    try:
        elsewhere = replace(live, services=other)
        error = await elsewhere.failure()
        assert isinstance(error, Throttled)
        assert error.until == until
        assert live.asked() == 1
        clock.advance(seconds=90)
        await elsewhere.send()
    finally:
        await other.close()
    await live.send()


@pytest.mark.parametrize("status", [429, 503])
async def test_without_a_retry_after_it_backs_off(live: Live, status: int) -> None:
    live.fault(status=status, times=2)

    reply = await live.send()

    assert reply.retries == 2
    assert timedelta(0) < reply.waited <= timedelta(seconds=3)


async def test_patience_ends(live: Live, clock: Clock) -> None:
    live.fault(status=429, times=None, headers={"Retry-After": "2"})
    begin = clock()

    assert isinstance(await live.failure(), Throttled)
    assert (live.asked(), clock() - begin) == (3, timedelta(seconds=4))


@pytest.mark.parametrize(
    "fault", [{"status": 500}, {"status": 502, "body": HTML}, {"cut": 0}, {"cut": 20}, {"truncateGzip": True}]
)
async def test_what_may_pass_is_tried_again(live: Live, fault: dict[str, object]) -> None:
    live.fault(**fault, times=2)

    assert (await live.send()).retries == 2


@pytest.mark.parametrize(
    ("fault", "meant"),
    [
        ({"status": 500}, UpstreamFailed),
        ({"status": 503}, UpstreamFailed),
        ({"status": 503, "headers": {"Retry-After": "1"}}, UpstreamFailed),
        ({"status": 408}, UpstreamFailed),
        ({"cut": 0}, Interrupted),
        ({"cut": 20}, Interrupted),
        ({"truncateGzip": True}, Interrupted),
    ],
)
async def test_what_may_have_been_executed_is_not_repeated_unasked(
    live: Live, fault: dict[str, object], meant: type[AppError]
) -> None:
    live.fault(**fault)

    assert type(await live.failure(repeatable=False)) is meant
    assert live.asked() == 1


async def test_429_was_not_executed_and_is_repeated_always(live: Live) -> None:
    live.fault(status=429, headers={"Retry-After": "1"})

    assert (await live.send(repeatable=False)).retries == 1


@pytest.mark.parametrize(
    ("fault", "meant", "remedy"),
    [
        ({"status": 200, "body": HTML}, UnreadableResponse, "proxy"),
        ({"status": 202}, BadResponse, "AVEPOINT_*_URL"),
        ({"status": 204, "body": ""}, BadResponse, "AVEPOINT_*_URL"),
        ({"status": 302, "headers": {"Location": "https://elsewhere.example/"}}, Rejected, "Redirects"),
        ({"status": 400}, Rejected, ""),
        ({"status": 403}, Unauthorized, "autodiscovery.readwrite.all"),
        ({"status": 404}, Gone, ""),
        ({"status": 410}, Gone, ""),
        ({"status": 413}, Rejected, ""),
        ({"status": 418}, Rejected, ""),
    ],
)
async def test_what_asking_again_does_not_help_is_asked_once(
    live: Live, fault: dict[str, object], meant: type[AppError], remedy: str
) -> None:
    live.fault(**fault, times=None)
    error = await live.failure()

    assert type(error) is meant
    assert live.asked() == 1
    assert remedy in error.remedy
    assert getattr(error, "status", fault["status"]) == fault["status"]


async def test_an_error_names_request_and_answer_and_no_secret(live: Live) -> None:
    live.request = replace(live.request, url=f"{live.request.url}&skipToken=opaque")
    live.fault(status=400, body={"code": "BadTop", "message": "top is wrong", "access_token": "Zx81"})

    text = str(await live.failure())

    assert text.startswith(f"GET {live.avepoint.url}/aos/jobs?*** answered 400 (request ")
    assert ", AvePoint's " in text
    assert '"code":"BadTop"' in text
    assert "opaque" not in text
    assert "Zx81" not in text


async def test_the_budget_counts_every_request_also_the_vain_ones(
    environ: dict[str, str], live: Live, clock: Clock
) -> None:
    settings = load_settings(environ | {"THROTTLE_REQUESTS": "10", "THROTTLE_RESERVED_PERCENT": "20"})
    opened = await open_services(settings, clock=clock, sleep=clock.sleep)
    try:
        live = replace(live, services=opened)
        live.fault(status=500, times=2)
        for _ in range(6):
            await live.send()
        error = await live.failure()
        assert isinstance(error, Throttled)
        assert "THROTTLE_REQUESTS" in error.remedy
        for _ in range(2):
            await opened.transport.send(live.request, caller="http")
        with pytest.raises(Throttled):
            await opened.transport.send(live.request, caller="http")
        assert live.asked() == 10
    finally:
        await opened.close()


class TwoTokens:
    """Gives out an old token until it is refused, and then a new one."""

    def __init__(self) -> None:
        self.current = 0
        self.error: AppError | None = None

    async def get(self, registration: Registration, scope: str) -> str:
        assert (registration, scope) == ("opus", "scope")
        await asyncio.sleep(0)
        if self.error is not None:
            raise self.error
        return f"token-{self.current}"

    def forget(self, _: Registration, __: str, value: str) -> None:
        if value == f"token-{self.current}":
            self.current += 1


DESTROY = Request("DELETE", "https://graph.example/records", "scope", "opus", b'{"ids": []}')


class Script:
    """A transport that is answered by a function."""

    def __init__(
        self,
        clock: Clock,
        answer: SendRequest,
        *,
        request: Request = DESTROY,
        tokens: Tokens | None = None,
        jitter: float = 1,
    ) -> None:
        self.asked: list[Mapping[str, str]] = []
        self.tokens = TwoTokens()
        self.request = request
        self._answer = answer
        self.transport = Transport(
            self.respond,
            tokens=tokens or cast("Tokens", self.tokens),
            throttle=Throttle(concurrency=8, clock=clock, sleep=clock.sleep, random=lambda: jitter),
            budget=Budget(
                Memory(),
                Limits(1000, timedelta(hours=1), 10),
                client_id=str,
                clock=clock,
                sleep=clock.sleep,
                random=lambda: jitter,
            ),
            clock=clock,
            sleep=clock.sleep,
            random=lambda: jitter,
        )

    async def respond(self, method: str, url: str, headers: Mapping[str, str], body: bytes | None) -> Response:
        self.asked.append(headers)
        await asyncio.sleep(0)
        return await self._answer(method, url, headers, body)

    async def send(self, *, repeatable: bool = True) -> CallResult:
        return await self.transport.send(self.request, repeatable=repeatable)

    async def failure(self, *, repeatable: bool = True) -> AppError:
        with pytest.raises(AppError) as caught:
            await self.send(repeatable=repeatable)
        return caught.value


def always(status: int, headers: Mapping[str, str] | None = None) -> SendRequest:
    async def answered(*_: object) -> Response:
        return Response(status, headers or {}, b"{}")

    return answered


async def only_the_new_token(_: str, __: str, headers: Mapping[str, str], ___: bytes | None) -> Response:
    return Response(401 if headers["Authorization"] == "Bearer token-0" else 200, {}, b"{}")


async def test_a_token_that_is_refused_costs_one_refresh_however_many_are_in_flight(clock: Clock) -> None:
    script = Script(clock, only_the_new_token)

    replies = await asyncio.gather(*(script.send(repeatable=False) for _ in range(100)))

    assert {reply.response.status for reply in replies} == {200}
    assert script.tokens.current == 1
    assert sum(reply.retries for reply in replies) == len(script.asked) - 100


async def test_a_new_token_that_is_refused_too_is_not_renewed_again(clock: Clock) -> None:
    script = Script(clock, always(401))

    assert isinstance(await script.failure(), Unauthorized)
    assert (len(script.asked), script.tokens.current) == (2, 1)


async def test_missing_rights_are_no_reason_for_a_new_token(clock: Clock) -> None:
    script = Script(clock, always(403))

    assert isinstance(await script.failure(), Unauthorized)
    assert (len(script.asked), script.tokens.current) == (1, 0)


@pytest.mark.parametrize(
    "error", [Interrupted("lost"), UpstreamFailed("500", status=500), BadResponse("a page", remedy="the proxy")]
)
@pytest.mark.parametrize("repeatable", [True, False])
async def test_without_a_token_nothing_is_sent(clock: Clock, error: AppError, *, repeatable: bool) -> None:
    script = Script(clock, always(200))
    script.tokens.error = error
    failure = await script.failure(repeatable=repeatable)

    assert type(failure) is TokenUnavailable
    assert failure.remedy == error.remedy
    assert script.asked == []


async def test_the_identity_service_may_ask_for_patience_too(clock: Clock) -> None:
    script = Script(clock, always(200))
    script.tokens.error = Throttled("later", until=clock() + timedelta(minutes=1))

    assert await script.failure() is script.tokens.error


async def test_every_request_has_a_token_and_an_id_of_its_own(clock: Clock) -> None:
    script = Script(clock, always(429, {"retry-after": "1"}))

    error = await script.failure()

    ids = [headers["x-ms-client-request-id"] for headers in script.asked]
    assert len(set(ids)) == len(ids) == CALL_ATTEMPTS
    assert ids[-1] in str(error)
    assert {headers["Authorization"] for headers in script.asked} == {"Bearer token-0"}
    assert {headers["Content-Type"] for headers in script.asked} == {"application/json"}


@pytest.mark.parametrize(
    "answer", [always(429, {"retry-after": "0"}), always(503, {"retry-after": "0"}), always(500), always(429)]
)
async def test_attempts_are_counted_even_if_no_wait_is_needed(clock: Clock, answer: SendRequest) -> None:
    script = Script(clock, answer, jitter=0)
    begin = clock()

    assert isinstance(await script.failure(), Throttled | UpstreamFailed)
    assert (len(script.asked), clock() - begin < timedelta(seconds=5)) == (CALL_ATTEMPTS, True)


async def test_backoff_stays_within_patience(clock: Clock) -> None:
    script = Script(clock, always(500))
    begin = clock()

    assert isinstance(await script.failure(), UpstreamFailed)
    assert (len(script.asked), clock() - begin) == (3, timedelta(seconds=3))


async def test_a_503_slows_everybody_down_even_if_the_outcome_is_unknown(clock: Clock) -> None:
    script = Script(clock, always(503, {"retry-after": "60"}))

    assert isinstance(await script.failure(repeatable=False), UpstreamFailed)
    assert isinstance(await script.failure(), Throttled)
    assert len(script.asked) == 1


async def test_who_is_cancelled_leaves_its_place(clock: Clock) -> None:
    full, blocked = asyncio.Event(), asyncio.Event()

    async def stuck(*_: object) -> Response:
        if len(script.asked) == 8:
            full.set()
        await blocked.wait()
        return Response(200, {}, b"{}")

    script = Script(clock, stuck)
    sending = [asyncio.create_task(script.send()) for _ in range(8)]
    await full.wait()
    for task in sending:
        task.cancel()
    await asyncio.gather(*sending, return_exceptions=True)
    blocked.set()

    async with asyncio.timeout(60):
        assert (await script.send()).response.status == 200


async def test_no_more_are_in_flight_than_allowed(clock: Clock) -> None:
    running = most = 0

    async def counted(*__: object) -> Response:
        nonlocal running, most
        running += 1
        most = max(most, running)
        for _ in range(20):
            await asyncio.sleep(0)
        running -= 1
        return Response(200, {}, b"{}")

    script = Script(clock, counted)
    await asyncio.gather(*(script.send() for _ in range(40)))

    assert most == 8


def test_an_origin_has_a_scheme_a_host_and_a_port_in_lower_case() -> None:
    assert origin_of("HTTPS://Graph.Example:8443/Path?query") == "https://graph.example:8443"


async def test_the_id_that_avepoint_gives_a_request_holds_no_secret(clock: Clock) -> None:
    """It goes into messages that are kept for years."""
    given = {"request-id": f"Bearer abcdefghijklmn {'x' * 500}"}

    text = str(await Script(clock, always(400, given)).failure())

    assert "AvePoint's Bearer *** xxx" in text
    assert "abcdefgh" not in text
    assert len(text) < 400

"""Access tokens: asked for once, renewed ahead of their end, and refused with a remedy."""

import asyncio
from collections.abc import Awaitable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.avepoint.platform import DATA_CENTERS, Registration
from shared.avepoint.request import Request, Response
from shared.credentials.cache import PAUSE
from shared.credentials.tokens import ClientCredential, TokenGrant, Tokens, cached_token, read_grant
from shared.errors import AppError, BadResponse, Interrupted, Throttled, Unauthorized, UpstreamFailed
from shared.services import Services
from tests.conftest import Clock, Simulator
from tests.shared.conftest import Open

SCOPE = "enpower.data.read.all"
START = datetime(2030, 1, 1, tzinfo=UTC)


def refusal(code: str, status: int = 400) -> Response:
    return Response(status, {}, f'{{"error": "{code}"}}'.encode())


@dataclass
class IdentityService:
    """Answers what it is told to, or else tokens that count up; and a vault with one proof after the other."""

    lifetime: float = 3600
    answers: list[Response | Awaitable[Response]] = field(default_factory=list)
    asked: list[tuple[str, Mapping[str, str]]] = field(default_factory=list)
    newer: list[ClientCredential] = field(default_factory=list)

    async def post(self, url: str, form: Mapping[str, str]) -> Response:
        self.asked.append((url, form))
        number = len(self.asked)
        await asyncio.sleep(0)
        if self.answers:
            answer = self.answers.pop(0)
            return answer if isinstance(answer, Response) else await answer
        return Response(200, {}, f'{{"access_token": "token-{number}", "expires_in": {self.lifetime}}}'.encode())

    async def get(self, registration: Registration) -> ClientCredential:
        return ClientCredential({"client_id": registration, "client_secret": "old"}, "the secret s", None)

    async def refreshed(self, _: Registration, refused: ClientCredential) -> ClientCredential | None:
        assert refused.fields["client_secret"] == "old"
        return self.newer.pop(0) if self.newer else None


@pytest.fixture
def identity() -> IdentityService:
    return IdentityService()


@pytest.fixture
def tokens(identity: IdentityService, clock: Clock) -> Tokens:
    return Tokens("https://identity.example", credentials=identity, post=identity.post, clock=clock, random=lambda: 1.0)


async def settled() -> None:
    """Let what was started in the background come to its end."""
    for _ in range(10):
        await asyncio.sleep(0)


class TestGet:
    async def test_asks_once_however_many_wait(self, tokens: Tokens, identity: IdentityService) -> None:
        got = await asyncio.gather(*(tokens.get("avepoint", SCOPE) for _ in range(200)))

        assert set(got) == {"token-1"}
        assert len(identity.asked) == 1

    async def test_fails_once_however_many_wait(self, tokens: Tokens, identity: IdentityService) -> None:
        identity.answers = [refusal("invalid_scope")]

        got = await asyncio.gather(*(tokens.get("avepoint", SCOPE) for _ in range(200)), return_exceptions=True)

        assert {type(error) for error in got} == {Unauthorized}
        assert len(identity.asked) == 1
        assert await tokens.get("avepoint", SCOPE) == "token-2"

    async def test_keeps_one_token_for_each_registration_and_scope(
        self, tokens: Tokens, identity: IdentityService
    ) -> None:
        keys: list[tuple[Registration, str]] = [("avepoint", "A"), ("avepoint", "b"), ("opus", "A")]

        first = [await tokens.get(*key) for key in keys]

        assert first == [await tokens.get(*key) for key in keys] == ["token-1", "token-2", "token-3"]
        assert [form["scope"] for _, form in identity.asked] == ["A", "b", "A"], "a scope is spelled as it was given"

    async def test_serves_the_old_token_while_a_new_one_is_fetched(
        self, tokens: Tokens, identity: IdentityService, clock: Clock
    ) -> None:
        await tokens.get("avepoint", SCOPE)
        answered: asyncio.Future[Response] = asyncio.get_running_loop().create_future()
        identity.answers = [answered]
        clock.advance(minutes=55, seconds=1)

        async with asyncio.timeout(60):
            assert [await tokens.get("avepoint", SCOPE) for _ in range(9)] == ["token-1"] * 9

        answered.set_result(Response(200, {}, b'{"access_token": "new", "expires_in": 3600}'))
        await settled()
        assert await tokens.get("avepoint", SCOPE) == "new"
        assert len(identity.asked) == 2

    async def test_goes_on_with_a_good_token_when_it_cannot_be_renewed(
        self, tokens: Tokens, identity: IdentityService, clock: Clock
    ) -> None:
        await tokens.get("avepoint", SCOPE)
        identity.answers = [Response(500, {}, b"")] * 3
        clock.advance(minutes=56)
        for _ in range(5):
            assert await tokens.get("avepoint", SCOPE) == "token-1"
            await settled()
        assert len(identity.asked) == 2, "it pauses between two attempts"

        clock.now += PAUSE
        assert await tokens.get("avepoint", SCOPE) == "token-1"
        await settled()
        assert len(identity.asked) == 3

        clock.advance(minutes=4)
        with pytest.raises(UpstreamFailed):
            await tokens.get("avepoint", SCOPE)
        assert isinstance(tokens.failures["avepoint", SCOPE].error, UpstreamFailed)
        assert await tokens.get("avepoint", SCOPE) == "token-5"
        assert not tokens.failures

    async def test_a_caller_that_gives_up_does_not_take_the_others_down(
        self, tokens: Tokens, identity: IdentityService
    ) -> None:
        answered: asyncio.Future[Response] = asyncio.get_running_loop().create_future()
        identity.answers = [answered]
        hasty = asyncio.create_task(tokens.get("avepoint", SCOPE))
        patient = asyncio.create_task(tokens.get("avepoint", SCOPE))
        await settled()

        hasty.cancel()
        answered.set_result(Response(200, {}, b'{"access_token": "new", "expires_in": 3600}'))

        assert await patient == "new"
        with pytest.raises(asyncio.CancelledError):
            await hasty

    async def test_closing_ends_the_requests_under_way(self, tokens: Tokens, identity: IdentityService) -> None:
        identity.answers = [asyncio.get_running_loop().create_future()]
        waiting = asyncio.create_task(tokens.get("avepoint", SCOPE))
        await settled()

        await tokens.close()

        with pytest.raises(asyncio.CancelledError):
            await waiting


class TestForget:
    async def test_costs_one_request_however_many_were_refused(self, tokens: Tokens, identity: IdentityService) -> None:
        old = await tokens.get("avepoint", SCOPE)

        async def refused() -> str:
            tokens.forget("avepoint", SCOPE, old)
            return await tokens.get("avepoint", SCOPE)

        assert set(await asyncio.gather(*(refused() for _ in range(200)))) == {"token-2"}
        assert await refused() == "token-2", "a late refusal of the old token leaves the new one alone"
        assert len(identity.asked) == 2


class TestPatience:
    async def test_no_scope_is_asked_for_before_the_pause_is_over(
        self, tokens: Tokens, identity: IdentityService, clock: Clock
    ) -> None:
        identity.answers = [Response(429, {"retry-after": "120"}, b"")]
        until = clock.now + timedelta(seconds=120)
        for scope in (SCOPE, "another"):
            with pytest.raises(Throttled) as caught:
                await tokens.get("avepoint", scope)
            assert caught.value.until == until
        assert len(identity.asked) == 1

        clock.now = until
        assert await tokens.get("avepoint", SCOPE) == "token-2"


class TestInvalidClient:
    async def test_asks_once_more_with_a_newer_proof(self, tokens: Tokens, identity: IdentityService) -> None:
        identity.answers = [refusal("invalid_client")]
        identity.newer = [ClientCredential({"client_id": "me", "client_secret": "new"}, "the secret s", None)]

        assert await tokens.get("avepoint", SCOPE) == "token-2"
        assert [form["client_secret"] for _, form in identity.asked] == ["old", "new"]

    @pytest.mark.parametrize(("newer", "asked"), [(0, 1), (1, 2), (2, 2)])
    async def test_gives_up_by_name_after_that(
        self, tokens: Tokens, identity: IdentityService, newer: int, asked: int
    ) -> None:
        identity.answers = [refusal("invalid_client", 401)] * 3
        identity.newer = [ClientCredential({"client_id": "me", "client_secret": "new"}, "the secret s", None)] * newer

        with pytest.raises(Unauthorized, match="invalid_client") as caught:
            await tokens.get("avepoint", SCOPE)

        assert "the client id and the secret s belong to the same app registration" in caught.value.remedy
        assert len(identity.asked) == asked


HTML = Response(200, {"content-type": "text/html"}, b"<html>Please sign in</html>")


@pytest.mark.parametrize(
    ("answer", "error", "remedy"),
    [
        (refusal("invalid_client"), Unauthorized, "belong to the same app registration"),
        (refusal("invalid_scope"), Unauthorized, f"Grant the app registration the permission {SCOPE}"),
        (refusal("unauthorized_client"), Unauthorized, "Check the app registration"),
        (refusal("temporarily_unavailable"), UpstreamFailed, ""),
        (Response(401, {}, b""), Unauthorized, "Check the app registration"),
        (Response(400, {}, b"[" * 100_000), Unauthorized, "Check the app registration"),
        (Response(400, {}, b'"\xff'), Unauthorized, "Check the app registration"),
        (Response(429, {}, b""), Throttled, ""),
        (Response(503, {"retry-after": "7"}, b""), Throttled, ""),
        (Response(503, {}, b"<html>down</html>"), UpstreamFailed, ""),
        (Response(408, {}, b""), UpstreamFailed, ""),
        (HTML, BadResponse, "AVEPOINT_IDENTITY_URL"),
        (Response(404, {}, b" <!DOCTYPE html>"), BadResponse, "AVEPOINT_IDENTITY_URL"),
        (Response(302, {"location": "https://login.example"}, b""), BadResponse, "AVEPOINT_IDENTITY_URL"),
        (Response(200, {}, b'{"access_token": "half'), Interrupted, ""),
        (Response(200, {}, b""), BadResponse, "AVEPOINT_IDENTITY_URL"),
        (Response(200, {}, b"{}"), BadResponse, "AVEPOINT_IDENTITY_URL"),
        (refusal("invalid_client", 200), Unauthorized, "belong to the same app registration"),
        (refusal("temporarily_unavailable", 200), UpstreamFailed, ""),
        (Response(200, {}, b'{"access_token": "", "expires_in": 1}'), BadResponse, "AVEPOINT_IDENTITY_URL"),
        (Response(200, {}, b'{"access_token": "a\\r\\nb", "expires_in": 1}'), BadResponse, "AVEPOINT_IDENTITY_URL"),
        (Response(200, {}, b'{"access_token": "a", "expires_in": 0}'), BadResponse, "AVEPOINT_IDENTITY_URL"),
        (Response(200, {}, b'{"access_token": "a", "expires_in": "soon"}'), BadResponse, "AVEPOINT_IDENTITY_URL"),
    ],
)
def test_an_answer_without_a_token_says_what_to_do(answer: Response, error: type[AppError], remedy: str) -> None:
    with pytest.raises(error) as caught:
        read_grant(answer, scope=SCOPE, credential="the secret s", now=START)
    assert remedy in caught.value.remedy


def test_a_byte_order_mark_is_no_part_of_an_answer() -> None:
    body = b'\xef\xbb\xbf{"access_token": "a", "expires_in": 3600}'
    assert read_grant(Response(200, {}, body), scope=SCOPE, credential="", now=START).access_token == "a"


@pytest.mark.parametrize(("header", "seconds"), [("120", 120), ("1.5", 1.5), (None, 10), ("nonsense", 10)])
def test_the_wait_is_the_one_asked_for(header: str | None, seconds: float) -> None:
    with pytest.raises(Throttled) as caught:
        read_grant(Response(429, {"retry-after": header} if header else {}, b""), scope=SCOPE, credential="", now=START)
    assert caught.value.until == START + timedelta(seconds=seconds)


@pytest.mark.parametrize(
    "body", [b"<p>client_secret=hush</p>", b'{"error": "x", "client_secret": "hush"}', b"pwd=hush"]
)
def test_no_secret_gets_into_an_error(body: bytes) -> None:
    with pytest.raises(AppError) as caught:
        read_grant(Response(400, {}, body), scope=SCOPE, credential="the secret s", now=START)
    assert "hush" not in f"{caught.value!r} {caught.value.remedy}"


@given(seconds=st.floats(min_value=0, max_value=1e300, exclude_min=True), random=st.floats(0, 1))
def test_a_token_is_renewed_before_it_is_no_good_any_more(seconds: float, random: float) -> None:
    held = cached_token(TokenGrant(access_token="t", expires_in=seconds), requested_at=START, random=lambda: random)
    end = START + timedelta(seconds=min(seconds, 86400))
    assert START <= held.renew_at <= held.good_until <= end
    assert end - held.renew_at <= timedelta(minutes=5)


def test_renewals_of_several_instances_are_spread() -> None:
    grant = TokenGrant(access_token="t", expires_in=3600)
    early, late = (cached_token(grant, requested_at=START, random=lambda x=x: x).renew_at for x in (1.0, 0.0))  # type: ignore[misc]
    assert late - early == timedelta(minutes=2.5)


@pytest.mark.parametrize(
    ("code", "url"),
    [
        ("we", "https://identity.avepointonlineservices.com/connect/token"),
        ("gov", "https://identity-gov.avepointonlineservices.com/connect/token"),
        ("aos2", "https://identity-aos2.avepointonlineservices.com/connect/token"),
        ("fedramp", "https://identity.online15.net/connect/token"),
    ],
)
async def test_each_data_centre_has_its_identity_service(
    identity: IdentityService, clock: Clock, code: str, url: str
) -> None:
    center = DATA_CENTERS[code]
    tokens = Tokens(center.identity_url, credentials=identity, post=identity.post, clock=clock, random=lambda: 0.0)
    await tokens.get("avepoint", SCOPE)
    assert identity.asked[0][0] == url


def powerapps(url: str) -> Request:
    return Request("GET", f"{url}/smp/powerplatform/powerapps", SCOPE, "avepoint")


def token_requests(simulator: Simulator) -> int:
    return len(simulator.requests("/connect/token"))


class TestAgainstTheService:
    async def test_200_requests_with_an_expired_token_make_one_token_request(
        self, avepoint: Simulator, services: Services
    ) -> None:
        avepoint.avepoint.change({"items": 1})
        await services.transport.send(powerapps(avepoint.url))
        avepoint.avepoint.identity.revoke()
        before = token_requests(avepoint)

        replies = await asyncio.gather(*(services.transport.send(powerapps(avepoint.url)) for _ in range(200)))

        assert {reply.response.status for reply in replies} == {200}
        assert token_requests(avepoint) - before == 1
        assert max(reply.retries for reply in replies) == 1

    async def test_a_run_over_three_lifetimes_loses_nothing(
        self, timed: Simulator, opening: Open, clock: Clock
    ) -> None:
        timed.avepoint.change({"items": 1})
        services = await opening()
        end = clock.now + timedelta(hours=3, minutes=30)
        while clock.now < end:
            replies = await asyncio.gather(*(services.transport.send(powerapps(timed.url)) for _ in range(2)))
            assert {(reply.response.status, reply.retries) for reply in replies} == {(200, 0)}
            clock.advance(seconds=100)
        assert token_requests(timed) == 4

    async def test_a_token_that_is_never_accepted_costs_one_retry(
        self, avepoint: Simulator, services: Services
    ) -> None:
        avepoint.fault(path="/smp/*", status=401, times=None)

        with pytest.raises(Unauthorized):
            await services.transport.send(powerapps(avepoint.url))

        assert [len(avepoint.requests(path)) for path in ("/connect/token", "/smp/*")] == [2, 2]

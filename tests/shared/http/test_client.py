"""One exchange over a real socket: what comes back, and which error stands for which failure."""

import asyncio
import gzip
import ssl
import traceback
import zlib
from collections.abc import AsyncIterator

import httpx
import pytest
import respx
import trustme

from shared.errors import AppError, BadResponse, BrokenChain, Interrupted, Unreachable
from shared.http.client import REQUEST_ID, HttpClient
from shared.version import VERSION
from tests.shared.conftest import answering

SECRET = "Zx81SuperSecret"
HEADERS = {"Authorization": f"Bearer {SECRET}", REQUEST_ID: "0a1b"}
URL = "https://graph.example/list"
BODY = b'{"items": [1, 2, 3]}' * 5000


@pytest.fixture
async def http() -> AsyncIterator[HttpClient]:
    opened = HttpClient(ssl.create_default_context())
    yield opened
    await opened.close()


def head(length: int, encoding: str = "gzip") -> bytes:
    return f"HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nContent-Encoding: {encoding}\r\n\r\n".encode()


async def failure(http: HttpClient, url: str, body: bytes | None = None) -> AppError:
    with pytest.raises(AppError) as caught:
        await http.send("GET", url, HEADERS, body)
    return caught.value


@pytest.mark.parametrize(
    "stream",
    [
        pytest.param(gzip.compress(BODY), id="one member"),
        pytest.param(gzip.compress(BODY[:100]) + gzip.compress(BODY[100:-5]) + gzip.compress(BODY[-5:]), id="members"),
        pytest.param(gzip.compress(BODY) + gzip.compress(b""), id="an empty member"),
    ],
)
@pytest.mark.parametrize("size", [1, 7, 100_000])
async def test_gzip_is_inflated_however_it_is_cut_into_members_and_packets(
    http: HttpClient, stream: bytes, size: int
) -> None:
    pieces = [stream[at : at + size] for at in range(0, len(stream), size)]
    async with answering(head(len(stream)), *pieces[:300], b"".join(pieces[300:])) as url:
        answer = await http.send("GET", url, HEADERS, None)

    assert answer.body == BODY


@pytest.mark.parametrize("padding", [b"\0", b"\0" * 100, b"\n"])
@pytest.mark.parametrize("size", [1, 100_000])
async def test_what_is_no_gzip_behind_the_stream_is_padding(http: HttpClient, padding: bytes, size: int) -> None:
    stream = gzip.compress(BODY) + padding
    pieces = [stream[at : at + size] for at in range(0, len(stream), size)]
    async with answering(head(len(stream)), *pieces) as url:
        assert (await http.send("GET", url, HEADERS, None)).body == BODY


async def test_members_without_end_are_a_bad_answer(http: HttpClient) -> None:
    stream = gzip.compress(b"") * 100_001
    async with answering(head(len(stream)), stream) as url:
        assert isinstance(await failure(http, url), BadResponse)


@pytest.mark.parametrize("encoding", ["utf-8", "", " ", "none", "UTF-8, identity"])
async def test_a_word_that_is_no_compression_means_nothing(http: HttpClient, encoding: str) -> None:
    async with answering(head(len(BODY), encoding), BODY) as url:
        assert (await http.send("GET", url, HEADERS, None)).body == BODY


@pytest.mark.parametrize("encoding", ["x-gzip", "GZIP", "utf-8, gzip"])
async def test_gzip_by_any_of_its_names(http: HttpClient, encoding: str) -> None:
    stream = gzip.compress(BODY)
    async with answering(head(len(stream), encoding), stream) as url:
        assert (await http.send("GET", url, HEADERS, None)).body == BODY


@pytest.mark.parametrize("body", [b"", BODY])
async def test_an_answer_that_is_not_compressed_is_taken_as_it_is(http: HttpClient, body: bytes) -> None:
    async with answering(head(len(body), "identity"), body) as url:
        assert (await http.send("GET", url, HEADERS, None)).body == body


async def test_no_body_at_all_is_no_broken_gzip_stream(http: HttpClient) -> None:
    async with answering(head(0)) as url:
        assert (await http.send("GET", url, HEADERS, None)).body == b""


@pytest.mark.parametrize("kept", [3, 10, 12, -9, -1])
@pytest.mark.parametrize("before", [b"", gzip.compress(BODY)])
async def test_a_gzip_stream_without_its_end_is_interrupted(http: HttpClient, kept: int, before: bytes) -> None:
    stream = before + gzip.compress(BODY)[:kept]
    async with answering(head(len(stream)), stream) as url:
        assert type(await failure(http, url)) is Interrupted


async def test_a_damaged_gzip_stream_is_interrupted(http: HttpClient) -> None:
    stream = bytearray(gzip.compress(BODY))
    stream[len(stream) // 2] ^= 0xFF
    async with answering(head(len(stream)), bytes(stream)) as url:
        assert "damaged" in str(await failure(http, url))


@pytest.mark.parametrize(
    ("encoding", "stream"), [("deflate", zlib.compress(BODY)), ("br", b"\x0b"), ("gzip, gzip", gzip.compress(BODY))]
)
async def test_an_encoding_nobody_asked_for_is_a_bad_answer(http: HttpClient, encoding: str, stream: bytes) -> None:
    async with answering(head(len(stream), encoding), stream) as url:
        assert isinstance(await failure(http, url), BadResponse)


@pytest.mark.parametrize(
    "pieces",
    [
        pytest.param([b""], id="nothing"),
        pytest.param([b"HTTP/1.1 20"], id="half a status line"),
        pytest.param([head(100, "identity"), b"1234"], id="half a body"),
        pytest.param([b"SSH-2.0-OpenSSH_9.6\r\n\r\n"], id="another protocol"),
    ],
)
async def test_a_lost_answer_may_have_been_executed(http: HttpClient, pieces: list[bytes]) -> None:
    async with answering(*pieces) as url:
        error = await failure(http, url)

    assert type(error) is Interrupted
    assert "0a1b" in str(error)


async def test_an_endless_answer_is_a_bad_one(http: HttpClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shared.http.client.BODY_CEILING", len(BODY) - 1)
    async with answering(head(len(gzip.compress(BODY))), gzip.compress(BODY)) as url:
        assert isinstance(await failure(http, url), BadResponse)


async def test_an_answer_that_never_ends_is_given_up(http: HttpClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shared.http.client.RESPONSE_SECONDS", 0.05)
    async with answering(head(10**6, "identity"), *[b"x"] * 1000) as url:
        assert type(await failure(http, url)) is Interrupted


async def test_nobody_there_means_that_nothing_was_executed(http: HttpClient) -> None:
    async with answering(b"") as url:
        pass
    error = await failure(http, url)

    assert type(error) is Unreachable
    assert "firewall" in error.remedy


async def test_a_certificate_nobody_trusts_means_that_nothing_was_sent(http: HttpClient) -> None:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)

    async def nobody(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    server = await asyncio.start_server(nobody, "127.0.0.1", 0, ssl=context)
    async with server:
        error = await failure(http, f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}/")

    assert type(error) is Unreachable
    assert "CERTIFICATE_VERIFY_FAILED" in str(error)
    assert "SSL_CERT_FILE" in error.remedy


@pytest.mark.parametrize(
    ("raised", "meant"),
    [
        (httpx.ConnectTimeout, Unreachable),
        (httpx.ProxyError, Unreachable),
        (httpx.ReadTimeout, Interrupted),
        (httpx.WriteTimeout, Interrupted),
        (httpx.WriteError, Interrupted),
        (httpx.RemoteProtocolError, Interrupted),
        (httpx.InvalidURL, BrokenChain),
    ],
)
async def test_every_failure_of_httpx_has_a_meaning_and_takes_no_secret_along(
    http: HttpClient, respx_mock: respx.MockRouter, raised: type[Exception], meant: type[AppError]
) -> None:
    respx_mock.get(url__startswith=URL).mock(side_effect=raised(f"Illegal header value b'Bearer {SECRET}'"))

    error = await failure(http, f"{URL}?skipToken={SECRET}")

    assert type(error) is meant
    shown = [str(error), repr(error), "".join(traceback.format_exception(error))]
    assert SECRET not in "".join(shown)
    assert f"{URL}?*** (request 0a1b)" in str(error)


async def test_requests_say_who_asks_and_keep_no_cookies(http: HttpClient, respx_mock: respx.MockRouter) -> None:
    route = respx_mock.get(URL).respond(302, headers={"Location": "https://elsewhere.example/", "Set-Cookie": "a=b"})

    for _ in range(2):
        assert (await http.send("GET", URL, HEADERS, None)).status == 302

    sent = [call.request.headers for call in route.calls]
    assert [headers["user-agent"] for headers in sent] == [f"avepoint-functions/{VERSION}"] * 2
    assert [headers["accept-encoding"] for headers in sent] == ["gzip"] * 2
    assert not any("cookie" in headers for headers in sent)


async def test_a_form_is_posted_under_a_request_id_of_its_own(http: HttpClient, respx_mock: respx.MockRouter) -> None:
    route = respx_mock.post(URL).respond(json={"access_token": "token"})

    await http.post_form(URL, {"scope": "a b", "client_secret": "ü&="})

    request = route.calls.last.request
    assert request.content == b"scope=a+b&client_secret=%C3%BC%26%3D"
    assert request.headers["content-type"] == "application/x-www-form-urlencoded"
    assert len(request.headers[REQUEST_ID]) == 36


async def test_cancelling_gives_the_connection_up(http: HttpClient) -> None:
    async with answering(head(10**6, "identity"), *[b"x"] * 100_000) as url:
        asking = asyncio.create_task(http.send("GET", url, HEADERS, None))
        await asyncio.sleep(0.02)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking


@pytest.mark.parametrize(("bypass", "proxied"), [("", True), ("127.0.0.1", False)])
async def test_a_proxy_of_the_environment_is_used_unless_it_is_to_be_bypassed(
    monkeypatch: pytest.MonkeyPatch, bypass: str, *, proxied: bool
) -> None:
    async with answering(head(2, "identity"), b"{}") as there, answering(head(5, "identity"), b"proxy") as proxy:
        monkeypatch.setenv("http_proxy", proxy.removesuffix("/list"))
        monkeypatch.setenv("no_proxy", bypass)
        http = HttpClient(ssl.create_default_context())
        answer = await http.send("GET", there, HEADERS, None)
        await http.close()

    assert answer.body == (b"proxy" if proxied else b"{}")

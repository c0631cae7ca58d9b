"""No secret gets into a message or a log line, whatever writes it."""

import base64
import html
import io
import json
import logging
import re
import ssl
from collections.abc import Iterator
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import AppError
from shared.http.client import HttpClient
from shared.telemetry.events import log_event
from shared.telemetry.redaction import (
    bounded,
    bytes_without_values,
    excerpt,
    redact_logs,
    redacted,
    redacted_url,
    register_secrets,
)
from tests.shared.conftest import answering

SECRET = "Zx81SuperSecret"
JWT = f"eyJhbGciOiJSUzI1NiJ9.{SECRET}eyJpc3MiOiJ4In0.{SECRET}c2lnbmF0dXJl"


@pytest.mark.parametrize(
    "text",
    [
        f"Authorization: Bearer {SECRET}",
        f"authorization: SharedKey account:{SECRET}=",
        f"Authorization: Basic {SECRET}",
        f"{{'Authorization': 'Basic {SECRET}'}}",
        f"[(b'Authorization', b'Bearer {SECRET}')]",
        f"authorization=Bearer {SECRET}",
        f"[(b'x-functions-key', b'{SECRET}')]",
        f"x-functions-key: {SECRET}",
        f"X-IDENTITY-HEADER: {SECRET}",
        f"Set-Cookie: session={SECRET}; path=/",
        f"a token {JWT} in a sentence",
        f"client_assertion={JWT[:30]}",
        JWT[:60],
        f"grant_type=client_credentials&client_secret={SECRET}%3D&scope=a",
        f"client_assertion_type=urn&client_assertion={SECRET}",
        json.dumps({"access_token": SECRET, "expires_in": 3600}),
        json.dumps(json.dumps({"client_secret": f'with "quotes", {SECRET}'})),
        json.dumps({"client_secret": f"cut off {SECRET}"})[:-2],
        repr({"refresh_token": SECRET}),
        f"DefaultEndpointsProtocol=https;AccountName=a;AccountKey={SECRET}/+==;EndpointSuffix=x",
        f"AVEPOINT_CLIENT_SECRET={SECRET}",
        f"password='{SECRET}'",
        f'password="continued\\\n{SECRET}"',
        f"SharedAccessSignature={SECRET}",
        f"GET https://a.example/x?code={SECRET} HTTP/1.1",
        f"https://a.blob.core.windows.net/c/b?sv=2024&se=2025&sig={SECRET}%2F%3D",
        f"https://user:{SECRET}@a.example/x",
        f"https://a.example/callback#access_token={SECRET}",
        f"https://graph.example/list?top=1&skipToken={SECRET}",
        f'"GET /list?skipToken={SECRET} HTTP/1.1" 200',
        f"skipToken={SECRET}",
        f"-----BEGIN PRIVATE KEY-----\n{SECRET}\n{SECRET}\n-----END PRIVATE KEY-----",
        f"-----BEGIN RSA PRIVATE KEY-----\n{SECRET}",
    ],
)
def test_secrets_are_taken_out(text: str) -> None:
    assert SECRET not in redacted(text)


@pytest.mark.parametrize(
    "text",
    [
        "GET https://graph-us.avepoint.example/smp/powerplatform/powerapps answered 400",
        "AVEPOINT_CLIENT_SECRET: is missing, and there is no vault",
        "cannot read the secret avepoint-client-secret: there is no such secret",
        '{"code": "InvalidRequest", "message": "top must be a number"}',
        "no token for GET https://a.example/x: the identity service answered 500",
        "slice.finished run=20250301T120000Z-graph dataset=aos-jobs items=12",
        "is this right? yes = no",
    ],
)
def test_everything_else_stays(text: str) -> None:
    assert redacted(text) == text


NAMES = [
    *("access_token", "accessToken", "nextToken", "client_secret", "clientSecret", "appSecret", "client_assertion"),
    *("clientAssertion", "password", "passwd", "AccountKey", "privateKey", "x-functions-key", "sig"),
]


@given(
    name=st.sampled_from(NAMES),
    secret=st.from_regex(r"[A-Za-z0-9+/=_~.-]{12,60}", fullmatch=True),
    around=st.text(alphabet="abc \n", max_size=10),
)
def test_a_secret_under_a_known_name_is_found_in_every_notation(name: str, secret: str, around: str) -> None:
    notations = [
        json.dumps({name: secret}),
        repr({name: secret}),
        repr([(name.encode(), secret.encode())]),
        f"https://a.example/?{name}={quote(secret)}",
        f"{name}={secret}",
    ]
    for text in notations:
        assert secret not in redacted(f"{around} {text} {around}")


@given(st.text())
def test_any_text_may_be_taken_for_a_url(text: str) -> None:
    assert "?" not in redacted_url(text).removesuffix("?***")
    assert redacted_url(f"https://a.example/x?{text}").startswith("https://a.example/x")


@given(st.binary())
def test_an_excerpt_is_one_short_line(body: bytes) -> None:
    text = excerpt(body)

    assert len(text) <= 200
    assert len(text.splitlines()) <= 1


def test_an_excerpt_does_not_cut_a_secret_open() -> None:
    assert "claims" not in excerpt(f"{'x' * 100} eyJhbGciOiJSUzI1NiJ9.{'claims' * 500}.c2ln".encode())


@pytest.fixture
def logged() -> Iterator[io.StringIO]:
    """Everything that anybody logs at debug level, as text."""
    redact_logs()
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logging.Formatter("%(name)s %(message)s"))
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield stream
    root.removeHandler(handler)
    root.setLevel(level)


def test_messages_arguments_and_tracebacks_are_redacted(logged: io.StringIO) -> None:
    log = logging.getLogger("somebody.else")
    log.info("asking with client_secret=%s", SECRET)
    log.info("headers %r", {"Authorization": f"Bearer {SECRET}"})
    log.info("%(url)s", {"url": f"https://a.example/?code={SECRET}"})
    log_event(log, "transport.failed", reason=f"client_secret={SECRET}")
    cause = ValueError(f"Illegal header value b'Bearer {SECRET}'")
    error = RuntimeError(f"https://a.example/?sig={SECRET}")
    error.__cause__ = cause
    log.error("broken", exc_info=error, stack_info=True)

    text = logged.getvalue()
    assert SECRET not in text
    assert "RuntimeError: https://a.example/?***" in text
    assert "transport.failed" in text


def test_a_line_without_secrets_is_left_alone(logged: io.StringIO, caplog: pytest.LogCaptureFixture) -> None:
    logging.getLogger("somebody.else").info("%s is %d %%", "this", 100)

    (record,) = caplog.records
    assert (record.msg, record.args) == ("%s is %d %%", ("this", 100))
    assert logged.getvalue() == "somebody.else this is 100 %\n"


def test_arguments_that_do_not_fit_end_nothing(logged: io.StringIO) -> None:
    for arguments in [("no",), (SECRET, SECRET)]:
        logging.getLogger("somebody.else").info("%d things", *arguments)

    assert logged.getvalue().count("do not fit") == 2
    assert SECRET not in logged.getvalue()


async def test_httpx_at_debug_level_tells_no_secrets(logged: io.StringIO) -> None:
    head = f"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nSet-Cookie: session={SECRET}\r\n\r\n"
    http = HttpClient(ssl.create_default_context())
    async with answering(head.encode()) as url:
        await http.send("GET", f"{url}?skipToken={SECRET}", {"Authorization": f"Bearer {SECRET}"}, None)
    try:
        await http.send("GET", f"{url}?skipToken={SECRET}", {"Authorization": f"Bearer {SECRET}"}, None)
    except AppError:
        logging.getLogger("shared.transport.transport").exception("transport.failed")
    await http.close()

    assert "httpcore.http11 receive_response_headers.complete" in logged.getvalue()
    assert "transport.failed" in logged.getvalue()
    assert SECRET not in logged.getvalue()


def test_installing_twice_installs_once() -> None:
    redact_logs()
    factory = logging.getLogRecordFactory()
    redact_logs()

    assert logging.getLogRecordFactory() is factory


class TestValues:
    """What is in use is known by its value, whatever stands around it, and however it is written."""

    SECRET = 'p~8Q/x"+=ü&<9' + "Zk" * 8

    @pytest.fixture(autouse=True)
    def registered(self) -> None:
        register_secrets(self.SECRET, None, "")

    @pytest.mark.parametrize(
        "spelt",
        [
            SECRET,
            json.dumps(SECRET),
            json.dumps(SECRET, ensure_ascii=False),
            quote(SECRET, safe=""),
            quote(SECRET),
            re.sub("%..", lambda found: found[0].lower(), quote(SECRET, safe="")),
            html.escape(SECRET),
            base64.b64encode(SECRET.encode()).decode(),
            base64.b64encode(SECRET.encode()).decode().rstrip("="),
        ],
    )
    def test_in_any_spelling(self, spelt: str) -> None:
        assert "Zk" not in redacted(f"your secret is {spelt}, is it not")
        assert "Zk" not in bounded(f"your secret is {spelt}, is it not", 1000)
        assert b"Zk" not in bytes_without_values(f"your secret is {spelt}, is it not".encode())
        assert "Zk" not in excerpt(f"your secret is {spelt}, is it not".encode())

    def test_before_a_text_is_cut(self) -> None:
        for length in range(40, 60):
            assert "p~8Q" not in bounded(f"{'x' * 39}{self.SECRET}", length)
            assert "p~8Q" not in excerpt(f"{' ' * 700}{'x' * 90}{self.SECRET}".encode(), length=length)

    def test_in_a_log_line_and_its_fields(self) -> None:
        assert "Zk" not in log_of(self.SECRET)

    def test_a_short_word_is_none(self) -> None:
        register_secrets("record")
        assert redacted("the record was sent") == "the record was sent"

    def test_keys_are_known_in_base64(self) -> None:
        key = bytes(range(32))
        register_secrets(key)
        assert base64.b64encode(key).decode() not in redacted(f"key: {base64.b64encode(key).decode()}")


def test_a_text_from_outside_has_an_end() -> None:
    assert len(bounded("x" * 10**6, 100)) == 100
    assert bounded("short", 100) == "short"


def test_a_secret_is_not_cut_out_of_sight() -> None:
    secret = "Zk" * 4000
    register_secrets(secret)
    for start in range(64 * 1024 - 8000, 64 * 1024, 500):
        assert "Zk" not in bounded("x" * start + secret + "y" * 100_000, 10**6)


def log_of(message: str) -> str:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    logger = logging.getLogger("tests.values")
    logger.addHandler(handler)
    redact_logs()
    log_event(logger, "a.b", logging.ERROR, reason=message)
    logger.error("it said %s", message)
    logger.removeHandler(handler)
    return stream.getvalue()

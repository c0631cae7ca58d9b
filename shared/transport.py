"""Requests to AvePoint: the one place that knows httpx.

``Wire`` moves bytes; ``Transport`` adds what every request needs: a token, a place in the queue, patience, and errors
that say what the caller can do.
"""

import logging
import ssl
import uuid
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import urlsplit

import httpx
from isal import isal_zlib

from shared.avepoint.request import Answer, Request
from shared.clock import Clock, Sleep
from shared.errors import (
    AppError,
    BadAnswer,
    Gone,
    Interrupted,
    Rejected,
    Throttled,
    Unauthorized,
    Unreachable,
    UpstreamFailed,
)
from shared.redaction import excerpt, redacted_url
from shared.throttling import PATIENCE, Throttle, backoff, retry_after
from shared.tokens import Tokens
from shared.version import VERSION

ATTEMPTS = 5
BODY_CEILING = 256 * 1024 * 1024
"""No page of AvePoint comes near 256 MiB; an answer that does is an error."""

_OK = frozenset({200})
_TIMEOUT = httpx.Timeout(connect=10, read=90, write=30, pool=None)
_GZIP = 16 + 15

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Reply:
    """An accepted answer, and what it took to get it."""

    answer: Answer
    retries: int
    waited: timedelta


type Exchange = Callable[[str, str, Mapping[str, str], bytes | None], Awaitable[Answer]]
"""Sends method, URL, headers and body as one HTTP request and returns the answer, whatever its status."""


class Wire:
    """One pooled HTTP client for the life of the process and event loop.

    Args:
        ssl_cert_file: A PEM bundle to trust beside the system's.
    """

    def __init__(self, *, ssl_cert_file: str | None = None) -> None:
        context = ssl.create_default_context()
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if ssl_cert_file:
            context.load_verify_locations(ssl_cert_file)
        self._client = httpx.AsyncClient(
            verify=context,
            timeout=_TIMEOUT,
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=32, keepalive_expiry=30),
            headers={"User-Agent": f"avepoint-functions/{VERSION}", "Accept-Encoding": "gzip"},
            follow_redirects=False,
        )

    async def exchange(self, method: str, url: str, headers: Mapping[str, str], body: bytes | None) -> Answer:
        """Send one request and read its answer to the end.

        Raises:
            Unreachable: There was no connection: nothing was sent.
            Interrupted: The answer was lost, or came without its end.
            BadAnswer: The answer is larger than 256 MiB.
        """
        try:
            async with self._client.stream(method, url, headers=dict(headers), content=body) as response:
                return Answer(response.status_code, response.headers, await _read(response))
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError) as error:
            raise Unreachable(f"no connection to {redacted_url(url)}: {type(error).__name__}") from error
        except httpx.HTTPError as error:
            raise Interrupted(f"{method} {redacted_url(url)} lost its answer: {type(error).__name__}") from error

    async def post_form(self, url: str, form: Mapping[str, str]) -> Answer:
        """Post a form, as the identity service wants it; raises what ``exchange`` raises."""
        request = self._client.build_request("POST", url, data=dict(form))
        return await self.exchange("POST", url, {"Content-Type": request.headers["Content-Type"]}, request.content)

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()


async def _read(response: httpx.Response) -> bytes:
    """The whole body, decompressed; a gzip stream without its end is an interrupted answer."""
    chunks: list[bytes] = []
    size = 0
    inflate = isal_zlib.decompressobj(_GZIP) if response.headers.get("content-encoding") == "gzip" else None
    async for raw in response.aiter_raw():
        chunk = inflate.decompress(raw) if inflate else raw
        chunks.append(chunk)
        size += len(chunk)
        if size > BODY_CEILING:
            raise BadAnswer(f"{redacted_url(str(response.url))} answered more than {BODY_CEILING} bytes")
    if inflate and not inflate.eof and size:
        raise Interrupted(f"{redacted_url(str(response.url))} answered a gzip stream without its end")
    return b"".join(chunks)


class Transport:
    """Sends requests under the right token, with patience and with typed errors."""

    def __init__(
        self,
        exchange: Exchange,
        *,
        tokens: Tokens,
        throttle: Throttle,
        clock: Clock,
        sleep: Sleep,
        random: Callable[[], float],
    ) -> None:
        self._exchange = exchange
        self._tokens = tokens
        self._throttle = throttle
        self._clock = clock
        self._sleep = sleep
        self._random = random

    async def send(self, request: Request, *, accept: frozenset[int] = _OK, repeatable: bool = True) -> Reply:
        """Send a request until it is answered with one of the statuses in ``accept``.

        What was certainly not executed (429, no connection, 401 with an old token) is always tried again; what may
        have been (5xx, a lost answer) only when ``repeatable``.

        Raises:
            Throttled: AvePoint wants a wait that is longer than ``PATIENCE``, or has asked for patience too often.
            Unreachable, Interrupted, UpstreamFailed: It did not work after all attempts.
            Gone, Unauthorized, Rejected, BadAnswer: Asking again will not help.
        """
        waited = timedelta(0)
        refused = False
        attempt = 0
        while True:
            attempt += 1
            try:
                return Reply(await self._attempt(request, accept), attempt - 1, waited)
            except _TokenRefused as error:
                if refused:
                    raise Unauthorized(str(error), remedy=error.remedy) from None
                refused = True
            except (Throttled, Unreachable, Interrupted, UpstreamFailed) as error:
                wait = self._patience(error, attempt, repeatable=repeatable)
                await self._sleep(wait.total_seconds())
                waited += wait

    def _patience(
        self, error: Throttled | Unreachable | Interrupted | UpstreamFailed, attempt: int, *, repeatable: bool
    ) -> timedelta:
        """How long to sleep before the next attempt; raises when there should be none here and now."""
        if not repeatable and isinstance(error, Interrupted | UpstreamFailed):
            raise error
        if isinstance(error, Throttled):
            wait = error.until - self._clock()
            if attempt >= ATTEMPTS or wait > PATIENCE:
                raise error
        else:
            wait = backoff(attempt, random=self._random)
            if attempt >= ATTEMPTS:
                raise error
        log.info("transport.retrying", extra={"attempt": attempt, "wait": wait.total_seconds(), "error": str(error)})
        return max(wait, timedelta(0))

    async def _attempt(self, request: Request, accept: frozenset[int]) -> Answer:
        origin = origin_of(request.url)
        async with self._throttle.admitted(origin):
            token = await self._token(request)
            request_id = str(uuid.uuid4())
            headers = {"Authorization": f"Bearer {token}", "x-ms-client-request-id": request_id}
            if request.body is not None:
                headers["Content-Type"] = "application/json"
            answer = await self._exchange(request.method, request.url, headers, request.body)
        if answer.status in accept:
            return answer
        error = _decipher(request, answer, request_id=request_id, now=self._clock(), jitter=self._random())
        if isinstance(error, Throttled):
            self._throttle.pause(origin, error.until)
        if isinstance(error, _TokenRefused):
            self._tokens.forget(request.registration, request.scope, token)
        raise error

    async def _token(self, request: Request) -> str:
        """A token for ``request``; while there is none, the request itself is not sent."""
        try:
            return await self._tokens.get(request.registration, request.scope)
        except (Interrupted, UpstreamFailed) as error:
            raise Unreachable(f"no token for {request.method} {redacted_url(request.url)}: {error}") from error


class _TokenRefused(Unauthorized):
    """AvePoint answered 401: the token may be too old."""


def origin_of(url: str) -> str:
    """Scheme, host and port of ``url``."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def _decipher(request: Request, answer: Answer, *, request_id: str, now: datetime, jitter: float) -> AppError:
    """The error that an answer outside the accepted ones means."""
    status = answer.status
    message = (
        f"{request.method} {redacted_url(request.url)} answered {status} (request {request_id}): {excerpt(answer.body)}"
    )
    wait = retry_after(answer.headers.get("retry-after"), now)
    match status:
        case 401:
            return _TokenRefused(message, remedy="Check the app registration in AvePoint: its tokens are refused.")
        case 403:
            return Unauthorized(message, remedy=f"Grant the app registration the permission {request.scope}.")
        case 404 | 410:
            return Gone(message, status=status)
        case 429:
            return Throttled(message, until=now + (wait or backoff(3, random=lambda: jitter)))
        case 503 if wait is not None and request.method == "GET":
            return Throttled(message, until=now + wait)
        case _ if status >= 500:  # noqa: PLR2004 - server error
            return UpstreamFailed(message, status=status)
        case _:
            return Rejected(message, status=status, remedy="AvePoint does not accept this request.")

"""Requests to AvePoint: each with a token, a place in the queue, a share of the budget, patience, and typed errors."""

import logging
import uuid
from codecs import BOM_UTF8
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from http import HTTPStatus
from urllib.parse import urlsplit

from opentelemetry.trace import SpanKind

from shared.avepoint.request import Request, Response
from shared.clock import Clock, Sleep
from shared.credentials.tokens import Tokens
from shared.errors import (
    AppError,
    BadResponse,
    Gone,
    Interrupted,
    Overloaded,
    Rejected,
    Retry,
    Throttled,
    TokenRefused,
    TokenUnavailable,
    Unauthorized,
    Unreachable,
    UnreadableResponse,
    UpstreamFailed,
)
from shared.http.client import REQUEST_ID
from shared.http.throttling import RetryDelay, Throttle, backoff, retry_after
from shared.telemetry.events import log_event
from shared.telemetry.redaction import bytes_without_values, excerpt, redacted_url
from shared.telemetry.spans import span
from shared.transport.budget import Budget, Caller

CALL_ATTEMPTS = 5

_OK = frozenset({200})
_NOT_THERE = "Run it again. If AvePoint still answers this, check the AVEPOINT_*_URL settings."
_CHECK_URLS = "Check the AVEPOINT_*_URL settings, and that no proxy answers instead of AvePoint."

log = logging.getLogger(__name__)

type SendRequest = Callable[[str, str, Mapping[str, str], bytes | None], Awaitable[Response]]
"""Sends method, URL, headers and body as one HTTP request and returns the response, whatever its status."""


@dataclass(frozen=True, slots=True)
class CallResult:
    """An accepted response, and what it took to get it: requests sent in vain, and time slept."""

    response: Response
    retries: int
    waited: timedelta


@dataclass(slots=True)
class _CallContext:
    """What one call of ``Transport.send`` is about, and what it has taken so far."""

    request: Request
    accept: frozenset[int]
    repeatable: bool
    caller: Caller
    retry_delay: RetryDelay
    sent: int = 0
    request_id: str = ""


@dataclass(frozen=True, slots=True)
class _Patience:
    """Until when a response asks to wait, and whether it says so itself."""

    until: datetime
    is_told: bool


@dataclass(frozen=True, slots=True)
class _Received:
    """One response, with what is needed to judge it; ``patience`` is set when it asks to wait."""

    response: Response
    request_id: str
    token: str
    patience: _Patience | None


class Transport:
    """Sends requests under the right token, within the budget, with patience and with typed errors."""

    def __init__(
        self,
        send: SendRequest,
        *,
        tokens: Tokens,
        throttle: Throttle,
        budget: Budget,
        clock: Clock,
        sleep: Sleep,
        random: Callable[[], float],
    ) -> None:
        self._send = send
        self._tokens = tokens
        self._throttle = throttle
        self._budget = budget
        self._clock = clock
        self._sleep = sleep
        self._random = random

    async def send(
        self,
        request: Request,
        *,
        accept: frozenset[int] = _OK,
        repeatable: bool = True,
        caller: Caller = "harvest",
    ) -> CallResult:
        """Send a request until it is answered with one of the statuses in ``accept``.

        What was certainly not executed (429, no connection, 401 with an old token) is always tried again; what may
        have been (5xx, a lost answer) only when ``repeatable``. It ends after ``CALL_ATTEMPTS``, or when
        ``LONGEST_SLEEP`` is used up, with the error of the last attempt.

        Args:
            caller: ``http`` when somebody waits in a flow: for them a share of the budget is reserved.

        Raises:
            Throttled: AvePoint, or the budget, wants a wait that is too long to be slept here.
            Unreachable, Interrupted, UpstreamFailed: It did not work.
            Gone, Unauthorized, Rejected, BadResponse, BrokenChain: Asking again will not help.
        """
        context = _CallContext(request, accept, repeatable, caller, RetryDelay(self._sleep))
        for attempt in range(1, CALL_ATTEMPTS):
            try:
                return await self._attempt(context)
            except (Throttled, Unreachable, Interrupted, UpstreamFailed) as error:
                await self._pause(context, attempt, error)
        return await self._attempt(context)

    async def _pause(
        self, context: _CallContext, attempt: int, error: Throttled | Unreachable | Interrupted | UpstreamFailed
    ) -> None:
        """Sleep before the next attempt; raises ``error`` when there should be none here and now."""
        if not context.repeatable and isinstance(error, Interrupted | UpstreamFailed):
            raise error
        wait = error.until - self._clock() if isinstance(error, Throttled) else backoff(attempt, random=self._random)
        log_event(
            log,
            "transport.waiting",
            request=context.request_id,
            attempt=attempt,
            seconds=wait.total_seconds(),
            reason=error,
        )
        await context.retry_delay.sleep(wait, error)

    async def _attempt(self, context: _CallContext) -> CallResult:
        """Ask, and once more with a new token if the old one is refused."""
        received = await self._send_once(context)
        if received.response.status == HTTPStatus.UNAUTHORIZED:
            self._tokens.forget(context.request.registration, context.request.scope, received.token)
            received = await self._send_once(context)
        if received.response.status not in context.accept or _is_markup(received.response.body):
            raise _error(context, received)
        return CallResult(received.response, context.sent - 1, context.retry_delay.waited)

    async def _send_once(self, context: _CallContext) -> _Received:
        request, origin = context.request, origin_of(context.request.url)
        context.request_id = request_id = str(uuid.uuid4())
        token = await self._token(request)
        headers = {"Authorization": f"Bearer {token}", REQUEST_ID: request_id}
        if request.body is not None:
            headers["Content-Type"] = "application/json"
        async with self._throttle.admitted(origin) as turn:
            await self._budget.consume(request.registration, origin, context.caller)
            context.sent += 1
            with span("avepoint.request", None, SpanKind.CLIENT, request=request_id) as current:
                response = await self._send(request.method, request.url, headers, request.body)
                if context.caller == "http":  # its answer is told to callers; a page of a harvest is kept as it came
                    response = replace(response, body=bytes_without_values(response.body))
                current.set_attributes(_http(request, response))
                _log_response(request, response)
        return _Received(response, request_id, token, await self._apply_pace(request, origin, turn, response))

    async def _token(self, request: Request) -> str:
        """Return a token for ``request``; while there is none, the request itself is not sent."""
        try:
            return await self._tokens.get(request.registration, request.scope)
        except (Retry, BadResponse) as error:
            what = f"{request.method} {redacted_url(request.url)}"
            raise TokenUnavailable(f"no token for {what}: {error}", remedy=error.remedy) from error

    async def _apply_pace(self, request: Request, origin: str, turn: int, response: Response) -> _Patience | None:
        """Ask faster or more slowly from now on, here and in all other instances.

        A 503 without a time is a failure like any other 5xx.
        """
        wait = retry_after(response.headers.get("retry-after"), self._clock())
        if response.status != 429 and (response.status != 503 or not wait):  # noqa: PLR2004 - the two that ask to wait
            self._throttle.served(origin, turn)
            return None
        until = self._throttle.refused(origin, turn, wait)
        await self._budget.postpone(request.registration, origin, until)
        return _Patience(until, is_told=bool(wait))


def origin_of(url: str) -> str:
    """Scheme, host and port of ``url``, in lower case."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.lower()}"


def _http(request: Request, response: Response) -> dict[str, str | int]:
    """Return what OpenTelemetry calls a request and its answer; the URL may hold a continuation token and stays out."""
    return {
        "http.request.method": request.method,
        "server.address": urlsplit(request.url).hostname or "",
        "http.response.status_code": response.status,
    }


def _log_response(request: Request, response: Response) -> None:
    log_event(
        log,
        "transport.answered",
        logging.DEBUG,
        registration=request.registration,
        method=request.method,
        url=redacted_url(request.url),
        status=response.status,
        bytes=len(response.body),
        avepoint_request=response.headers.get("request-id"),
    )


def _is_markup(body: bytes) -> bool:
    """Whether an answer is a page for people: no JSON begins with ``<``."""
    return body[:64].removeprefix(BOM_UTF8).lstrip().startswith(b"<")


def _error(context: _CallContext, received: _Received) -> AppError:
    """Return the error that an answer means."""
    request, status = context.request, received.response.status
    message = _message(request, received)
    match status:
        case _ if 200 <= status < 300 or status in context.accept:  # noqa: PLR2004 - success, but not as expected
            kind = UnreadableResponse if _is_markup(received.response.body) else BadResponse
            return kind(message, remedy=_CHECK_URLS)
        case 401:
            return TokenRefused(message, remedy="Check the app registration in AvePoint: its tokens are refused.")
        case 403:
            return Unauthorized(message, remedy=f"Grant the app registration the permission {request.scope}.")
        case 404 | 410:
            return Gone(message, status=status, remedy=_NOT_THERE)
        case 429 | 503 if received.patience is not None and (status == 429 or context.repeatable):  # noqa: PLR2004 - 429: never executed
            return (Throttled if received.patience.is_told else Overloaded)(message, until=received.patience.until)
        case _ if status >= 500 or status == HTTPStatus.REQUEST_TIMEOUT:  # noqa: PLR2004 - server error
            return UpstreamFailed(message, status=status)
        case _ if status < 400:  # noqa: PLR2004 - redirection
            return Rejected(
                message, status=status, remedy="Redirects are not followed: check the AVEPOINT_*_URL settings."
            )
        case _:
            return Rejected(message, status=status, remedy="AvePoint does not accept this request.")


def _message(request: Request, received: _Received) -> str:
    theirs = received.response.headers.get("request-id")
    ids = f"request {received.request_id}" + (f", AvePoint's {excerpt(theirs.encode(), length=100)}" if theirs else "")
    url = redacted_url(request.url)
    return (
        f"{request.method} {url} answered {received.response.status} ({ids}): {excerpt(received.response.body)}".rstrip(
            ": "
        )
    )

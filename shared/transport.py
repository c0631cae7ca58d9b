"""Requests to AvePoint: each with a token, a place in the queue, a share of the budget, patience, and typed errors."""

import logging
import uuid
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from http import HTTPStatus
from urllib.parse import urlsplit

from opentelemetry.trace import SpanKind

from shared.avepoint.request import Answer, Request
from shared.budget import Budget, Caller
from shared.clock import Clock, Sleep
from shared.errors import (
    AppError,
    BadAnswer,
    Gone,
    Interrupted,
    Rejected,
    Retry,
    Throttled,
    Unauthorized,
    Unreachable,
    UpstreamFailed,
)
from shared.events import log_event
from shared.redaction import excerpt, redacted_url
from shared.telemetry import span
from shared.throttling import Patience, Throttle, backoff, retry_after
from shared.tokens import Tokens
from shared.wire import REQUEST_ID

ATTEMPTS = 5

_OK = frozenset({200})
_ASKS_FOR_PATIENCE = frozenset({429, 503})
_NOT_THERE = "Run it again; if it is still not there, check the AVEPOINT_*_URL settings."
_CHECK_URLS = "Check the AVEPOINT_*_URL settings, and that no proxy answers instead of AvePoint."

log = logging.getLogger(__name__)

type Exchange = Callable[[str, str, Mapping[str, str], bytes | None], Awaitable[Answer]]
"""Sends method, URL, headers and body as one HTTP request and returns the answer, whatever its status."""


@dataclass(frozen=True, slots=True)
class Reply:
    """An accepted answer, and what it took to get it: requests sent in vain, and time slept."""

    answer: Answer
    retries: int
    waited: timedelta


@dataclass(slots=True)
class _Errand:
    """What one call of ``Transport.send`` is about, and what it has taken so far."""

    request: Request
    accept: frozenset[int]
    repeatable: bool
    caller: Caller
    patience: Patience
    sent: int = 0
    request_id: str = ""


@dataclass(frozen=True, slots=True)
class _Asked:
    """One answer, with what is needed to judge it; ``until`` is set when it asks for patience."""

    answer: Answer
    request_id: str
    token: str
    until: datetime | None


class Transport:
    """Sends requests under the right token, within the budget, with patience and with typed errors."""

    def __init__(
        self,
        exchange: Exchange,
        *,
        tokens: Tokens,
        throttle: Throttle,
        budget: Budget,
        clock: Clock,
        sleep: Sleep,
        random: Callable[[], float],
    ) -> None:
        self._exchange = exchange
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
    ) -> Reply:
        """Send a request until it is answered with one of the statuses in ``accept``.

        What was certainly not executed (429, no connection, 401 with an old token) is always tried again; what may
        have been (5xx, a lost answer) only when ``repeatable``. It ends after ``ATTEMPTS``, or when ``PATIENCE`` is
        used up, with the error of the last attempt.

        Args:
            caller: ``http`` when somebody waits in a flow: for them a share of the budget is reserved.

        Raises:
            Throttled: AvePoint, or the budget, wants a wait that is too long to be slept here.
            Unreachable, Interrupted, UpstreamFailed: It did not work.
            Gone, Unauthorized, Rejected, BadAnswer, BrokenChain: Asking again will not help.
        """
        errand = _Errand(request, accept, repeatable, caller, Patience(self._sleep))
        for attempt in range(1, ATTEMPTS):
            try:
                return await self._attempt(errand)
            except (Throttled, Unreachable, Interrupted, UpstreamFailed) as error:
                await self._rest(errand, attempt, error)
        return await self._attempt(errand)

    async def _rest(
        self, errand: _Errand, attempt: int, error: Throttled | Unreachable | Interrupted | UpstreamFailed
    ) -> None:
        """Sleep before the next attempt; raises ``error`` when there should be none here and now."""
        if not errand.repeatable and isinstance(error, Interrupted | UpstreamFailed):
            raise error
        wait = error.until - self._clock() if isinstance(error, Throttled) else backoff(attempt, random=self._random)
        log_event(
            log,
            "transport.resting",
            request=errand.request_id,
            attempt=attempt,
            seconds=wait.total_seconds(),
            reason=error,
        )
        await errand.patience.rest(wait, error)

    async def _attempt(self, errand: _Errand) -> Reply:
        """Ask, and once more with a new token if the old one is refused."""
        asked = await self._ask(errand)
        if asked.answer.status == HTTPStatus.UNAUTHORIZED:
            self._tokens.forget(errand.request.registration, errand.request.scope, asked.token)
            asked = await self._ask(errand)
        if asked.answer.status not in errand.accept or _is_markup(asked.answer.body):
            raise _decipher(errand, asked)
        return Reply(asked.answer, errand.sent - 1, errand.patience.waited)

    async def _ask(self, errand: _Errand) -> _Asked:
        request, origin = errand.request, origin_of(errand.request.url)
        errand.request_id = request_id = str(uuid.uuid4())
        token = await self._token(request)
        headers = {"Authorization": f"Bearer {token}", REQUEST_ID: request_id}
        if request.body is not None:
            headers["Content-Type"] = "application/json"
        async with self._throttle.admitted(origin) as turn:
            await self._budget.spend(request.registration, origin, errand.caller)
            errand.sent += 1
            with span("avepoint.request", None, SpanKind.CLIENT, request=request_id) as current:
                answer = await self._exchange(request.method, request.url, headers, request.body)
                current.set_attributes(_http(request, answer))
                _log_answer(request, answer)
        return _Asked(answer, request_id, token, await self._heed(request, origin, turn, answer))

    async def _token(self, request: Request) -> str:
        """A token for ``request``; while there is none, the request itself is not sent."""
        try:
            return await self._tokens.get(request.registration, request.scope)
        except (Retry, BadAnswer) as error:
            what = f"{request.method} {redacted_url(request.url)}"
            raise Unreachable(f"no token for {what}: {error}", remedy=error.remedy) from error

    async def _heed(self, request: Request, origin: str, turn: int, answer: Answer) -> datetime | None:
        """Ask faster or more slowly from now on, here and in all other instances."""
        if answer.status not in _ASKS_FOR_PATIENCE:
            self._throttle.served(origin, turn)
            return None
        wait = retry_after(answer.headers.get("retry-after"), self._clock())
        until = self._throttle.refused(origin, turn, wait)
        await self._budget.postpone(request.registration, origin, until)
        return until


def origin_of(url: str) -> str:
    """Scheme, host and port of ``url``, in lower case."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.lower()}"


def _http(request: Request, answer: Answer) -> dict[str, str | int]:
    """What OpenTelemetry calls a request and its answer; the URL stays out, it may end in a continuation token."""
    return {
        "http.request.method": request.method,
        "server.address": urlsplit(request.url).hostname or "",
        "http.response.status_code": answer.status,
    }


def _log_answer(request: Request, answer: Answer) -> None:
    log_event(
        log,
        "transport.answered",
        logging.DEBUG,
        registration=request.registration,
        method=request.method,
        url=redacted_url(request.url),
        status=answer.status,
        bytes=len(answer.body),
        avepoint_request=answer.headers.get("request-id"),
    )


def _is_markup(body: bytes) -> bool:
    """Whether an answer is a page for people: no JSON begins with ``<``."""
    return body[:64].removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"<")


def _decipher(errand: _Errand, asked: _Asked) -> AppError:
    """The error that an answer means."""
    request, status = errand.request, asked.answer.status
    message = _message(request, asked)
    match status:
        case _ if 200 <= status < 300 or status in errand.accept:  # noqa: PLR2004 - success, but not as expected
            return BadAnswer(message, remedy=_CHECK_URLS)
        case 401:
            return Unauthorized(message, remedy="Check the app registration in AvePoint: its tokens are refused.")
        case 403:
            return Unauthorized(message, remedy=f"Grant the app registration the permission {request.scope}.")
        case 404 | 410:
            return Gone(message, status=status, remedy=_NOT_THERE)
        case 429 | 503 if asked.until is not None and (status == 429 or errand.repeatable):  # noqa: PLR2004 - 429: never executed
            return Throttled(message, until=asked.until)
        case _ if status >= 500 or status == HTTPStatus.REQUEST_TIMEOUT:  # noqa: PLR2004 - server error
            return UpstreamFailed(message, status=status)
        case _ if status < 400:  # noqa: PLR2004 - redirection
            return Rejected(
                message, status=status, remedy="Redirects are not followed: check the AVEPOINT_*_URL settings."
            )
        case _:
            return Rejected(message, status=status, remedy="AvePoint does not accept this request.")


def _message(request: Request, asked: _Asked) -> str:
    theirs = asked.answer.headers.get("request-id")
    ids = f"request {asked.request_id}" + (f", AvePoint's {theirs}" if theirs else "")
    url = redacted_url(request.url)
    return f"{request.method} {url} answered {asked.answer.status} ({ids}): {excerpt(asked.answer.body)}".rstrip(": ")

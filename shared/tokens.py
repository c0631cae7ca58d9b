"""Access tokens of AvePoint's identity service: one per registration and scope, cached, asked for once.

The lifetime is counted from the answer by our own clock, so the clocks need not agree. There are no refresh tokens:
a new one is asked for (AvePoint/cloud-api, ``docs/docs/register-app.md``).
"""

import asyncio
import json
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from pydantic import BaseModel, ValidationError

from shared.avepoint.platform import Registration
from shared.avepoint.request import Answer
from shared.clock import Clock
from shared.errors import BadAnswer, Throttled, Unauthorized, UpstreamFailed
from shared.redaction import excerpt
from shared.throttling import retry_after

type PostForm = Callable[[str, Mapping[str, str]], Awaitable[Answer]]
"""Posts a form to a URL."""

type Proof = Callable[[Registration], Awaitable[Mapping[str, str]]]
"""The form fields that prove who we are: ``client_id`` and ``client_secret``, or a client assertion."""

_DEFAULT_PAUSE = timedelta(seconds=10)
_EARLIEST_REFRESH = timedelta(minutes=5)
_EARLY = 0.2


class _Grant(BaseModel):
    access_token: str
    expires_in: float


@dataclass(frozen=True, slots=True)
class _Token:
    value: str
    refresh_at: datetime


class Tokens:
    """A cache of access tokens.

    Args:
        identity_url: Origin of the identity service; ``/connect/token`` is added.
        random: Gives 0 to 1; spreads the refreshes of several instances.
    """

    def __init__(
        self, identity_url: str, *, proof: Proof, post: PostForm, clock: Clock, random: Callable[[], float]
    ) -> None:
        self._url = f"{identity_url}/connect/token"
        self._proof = proof
        self._post = post
        self._clock = clock
        self._random = random
        self._tokens: dict[tuple[Registration, str], _Token] = {}
        self._locks: defaultdict[tuple[Registration, str], asyncio.Lock] = defaultdict(asyncio.Lock)

    async def get(self, registration: Registration, scope: str) -> str:
        """A token that is good for ``scope``.

        Raises:
            Unauthorized: The identity service refuses the registration or the scope.
            Throttled, UpstreamFailed, BadAnswer: It does not answer as it should.
        """
        key = (registration, scope)
        async with self._locks[key]:
            token = self._tokens.get(key)
            if token is None or self._clock() >= token.refresh_at:
                token = self._tokens[key] = await self._ask(registration, scope)
            return token.value

    def forget(self, registration: Registration, scope: str, value: str) -> None:
        """AvePoint refused ``value``: ask anew, unless somebody already did."""
        token = self._tokens.get((registration, scope))
        if token is not None and token.value == value:
            del self._tokens[registration, scope]

    async def _ask(self, registration: Registration, scope: str) -> _Token:
        form = {"grant_type": "client_credentials", "scope": scope, **await self._proof(registration)}
        answer = await self._post(self._url, form)
        grant = read_grant(answer, scope=scope, now=self._clock())
        lifetime = timedelta(seconds=grant.expires_in)
        margin = min(_EARLIEST_REFRESH, lifetime * _EARLY) * (0.5 + 0.5 * self._random())
        return _Token(grant.access_token, self._clock() + lifetime - margin)


def read_grant(answer: Answer, *, scope: str, now: datetime) -> _Grant:
    """The token in an answer of the identity service, or the error that says what the administrator can do.

    The service's error body is not documented; the codes are those of RFC 6749, section 5.2.
    """
    if answer.status == 429:  # noqa: PLR2004 - too many requests
        wait = retry_after(answer.headers.get("retry-after"), now) or _DEFAULT_PAUSE
        raise Throttled("the identity service asks for patience", until=now + wait)
    if answer.status >= 500:  # noqa: PLR2004 - server error
        raise UpstreamFailed(f"the identity service answered {answer.status}", status=answer.status)
    if answer.status >= 400:  # noqa: PLR2004 - refused
        raise _refusal(answer, scope)
    try:
        return _Grant.model_validate_json(answer.body)
    except ValidationError:
        raise BadAnswer(
            f"the identity service answered {answer.status} without a token",
            remedy="Check AVEPOINT_IDENTITY_URL, and that no proxy answers in its place.",
        ) from None


def _refusal(answer: Answer, scope: str) -> Unauthorized:
    try:
        code = str(json.loads(answer.body)["error"])
    except (ValueError, LookupError, TypeError):
        code = excerpt(answer.body) or str(answer.status)
    if code == "invalid_client":
        remedy = "Check AVEPOINT_CLIENT_ID, and that the secret or certificate is the one of that app registration."
    elif code == "invalid_scope":
        remedy = f"Grant the app registration the permission {scope} in AvePoint."
    else:
        remedy = "Check the app registration in AvePoint."
    return Unauthorized(f"the identity service refuses a token for {scope}: {code}", remedy=remedy)

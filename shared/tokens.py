"""Access tokens of AvePoint's identity service: one per registration and scope, kept, and asked for once.

The lifetime is counted by our own clock from before the question, so the clocks need not agree. There are no refresh
tokens: a new one is asked for (AvePoint/cloud-api, ``docs/docs/register-app.md``). A scope is asked for as the
catalogue spells it.
"""

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Annotated, Protocol

from pydantic import BaseModel, Field, ValidationError

from shared.avepoint.platform import Registration
from shared.avepoint.request import Answer
from shared.clock import Clock, rfc3339
from shared.errors import BadAnswer, Interrupted, Throttled, Unauthorized, UpstreamFailed
from shared.redaction import excerpt
from shared.refreshing import Failure, Held, Refreshing
from shared.secrets import Secret
from shared.throttling import retry_after

type PostForm = Callable[[str, Mapping[str, str]], Awaitable[Answer]]
"""Posts a form to a URL."""

type Key = tuple[Registration, str]
"""A registration and a scope: what a token is for."""

_DEFAULT_PAUSE = timedelta(seconds=10)
_LONGEST_LIFETIME = timedelta(days=1)
_RENEWED_BEFORE = timedelta(minutes=5)
_LEEWAY = timedelta(seconds=30)
_NOT_THE_SERVICE = "Check AVEPOINT_IDENTITY_URL, and that no proxy or firewall answers in its place."


@dataclass(frozen=True, slots=True)
class Proof:
    """What proves who we are, for one request.

    Attributes:
        fields: Form fields: ``client_id`` with ``client_secret``, or with a client assertion.
        name: What it was made of, for whoever has to mend it.
        source: The secret it was made of, where it is one of the vault.
    """

    fields: Mapping[str, str] = field(repr=False)
    name: str
    source: Secret | None


class Proofs(Protocol):
    """Where proofs come from."""

    async def proof(self, registration: Registration) -> Proof:
        """A fresh proof."""
        ...

    async def another(self, registration: Registration, refused: Proof) -> Proof | None:
        """A proof made of something newer than the refused one; ``None`` where there is nothing newer."""
        ...


class Grant(BaseModel):
    """What the identity service grants; the lifetime is in seconds."""

    access_token: Annotated[str, Field(pattern=r"^[\x21-\x7e]+$", repr=False)]
    expires_in: Annotated[float, Field(gt=0, allow_inf_nan=False)]


class ClientRefused(Unauthorized):
    """The identity service does not accept our proof (``invalid_client``)."""


def token_url(identity_url: str) -> str:
    """The token endpoint of an identity service, which is the audience of client assertions too."""
    return f"{identity_url}/connect/token"


class Tokens:
    """A cache of access tokens.

    A token is renewed in the background up to five minutes before its end; the old one is served meanwhile.

    Args:
        identity_url: Origin of the identity service.
        random: Gives 0 to 1; spreads the renewals of several instances.
    """

    def __init__(
        self, identity_url: str, *, proofs: Proofs, post: PostForm, clock: Clock, random: Callable[[], float]
    ) -> None:
        self._url = token_url(identity_url)
        self._proofs = proofs
        self._post = post
        self._clock = clock
        self._random = random
        self._cache = Refreshing(self._ask, clock=clock)
        self._not_before = datetime.min.replace(tzinfo=UTC)

    async def get(self, registration: Registration, scope: str) -> str:
        """A token that is good for ``scope``.

        Raises:
            Unauthorized: The identity service refuses the registration or the scope.
            Throttled, UpstreamFailed, Unreachable, Interrupted, BadAnswer: It does not answer as it should.
            Misconfigured, VaultUnavailable: There is no proof to show it.
        """
        return await self._cache.get((registration, scope))

    def forget(self, registration: Registration, scope: str, value: str) -> None:
        """AvePoint refused ``value``: ask anew, unless somebody already did."""
        self._cache.forget((registration, scope), value)

    def retry_failed(self, *, older_than: timedelta) -> None:
        """Ask again, in the background, for whatever failed that long ago."""
        self._cache.retry_failed(older_than=older_than)

    def good_until(self) -> Mapping[Key, datetime]:
        """How long each token is good, or was."""
        return {key: held.good_until for key, held in self._cache.held.items()}

    @property
    def failures(self) -> Mapping[Key, Failure]:
        """The tokens that could not be had, or not be renewed, the last time."""
        return self._cache.failures

    async def close(self) -> None:
        """End the requests under way."""
        await self._cache.close()

    async def _ask(self, key: Key) -> Held[str]:
        registration, scope = key
        proof = await self._proofs.proof(registration)
        try:
            return await self._request(proof, scope)
        except ClientRefused:
            newer = await self._proofs.another(registration, proof)
            if newer is None:
                raise
        return await self._request(newer, scope)

    async def _request(self, proof: Proof, scope: str) -> Held[str]:
        asked_at = self._clock()
        if asked_at < self._not_before:
            raise _throttled(self._not_before)
        answer = await self._post(self._url, {"grant_type": "client_credentials", "scope": scope, **proof.fields})
        try:
            grant = read_grant(answer, scope=scope, proof=proof.name, now=self._clock())
        except Throttled as error:
            self._not_before = max(self._not_before, error.until)
            raise
        return kept(grant, asked_at=asked_at, random=self._random)


def kept(grant: Grant, *, asked_at: datetime, random: Callable[[], float]) -> Held[str]:
    """How long to use a token: renewed in the last fifth of its life (five minutes at most), with jitter."""
    lifetime = timedelta(seconds=min(grant.expires_in, _LONGEST_LIFETIME.total_seconds()))
    early = min(_RENEWED_BEFORE, lifetime / 5) * (0.5 + 0.5 * random())
    end = asked_at + lifetime
    return Held(grant.access_token, renew_at=end - early, good_until=end - min(_LEEWAY, lifetime / 20))


def read_grant(answer: Answer, *, scope: str, proof: str, now: datetime) -> Grant:
    """The token in an answer of the identity service, or the error that says what the administrator can do.

    The service's error body is not documented; the codes are those of RFC 6749, section 5.2.

    Args:
        proof: What the proof was made of, for the error.
    """
    status = answer.status
    wait = retry_after(answer.headers.get("retry-after"), now)
    if status == 429 or (status == 503 and wait is not None):  # noqa: PLR2004 - asks for patience
        raise _throttled(now + (_DEFAULT_PAUSE if wait is None else wait))
    if status >= 500 or status == 408:  # noqa: PLR2004 - server error, timeout
        raise UpstreamFailed(f"the identity service answered {status}", status=status)
    if _is_markup(answer):
        raise BadAnswer(f"a web page answered {status} for the identity service", remedy=_NOT_THE_SERVICE)
    if status >= 400:  # noqa: PLR2004 - refused
        raise _refusal(answer, scope, proof)
    try:
        return Grant.model_validate_json(answer.body)
    except ValidationError as error:
        if answer.body.lstrip().startswith(b"{") and error.errors()[0]["type"] == "json_invalid":
            raise Interrupted("the answer of the identity service breaks off") from None
        raise BadAnswer(f"the identity service answered {status} without a token", remedy=_NOT_THE_SERVICE) from None


def _throttled(until: datetime) -> Throttled:
    return Throttled(f"the identity service asks for patience until {rfc3339(until)}", until=until)


def _is_markup(answer: Answer) -> bool:
    return "html" in answer.headers.get("content-type", "") or answer.body.lstrip().startswith(b"<")


def _refusal(answer: Answer, scope: str, proof: str) -> Unauthorized | UpstreamFailed:
    message = f"the identity service refuses a token for {scope}: {excerpt(answer.body) or answer.status}"
    match _error_code(answer.body):
        case "invalid_client":
            remedy = f"Check that the client id and {proof} belong to the same app registration, and are not expired."
            return ClientRefused(message, remedy=remedy)
        case "invalid_scope":
            return Unauthorized(message, remedy=f"Grant the app registration the permission {scope} in AvePoint.")
        case "temporarily_unavailable" | "server_error":
            return UpstreamFailed(message, status=answer.status)
        case _:
            return Unauthorized(message, remedy="Check the app registration in AvePoint.")


def _error_code(body: bytes) -> object:
    """The code of an OAuth error, or ``None`` where the body is none."""
    try:
        return json.loads(body)["error"]
    except (ValueError, LookupError, TypeError, RecursionError):
        return None

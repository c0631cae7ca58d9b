"""Access tokens of AvePoint's identity service: one per registration and scope, kept, and asked for once.

The lifetime is counted by our own clock from before the question, so the clocks need not agree. There are no refresh
tokens: a new one is asked for (AvePoint/cloud-api, ``docs/docs/register-app.md``). A scope is asked for as the
catalogue spells it.
"""

import json
from codecs import BOM_UTF8
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Annotated, Protocol

from pydantic import BaseModel, Field, ValidationError

from shared.avepoint.platform import Registration
from shared.avepoint.request import Response
from shared.clock import Clock, rfc3339
from shared.credentials.cache import CachedValue, Failure, RefreshingCache
from shared.credentials.secrets import Secret
from shared.errors import BadResponse, Interrupted, Throttled, Unauthorized, UpstreamFailed
from shared.http.throttling import retry_after
from shared.telemetry.redaction import excerpt, register_secrets

type PostForm = Callable[[str, Mapping[str, str]], Awaitable[Response]]
"""Posts a form to a URL."""

type Key = tuple[Registration, str]
"""A registration and a scope: what a token is for."""

_DEFAULT_PAUSE = timedelta(seconds=10)
_LONGEST_LIFETIME = timedelta(days=1)
_RENEWED_BEFORE = timedelta(minutes=5)
_LEEWAY = timedelta(seconds=30)
_NOT_THE_SERVICE = "Check AVEPOINT_IDENTITY_URL, and that no proxy or firewall answers instead of it."


@dataclass(frozen=True, slots=True)
class ClientCredential:
    """What shows AvePoint who the app is, for one request.

    Attributes:
        fields: Form fields: ``client_id`` with ``client_secret``, or with a client assertion.
        name: What it was made of, for the person who has to repair it.
        source: The secret it was made of, where it is one of the vault.
    """

    fields: Mapping[str, str] = field(repr=False)
    name: str
    source: Secret | None


class CredentialSource(Protocol):
    """Where client credentials come from."""

    async def get(self, registration: Registration) -> ClientCredential:
        """Return a fresh client credential."""
        ...

    async def refreshed(self, registration: Registration, refused: ClientCredential) -> ClientCredential | None:
        """Return a credential made of something newer than the refused one; ``None`` where there is nothing newer."""
        ...


class TokenGrant(BaseModel):
    """What the identity service grants; the lifetime is in seconds."""

    access_token: Annotated[str, Field(pattern=r"^[\x21-\x7e]+$", repr=False)]
    expires_in: Annotated[float, Field(gt=0, allow_inf_nan=False)]


class ClientRefused(Unauthorized):
    """The identity service does not accept the client credential (``invalid_client``)."""


def token_url(identity_url: str) -> str:
    """Return the token endpoint of an identity service, which is the audience of client assertions too."""
    return f"{identity_url}/connect/token"


class Tokens:
    """A cache of access tokens.

    A token is renewed in the background up to five minutes before its end; the old one is served meanwhile.

    Args:
        identity_url: Origin of the identity service.
        random: Gives 0 to 1; spreads the renewals of several instances.
    """

    def __init__(
        self,
        identity_url: str,
        *,
        credentials: CredentialSource,
        post: PostForm,
        clock: Clock,
        random: Callable[[], float],
    ) -> None:
        self._url = token_url(identity_url)
        self._credentials = credentials
        self._post = post
        self._clock = clock
        self._random = random
        self._cache = RefreshingCache(self._fetch, clock=clock)
        self._not_before = datetime.min.replace(tzinfo=UTC)

    async def get(self, registration: Registration, scope: str) -> str:
        """Return a token that is good for ``scope``.

        Raises:
            Unauthorized: The identity service refuses the registration or the scope.
            Throttled, UpstreamFailed, Unreachable, Interrupted, BadResponse: It does not answer as it should.
            Misconfigured, VaultUnavailable: There is no client credential to send.
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
        return {key: cached.good_until for key, cached in self._cache.cached.items()}

    @property
    def failures(self) -> Mapping[Key, Failure]:
        """The tokens that could not be had, or not be renewed, the last time."""
        return self._cache.failures

    async def close(self) -> None:
        """End the requests under way."""
        await self._cache.close()

    async def _fetch(self, key: Key) -> CachedValue[str]:
        registration, scope = key
        credential = await self._credentials.get(registration)
        try:
            return await self._request(credential, scope)
        except ClientRefused:
            newer = await self._credentials.refreshed(registration, credential)
            if newer is None:
                raise
        return await self._request(newer, scope)

    async def _request(self, credential: ClientCredential, scope: str) -> CachedValue[str]:
        register_secrets(credential.fields.get("client_secret"), credential.fields.get("client_assertion"))
        requested_at = self._clock()
        if requested_at < self._not_before:
            raise _throttled(self._not_before)
        response = await self._post(
            self._url, {"grant_type": "client_credentials", "scope": scope, **credential.fields}
        )
        try:
            grant = read_grant(response, scope=scope, credential=credential.name, now=self._clock())
        except Throttled as error:
            self._not_before = max(self._not_before, error.until)
            raise
        register_secrets(grant.access_token)
        return cached_token(grant, requested_at=requested_at, random=self._random)


def cached_token(grant: TokenGrant, *, requested_at: datetime, random: Callable[[], float]) -> CachedValue[str]:
    """How long to use a token: renewed in the last fifth of its life (five minutes at most), with jitter."""
    lifetime = timedelta(seconds=min(grant.expires_in, _LONGEST_LIFETIME.total_seconds()))
    early = min(_RENEWED_BEFORE, lifetime / 5) * (0.5 + 0.5 * random())
    end = requested_at + lifetime
    return CachedValue(grant.access_token, renew_at=end - early, good_until=end - min(_LEEWAY, lifetime / 20))


def read_grant(response: Response, *, scope: str, credential: str, now: datetime) -> TokenGrant:
    """Return the token in an answer of the identity service, or the error that says what the administrator can do.

    The service's error body is not documented; the codes are those of RFC 6749, section 5.2.

    Args:
        credential: What the client credential was made of, for the error.
    """
    status = response.status
    wait = retry_after(response.headers.get("retry-after"), now)
    if status == 429 or (status == 503 and wait is not None):  # noqa: PLR2004 - asks for patience
        raise _throttled(now + (_DEFAULT_PAUSE if wait is None else wait))
    if status >= 500 or status == 408:  # noqa: PLR2004 - server error, timeout
        raise UpstreamFailed(f"the identity service answered {status}", status=status)
    if _is_markup(response):
        raise BadResponse(f"a web page answered {status} for the identity service", remedy=_NOT_THE_SERVICE)
    if status >= 400 or _error_code(response.body):  # noqa: PLR2004 - refused, or says so inside a 200
        raise _refusal(response, scope, credential)
    try:
        return TokenGrant.model_validate_json(response.body.removeprefix(BOM_UTF8))
    except ValidationError as error:
        if response.body.lstrip().startswith(b"{") and error.errors()[0]["type"] == "json_invalid":
            raise Interrupted("the answer of the identity service breaks off") from None
        raise BadResponse(f"the identity service answered {status} without a token", remedy=_NOT_THE_SERVICE) from None


def _throttled(until: datetime) -> Throttled:
    return Throttled(f"the identity service accepts no request before {rfc3339(until)}", until=until)


def _is_markup(response: Response) -> bool:
    return "html" in response.headers.get("content-type", "") or response.body.lstrip().startswith(b"<")


def _refusal(response: Response, scope: str, credential: str) -> Unauthorized | UpstreamFailed:
    message = f"the identity service refuses a token for {scope}: {excerpt(response.body) or response.status}"
    match _error_code(response.body):
        case "invalid_client":
            remedy = (
                f"Check that the client id and {credential} belong to the same app registration, and are not expired."
            )
            return ClientRefused(message, remedy=remedy)
        case "invalid_scope":
            return Unauthorized(message, remedy=f"Grant the app registration the permission {scope} in AvePoint.")
        case "temporarily_unavailable" | "server_error":
            return UpstreamFailed(message, status=response.status)
        case _:
            return Unauthorized(message, remedy="Check the app registration in AvePoint.")


def _error_code(body: bytes) -> object:
    """Return the code of an OAuth error, or ``None`` where the body is none."""
    try:
        return json.loads(body)["error"]
    except (ValueError, LookupError, TypeError, RecursionError):
        return None

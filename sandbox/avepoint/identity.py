import secrets
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from http import HTTPStatus

from starlette.requests import Request

from sandbox.avepoint.assertions import Assertions
from sandbox.avepoint.catalog import scopes
from sandbox.avepoint.wire import RefusedError


@dataclass(frozen=True, slots=True)
class Credentials:
    client_id: str
    client_secret: str


@dataclass(frozen=True, slots=True)
class _Grant:
    scopes: frozenset[str]
    expires: float


class Identity:
    """Issues opaque bearer tokens for client credentials and knows what each is good for.

    Without `credentials` any client id with any secret is let in; a client assertion is good for the clients of
    `assertions` alone. `clock` gives epoch seconds.
    """

    def __init__(self, credentials: Credentials | None, clock: Callable[[], float]) -> None:
        self.credentials = credentials
        self.assertions = Assertions(clock)
        self._clock = clock
        self._grants: dict[str, _Grant] = {}

    def issue(self, form: Mapping[str, str], lifetime: float, *, audience: str) -> dict[str, object]:
        """Return the token answer for a token request; raise `RefusedError` (400) with the OAuth error code.

        A client assertion has to be meant for `audience`, the URL of the token endpoint.
        """
        if form.get("grant_type") != "client_credentials":
            raise RefusedError(HTTPStatus.BAD_REQUEST, "unsupported_grant_type")
        if "client_assertion" in form:
            self.assertions.verify(form, audience=audience)
        else:
            self._authenticate(form)
        granted = _known_scopes(form.get("scope", ""))
        token = secrets.token_urlsafe(48)
        self._forget_expired()
        self._grants[token] = _Grant(frozenset(scope.lower() for scope in granted), self._clock() + lifetime)
        return {
            "access_token": token,
            "expires_in": int(lifetime),
            "token_type": "Bearer",
            "scope": " ".join(granted),
        }

    def require(self, request: Request, any_of: Iterable[str]) -> None:
        """Raise `RefusedError`: 401 without a token that is good now, 403 with one for other scopes."""
        kind, _, token = request.headers.get("authorization", "").partition(" ")
        grant = self._grants.get(token) if kind.lower() == "bearer" else None
        if grant is None or grant.expires <= self._clock():
            raise RefusedError(HTTPStatus.UNAUTHORIZED, "The access token is missing, unknown or expired.")
        if grant.scopes.isdisjoint(scope.lower() for scope in any_of):
            raise RefusedError(HTTPStatus.FORBIDDEN, "The access token was not issued for this scope.")

    def revoke(self) -> None:
        """Let no token that was issued so far be good any more."""
        self._grants.clear()

    def _authenticate(self, form: Mapping[str, str]) -> None:
        given = Credentials(form.get("client_id", ""), form.get("client_secret", ""))
        if not (given.client_id and given.client_secret) or self.credentials not in (None, given):
            raise RefusedError(HTTPStatus.BAD_REQUEST, "invalid_client")

    def _forget_expired(self) -> None:
        now = self._clock()
        self._grants = {token: grant for token, grant in self._grants.items() if grant.expires > now}


def _known_scopes(text: str) -> list[str]:
    asked = text.split()
    if not asked or any(scope.lower() not in scopes() for scope in asked):
        raise RefusedError(HTTPStatus.BAD_REQUEST, "invalid_scope")
    return asked

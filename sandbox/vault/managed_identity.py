import secrets
from collections.abc import Callable
from http import HTTPStatus

from starlette.requests import Request

from sandbox.vault.faults import Fault, RefusedError

API_VERSION = "2019-08-01"


class ManagedIdentity:
    """The identity endpoint of App Service and Azure Functions, for the vault alone.

    `clock` gives epoch seconds. Without `client_id` the identity is the system-assigned one; with it, it is the
    user-assigned one of that id, and no other.
    """

    def __init__(self, resource: str, clock: Callable[[], float], *, client_id: str | None = None) -> None:
        self.header = secrets.token_urlsafe(24)
        self.fault = Fault()
        self.requests = 0
        self.client_id = client_id
        self._resource = resource
        self._clock = clock
        self._tokens: dict[str, float] = {}

    def reset(self) -> None:
        """Know no token, as if it had just been started; whose identity it is stays."""
        self.fault.recover()
        self.requests = 0
        self._tokens.clear()

    def issue(self, request: Request, lifetime: float) -> dict[str, str]:
        """Return the token answer; raise `RefusedError` like the endpoint."""
        self.requests += 1
        self.fault.strike()
        query = request.query_params
        if not secrets.compare_digest(request.headers.get("x-identity-header", ""), self.header):
            raise _refused(HTTPStatus.UNAUTHORIZED, "The identity header is missing or wrong.")
        if query.get("api-version") != API_VERSION or query.get("resource") != self._resource:
            raise _refused(HTTPStatus.BAD_REQUEST, "The API version or the resource is not known.")
        if query.get("client_id") != self.client_id:
            raise _refused(HTTPStatus.BAD_REQUEST, "No managed identity was found for the client id.")
        token = secrets.token_urlsafe(48)
        self._tokens[token] = self._clock() + lifetime
        expires = str(int(self._tokens[token]))
        return {"access_token": token, "expires_on": expires, "resource": self._resource, "token_type": "Bearer"}

    def accepts(self, authorization: str) -> bool:
        """Whether a header `Authorization` carries a token of this identity that is good now."""
        kind, _, token = authorization.partition(" ")
        return kind.lower() == "bearer" and self._tokens.get(token, 0) > self._clock()

    def revoke(self) -> None:
        """Let no token that was issued so far be good any more."""
        self._tokens.clear()


def _refused(status: int, message: str) -> RefusedError:
    return RefusedError(status, {"statusCode": int(status), "message": message})

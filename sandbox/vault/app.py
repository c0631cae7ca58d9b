from collections.abc import Awaitable, Callable
from http import HTTPStatus

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox.vault.faults import RefusedError
from sandbox.vault.keyvault import KeyVault
from sandbox.vault.managed_identity import ManagedIdentity

RESOURCE = "https://vault.azure.net"
IDENTITY_PATH = "/msi/token"
_CHALLENGE = f'Bearer authorization="https://login.microsoftonline.com/sandbox", resource="{RESOURCE}"'


def create_app(keyvault: KeyVault, identity: ManagedIdentity, *, token_seconds: float) -> Starlette:
    """Return vault and identity endpoint as one ASGI application on one origin."""

    async def secret(request: Request) -> Response:
        if not identity.accepts(request.headers.get("authorization", "")):
            raise _challenge()
        if not request.query_params.get("api-version"):
            raise RefusedError(HTTPStatus.BAD_REQUEST, {"error": {"code": "BadParameter", "message": "api-version"}})
        url = f"{request.url.scheme}://{request.url.netloc}"
        path = request.path_params
        return JSONResponse(keyvault.read(path["name"], path.get("version", ""), url=url))

    async def token(request: Request) -> Response:
        return JSONResponse(identity.issue(request, token_seconds))

    return Starlette(
        routes=[
            Route("/secrets/{name}/{version}", _refusing(secret)),
            Route("/secrets/{name}/", _refusing(secret)),
            Route("/secrets/{name}", _refusing(secret)),
            Route(IDENTITY_PATH, _refusing(token)),
        ]
    )


def _refusing(handler: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
    async def answer(request: Request) -> Response:
        try:
            return await handler(request)
        except RefusedError as refusal:
            return refusal.response()

    return answer


def _challenge() -> RefusedError:
    body = {"error": {"code": "Unauthorized", "message": "Request is missing a Bearer or PoP token."}}
    return RefusedError(HTTPStatus.UNAUTHORIZED, body, {"WWW-Authenticate": _CHALLENGE})

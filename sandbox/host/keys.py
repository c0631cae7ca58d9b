"""The function key, the only one that the local host knows: it opens functions and the admin routes alike."""

import secrets
from collections.abc import Mapping
from typing import Final

from starlette.requests import Request

KEY_SETTING: Final = "SANDBOX_FUNCTION_KEY"


def function_key(environ: Mapping[str, str]) -> str:
    """The key that the environment gives, else a random one."""
    return environ.get(KEY_SETTING) or secrets.token_urlsafe(32)


def authorized(request: Request, key: str) -> bool:
    """Whether the request carries the key in ``x-functions-key`` or ``code``; takes the same time for any wrong one."""
    given = request.headers.get("x-functions-key") or request.query_params.get("code", "")
    return secrets.compare_digest(given.encode(), key.encode())

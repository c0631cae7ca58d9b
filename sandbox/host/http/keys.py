"""The keys that the local host knows: one that is host key and master key in one, and those of single functions."""

import json
import secrets
from collections.abc import Mapping
from typing import Final

from starlette.requests import Request

from sandbox.host.http.urls import query_values

KEY_SETTING: Final = "SANDBOX_FUNCTION_KEY"
OWN_KEYS_SETTING: Final = "SANDBOX_FUNCTION_KEYS"


def function_key(environ: Mapping[str, str]) -> str:
    """Return the key that the environment gives, else a random one."""
    return environ.get(KEY_SETTING) or secrets.token_urlsafe(32)


def own_keys(environ: Mapping[str, str]) -> Mapping[str, str]:
    """Return the key of each function that has one of its own, by its name."""
    keys: dict[str, str] = json.loads(environ.get(OWN_KEYS_SETTING) or "{}")
    return keys


def authorized(request: Request, *keys: str) -> bool:
    """Return whether ``x-functions-key``, even an empty one, else ``code``, is a key; any wrong one takes as long."""
    given = request.headers.get("x-functions-key")
    if given is None:
        query = query_values(request.scope["query_string"].decode("ascii"))
        given = next((value for name, value in query.items() if name.lower() == "code"), "")
    return True in [secrets.compare_digest(given.encode(), key.encode()) for key in keys]

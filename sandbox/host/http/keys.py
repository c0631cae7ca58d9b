"""The keys that the local host knows: one that is host key and master key in one, and those of single functions."""

import secrets
from collections.abc import Mapping
from typing import Annotated, Final

from pydantic import StringConstraints, TypeAdapter, ValidationError
from starlette.requests import Request

from sandbox.host.errors import StartError
from sandbox.host.http.urls import query_values

KEY_SETTING: Final = "SANDBOX_FUNCTION_KEY"
OWN_KEYS_SETTING: Final = "SANDBOX_FUNCTION_KEYS"
_KEYS: Final = TypeAdapter(dict[str, Annotated[str, StringConstraints(min_length=1)]])


def function_key(environ: Mapping[str, str]) -> str:
    """Return the key that the environment gives, else a random one."""
    return environ.get(KEY_SETTING) or secrets.token_urlsafe(32)


def own_keys(environ: Mapping[str, str]) -> Mapping[str, str]:
    """Return the key of each function that has one of its own, by its name.

    Raises:
        StartError: the setting is not a JSON object of texts, or a text is empty, which would let everybody in.
    """
    try:
        return _KEYS.validate_json(environ.get(OWN_KEYS_SETTING) or "{}")
    except ValidationError as error:
        raise StartError(f'{OWN_KEYS_SETTING} must be a JSON object such as {{"health_details": "KEY"}}') from error


def authorized(request: Request, *keys: str) -> bool:
    """Return whether ``x-functions-key``, even an empty one, else ``code``, is a key; any wrong one takes as long."""
    given = request.headers.get("x-functions-key")
    if given is None:
        query = query_values(request.scope["query_string"].decode("ascii"))
        given = next((value for name, value in query.items() if name.lower() == "code"), "")
    return True in [secrets.compare_digest(given.encode(), key.encode()) for key in keys]

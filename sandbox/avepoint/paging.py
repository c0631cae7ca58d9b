"""Page sizes, continuation values, and the shapes in which next links are written."""

import base64
import re
from collections.abc import Collection, Mapping
from hashlib import sha512
from http import HTTPStatus
from urllib.parse import quote, urlencode

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV
from starlette.requests import Request

from sandbox.avepoint.catalog import LinkShape, Paging
from sandbox.avepoint.wire import RefusedError

_WHOLE = re.compile(r"[0-9]{1,18}")


class Seal:
    """Hides offsets in opaque tokens; the same offset of the same list gives the same token.

    A token is base64 of 37 bytes, so that it ends in `==` and has to be URL-encoded.
    """

    def __init__(self, seed: int) -> None:
        self._cipher = AESSIV(sha512(f"continuation/{seed}".encode()).digest())

    def close(self, offset: int, of: str) -> str:
        return base64.b64encode(self._cipher.encrypt(b"%021d" % offset, [of.encode()])).decode()

    def open(self, token: str, of: str) -> int:
        """Return the offset; raise ValueError unless the token was made here for the same list and filter."""
        try:
            return int(self._cipher.decrypt(base64.b64decode(token, validate=True), [of.encode()]))
        except InvalidTag as error:
            raise ValueError(token) from error


def whole(given: Mapping[str, str], name: str, default: int | str, *, minimum: int, maximum: int | None) -> int:
    """Return a whole number of the parameters; raise `RefusedError` (400) for anything else or out of bounds."""
    text = given.get(name.lower(), str(default))
    if _WHOLE.fullmatch(text) and minimum <= int(text) and (maximum is None or int(text) <= maximum):
        return int(text)
    bounds = f"at least {minimum}" if maximum is None else f"{minimum} to {maximum}"
    raise RefusedError(HTTPStatus.BAD_REQUEST, f"{name} must be a whole number, {bounds}.")


def page_size(paging: Paging, given: Mapping[str, str], *, clamp: bool = False) -> int:
    """Return the rows of a page; with `clamp`, more than the maximum is the maximum and no error."""
    if not paging.size:
        return paging.default
    size = whole(given, paging.size, paging.default, minimum=1, maximum=None if clamp else paging.maximum)
    return min(size, paging.maximum) if paging.maximum else size


def offset(paging: Paging, given: Mapping[str, str], *, size: int, seal: Seal, of: str) -> int:
    """Return the number of rows before the page that was asked for; raise `RefusedError` (400) for a bad value."""
    if paging.token and (token := given.get(paging.token.lower())):
        return _unsealed(_unwrapped(token), seal, of)
    value = given.get(paging.parameter.lower())
    if paging.style == "none" or value is None:
        return 0
    value = _unwrapped(value)
    if paging.style == "token":
        return _unsealed(value, seal, of) if value else 0
    number = whole({paging.parameter.lower(): value}, paging.parameter, "", minimum=paging.first, maximum=None)
    return number if paging.style == "skip" else (number - paging.first) * size


def continuation(paging: Paging, after: int, *, size: int, seal: Seal, of: str) -> tuple[str, str]:
    """Return the parameter and its value that ask for the rows from `after` on."""
    if paging.token:
        return paging.token, seal.close(after, of)
    match paging.style:
        case "token":
            return paging.parameter, seal.close(after, of)
        case "page":
            return paging.parameter, str(after // size + paging.first)
        case _:
            return paging.parameter, str(after)


def next_link(request: Request, parameter: str, value: str, shape: LinkShape, *, without: Collection[str] = ()) -> str:
    """Return the link to the next page as one of the documented or feared shapes.

    The path `/smp/powerplatform/powerapps` is written `absolute` with the Host of the request, `root-relative` as it
    is, `prefixless` as `/powerplatform/powerapps`, `relative` as `powerapps`; each with the query of the request and
    the continuation, less the parameters `without`. `token` is the URL-encoded continuation alone, `json` a JSON
    document with it inside.
    """
    path = quote(request.url.path)
    left_out = {parameter.lower(), *without}
    kept = {name: given for name, given in request.query_params.items() if name.lower() not in left_out}
    query = urlencode(kept | {parameter: value})
    match shape:
        case "absolute":
            return f"{request.base_url}{path.removeprefix('/')}?{query}"
        case "root-relative":
            return f"{path}?{query}"
        case "prefixless":
            return f"/{path.split('/', 2)[2]}?{query}"
        case "relative":
            return f"{path.rsplit('/', 1)[1]}?{query}"
        case "token":
            return quote(value, safe="")
        case _:
            return wrapped(value)


def wrapped(token: str) -> str:
    """Return the continuation inside a JSON document, as the sharing links of Insights have it."""
    return msgspec.json.encode({"token": token, "range": "next"}).decode()


def _unsealed(token: str, seal: Seal, of: str) -> int:
    try:
        return seal.open(token, of)
    except ValueError as error:
        raise RefusedError(HTTPStatus.BAD_REQUEST, "The continuation token is not valid.") from error


def _unwrapped(given: str) -> str:
    """Return the continuation inside a link of the shape `json`, any other value as it is."""
    try:
        return msgspec.json.decode(given, type=dict[str, str])["token"] if given.startswith("{") else given
    except (msgspec.DecodeError, KeyError) as error:
        raise RefusedError(HTTPStatus.BAD_REQUEST, "The continuation token is not valid.") from error

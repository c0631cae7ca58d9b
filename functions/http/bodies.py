"""The bodies of requests: how large, in which encoding, and whether they are JSON that says everything once."""

import asyncio
import json
from codecs import BOM_UTF8
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from email.message import Message
from functools import partial
from typing import Final, NamedTuple, NoReturn

import azure.functions as func
from pydantic import BaseModel, ValidationError

from functions.http.error_responses import LengthRequired
from shared.errors import Detail, InvalidInput, TooLarge
from shared.opus.intake.inputs import broken_rule

LARGEST_BODY: Final = 16 * 1024 * 1024

_SMALL_BODY = 2 * 1024
"""Bytes that are parsed and validated in a few milliseconds, whatever they say."""

_MEDIUM_BODY = 256 * 1024
_MEDIUM_BODIES = ThreadPoolExecutor(2, "bodies")
_LARGE_BODIES = ThreadPoolExecutor(1, "large bodies")
"""One at a time, so that several large ones do not fill the memory together, and beside those of ordinary size."""

_MOST_CONTAINERS = 500_000
_MOST_VALUES = 2_000_000
_LONGEST_LIST = 1000
_LONGEST_NUMBER = 308
"""Digits: no longer number fits a double."""

_SEVERAL_CALLS = "Send them in several calls."
_OTHER_MARKS = {
    b"\xff\xfe\x00\x00": "UTF-32",
    b"\x00\x00\xfe\xff": "UTF-32",
    b"\xff\xfe": "UTF-16",
    b"\xfe\xff": "UTF-16",
}


class Most(NamedTuple):
    """How many items a list may hold, and the app setting that says so, if one does."""

    items: int
    setting: str = ""


async def parse_body[T: BaseModel](
    model: type[T], req: func.HttpRequest, *, most: Mapping[str, Most] | None = None
) -> T:
    """Return the body of a request as ``model``; all but the smallest are read beside the event loop.

    Args:
        most: How many items the lists of the body may hold, by name; they are counted before anything is validated.

    Raises:
        LengthRequired: The host has dropped a body that came without its length.
        TooLarge: The body, or a list in it, is too large.
        InvalidInput: Names each field that is wrong.
    """
    body, limits = _content(req), most or {}
    if len(body) <= _SMALL_BODY:
        return _parse(model, body, limits)
    pool = _MEDIUM_BODIES if len(body) <= _MEDIUM_BODY else _LARGE_BODIES
    return await asyncio.get_running_loop().run_in_executor(pool, _parse, model, body, limits)


def _content(req: func.HttpRequest) -> bytes:
    """Return the body of a request in UTF-8, without a byte order mark."""
    body = req.get_body()
    if not body and "transfer-encoding" in req.headers and "content-length" not in req.headers:
        raise LengthRequired(
            "the request has a body without Content-Length, which Azure Functions does not pass on",
            target="Content-Length",
            remedy="Send Content-Length instead of Transfer-Encoding: chunked.",
        )
    if len(body) > LARGEST_BODY:
        raise TooLarge(f"the body is larger than {LARGEST_BODY} bytes", target="body", remedy=_SEVERAL_CALLS)
    if encoding := _foreign_encoding(req, body):
        raise InvalidInput(f"the body is encoded as {encoding}", target="body", remedy="Send it as plain UTF-8.")
    if not body.strip():
        raise InvalidInput("the body is empty", target="body", remedy="Send JSON, with its Content-Length.")
    return body.removeprefix(BOM_UTF8)


def _foreign_encoding(req: func.HttpRequest, body: bytes) -> str | None:
    """Return the name of an encoding other than UTF-8, as headers or first bytes tell it."""
    compressed = req.headers.get("content-encoding", "identity").strip().lower()
    if compressed not in {"", "identity"}:
        return repr(compressed[:40])
    content_type = Message()
    content_type["content-type"] = req.headers.get("content-type", "")
    charset = (content_type.get_content_charset() or "utf-8").lower()
    if charset not in {"utf-8", "utf8", "us-ascii", "ascii"}:
        return repr(charset[:40])
    marked = next((name for mark, name in _OTHER_MARKS.items() if body.startswith(mark)), None)
    return marked or ("UTF-16" if b"\0" in body[:2] else None)


def _parse[T: BaseModel](model: type[T], body: bytes, most: Mapping[str, Most]) -> T:
    """Return the body as ``model``, once it is JSON that says everything once and holds no more than it may."""
    if body.count(b"{") + body.count(b"[") > _MOST_CONTAINERS or body.count(b",") > _MOST_VALUES:
        raise TooLarge("the body holds too many values", target="body", remedy=_SEVERAL_CALLS)
    try:
        json.loads(
            body.decode(),
            object_pairs_hook=partial(_check_object, most),
            parse_int=_whole,
            parse_float=_finite,
            parse_constant=_finite,
        )
    except UnicodeDecodeError as error:
        raise InvalidInput(f"the body is not UTF-8: byte {error.start} is not part of it", target="body") from None
    except (ValueError, RecursionError) as error:
        reason = "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise InvalidInput(f"the body is not valid JSON: {reason}", target="body") from None
    try:
        return model.model_validate_json(body)
    except ValidationError as error:
        _refuse(error)


def _check_object(most: Mapping[str, Most], pairs: list[tuple[str, object]]) -> dict[str, object]:
    """Return a JSON object, unless it has a name twice, or a list in it is longer than lists of this name may be."""
    found: dict[str, object] = {}
    for name, value in pairs:
        if name in found:
            raise InvalidInput(f"{name!r} appears twice in one object", target=name, remedy="Give it once.")
        allowed = most.get(name, Most(_LONGEST_LIST))
        if isinstance(value, list) and len(value) > allowed.items:
            problem = f"{name} holds {len(value)} items, and at most {allowed.items} are allowed in one call"
            remedy = f"Send them in several calls, or raise {allowed.setting}." if allowed.setting else _SEVERAL_CALLS
            raise TooLarge(problem, target=name, remedy=remedy)
        found[name] = value
    if len(found) > _LONGEST_LIST:
        raise TooLarge(f"an object has more than {_LONGEST_LIST} names", target="body")
    return found


def _whole(digits: str) -> int:
    if len(digits) > _LONGEST_NUMBER:
        raise ValueError(f"a number of {len(digits)} digits")
    return int(digits)


def _finite(text: str) -> float:
    value = float(text)
    if value - value != 0:  # NaN, or beyond the largest double
        raise ValueError(f"{text[:20]} is not a number that JSON can hold")
    return value


def _refuse(error: ValidationError) -> NoReturn:
    """Say which fields of a body are wrong."""
    faults = error.errors(include_url=False, include_context=False, include_input=False)
    details = [Detail(_target(fault["loc"]), fault["type"], broken_rule(fault)) for fault in faults]
    first = details[0]
    more = f" (and {len(details) - 1} more)" if len(details) > 1 else ""
    raise InvalidInput(f"{first.target}: {first.message}{more}", target=first.target, details=details) from None


def _target(location: tuple[int | str, ...]) -> str:
    """Write ``("records", 3, "rowKey")`` as ``records[3].rowKey``; the body itself is ``body``."""
    path = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in location)
    return path.removeprefix(".") or "body"

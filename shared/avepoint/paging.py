"""Paging: an answer in, items and the next request out. Pure.

Items are never parsed: they are the bytes the server sent.
"""

import json
from collections.abc import Buffer, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from hashlib import blake2b
from types import MappingProxyType
from typing import Self
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

import msgspec

from shared.avepoint.catalog import Dataset, PageNumber, Value
from shared.avepoint.links import follow, is_bare_token, with_parameter
from shared.avepoint.request import Request
from shared.document import Document
from shared.errors import BadAnswer, BrokenChain

PAGES_CEILING = 500_000
"""No documented list comes near: with 15,000 requests an hour it would take 33 hours."""

EMPTY_PAGES_CEILING = 100

_FORMATS = {"time": "{:%Y-%m-%dT%H:%M:%SZ}", "date": "{:%Y-%m-%d}"}

_BOM = b"\xef\xbb\xbf"
_NO_PARENT: Mapping[str, Value] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Page:
    """One page: its items as the server sent them, the total it claims, and its link to the next page."""

    items: Sequence[msgspec.Raw]
    total: int | None
    link: str | None
    pretty: bool
    """The answer has line breaks, so its items may have some too."""
    parent: bytes = b""
    """The parent values as a JSON object, where the list belongs to one parent."""

    def field_names(self) -> list[str]:
        """The names of the fields of the first line; none where items are no objects and have no parent."""
        if not self.items:
            return []
        parent = ["_parent"] if self.parent else []
        try:
            return [*parent, *_decode_object(self.items[0])]
        except msgspec.ValidationError:
            return [*parent, "value"] if parent else []


def first_request(
    dataset: Dataset,
    base_url: str,
    *,
    page_size: int | None,
    tenant: str | None,
    between: tuple[datetime, datetime] | None = None,
    parent: Mapping[str, Value] = _NO_PARENT,
) -> Request:
    """The request for the first page.

    Args:
        base_url: Of the source, without a trailing slash.
        page_size: The size wanted; ``None`` for the documented maximum. What the API does not allow is lowered.
        tenant: The tenant to narrow to, where the dataset can.
        between: The bounds in time of a windowed dataset, in UTC.
        parent: What goes into the parameters of a child dataset.
    """
    paging: dict[str, int] = {}
    if dataset.page is not None:
        paging[dataset.page.parameter] = dataset.page.first
    size = _size(dataset, page_size)
    if dataset.size is not None and size is not None:
        paging[dataset.size.parameter] = size
    query, body = dict(dataset.query), _outside_path(dataset, parent)
    if dataset.pages_in == "query":
        query |= {name: str(value) for name, value in (body | paging).items()}
    if dataset.tenant is not None and tenant is not None:
        query[dataset.tenant] = tenant
    if dataset.window is not None and between is not None:
        written = [_FORMATS[dataset.window.format].format(instant) for instant in between]
        query |= dict(zip((dataset.window.from_, dataset.window.to), written, strict=True))
    url = f"{base_url}{_path(dataset, parent)}"
    content = json.dumps(body | paging if dataset.pages_in == "body" else {}).encode()
    url = f"{url}?{urlencode(query)}" if query else url
    return _request(dataset, url, None if dataset.method == "GET" else content)


def _path(dataset: Dataset, parent: Mapping[str, Value]) -> str:
    path = dataset.path
    for name, value in parent.items():
        path = path.replace(f"{{{name}}}", quote(str(value), safe=""))
    return path


def _outside_path(dataset: Dataset, parent: Mapping[str, Value]) -> dict[str, Value | list[Value]]:
    """The parent values that do not go into the path."""
    lists = dataset.parent.lists if dataset.parent else ()
    outside = {name: value for name, value in parent.items() if f"{{{name}}}" not in dataset.path}
    return {name: [value] if name in lists else value for name, value in outside.items()}


def _size(dataset: Dataset, wanted: int | None) -> int | None:
    if dataset.size is None:
        return None
    most = dataset.size.most
    return most if wanted is None else min(wanted, most or wanted)


def _request(dataset: Dataset, url: str, body: bytes | None) -> Request:
    return Request(dataset.method, url, dataset.scope, dataset.registration, body)


def read_page(dataset: Dataset, body: bytes, *, parent: bytes = b"") -> Page:
    """Take an answer apart without parsing its items.

    Args:
        parent: The parent values it was asked with, as a JSON object.

    Raises:
        BadAnswer: It is no JSON, has no envelope, or says itself that it failed.
    """
    body = body.removeprefix(_BOM)
    try:
        if not body.isascii():
            body.decode()  # the decoder below does not look into the items
        keys, items = _as_documented(dataset, body) or _as_it_came(dataset, body)
        total, link = _total(dataset, keys), _link(dataset, keys)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadAnswer(f"{dataset.name}: a page is no valid JSON: {error}") from error
    return Page(items, total, link, pretty=b"\n" in body or b"\r" in body, parent=parent)


_EMPTY = msgspec.Raw(b"[]")
_decode_object = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_decode_list = msgspec.json.Decoder(list[msgspec.Raw]).decode
_decode_any = msgspec.json.Decoder().decode


type _Keys = dict[str, msgspec.Raw]


def _as_documented(dataset: Dataset, body: bytes) -> tuple[_Keys, list[msgspec.Raw]] | None:
    """Everything in one pass; ``None`` unless every key that is needed is there, spelt as in the documents."""
    if dataset.single or dataset.status or "." in dataset.envelope or dataset.envelope == "$root":
        return None
    names = tuple({path.split(".")[0]: None for path in (dataset.total, dataset.link) if path})
    try:
        items, *values = msgspec.structs.astuple(_answer_decoder(dataset.envelope, names)(body))
    except msgspec.ValidationError:
        return None
    return dict(zip(names, values, strict=True)), items


@cache
def _answer_decoder(envelope: str, names: tuple[str, ...]) -> Callable[[bytes], msgspec.Struct]:
    """Reads an answer that has all of these keys: its items first, then the others in their order."""
    others = [(f"other_{n}", msgspec.Raw, msgspec.field(name=name)) for n, name in enumerate(names)]
    answer = msgspec.defstruct("Answer", [("items", list[msgspec.Raw], msgspec.field(name=envelope)), *others])
    return msgspec.json.Decoder(answer).decode


def _as_it_came(dataset: Dataset, body: bytes) -> tuple[_Keys, list[msgspec.Raw]]:
    keys = _open(dataset, body)
    return keys, _items(dataset, _envelope(dataset, keys, body))


def _open(dataset: Dataset, body: bytes) -> _Keys:
    if dataset.envelope == "$root":
        return {}
    keys = _object(dataset, body)
    status = _find(keys, dataset.status) if dataset.status else None
    if status is not None and _decode_any(status) not in {200, None}:
        message = _find(keys, "Message")
        raise BadAnswer(
            f"{dataset.name}: the answer says status {_decode_any(status)}: {_decode_any(message or b'null')}",
            remedy="Ask AvePoint support; the EnPower Web API reports its own failures this way.",
        )
    return keys


def _object(dataset: Dataset, body: bytes | msgspec.Raw) -> _Keys:
    try:
        return _decode_object(body)
    except msgspec.ValidationError as error:
        raise BadAnswer(f"{dataset.name}: an object is wanted: {error}") from error


def _envelope(dataset: Dataset, keys: _Keys, body: bytes) -> msgspec.Raw:
    """The list of the items; where the server writes ``null`` for none, an empty one, and an object is the only one."""
    found = msgspec.Raw(body) if dataset.envelope == "$root" else _dig(dataset, keys, dataset.envelope)
    if found is None:
        raise BadAnswer(
            f"{dataset.name}: a page has no {dataset.envelope!r}, only {', '.join(keys) or 'nothing'}",
            remedy="AvePoint may have changed its API: compare the answer with its documentation.",
        )
    if memoryview(found)[:1] == memoryview(b"n"):
        return _EMPTY
    return msgspec.Raw(b"[" + bytes(found) + b"]") if dataset.single else found


def _items(dataset: Dataset, envelope: msgspec.Raw) -> list[msgspec.Raw]:
    try:
        return _decode_list(envelope)
    except msgspec.ValidationError as error:
        raise BadAnswer(f"{dataset.name}: {dataset.envelope!r} is no list: {error}") from error


def _total(dataset: Dataset, keys: _Keys) -> int | None:
    """The total, which some services write as a string; ``None`` when it is none."""
    found = _dig(dataset, keys, dataset.total) if dataset.total else None
    value = None if found is None else _decode_any(found)
    if isinstance(value, str) and value.strip().isdecimal():
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def _link(dataset: Dataset, keys: _Keys) -> str | None:
    found = _dig(dataset, keys, dataset.link) if dataset.link else None
    value = None if found is None else _decode_any(found)
    if value is None or value == "":
        return None
    return (value if isinstance(value, str) else json.dumps(value)).strip() or None


def _dig(dataset: Dataset, keys: _Keys, path: str) -> msgspec.Raw | None:
    *parents, last = path.split(".")
    for parent in parents:
        found = _find(keys, parent)
        if found is None:
            return None
        keys = _object(dataset, found)
    return _find(keys, last)


def _find(keys: _Keys, name: str) -> msgspec.Raw | None:
    """Keys drift in their case between documents and answers."""
    if name in keys:
        return keys[name]
    folded = name.casefold()
    return next((value for key, value in keys.items() if key.casefold() == folded), None)


def next_request(dataset: Dataset, base_url: str, request: Request, page: Page, *, seen: int) -> Request | None:
    """The request for the page after ``page``, or ``None`` at the end.

    A link decides where the documents promise one. Where only a page number moves, the end is an empty page: a total
    saves that last question once everything has come, and is never trusted alone.

    Args:
        seen: How many items have come so far, those of ``page`` among them.

    Raises:
        BrokenChain: The link leads elsewhere, or is a token for which the catalogue names no parameter.
    """
    if page.link is not None:
        return _following(dataset, base_url, request, page.link)
    if dataset.page is None or not dataset.page.drives or not page.items:
        return None
    if page.total is not None and seen >= page.total and len(page.items) < _asked_size(dataset, request):
        return None
    return _next_number(dataset, dataset.page, request)


def _following(dataset: Dataset, base_url: str, request: Request, link: str) -> Request:
    if dataset.pages_in == "body" and dataset.token is not None:
        return _request(dataset, request.url, _with_key(request.body, dataset.token, link))
    if dataset.token is None and dataset.page is not None and is_bare_token(link):
        return _next_number(dataset, dataset.page, request)
    url = follow(link, request.url, base_url=base_url, token_parameter=dataset.token)
    return _request(dataset, url, request.body)


def _next_number(dataset: Dataset, page: PageNumber, request: Request) -> Request:
    number = int(_parameter(request, page.parameter) or page.first) + 1
    return _request(dataset, with_parameter(request.url, page.parameter, str(number)), request.body)


def _asked_size(dataset: Dataset, request: Request) -> int:
    """The page size that was asked for; where none was, no page is short."""
    asked = _parameter(request, dataset.size.parameter) if dataset.size else None
    return int(asked) if asked else 0


def _parameter(request: Request, name: str) -> str | None:
    return dict(parse_qsl(urlsplit(request.url).query)).get(name)


def _with_key(body: bytes | None, key: str, value: str) -> bytes:
    return json.dumps(json.loads(body or b"{}") | {key: value}).encode()


def fingerprint(*parts: Buffer) -> str:
    """Sixteen hexadecimal characters that stand for ``parts``."""
    digest = blake2b(digest_size=8)
    for part in parts:
        digest.update(part)
        digest.update(b"\0")
    return digest.hexdigest()


def _page_mark(page: Page) -> str:
    """Pages with the same ends and the same length are the same page, where items have keys."""
    return fingerprint(page.items[0], page.items[-1], str(len(page.items)).encode())


class LoopGuard(Document):
    """Notices a chain that goes in circles, with a memory of two fingerprints (Brent's algorithm).

    Every request and every page is compared with the one remembered at the last power of two, so that a circle of
    any length is found within three turns, and a page that comes twice in a row at once.
    """

    pages: int = 0
    items: int = 0
    empty_pages: int = 0
    request_mark: str = ""
    page_mark: str = ""
    last_page: str = ""

    def after(self, dataset: Dataset, request: Request, page: Page) -> Self:
        """The guard after ``page``.

        Raises:
            BrokenChain: The chain goes in circles, or further than any list can be long.
        """
        asked = fingerprint(request.url.encode(), request.body or b"")
        served = _page_mark(page) if page.items and dataset.key else ""
        if asked == self.request_mark or (served and served in {self.page_mark, self.last_page}):
            raise BrokenChain(
                f"{dataset.name}: the server sends the same page again after {self.pages} pages",
                remedy="Run it again; if it happens again, ask AvePoint support.",
            )
        pages, empty_pages = self.pages + 1, 0 if page.items else self.empty_pages + 1
        if pages > PAGES_CEILING or empty_pages > EMPTY_PAGES_CEILING:
            raise BrokenChain(f"{dataset.name}: {pages} pages, {empty_pages} of the last empty, and still no end")
        moves = pages & (pages - 1) == 0
        return self.model_copy(
            update={
                "pages": pages,
                "items": self.items + len(page.items),
                "empty_pages": empty_pages,
                "request_mark": asked if moves else self.request_mark,
                "page_mark": served if moves else self.page_mark,
                "last_page": served,
            }
        )

"""Paging: an answer in, items and the next request out. Pure.

Items are never parsed: they are the bytes the server sent.
"""

import json
from collections.abc import Buffer, Mapping
from datetime import UTC, datetime
from hashlib import blake2b
from types import MappingProxyType
from typing import Self
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

from shared.avepoint.catalog import Dataset, PageNumber, Value
from shared.avepoint.links import follow, is_bare_token, with_parameter
from shared.avepoint.page import Page
from shared.avepoint.request import Request
from shared.document import StoredValue
from shared.errors import BrokenChain, RepeatedPage

PAGES_CEILING = 500_000
"""No documented list comes near: with 15,000 requests an hour it would take 33 hours."""

EMPTY_PAGES_CEILING = 10_000

_FORMATS = {"time": "{:%Y-%m-%dT%H:%M:%SZ}", "date": "{:%Y-%m-%d}"}

_STEPS = frozenset({".", ".."})

_NO_PARENT: Mapping[str, Value] = MappingProxyType({})


def first_request(
    dataset: Dataset,
    base_url: str,
    *,
    page_size: int | None,
    tenant: str | None,
    between: tuple[datetime, datetime] | None = None,
    parent: Mapping[str, Value] = _NO_PARENT,
) -> Request:
    """Return the request for the first page.

    Args:
        base_url: Of the source, without a trailing slash.
        page_size: The size wanted; ``None`` for the documented maximum. What the API does not allow is lowered.
        tenant: The tenant to narrow to, where the dataset can.
        between: The bounds in time of a windowed dataset.
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
        written = [_FORMATS[dataset.window.format].format(instant.astimezone(UTC)) for instant in between]
        query |= dict(zip((dataset.window.from_, dataset.window.to), written, strict=True))
    url = f"{base_url}{_path(dataset, parent)}"
    content = json.dumps(body | paging if dataset.pages_in == "body" else {}).encode()
    url = f"{url}?{urlencode(query)}" if query else url
    return _request(dataset, url, None if dataset.method == "GET" else content)


def check_parent(dataset: Dataset, parent: Mapping[str, Value]) -> None:
    """See that no value of a parent is a step to another path: every client takes ``..`` for one, encoded or not.

    Raises:
        BrokenChain: One is.
    """
    for name, value in parent.items():
        if value in _STEPS and f"{{{name}}}" in dataset.path:
            raise BrokenChain(
                f"{dataset.name}: {name} is {value!r}, which leads to another path",
                remedy="No id of AvePoint looks like that: ask AvePoint support about this item.",
            )


def _path(dataset: Dataset, parent: Mapping[str, Value]) -> str:
    path = dataset.path
    for name, value in parent.items():
        path = path.replace(f"{{{name}}}", quote(str(value), safe=""))
    return path


def _outside_path(dataset: Dataset, parent: Mapping[str, Value]) -> dict[str, Value | list[Value]]:
    """Return the parent values that do not go into the path."""
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


def next_request(
    dataset: Dataset, base_url: str, request: Request, page: Page, *, seen: int, total: int | None
) -> Request | None:
    """Return the request for the page after ``page``, or ``None`` at the end.

    A link decides where the documents promise one. Where only a page number moves, the end is an empty page: a total
    saves that last question once everything has come, and is never trusted alone: it may be that of the page.

    Args:
        seen: How many items have come so far, those of ``page`` among them.
        total: The largest total that the pages so far have told.

    Raises:
        BrokenChain: The link leads elsewhere, or is a token for which the catalogue names no parameter.
    """
    if page.link is not None:
        return _following(dataset, base_url, request, page.link)
    if dataset.page is None or not dataset.page.drives or not page.served:
        return None
    if total is not None and seen >= total and page.served < _full_size(dataset, request, page):
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


def _full_size(dataset: Dataset, request: Request, page: Page) -> int:
    """Return the page size that was asked for, or what the server made of it; where none was, no page is short."""
    given = _parameter(request, dataset.size.parameter) if dataset.size else None
    asked = int(given) if given else 0
    return asked if page.size is None else min(asked, page.size)


def _parameter(request: Request, name: str) -> str | None:
    return dict(parse_qsl(urlsplit(request.url).query)).get(name)


def _with_key(body: bytes | None, key: str, value: str) -> bytes:
    return json.dumps(json.loads(body or b"{}") | {key: value}).encode()


def short_fingerprint(*parts: Buffer) -> str:
    """Sixteen hexadecimal characters that stand for ``parts``."""
    digest = blake2b(digest_size=8)
    for part in parts:
        digest.update(part)
        digest.update(b"\0")
    return digest.hexdigest()


def _page_mark(page: Page) -> str:
    """Pages with the same ends and the same length are the same page, where items have keys."""
    return short_fingerprint(page.items[0], page.items[-1], str(len(page.items)).encode())


class LoopGuard(StoredValue):
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

    def observe(self, dataset: Dataset, request: Request, page: Page) -> Self:
        """Return the guard after ``page``.

        Raises:
            BrokenChain: The chain goes in circles, or further than any list can be long.
        """
        asked = short_fingerprint(request.url.encode(), request.body or b"")
        served = _page_mark(page) if page.items and dataset.key else ""
        if asked == self.request_mark or (served and served in {self.page_mark, self.last_page}):
            raise RepeatedPage(
                f"{dataset.name}: the server sends the same page again after {self.pages} pages",
                remedy="Run it again; if it happens again, ask AvePoint support.",
            )
        pages, empty_pages = self.pages + 1, 0 if page.served else self.empty_pages + 1
        if pages > PAGES_CEILING:
            raise BrokenChain(f"{dataset.name}: the list has more than {PAGES_CEILING} pages")
        if empty_pages > EMPTY_PAGES_CEILING:
            raise BrokenChain(f"{dataset.name}: more than {EMPTY_PAGES_CEILING} empty pages came in a row")
        moves = pages & (pages - 1) == 0
        return self.model_copy(
            update={
                "pages": pages,
                "items": self.items + page.served,
                "empty_pages": empty_pages,
                "request_mark": asked if moves else self.request_mark,
                "page_mark": served if moves else self.page_mark,
                "last_page": served,
            }
        )

"""A client that walks lists as the documents say, and knows nothing else of the service."""

import json
import re
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import cast
from urllib.parse import quote, unquote

import httpx

from .conftest import Service
from .documented import DOCUMENTED, Documented

type Json = dict[str, object]
type Parents = Mapping[str, str]

NO_PARENTS: Parents = MappingProxyType({})
SEVERAL = {"siteUrls", "emails"}
"""Parameters that take a list of parents."""


@dataclass
class Question:
    """One request: what a caller varies, then sends."""

    call: Documented
    url: str
    query: dict[str, str]
    body: Json

    async def ask(self, service: Service) -> httpx.Response:
        document = self.body if self.call.method == "POST" else None
        return await service.client.request(self.call.method, self.url, params=self.query or None, json=document)

    def set(self, name: str, value: object) -> None:
        """Set a parameter where it belongs: in the body or in the query."""
        if name in self.call.body:
            self.body[name] = value
        else:
            self.query[name] = str(value)

    def unset(self, name: str) -> None:
        self.query.pop(name, None)
        self.body.pop(name, None)


@dataclass(frozen=True)
class Answered:
    """One page, with what stands where the documents say."""

    content: bytes
    items: list[object]
    total: object
    next: object


def window(service: Service) -> tuple[datetime, datetime]:
    """The longest window that every list allows, up to now."""
    now = datetime.fromtimestamp(service.clock.now, UTC)
    return now - timedelta(days=7), now


def question(service: Service, name: str, parents: Parents = NO_PARENTS, *, size: int | None = None) -> Question:
    """The first request for a list, with all that is required; `size` rows a page where that can be asked for."""
    call = DOCUMENTED[name]
    path = re.sub(r"{(\w+)}", lambda match: quote(parents[match[1]], safe=""), call.path)
    asked = Question(call, path, {}, {})
    for parameter in parents.keys() - set(re.findall(r"{(\w+)}", call.path)):
        asked.set(parameter, [parents[parameter]] if parameter in SEVERAL else parents[parameter])
    if "type" in call.required:
        asked.set("type", 1)
    if call.window:
        for parameter, moment in zip(call.window, window(service), strict=True):
            asked.set(parameter, f"{moment:%Y-%m-%dT%H:%M:%SZ}")
    if call.paging.style.startswith(("page", "startPage")):
        asked.set(call.paging.page_param, call.paging.first_page)
    if call.paging.page_size_param and (size or call.paging.page_size_param in call.required):
        asked.set(call.paging.page_size_param, size or call.paging.max_page_size)
    return asked


async def pages(
    service: Service, name: str, parents: Parents = NO_PARENTS, *, size: int | None = None
) -> AsyncIterator[Answered]:
    """Walk a list to its end."""
    asked, paging, seen, number = question(service, name, parents, size=size), DOCUMENTED[name].paging, 0, 0
    while True:
        page = read(name, await asked.ask(service))
        yield page
        seen, number = seen + len(page.items), number + 1
        match paging.style:
            case "pageIndex+totalCount" if seen < int(cast("int | str", page.total)):
                asked.set(paging.page_param, paging.first_page + number)
            case "pageIndex+nextLink" | "startPage" if page.next:
                asked.set(paging.page_param, paging.first_page + number)
            case "pageNumber+skiptoken" if page.next:
                asked.set(paging.token_param, unquote(str(page.next)))
            case "nextLink token in body" if page.next:
                asked.set(paging.token_param, page.next)
            case "nextLink+top" | "nextLink+skip+top" | "nextLink+skipToken" if page.next:
                asked.url, asked.query = str(page.next), {}
            case _:
                return


async def walk(
    service: Service, name: str, parents: Parents = NO_PARENTS, *, size: int | None = None
) -> list[Answered]:
    return [page async for page in pages(service, name, parents, size=size)]


def read(name: str, answer: httpx.Response) -> Answered:
    """Take an answer apart as the documents say."""
    assert answer.status_code == 200, answer.text
    call, body = DOCUMENTED[name], answer.json()
    found = body if call.list in {None, "$root"} else dig(body, call.list)
    items = found if isinstance(found, list) else [found]
    return Answered(answer.content, items, dig(body, call.total), dig(body, call.next))


def dig(document: object, path: str | None) -> object:
    """The value at a dotted path, None where there is none."""
    for name in path.split(".") if path else ["$"]:
        document = document.get(name) if isinstance(document, dict) else None
    return document


def parsed(items: list[bytes]) -> list[object]:
    return [json.loads(item) for item in items]

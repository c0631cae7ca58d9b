"""The laws of paging, for every style of the catalogue: all items once, an end, no circle, and never another origin."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Literal, override
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.avepoint.catalog import Dataset, catalog
from shared.avepoint.links import same_origin, with_parameter
from shared.avepoint.page import Page, read_page
from shared.avepoint.paging import LoopGuard, first_request, next_request
from shared.avepoint.request import Request
from shared.errors import BrokenChain
from shared.harvest.slices.progress import Continuation

BASE = "https://graph.avepointonlineservices.com"

type Shape = Literal["absolute", "root-relative", "relative", "query", "token", "quoted"]
LINKS: tuple[Shape, ...] = ("absolute", "root-relative", "relative", "query", "quoted")


def style(dataset: Dataset) -> tuple[object, ...]:
    """What tells one style of paging from another."""
    page = (dataset.page.first, dataset.page.drives) if dataset.page else None
    size = bool(dataset.size)
    return (dataset.pages_in, bool(dataset.link), bool(dataset.token), page, bool(dataset.total), size, dataset.single)


STYLES = list({style(dataset): dataset for dataset in catalog().values()}.values())
PAGED = [dataset for dataset in STYLES if dataset.link or dataset.page]


@dataclass
class Server:
    """A server that pages as the documents say."""

    dataset: Dataset
    items: int
    page_size: int
    shape: Shape = "absolute"
    says_totals: bool = True
    closes: Literal["", "null", "absent"] = ""

    def answer(self, request: Request) -> bytes:
        asked = {name: values[-1] for name, values in parse_qs(urlsplit(request.url).query).items()}
        asked |= {name: str(value) for name, value in json.loads(request.body or b"{}").items()}
        begin = self._begin(asked)
        end = min(begin + self.page_size, self.items) if self._is_paged else self.items
        body: dict[str, object] = {}
        put(
            body,
            self.dataset.envelope,
            [{name: str(n) for name in self.dataset.key or ["x"]} for n in range(begin, end)],
        )
        if self.dataset.total and self.says_totals:
            put(body, self.dataset.total, self.items)
        if self.dataset.link:
            self._put_link(body, request, end)
        return json.dumps(body["$root"] if self.dataset.envelope == "$root" else body).encode()

    @property
    def _is_paged(self) -> bool:
        return self.dataset.link is not None or self.dataset.page is not None

    def _begin(self, asked: dict[str, str]) -> int:
        token = asked.get(self.dataset.token or "at", asked.get("at"))
        if token is not None:
            return int(token)
        page = self.dataset.page
        return (int(asked[page.parameter]) - page.first) * self.page_size if page else 0

    def _put_link(self, body: dict[str, object], request: Request, end: int) -> None:
        assert self.dataset.link is not None
        if end < self.items:
            put(body, self.dataset.link, self._link(request, end))
        elif self.closes != "absent":
            put(body, self.dataset.link, None if self.closes == "null" else "")

    def _link(self, request: Request, end: int) -> str:
        if self.dataset.pages_in == "body" or self.shape == "token":
            return str(end)
        page = self.dataset.page
        number = str(end // self.page_size + page.first) if page else ""
        url = with_parameter(request.url, page.parameter if page else "at", number if page else str(end))
        path, query = urlsplit(url).path, urlsplit(url).query
        written = {
            "absolute": url,
            "root-relative": f"{path}?{query}",
            "relative": f"{path.rpartition('/')[2]}?{query}",
            "query": f"?{query}",
            "quoted": json.dumps(url),
        }
        return written[self.shape]


class Circling(Server):
    """A server that gives the first page, whatever it is asked for, and says that there is more."""

    @override
    def _begin(self, asked: dict[str, str]) -> int:
        return 0


def put(body: dict[str, object], path: str, value: object) -> None:
    """Put ``value`` at a dotted path."""
    *above, last = path.split(".")
    for key in above:
        inner = body.setdefault(key, {})
        assert isinstance(inner, dict)
        body = inner
    body[last] = value


def walk(
    server: Server, request: Request | None = None, guard: LoopGuard | None = None
) -> Iterator[tuple[Request, Page, LoopGuard]]:
    """Page through, from the beginning or from where a checkpoint says."""
    dataset, guard = server.dataset, guard or LoopGuard()
    request = request or first_request(dataset, BASE, page_size=None, tenant=None)
    total: int | None = None
    while request is not None:
        page = read_page(dataset, server.answer(request))
        guard = guard.observe(dataset, request, page)
        yield request, page, guard
        total = max((one for one in (total, page.total) if one is not None), default=None)
        request = next_request(dataset, BASE, request, page, seen=guard.items, total=total)


@st.composite
def servers(draw: st.DrawFn, dataset: Dataset) -> Server:
    """A server of this style with some items, that writes links in one of the shapes it may."""
    shapes = (*LINKS, "token") if dataset.token or dataset.page else LINKS
    return Server(
        dataset,
        items=draw(st.integers(0, 60)),
        page_size=draw(st.integers(1, 20)),
        shape=draw(st.sampled_from(shapes)),
        says_totals=draw(st.booleans()),
        closes=draw(st.sampled_from(["", "null", "absent"])),
    )


@pytest.mark.parametrize("dataset", [one for one in STYLES if not one.single], ids=lambda one: one.name)
class TestLaws:
    @settings(max_examples=30)
    @given(data=st.data())
    def test_all_items_come_once_and_in_order(self, dataset: Dataset, data: st.DataObject) -> None:
        server = data.draw(servers(dataset))
        pages = list(walk(server))
        key = (dataset.key or ("x",))[0]
        assert [json.loads(bytes(item))[key] for _, page, _ in pages for item in page.items] == [
            str(n) for n in range(server.items)
        ]
        assert len(pages) <= server.items // server.page_size + 2

    @settings(max_examples=30)
    @given(data=st.data())
    def test_it_goes_on_from_any_page(self, dataset: Dataset, data: st.DataObject) -> None:
        """What a checkpoint keeps is enough: the rest is the same, page by page."""
        server = data.draw(servers(dataset))
        pages = list(walk(server))
        stop = data.draw(st.integers(0, len(pages) - 1))
        request, guard = pages[stop][0], pages[stop - 1][2] if stop else LoopGuard()
        kept = Continuation.from_json(Continuation.of(request).to_json()).request(dataset)
        rest = list(walk(server, kept, LoopGuard.from_json(guard.to_json())))
        assert [page.items for _, page, _ in rest] == [page.items for _, page, _ in pages[stop:]]

    @settings(max_examples=30)
    @given(data=st.data())
    def test_it_never_leaves_the_origin(self, dataset: Dataset, data: st.DataObject) -> None:
        assert all(same_origin(request.url, BASE) for request, _, _ in walk(data.draw(servers(dataset))))


@pytest.mark.parametrize("dataset", PAGED, ids=lambda one: one.name)
@settings(max_examples=30)
@given(data=st.data())
def test_a_server_that_goes_in_circles_is_left(dataset: Dataset, data: st.DataObject) -> None:
    server = data.draw(servers(dataset).filter(lambda one: one.items > one.page_size))

    circling = Circling(**vars(server))
    with pytest.raises(BrokenChain, match="same page again"):
        list(islice(walk(circling), 5))

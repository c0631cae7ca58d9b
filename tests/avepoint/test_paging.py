import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.avepoint.catalog import Dataset, PageNumber, PageSize
from shared.avepoint.paging import LoopGuard, Page, first_request, next_request, read_page
from shared.avepoint.request import Request
from shared.errors import BadAnswer, BrokenChain
from shared.harvest.duplicates import KeyReader, count_duplicates, packed
from shared.harvest.part import ndjson

BASE = "https://graph-us.avepointonlineservices.com"


def dataset(**changes: object) -> Dataset:
    values = {
        "source": "graph",
        "service": "EnPower",
        "name": "apps",
        "path": "/smp/apps",
        "scope": "enpower.data.read.all",
        "envelope": "powerApps",
        "total": "totalCount",
        "link": "nextLink",
        "key": ("id",),
    }
    return Dataset.model_validate(values | changes)


def items(page: Page) -> list[bytes]:
    return [bytes(item) for item in page.items]


class TestFirstRequest:
    @pytest.mark.parametrize(
        ("wanted", "query"), [(None, "?top=1000"), (50, "?top=50"), (5000, "?top=1000")], ids=["most", "less", "more"]
    )
    def test_page_size(self, wanted: int | None, query: str) -> None:
        sized = dataset(size=PageSize(parameter="top", default=100, most=1000))
        assert first_request(sized, BASE, page_size=wanted, tenant=None).url == f"{BASE}/smp/apps{query}"

    def test_without_a_documented_maximum_the_server_decides(self) -> None:
        sized = dataset(size=PageSize(parameter="top"))
        assert first_request(sized, BASE, page_size=None, tenant=None).url == f"{BASE}/smp/apps"
        assert first_request(sized, BASE, page_size=7, tenant=None).url == f"{BASE}/smp/apps?top=7"

    def test_tenant(self) -> None:
        assert first_request(dataset(tenant="tenant"), BASE, page_size=None, tenant="t 1").url.endswith("?tenant=t+1")
        assert first_request(dataset(), BASE, page_size=None, tenant="t1").url.endswith("/smp/apps")

    def test_scope_and_registration(self) -> None:
        request = first_request(dataset(source="elements"), BASE, page_size=None, tenant=None)
        assert (request.scope, request.registration) == ("enpower.data.read.all", "elements")


class TestReadPage:
    def test_items_are_the_bytes_that_were_sent(self) -> None:
        sent = [b'{"id": "a",  "n":1.50}', b'{"id":"b","s":"},{"}', '{"id":"é"}'.encode()]
        body = b'{"powerApps":[' + b" , ".join(sent) + b'],"totalCount":3,"nextLink":""}'
        page = read_page(dataset(), body)
        assert items(page) == sent
        assert (page.total, page.link) == (3, None)

    @pytest.mark.parametrize(
        "body",
        [
            b'{"POWERAPPS":[{}],"TotalCount":"1","nextlink":null}',
            b'\xef\xbb\xbf{"powerApps":[{}],"totalCount":1}',
        ],
        ids=["other case, total as string", "byte order mark"],
    )
    def test_keys_drift(self, body: bytes) -> None:
        page = read_page(dataset(), body)
        assert (len(page.items), page.total, page.link) == (1, 1, None)

    def test_a_link_in_another_case_is_no_end(self) -> None:
        page = read_page(dataset(), b'{"powerApps":[{}],"totalCount":2,"nextlink":"?p=2"}')
        assert (len(page.items), page.total, page.link) == (1, 2, "?p=2")

    def test_dotted_paths(self) -> None:
        nested = dataset(envelope="data.jobs", total="data.totalCount", link="data.nextLink")
        page = read_page(nested, b'{"data":{"jobs":[{}],"totalCount":4,"nextLink":"?p=2"}}')
        assert (len(page.items), page.total, page.link) == (1, 4, "?p=2")

    def test_bare_list(self) -> None:
        assert items(read_page(dataset(envelope="$root", total=None, link=None), b"[{},{}]")) == [b"{}", b"{}"]

    def test_null_is_an_empty_list(self) -> None:
        assert read_page(dataset(), b'{"powerApps":null}').items == []

    @pytest.mark.parametrize("total", ["-1", "true", '"many"', "1.5", "null", "{}"])
    def test_a_total_that_is_none(self, total: str) -> None:
        assert read_page(dataset(), f'{{"powerApps":[],"totalCount":{total}}}'.encode()).total is None

    def test_a_link_inside_an_object_is_kept_as_json(self) -> None:
        page = read_page(dataset(), b'{"powerApps":[],"nextLink":{"token":"t"}}')
        assert page.link == '{"token": "t"}'

    @pytest.mark.parametrize(
        ("body", "complaint"),
        [
            (b"", "no valid JSON"),
            (b"<html>", "no valid JSON"),
            (b'{"powerApps":[{"id":1}', "no valid JSON"),
            (b'{"powerApps":["\xff"]}', "no valid JSON"),
            (b"[]", "an object is wanted"),
            (b'{"value":[]}', "has no 'powerApps', only value"),
            (b"{}", "has no 'powerApps', only nothing"),
            (b'{"powerApps":{}}', "'powerApps' is no list"),
            (b'{"powerApps":"x"}', "'powerApps' is no list"),
        ],
    )
    def test_what_cannot_be_used_is_named(self, body: bytes, complaint: str) -> None:
        with pytest.raises(BadAnswer, match=complaint):
            read_page(dataset(), body)

    def test_a_failure_inside_a_good_answer(self) -> None:
        """The EnPower Web API reports its own failures in the body."""
        legacy = dataset(envelope="Results", status="Status")
        assert read_page(legacy, b'{"Results":[],"Status":200}').items == []
        assert read_page(legacy, b'{"Results":[]}').items == []
        with pytest.raises(BadAnswer, match="says status 500: broken"):
            read_page(legacy, b'{"Results":null,"Status":500,"Message":"broken"}')

    def test_names_of_the_fields(self) -> None:
        assert read_page(dataset(), b'{"powerApps":[{"id":1,"x":2},{"y":3}]}').field_names() == ["id", "x"]
        assert read_page(dataset(key=()), b'{"powerApps":[1]}').field_names() == []


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
_objects = st.lists(st.dictionaries(st.text(), _json, max_size=4), max_size=6)


@given(objects=_objects, indent=st.none() | st.integers(0, 4))
def test_every_item_is_one_line_and_says_the_same(objects: list[dict[str, object]], indent: int | None) -> None:
    """However the server lays out its JSON, a user reads the items back line by line."""
    body = json.dumps({"powerApps": objects}, indent=indent, ensure_ascii=False).encode()
    lines = ndjson(read_page(dataset(key=()), body)).split(b"\n")
    assert lines.pop() == b""
    assert [json.loads(line) for line in lines] == json.loads(body)["powerApps"]


class TestLoopGuard:
    @staticmethod
    def walk(chain: list[tuple[str, bytes]]) -> LoopGuard:
        guard = LoopGuard()
        for url, item in chain:
            page = read_page(dataset(), b'{"powerApps":[' + item + b"]}")
            guard = guard.after(dataset(), Request("GET", url, "s", "avepoint"), page)
        return guard

    @given(length=st.integers(1, 40), before=st.integers(0, 40))
    def test_every_circle_is_found_within_three_turns(self, length: int, before: int) -> None:
        straight = [(f"/before/{n}", b'{"id":"b%d"}' % n) for n in range(before)]
        circle = [(f"/circle/{n}", b'{"id":"c%d"}' % n) for n in range(length)]
        with pytest.raises(BrokenChain, match="same page again"):
            self.walk(straight + circle * (3 + before // length * 2 + 2))

    @given(pages=st.integers(1, 200))
    def test_a_straight_chain_is_left_alone(self, pages: int) -> None:
        guard = self.walk([(f"/{n}", b'{"id":"%d"}' % n) for n in range(pages)])
        assert guard.pages == pages

    def test_the_same_page_under_a_new_link_is_found_at_once(self) -> None:
        with pytest.raises(BrokenChain, match="after 4 pages"):
            self.walk([(f"/{n}", b'{"id":"%d"}' % min(n, 3)) for n in range(5)])

    def test_empty_pages_come_to_an_end(self) -> None:
        with pytest.raises(BrokenChain, match="and still no end"):
            self.walk([(f"/{n}", b"") for n in range(200)])


class TestNextRequest:
    @staticmethod
    def following(dataset: Dataset, page: bytes, *, seen: int, url: str = f"{BASE}/smp/apps") -> Request | None:
        request = Request(dataset.method, url, "s", "avepoint", b"{}" if dataset.method == "POST" else None)
        return next_request(dataset, BASE, request, read_page(dataset, page), seen=seen)

    def test_without_a_link_a_chain_of_links_ends(self) -> None:
        assert self.following(dataset(), b'{"powerApps":[{}],"totalCount":9,"nextLink":""}', seen=1) is None

    def test_a_link_is_followed(self) -> None:
        following = self.following(dataset(), b'{"powerApps":[{}],"nextLink":"/smp/apps?Page=2"}', seen=1)
        assert following is not None
        assert following.url == f"{BASE}/smp/apps?Page=2"

    def test_a_bare_token_for_which_nothing_is_documented_is_an_error(self) -> None:
        with pytest.raises(BrokenChain, match="names no parameter"):
            self.following(dataset(), b'{"powerApps":[{}],"nextLink":"token"}', seen=1)

    def test_a_bare_token_only_says_that_there_is_another_numbered_page(self) -> None:
        numbered = dataset(page=PageNumber(parameter="pageIndex", first=0))
        page = b'{"powerApps":[{}],"nextLink":"token"}'
        following = self.following(numbered, page, seen=1, url=f"{BASE}/smp/apps?pageIndex=3&top=1")
        assert following is not None
        assert following.url == f"{BASE}/smp/apps?top=1&pageIndex=4"

    def test_a_token_goes_into_the_body(self) -> None:
        posted = dataset(method="POST", pages_in="body", token="nextLink")
        page = b'{"powerApps":[{}],"nextLink":"{\\"token\\": \\"t\\"}"}'
        following = self.following(posted, page, seen=1)
        assert following is not None
        assert json.loads(following.body or b"") == {"nextLink": '{"token": "t"}'}

    @pytest.mark.parametrize(
        ("items", "total", "seen", "ends"),
        [
            (2, 9, 4, False),
            (2, 4, 4, False),
            (1, 4, 4, True),
            (1, 5, 4, False),
            (0, 9, 4, True),
            (2, None, 4, False),
            (1, None, 4, False),
            (0, None, 4, True),
        ],
        ids=[
            "more to come",
            "all came, on a full page",
            "all came, on a short page",
            "a short page before the total",
            "an empty page before the total",
            "no total",
            "no total, a short page",
            "no total, an empty page",
        ],
    )
    def test_a_chain_of_numbers(self, items: int, total: int | None, seen: int, *, ends: bool) -> None:
        """A total is never trusted alone: it only saves asking for the page after a short one."""
        numbered = dataset(
            link=None, page=PageNumber(parameter="page", first=1, drives=True), size=PageSize(parameter="top", most=2)
        )
        page = json.dumps({"powerApps": [{}] * items, "totalCount": total}).encode()
        following = self.following(numbered, page, seen=seen, url=f"{BASE}/smp/apps?page=2&top=2")
        assert (following is None) == ends
        assert following is None or following.url == f"{BASE}/smp/apps?top=2&page=3"

    def test_numbers_begin_where_the_documents_say(self) -> None:
        numbered = dataset(method="POST", page=PageNumber(parameter="page", first=1, drives=True))
        first = first_request(numbered, BASE, page_size=None, tenant=None)
        assert (first.url, first.body) == (f"{BASE}/smp/apps?page=1", b"{}")


def test_an_object_is_the_only_item() -> None:
    single = dataset(envelope="data", single=True, key=())
    assert items(read_page(single, b'{"data":{"a":[1, 2]}}')) == [b'{"a":[1, 2]}']
    assert items(read_page(single, b'{"data":null}')) == []


class TestDuplicates:
    def hashes(self, *ids: str) -> bytes:
        body = json.dumps({"powerApps": [{"id": one, "other": number} for number, one in enumerate(ids)]}).encode()
        return packed(KeyReader(dataset()).hashes(read_page(dataset(), body)))

    @given(parts=st.lists(st.lists(st.sampled_from("abcdef"), max_size=6), max_size=5))
    def test_every_item_with_a_key_that_was_there_before_counts(self, parts: list[list[str]]) -> None:
        everything = [one for part in parts for one in part]
        expected = len(everything) - len(set(everything))
        assert count_duplicates([self.hashes(*part) for part in parts]) == expected

    def test_several_keys_are_one_key(self) -> None:
        keyed = dataset(key=("a", "b"))
        page = read_page(keyed, b'{"powerApps":[{"a":1,"b":2},{"b":1,"a":2},{"a":1},{"b":2,"a":1}]}')
        assert count_duplicates([packed(KeyReader(keyed).hashes(page))]) == 1

    @given(key=st.text() | st.integers(), at=st.integers(0, 2), blank=st.sampled_from(["", " "]), plain=st.booleans())
    def test_it_is_the_same_key_wherever_it_stands(self, key: str | int, at: int, blank: str, *, plain: bool) -> None:
        """Unless it is written in another way: bytes are compared."""
        fields = [("a", "1"), ("b", '{"id":"another"}')]
        fields.insert(at, ("id", json.dumps(key, ensure_ascii=plain)))
        item = ",".join(f'{blank}"{name}":{blank}{value}' for name, value in fields)
        in_front = f'{{"id":{json.dumps(key, ensure_ascii=plain)}}}'
        page = read_page(dataset(), f'{{"powerApps":[{in_front},{{{item}}}]}}'.encode())
        first, second = KeyReader(dataset()).hashes(page)
        assert first == second

    def test_a_quote_in_a_key_is_not_its_end(self) -> None:
        page = read_page(dataset(), rb'{"powerApps":[{"id":"a\",b"},{"id":"a\",c"}]}')
        assert count_duplicates([packed(KeyReader(dataset()).hashes(page))]) == 0

    def test_without_a_key_nothing_counts(self) -> None:
        keyless = dataset(key=())
        page = read_page(keyless, b'{"powerApps":[{"a":1},{"a":1}]}')
        assert count_duplicates([packed(KeyReader(keyless).hashes(page))]) == 0

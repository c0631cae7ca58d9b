import json
from array import array
from datetime import datetime
from time import process_time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.avepoint.catalog import Dataset, FailureKeys, PageNumber, PageSize
from shared.avepoint.page import Page, read_page
from shared.avepoint.paging import EMPTY_PAGES_CEILING, LoopGuard, first_request, next_request
from shared.avepoint.request import Request
from shared.errors import AppError, BadResponse, BrokenChain, UnreadableResponse, UpstreamFailed
from shared.harvest.slices.part import ndjson
from shared.harvest.snapshots.duplicates import KeyReader
from shared.harvest.snapshots.sorted_hashes import HashRuns, SortedHashes

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

    def test_bounds_are_written_in_utc_whatever_their_zone(self) -> None:
        bounded = dataset(window={"from": "startTime", "to": "endTime"})
        between = [datetime.fromisoformat(f"2026-01-0{day}T00:30:00+01:00") for day in (1, 2)]
        url = first_request(bounded, BASE, page_size=None, tenant=None, between=(between[0], between[1])).url
        assert url.endswith("?startTime=2025-12-31T23%3A30%3A00Z&endTime=2026-01-01T23%3A30%3A00Z")

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

    @pytest.mark.parametrize("told", ['"errorMessage": "broken"', '"status": 500', '"success": false'])
    def test_a_failure_told_beside_a_list_inside(self, told: str) -> None:
        nested = dataset(envelope="data.jobs", total="data.totalCount", link="data.nextLink")
        with pytest.raises(AppError, match="the answer says status"):
            read_page(nested, f'{{"data": {{"jobs": [], "totalCount": 0, {told}}}}}'.encode())

    def test_a_page_without_its_list_says_what_the_answer_says(self) -> None:
        with pytest.raises(BadResponse, match="only Message: An error has occurred"):
            read_page(dataset(), b'{"Message": "An error has occurred."}')
        with pytest.raises(UpstreamFailed, match="status 500: Server down"):
            read_page(dataset(), b'{"type": "about:blank", "title": "Server down", "status": 500}')

    def test_what_is_nested_too_deeply_is_named_wherever_it_stands(self) -> None:
        with pytest.raises(UnreadableResponse):
            read_page(dataset(), b'{"powerApps": [], "error": ' + b"[" * 10_000 + b"]" * 10_000 + b"}")

    @pytest.mark.parametrize("ends", ["", "\\"], ids=["between", "inside an escape"])
    def test_a_page_that_is_cut_inside_a_long_text_is_read_in_no_time(self, ends: str) -> None:
        """A text that holds JSON has a quote behind each backslash."""
        body = '{"powerApps": [{"id": "1", "definition": "' + r"\"name\": " * 5_000 + ends
        begins = process_time()
        with pytest.raises(UnreadableResponse, match="truncated"):
            read_page(dataset(), body.encode())
        assert process_time() - begins < 1

    @pytest.mark.parametrize(("written", "total"), [("30.0", 30), ('" 30 "', 30), ("30.5", None), ("-1", None)])
    def test_a_total_is_a_whole_number_however_it_is_written(self, written: str, total: int | None) -> None:
        assert read_page(dataset(), f'{{"powerApps": [{{}}], "totalCount": {written}}}'.encode()).total == total

    def test_names_that_are_not_utf8_are_no_fields(self) -> None:
        page = read_page(dataset(), b'{"powerApps":[{"\xfc":1},{"id":2}],"totalCount":2}')
        assert (len(page.items), len(page.odd), page.field_names()) == (2, 1, [])
        assert len(KeyReader(dataset()).hashes(page)) == 2

    def test_bare_list(self) -> None:
        assert items(read_page(dataset(envelope="$root", total=None, link=None), b"[{},{}]")) == [b"{}", b"{}"]

    def test_null_is_an_empty_list_only_where_a_total_says_so(self) -> None:
        assert read_page(dataset(total="totalCount"), b'{"powerApps":null,"totalCount":0}').items == []
        with pytest.raises(BadResponse, match="null as 'powerApps'"):
            read_page(dataset(total="totalCount"), b'{"powerApps":null,"totalCount":3}')

    @pytest.mark.parametrize(
        "telling",
        [
            '"success": false',
            '"success": "False"',
            '"success": {}',
            '"isSuccess": false',
            '"error": "broken"',
            '"Errors": ["broken"]',
            '"faultString": "broken"',
            '"statusCode": 403',
            '"StatusCode": "403"',
            '"status": "failed"',
            '"status": false',
            '"status": 403.0',
            '"statusCode": 200, "status": "failed"',
            '"statusCode": 200, "status": 403',
            '"status": "Forbidden"',
            '"statusCode": "BadRequest"',
            '"status": "404 Not Found"',
            '"httpStatusCode": 403',
            '"status_code": 403',
            '"code": 403',
            '"isError": true',
            '"hasErrors": true',
            '"@odata.error": {"message": "broken"}',
            '"isSuccessful": false',
            '"failed": true',
        ],
    )
    @pytest.mark.parametrize("items", ["[]", '[{"id": 1}]'])
    def test_what_can_only_mean_a_failure_counts_in_every_envelope(self, telling: str, items: str) -> None:
        with pytest.raises(BadResponse, match="the answer says status"):
            read_page(dataset(), f'{{"powerApps": {items}, {telling}}}'.encode())

    @pytest.mark.parametrize(
        "telling",
        [
            '"success": true',
            '"Success": "True"',
            '"status": true',
            '"status": 200.0',
            '"error": null',
            '"errors": []',
            '"message": "2 found"',
            '"traceId": "x", "somethingNew": {"error": 1}',
            '"success": 1, "isSuccess": "1"',
            '"errorMessage": "N/A", "error": " "',
            '"hasErrors": false, "isError": "false", "failed": 0',
            '"status": "200 OK", "code": 0',
            '"status": "Active", "code": "A1", "failed": 3',
            '"code": "12345678901234567890", "httpStatus": 1.5',
        ],
    )
    def test_what_means_no_failure(self, telling: str) -> None:
        assert items(read_page(dataset(), f'{{"powerApps": [1], {telling}}}'.encode())) == [b"1"]

    @pytest.mark.parametrize(
        ("telling", "status"),
        [
            ('"statusCode": "InternalServerError"', 500),
            ('"status": "503 Service Unavailable"', 503),
            ('"statusCode": "TooManyRequests"', 429),
            ('"statusCode": 200, "status": 500', 500),
        ],
    )
    @pytest.mark.parametrize("failure", [None, FailureKeys(status="statusCode")])
    def test_what_may_pass_however_its_status_is_written(
        self, telling: str, status: int, failure: FailureKeys | None
    ) -> None:
        with pytest.raises(UpstreamFailed, match=f"the answer says status {status}"):
            read_page(dataset(failure=failure), f'{{"powerApps": [], {telling}}}'.encode())

    @pytest.mark.parametrize("link", ['""', '" "', '"N/A"', '"null"', '"false"'])
    def test_a_text_in_a_text_that_means_no_link(self, link: str) -> None:
        assert read_page(dataset(), json.dumps({"powerApps": [1], "nextLink": link}).encode()).link is None

    @pytest.mark.parametrize("total", ["-1", "true", '"many"', "1.5", "null", "{}"])
    def test_a_total_that_is_none(self, total: str) -> None:
        assert read_page(dataset(), f'{{"powerApps":[],"totalCount":{total}}}'.encode()).total is None

    def test_a_link_inside_an_object_is_kept_as_json(self) -> None:
        page = read_page(dataset(), b'{"powerApps":[],"nextLink":{"token":"t"}}')
        assert page.link == '{"token": "t"}'

    @pytest.mark.parametrize(
        ("body", "complaint"),
        [
            (b"", "not valid JSON"),
            (b"<html>", "not valid JSON"),
            (b'{"powerApps":[{"id":1}', "not valid JSON"),
            (b"[]", "must be an object"),
            (b'{"value":[]}', "has no 'powerApps', only value"),
            (b"{}", "has no 'powerApps', only nothing"),
            (b'{"powerApps":{}}', "'powerApps' is not a list"),
            (b'{"powerApps":"x"}', "'powerApps' is not a list"),
            (b'{"powerApps":null}', "null as 'powerApps'"),
        ],
    )
    def test_what_cannot_be_used_is_named(self, body: bytes, complaint: str) -> None:
        with pytest.raises(BadResponse, match=complaint):
            read_page(dataset(), body)

    @pytest.mark.parametrize("status", ["200", '"200"', "null"])
    def test_a_status_that_says_nothing_of_a_failure(self, status: str) -> None:
        legacy = dataset(envelope="Results", failure=FailureKeys(status="Status", message="Message"))

        assert read_page(legacy, f'{{"Results":[],"Status":{status}}}'.encode()).items == []
        assert read_page(legacy, b'{"Results":[]}').items == []

    @pytest.mark.parametrize(
        ("status", "kind", "said"),
        [
            ("500", UpstreamFailed, "says status 500: broken"),
            ('"429"', UpstreamFailed, "says status 429: broken"),
            ("403", BadResponse, "says status 403: broken"),
            ("true", BadResponse, "a status that is not a number: true"),
            ('{"code": 500}', BadResponse, r"a status that is not a number: \{"),
        ],
    )
    @pytest.mark.parametrize("results", ["null", "[]"])
    def test_a_failure_inside_a_good_answer(self, status: str, kind: type[AppError], said: str, results: str) -> None:
        """Promise 9: an unclean answer is never an honest empty one; a status in the body counts like one outside."""
        legacy = dataset(envelope="Results", failure=FailureKeys(status="Status", message="Message"))

        with pytest.raises(kind, match=said):
            read_page(legacy, f'{{"Results":{results},"Status":{status},"Message":"broken"}}'.encode())

    def test_an_error_text_inside_a_good_answer(self) -> None:
        audits = dataset(envelope="data", failure=FailureKeys(status="statusCode", error="errorMessage"))

        assert read_page(audits, b'{"data":[],"errorMessage":"","statusCode":200}').items == []
        with pytest.raises(BadResponse, match="says status 200: An internal error"):
            read_page(audits, b'{"data":[],"errorMessage":"An internal error","statusCode":200}')
        with pytest.raises(UpstreamFailed, match="says status 500: An internal error"):
            read_page(audits, b'{"errorMessage":"An internal error","statusCode":500}')

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
            guard = guard.observe(dataset(), Request("GET", url, "s", "avepoint"), page)
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
        with pytest.raises(BrokenChain, match="empty pages came in a row"):
            self.walk([(f"/{n}", b"") for n in range(EMPTY_PAGES_CEILING + 1)])


class TestNextRequest:
    @staticmethod
    def following(dataset: Dataset, page: bytes, *, seen: int, url: str = f"{BASE}/smp/apps") -> Request | None:
        request = Request(dataset.method, url, "s", "avepoint", b"{}" if dataset.method == "POST" else None)
        read = read_page(dataset, page)
        return next_request(dataset, BASE, request, read, seen=seen, total=read.total)

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

    def test_a_smaller_total_on_a_later_page_ends_nothing(self) -> None:
        numbered = dataset(
            link=None,
            page=PageNumber(parameter="pageIndex", first=1, drives=True),
            size=PageSize(parameter="pageSize", most=100),
        )
        request = first_request(numbered, BASE, page_size=None, tenant=None)
        page = read_page(numbered, b'{"powerApps":[{}],"totalCount":0}')
        assert next_request(numbered, BASE, request, page, seen=2, total=3) is not None
        assert next_request(numbered, BASE, request, page, seen=3, total=3) is None

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
    with pytest.raises(BadResponse, match="null as 'data'"):
        read_page(single, b'{"data":null}')


class TestDuplicates:
    def hashes(self, *ids: str) -> array[int]:
        body = json.dumps({"powerApps": [{"id": one, "other": number} for number, one in enumerate(ids)]}).encode()
        return KeyReader(dataset()).hashes(read_page(dataset(), body))

    def duplicates(self, *parts: array[int]) -> int:
        runs = HashRuns()
        for part in parts:
            runs.add(part)
        return SortedHashes(runs).duplicates

    @given(parts=st.lists(st.lists(st.sampled_from("abcdef"), max_size=6), max_size=5))
    def test_every_item_with_a_key_that_was_there_before_counts(self, parts: list[list[str]]) -> None:
        everything = [one for part in parts for one in part]
        expected = len(everything) - len(set(everything))
        assert self.duplicates(*(self.hashes(*part) for part in parts)) == expected

    def test_several_keys_are_one_key(self) -> None:
        keyed = dataset(key=("a", "b"))
        page = read_page(keyed, b'{"powerApps":[{"a":1,"b":2},{"b":1,"a":2},{"a":1},{"b":2,"a":1}]}')
        assert self.duplicates(KeyReader(keyed).hashes(page)) == 1

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
        assert self.duplicates(KeyReader(dataset()).hashes(page)) == 0

    def test_without_a_key_nothing_counts(self) -> None:
        keyless = dataset(key=())
        page = read_page(keyless, b'{"powerApps":[{"a":1},{"a":1}]}')
        assert self.duplicates(KeyReader(keyless).hashes(page)) == 0

"""What AvePoint and what stands before it do against the documents: the simulator can do all of it."""

import json
from collections.abc import Callable
from urllib.parse import urlencode

import pytest

from .conftest import Service
from .documented import DOCUMENTED
from .walking import NO_PARENTS, dig, parsed, question, read, walk

POWER_APPS = "enpower-powerapps"
URL = "/smp/powerplatform/powerapps"
USERS = "elements-v3-customers"
JOBS = {
    "aos-jobs": ("finishTime", "state"),
    "d365-backup-jobs": ("finishTime", "status"),
    "google-backup-jobs": ("finishTime", "status"),
    "iaas-backup-jobs": ("finishTime", "status"),
    "m365-backup-jobs": ("finishTime", "state"),
    "salesforce-backup-jobs": ("finishTime", "state"),
    "enpower-cloudflow-runs": ("endTime", "state"),
    "enpower-desktopflow-runs": ("endTime", "runStatus"),
    "elements-v3-customer-jobs": ("endTime", "status"),
    "elements-v3-bm-jobs": ("status", "status"),
}


async def set_rule(service: Service, **rule: object) -> None:
    answer = await service.client.post("/_sandbox/faults", json=[rule])
    assert answer.status_code == 200, answer.text


def ids(items: list[object], key: str = "id") -> list[object]:
    return [dig(item, key) for item in items]


class TestOutages:
    async def test_an_outage_lasts_by_the_clock(self, service: Service) -> None:
        await set_rule(service, path="/smp/*", status=502, seconds=120)

        statuses = []
        for _ in range(4):
            statuses.append((await service.client.get(URL)).status_code)
            service.clock.now += 50
        assert statuses == [502, 502, 502, 200]

    async def test_an_outage_can_strike_a_few_times_only(self, service: Service) -> None:
        await set_rule(service, status=503, seconds=120, times=1)

        assert [(await service.client.get(URL)).status_code for _ in range(2)] == [503, 200]


class TestFailureInsideA200:
    @pytest.mark.parametrize("name", DOCUMENTED)
    async def test_any_list_can_tell_of_one(self, service: Service, name: str) -> None:
        asked = question(service, name, next(service.avepoint.parents(name), NO_PARENTS))
        above, _, last = str(DOCUMENTED[name].list).rpartition(".")
        kept = dig((await asked.ask(service)).json(), DOCUMENTED[name].list)
        for kind, shown in {"null": None, "empty": [], "absent": ..., "kept": kept}.items():
            await set_rule(service, failure={"message": "broken", "list": kind})
            answer = await asked.ask(service)

            assert answer.status_code == 200
            assert b"broken" in answer.content
            holder = dig(answer.json(), above) if above else answer.json()
            assert last in {"$root", "None"} or (isinstance(holder, dict) and holder.get(last, ...) == shown)

    async def test_it_stands_in_the_keys_that_the_list_has_for_it(self, service: Service) -> None:
        await set_rule(service, failure={"status": "500", "message": "broken"})
        body = (await question(service, "dmso-audits").ask(service)).json()

        assert (body["data"], body["errorMessage"], body["statusCode"]) == (None, "broken", "500")


class TestPages:
    @pytest.mark.parametrize(("marker", "shown"), [("n/a", "N/A"), ("false", False)])
    async def test_no_link_can_be_written_in_odd_ways(self, service: Service, marker: str, shown: object) -> None:
        service.avepoint.change({"endMarker": marker, "items": 3})

        assert (await service.client.get(URL)).json()["nextLink"] == shown

    async def test_a_page_beyond_the_end_can_repeat_the_last(self, service: Service) -> None:
        service.avepoint.change({"beyondEnd": "repeat", "items": 200})
        asked = question(service, USERS, size=100)
        pages = []
        for number in (1, 2, 3):
            asked.set("pageIndex", number)
            pages.append(read(USERS, await asked.ask(service)).items)

        assert pages[2] == pages[1] != pages[0]

    async def test_a_link_can_lead_beyond_the_end_to_a_404(self, service: Service) -> None:
        service.avepoint.change({"beyondEnd": "missing", "endMarker": "link", "items": 200})
        found = []
        link = URL
        while (answer := await service.client.get(link)).status_code == 200:
            found += ids(answer.json()["powerApps"])
            link = answer.json()["nextLink"]

        assert answer.status_code == 404
        assert len(set(found)) == 200

    async def test_the_page_size_can_be_ignored(self, service: Service) -> None:
        service.avepoint.change({"rowsPerPage": 1000, "items": 130})
        page = read(USERS, await question(service, USERS, size=50).ask(service))

        assert (len(page.items), page.total) == (130, 130)

    async def test_empty_pages_can_come_before_every_page(self, service: Service) -> None:
        service.avepoint.change({"emptyPages": 2, "items": 250})
        links, sizes, found, link = set[str](), list[int](), list[object](), URL
        while link:
            body = (await service.client.get(link)).json()
            assert link not in links
            links.add(link)
            sizes.append(len(body["powerApps"]))
            found += body["powerApps"]
            link = body["nextLink"]

        assert sizes == [0, 0, 100, 0, 0, 100, 0, 0, 50]
        assert found == parsed(service.avepoint.items(POWER_APPS))

    @pytest.mark.parametrize(("shift", "distinct"), [(1, 248), (-1, 248)])
    async def test_rows_can_come_and_go_between_pages(self, service: Service, shift: int, distinct: int) -> None:
        service.avepoint.change({"rowShift": shift, "items": 250})
        found = [key for page in await walk(service, POWER_APPS) for key in ids(page.items)]

        assert len(set(found)) == distinct
        assert len(found) == (250 if shift > 0 else 248)

    async def test_a_page_can_be_the_first_in_another_order(self, service: Service) -> None:
        first = (await service.client.get(URL)).json()
        await set_rule(service, otherOrder=True)
        second = (await service.client.get(first["nextLink"])).json()

        assert second["powerApps"] == first["powerApps"][::-1]
        assert second["nextLink"] != first["nextLink"]

    async def test_links_can_hold_raw_blanks_and_umlauts(self, service: Service) -> None:
        service.avepoint.change({"linkNote": "a bü"})
        link = (await service.client.get(URL)).json()["nextLink"]
        assert link.endswith("&note=a bü")

        second = await service.client.get(link)
        assert second.json()["powerApps"] == parsed(service.avepoint.items(POWER_APPS)[100:200])
        assert second.json()["nextLink"].count("note=") == 1


class TestHeaders:
    @pytest.mark.parametrize("encoding", ["utf-8", ""])
    async def test_an_encoding_that_is_none(self, service: Service, encoding: str) -> None:
        await set_rule(service, headers={"Content-Encoding": encoding})
        answer = await service.client.get(URL)

        assert answer.headers["content-encoding"] == encoding
        assert len(answer.json()["powerApps"]) == 100

    async def test_several_times_to_wait(self, service: Service) -> None:
        await set_rule(service, status=429, headers={"Retry-After": "30,120"})

        assert (await service.client.get(URL)).headers["retry-after"] == "30,120"

    async def test_something_after_the_gzip_stream(self, service: Service) -> None:
        await set_rule(service, tail="\0")
        async with service.client.stream("GET", URL) as answer:
            raw = b"".join([chunk async for chunk in answer.aiter_raw()])

        assert raw.endswith(b"\0")


class TestItems:
    @pytest.mark.parametrize(
        ("oddity", "is_so"),
        [
            ("surrogate", lambda text: text.endswith(rb'"odd":"Expenses \ud83d"}')),
            ("newline", lambda text: b'"two\nlines"' in text),
            ("nan", lambda text: text.endswith(b'"odd":NaN}')),
            ("huge", lambda text: text.endswith(b'"odd":1e999}')),
            ("deep", lambda text: b"[" * 10_000 in text),
            ("null", lambda text: text == b"null"),
            ("text", lambda text: json.loads(text) == "an item that is no object"),
        ],
    )
    async def test_an_item_can_be_odd(self, service: Service, oddity: str, is_so: Callable[[bytes], bool]) -> None:
        service.avepoint.change({"oddItems": {POWER_APPS: [oddity]}, "items": 3})
        odd, *others = service.avepoint.items(POWER_APPS)

        assert is_so(odd)
        assert odd in (await service.client.get(URL)).content
        assert [json.loads(item)["appType"] for item in others]

    async def test_the_newest_items_of_a_window_are_odd(self, service: Service) -> None:
        service.avepoint.change({"oddItems": {"aos-audit": ["null", "nan"]}})

        assert service.avepoint.items("aos-audit")[0] == b"null"
        assert service.avepoint.items("aos-audit")[1].endswith(b"NaN}")

    async def test_keys_of_items_can_come_in_another_case(self, service: Service) -> None:
        service.avepoint.change({"itemKeyCase": {POWER_APPS: "pascal"}, "items": 2})
        body = (await service.client.get(URL)).json()

        assert [*body] == ["powerApps", "totalCount", "nextLink"]
        assert [*body["powerApps"][0]][:2] == ["Id", "AppId"]


class TestJobs:
    @pytest.mark.parametrize("name", JOBS)
    async def test_the_newest_can_be_unfinished_and_end_later(self, service: Service, name: str) -> None:
        parents = next(service.avepoint.parents(name), NO_PARENTS)
        service.avepoint.change({"items": {name: 5}})
        ended = parsed(service.avepoint.items(name, parents))
        service.avepoint.change({"unfinished": {name: 2}})
        running = parsed(service.avepoint.items(name, parents))

        changed = [number for number, (one, other) in enumerate(zip(ended, running, strict=True)) if one != other]
        assert changed == ([0, 1] if DOCUMENTED[name].window else [3, 4])
        for field in JOBS[name]:
            assert dig(ended[changed[0]], field) != dig(running[changed[0]], field)

    async def test_a_job_ends_by_the_clock(self, service: Service) -> None:
        service.avepoint.change({"runningMinutes": {"iaas-backup-jobs": 90}, "items": 4})
        before = parsed(service.avepoint.items("iaas-backup-jobs"))
        service.clock.now += 60 * 60
        after = parsed(service.avepoint.items("iaas-backup-jobs"))

        for shown in (before, after):
            assert [dig(job, "status") == 1 for job in shown] == [True, True, False, False]
        assert ids(after[1:], "jobId") == ids(before[:3], "jobId")
        assert dig(after[2], "finishTime") == "2027-01-15T08:30:00Z"

    @pytest.mark.parametrize(("how", "found"), [("start", 4), ("within", 2)])
    async def test_a_window_can_look_at_ends_too(self, service: Service, how: str, found: int) -> None:
        service.avepoint.change({"runningMinutes": 90, "windowFilter": how, "items": 10})
        window = {"startTime": "2027-01-15T05:00:00Z", "finishTime": "2027-01-15T08:00:00Z"}
        answer = await service.client.get("/backup/vm/jobs?" + urlencode(window))

        assert len(answer.json()["jobs"]) == found, answer.text

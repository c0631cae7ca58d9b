"""Every choice that the documents leave open can be made."""

import pytest

from .conftest import Service
from .documented import DOCUMENTED, LISTS
from .walking import NO_PARENTS, dig, parsed, question, read, walk

POWER_APPS = "enpower-powerapps"
URL = "/smp/powerplatform/powerapps"

CASES = {"lower": str.lower, "upper": str.upper}


@pytest.mark.parametrize("name", LISTS)
async def test_envelope_keys_can_come_in_another_case(service: Service, name: str) -> None:
    asked = question(service, name, next(service.avepoint.parents(name), NO_PARENTS))
    for case, recased in CASES.items():
        service.avepoint.change({"keyCase": {name: case}, "items": 2})
        body = (await asked.ask(service)).json()
        assert [*body] == [recased(key) for key in DOCUMENTED[name].envelope] or isinstance(body, list)


async def test_keys_inside_envelopes_change_their_case_and_items_do_not(service: Service) -> None:
    service.avepoint.change({"keyCase": "pascal", "items": 1})
    body = (await service.client.post("/partner/external/v3/general/customers/batch", json={})).json()
    assert body["Metadata"] == {"PageIndex": 1, "PageSize": 50, "TotalCount": 1}
    assert body["Data"] == parsed([service.avepoint.item("elements-v3-customers", 0)])


@pytest.mark.parametrize(("totals", "shown"), [("number", 250), ("text", "250"), ("page", 10)])
async def test_totals_can_be_text_or_those_of_the_page(service: Service, totals: str, shown: object) -> None:
    service.avepoint.change({"totals": totals})
    assert (await service.client.get(URL, params={"top": 10})).json()["totalCount"] == shown


@pytest.mark.parametrize(
    ("name", "path", "in_table"),
    [("m365-backup-jobs", "metadata.totalCount", "metadata.totalNumber"), ("iaas-backup-jobs", "nextLink", "nextlink")],
)
async def test_the_field_table_can_be_the_true_one(service: Service, name: str, path: str, in_table: str) -> None:
    asked = question(service, name)
    assert dig((await asked.ask(service)).json(), path)
    service.avepoint.change({"keySource": "table"})
    body = (await asked.ask(service)).json()
    assert dig(body, in_table)
    assert not dig(body, path)


async def test_links_can_overlap(service: Service) -> None:
    service.avepoint.change({"items": {"aos-jobs": 10}, "linkOverlap": {"aos-jobs": 1}})
    found = await walk(service, "aos-jobs", size=4)
    ids = [dig(item, "id") for page in found for item in page.items]
    assert (len(ids), len(set(ids))) == (12, 10)


async def test_links_can_be_left_out(service: Service) -> None:
    service.avepoint.change({"linkShape": "none"})
    asked = question(service, "insights-users-summary", size=100)
    numbers = []
    for number in (1, 2, 3, 4):
        asked.set("startPage", number)
        page = read("insights-users-summary", await asked.ask(service))
        numbers.append((len(page.items), page.next))
    assert numbers == [(100, None), (100, None), (50, None), (0, None)]


async def test_tokens_can_go_into_another_parameter(service: Service) -> None:
    service.avepoint.change({"tokenParameter": {POWER_APPS: "cursor", "google-backup-jobs": "nextLink"}})
    answer = (await service.client.get(URL)).json()
    assert "?cursor=" in answer["nextLink"]
    assert (await service.client.get(answer["nextLink"])).json()["powerApps"] != answer["powerApps"]
    url = "/backup/google/admin/jobs"
    first = (await service.client.get(url)).json()
    second = (await service.client.get(f"{url}?nextLink={first['nextLink']}")).json()
    assert second["jobs"] == (await service.client.get(f"{url}?pageIndex=1")).json()["jobs"]


async def test_pages_nobody_sized_can_be_smaller(service: Service) -> None:
    service.avepoint.change({"pageSize": {"aos-audit": 7}})
    assert [len(page.items) for page in await walk(service, "aos-audit")][:2] == [7, 7]


async def test_too_large_a_page_can_be_cut_down(service: Service) -> None:
    service.avepoint.change({"oversize": "clamp"})
    asked = question(service, "elements-v3-customers", size=1000)
    page = read("elements-v3-customers", await asked.ask(service))
    assert (len(page.items), page.total) == (100, 250)


async def test_settings_are_shown_as_they_are_set(service: Service) -> None:
    changes = {"now": "2027-01-01T00:00:00Z", "goneParents": ["x"], "everyMinutes": {"aos-audit": 5}}
    answer = await service.client.post("/_sandbox/faults", json=changes)
    assert answer.status_code == 200
    assert changes.items() <= answer.json().items()


async def test_items_of_children_windows_and_tenants_are_shown(service: Service) -> None:
    name = "enpower-powerapp-activities"
    service.avepoint.change({"items": {name: 9}})
    parents = next(service.avepoint.parents(name))
    window = {"since": "2027-01-15T02:00:00Z", "until": "2027-01-15T05:00:00Z"}
    url = f"/_sandbox/items/{name}"
    shown = await service.client.get(url, params={**parents, **window})
    assert shown.content == b"[" + b",".join(service.avepoint.items(name, parents)[3:7]) + b"]"
    assert (await service.client.get(url, params={**parents, "tenant": "other"})).json() == []
    assert (await service.client.get(url, params={"appId": "other"})).status_code == 404
    missing = await service.client.get(url)
    assert (missing.status_code, missing.json()) == (400, {"error": "appId is required."})
    assert (await service.client.get(url, params={**parents, "since": "x"})).status_code == 400

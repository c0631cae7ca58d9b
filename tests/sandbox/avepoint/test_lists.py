"""How answers and their links are written."""

import json
from collections.abc import AsyncIterator, Iterator
from typing import TypedDict, cast
from urllib.parse import quote

import httpx
import pytest

from sandbox.avepoint import TENANTS
from sandbox.avepoint.catalog import EndMarker, LinkShape, Listing, load

from .conftest import Service

LISTINGS = load(0)
POWER_APPS = "/smp/powerplatform/powerapps"
LINKED = ["legacy-enpower-powerapps", "enpower-powerapps", "aos-jobs", "m365-backup-jobs"]

type Json = dict[str, object]

Page = TypedDict("Page", {"$items": list[Json], "$total": int, "$next": str | None}, total=False)
"""The parts of an answer that stand where the template of its body has markers."""


def page_of(template: object, body: object) -> Page:
    return cast("Page", dict(marked(template, body)))


def marked(template: object, body: object) -> Iterator[tuple[str, object]]:
    if isinstance(template, dict) and isinstance(body, dict):
        for key in template.keys() & body.keys():
            yield from marked(template[key], body[key])
    elif isinstance(template, str):
        yield template, body


def following(link: str, shape: LinkShape, listing: Listing, query: dict[str, str]) -> tuple[str, dict[str, str]]:
    """What a client that knows the shape asks next."""
    path = listing.resource.path
    match shape:
        case "absolute" | "root-relative":
            return link, {}
        case "prefixless":
            return f"/{path.split('/')[1]}{link}", {}
        case "relative":
            return f"{path.rsplit('/', 1)[0]}/{link}", {}
        case "token":
            return f"{path}?{httpx.QueryParams(query)}&{listing.resource.paging.parameter}={link}", {}
        case _:
            return path, {**query, listing.resource.paging.parameter: link}


async def pages(service: Service, listing: Listing, shape: LinkShape, **query: str) -> AsyncIterator[Page]:
    """Walk a list by its next links."""
    url, asked = listing.resource.path, query
    while True:
        answer = await service.client.request(listing.resource.method, url, params=asked or None)
        assert answer.status_code == 200, answer.text
        page = page_of(listing.resource.body, answer.json())
        yield page
        if not (link := page.get("$next")):
            return
        url, asked = following(link, shape, listing, query)


@pytest.mark.parametrize("shape", ["absolute", "root-relative", "prefixless", "relative", "token", "json"])
@pytest.mark.parametrize("name", LINKED)
async def test_links_lead_on_in_every_shape(service: Service, name: str, shape: LinkShape) -> None:
    service.avepoint.change({"items": {name: 25}, "linkShape": {name: shape}})
    listing = LISTINGS[name]
    found = [page async for page in pages(service, listing, shape, **{listing.resource.paging.size: "10"})]
    assert [len(page["$items"]) for page in found] == [10, 10, 5]


@pytest.mark.parametrize(("end", "shown"), [("empty", ""), ("null", None), ("absent", "absent")])
@pytest.mark.parametrize("name", LINKED)
async def test_the_end_is_marked_in_every_way(service: Service, name: str, end: EndMarker, shown: object) -> None:
    service.avepoint.change({"items": {name: 1}, "endMarker": {name: end}})
    [page] = [page async for page in pages(service, LISTINGS[name], "absolute")]
    assert page.get("$next", "absent") == shown


async def test_the_legacy_link_is_absolute_with_an_encoded_page_token(service: Service) -> None:
    headers = {"host": "graph.example:8443"}
    answer = await service.client.get("/smp/api/v1/powerplatform/powerapps?top=10", headers=headers)
    assert list(answer.json()) == ["Results", "Status", "Message", "Content", "NextLink"]
    link = answer.json()["NextLink"]
    assert link.startswith("http://graph.example:8443/smp/api/v1/powerplatform/powerapps?top=10&Page=")
    token = httpx.URL(link).params["Page"]
    assert quote(token, safe="") != token
    assert link.endswith(quote(token, safe=""))


async def test_a_bare_token_comes_encoded(service: Service) -> None:
    encoded = quote(httpx.URL((await service.client.get(POWER_APPS)).json()["nextLink"]).params["Page"], safe="")
    service.avepoint.change({"linkShape": "token"})
    assert (await service.client.get(POWER_APPS)).json()["nextLink"] == encoded


async def test_a_token_overrides_the_page_number(service: Service) -> None:
    url, now = "/backup/vm/jobs", {"pageSize": "4"}
    service.avepoint.change({"items": 10})
    first = (await service.client.get(url, params=now)).json()
    second = await service.client.get(f"{url}?pageSize=4&pageNumber=9&skiptoken={first['nextLink']}")
    assert second.json()["jobs"] == (await service.client.get(url, params={**now, "pageNumber": "1"})).json()["jobs"]


async def test_tokens_of_sharing_links_are_json_in_a_string(service: Service) -> None:
    service.avepoint.change({"items": {"insights-sharing-links-summary": 3}})
    body = {"siteUrl": "https://contoso.sharepoint.com/sites/sample01", "linkType": 32, "pageSize": 2}
    answer = (await service.client.post("/insights/sharingLinks/summary", json=body)).json()
    assert json.loads(answer["nextLink"]).keys() == {"token", "range"}


async def test_parameters_in_the_wrong_place_are_not_seen(service: Service) -> None:
    url = "/insights/sites/overview"
    assert len((await service.client.post(url, params={"pageSize": 5}, json={})).json()["values"]) == 100
    assert len((await service.client.post(url, json={"pageSize": 5})).json()["values"]) == 5
    url = "/partner/external/v3/general/customers/batch"
    assert len((await service.client.post(url, json={"pageSize": 5})).json()["data"]) == 50


async def test_a_link_between_services_keeps_the_filters(service: Service) -> None:
    name = "dmso-audits"
    service.avepoint.change({"items": {name: 10}})
    query = {"pageSize": "4", "endTime": "2027-01-15T07:00:00Z"}
    found = [page async for page in pages(service, LISTINGS[name], "relative", **query)]
    assert [len(page["$items"]) for page in found] == [4, 4, 1]


async def test_the_first_generation_of_elements_has_one_page(service: Service) -> None:
    body = (await service.client.get("/partner/customers")).json()
    assert list(body) == ["@odata.context", "value"]
    assert len(body["value"]) == 250


async def test_pages_echo_their_number_and_size(service: Service) -> None:
    url = "/partner/external/v3/general/customers/batch"
    body = (await service.client.post(url, params={"pageIndex": 3, "pageSize": 20}, json={"customerIds": []})).json()
    assert body["metadata"] == {"pageIndex": 3, "pageSize": 20, "totalCount": 250}
    assert body["data"][0] == json.loads(service.avepoint.item("elements-v3-customers", 40))


@pytest.mark.parametrize("query", ["skip=-1", "skip=x", "skip=%7B%22a%22:1%7D"])
async def test_bad_skips_are_400(service: Service, query: str) -> None:
    assert (await service.client.get(f"/aos/jobs?{query}")).status_code == 400


async def test_forged_tokens_are_400(service: Service) -> None:
    for token in ("forged", "AAAA", "{", '{"token": 1}', "\u00e9"):
        assert (await service.client.get(POWER_APPS, params={"Page": token})).status_code == 400


async def test_a_token_is_good_for_its_list_and_filter_only(service: Service) -> None:
    link = httpx.URL((await service.client.get(POWER_APPS)).json()["nextLink"])
    page = {"Page": link.params["Page"]}
    assert (await service.client.get(POWER_APPS, params=page)).status_code == 200
    assert (await service.client.get(POWER_APPS, params={**page, "tenant": TENANTS[0]})).status_code == 400
    assert (await service.client.get("/smp/powerplatform/environments", params=page)).status_code == 400


@pytest.mark.parametrize(
    "name", [name for name, listing in LISTINGS.items() if listing.resource.tenant and not listing.resource.parent]
)
async def test_the_tenant_filter_divides_the_items(service: Service, name: str) -> None:
    service.avepoint.change({"items": 11})
    listing, of_tenants = LISTINGS[name], []
    for tenant in (*TENANTS, "unknown"):
        of_tenants.append(
            [item async for page in pages(service, listing, "absolute", tenant=tenant) for item in page["$items"]]
        )
        assert of_tenants[-1] == [json.loads(item) for item in service.avepoint.items(name, tenant=tenant)]
    assert [len(items) for items in of_tenants] == [6, 5, 0]
    named = {item.get("tenantId", item.get("TenantId", TENANTS[0])) for item in of_tenants[0]}
    assert named == {TENANTS[0]}


async def test_answers_are_gzip_where_the_client_takes_it(service: Service) -> None:
    packed = await service.client.get(POWER_APPS, headers={"accept-encoding": "gzip, br"})
    plain = await service.client.get(POWER_APPS, headers={"accept-encoding": "identity"})
    assert packed.headers["content-encoding"] == "gzip"
    assert "content-encoding" not in plain.headers
    assert int(packed.headers["content-length"]) < int(plain.headers["content-length"]) / 4
    assert packed.content == plain.content
    assert packed.headers["content-type"] == plain.headers["content-type"] == "application/json"


async def test_malformed_bodies_of_lists_are_400(service: Service) -> None:
    url = "/partner/external/v3/general/customers/batch"
    for body in (b"{", b"[]", b"\xff", b'{"a":' * 50_000):
        assert (await service.client.post(url, content=body)).status_code == 400


async def test_unknown_addresses_are_404(service: Service) -> None:
    answer = await service.client.get("/smp/powerplatform/nothing")
    assert answer.status_code == 404
    assert answer.headers["request-id"]

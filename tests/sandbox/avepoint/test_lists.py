import json
from collections.abc import AsyncIterator, Iterator
from typing import TypedDict, cast
from urllib.parse import quote

import httpx
import pytest

from sandbox.avepoint import TENANTS, AvePoint
from sandbox.avepoint.catalog import LinkShape, Listing, load
from sandbox.avepoint.settings import EndMarker

from .conftest import Service

LISTINGS = {name: listing for name, listing in load(0).items() if not listing.resource.answers_one}
POWER_APPS = "/smp/powerplatform/powerapps"
LINKED = ["legacy-enpower-powerapps", "enpower-powerapps", "aos-jobs", "m365-backup-jobs"]

type Json = dict[str, object]

Page = TypedDict("Page", {"$items": list[Json], "$total": int, "$next": str | None}, total=False)
"""The parts of an answer that stand where the template of its body has markers."""


def asked_of(listing: Listing) -> dict[str, str]:
    """The query parameters that the call requires."""
    numbers = {"startPage": "1", "pageSize": "100"}
    return {name: numbers.get(name, "2026-01-01T00:00:00Z") for name in listing.resource.required}


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
        case "json":
            return path, {**query, listing.resource.paging.parameter: link}


async def pages(service: Service, listing: Listing, shape: LinkShape = "absolute", **extra: str) -> AsyncIterator[Page]:
    """Walk a list by its next links, or by page numbers and the total where it has no links."""
    resource = listing.resource
    query = {**asked_of(listing), **extra}
    url, asked, number, seen = resource.path, query, resource.paging.first, 0
    while True:
        answer = await service.client.request(resource.method, url, params=asked or None)
        assert answer.status_code == 200, answer.text
        page = page_of(resource.body, answer.json())
        yield page
        seen += len(page["$items"])
        if link := page.get("$next"):
            url, asked = following(link, shape, listing, query)
        elif "$next" not in page and resource.paging.style == "page" and seen < page["$total"]:
            number += 1
            asked = {**query, resource.paging.parameter: str(number)}
        else:
            return


async def walk(service: Service, listing: Listing, shape: LinkShape = "absolute", **extra: str) -> list[Json]:
    return [item async for page in pages(service, listing, shape, **extra) for item in page["$items"]]


@pytest.mark.parametrize("name", LISTINGS)
async def test_a_walk_collects_each_item_once(service: Service, name: str) -> None:
    listing = LISTINGS[name]
    size = listing.resource.paging.default or 100
    for count in (0, 1, size, size + 1, 3 * size + 7):
        service.avepoint.change({"items": count, "linkShape": "absolute"})
        items = await walk(service, listing)
        keys = {tuple(item[key] for key in listing.resource.keys) for item in items}
        assert (len(items), len(keys)) == (count, count)


@pytest.mark.parametrize("name", LISTINGS)
async def test_served_items_are_the_very_bytes_of_item(service: Service, name: str) -> None:
    resource = LISTINGS[name].resource
    answer = await service.client.request(resource.method, resource.path, params=asked_of(LISTINGS[name]))
    expected = b",".join(service.avepoint.item(name, n) for n in range(resource.paging.default or 250))
    assert b"[" + expected + b"]" in answer.content
    control = await service.client.get(f"/_sandbox/items/{name}", params={"count": resource.paging.default or 250})
    assert control.content == b"[" + expected + b"]"


@pytest.mark.parametrize("end", ["empty", "null", "absent"])
@pytest.mark.parametrize("shape", ["absolute", "root-relative", "prefixless", "relative", "token", "json"])
@pytest.mark.parametrize("name", LINKED)
async def test_links_lead_on_in_every_shape(service: Service, name: str, shape: LinkShape, end: EndMarker) -> None:
    service.avepoint.change({"items": {name: 25}, "linkShape": {name: shape}, "endMarker": {name: end}})
    listing = LISTINGS[name]
    found = [page async for page in pages(service, listing, shape, **{listing.resource.paging.size: "10"})]
    assert [len(page["$items"]) for page in found] == [10, 10, 5]
    assert found[-1].get("$next", "absent") == {"empty": "", "null": None, "absent": "absent"}[end]


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


async def test_the_first_generation_of_elements_has_one_page(service: Service) -> None:
    body = (await service.client.get("/partner/customers")).json()
    assert list(body) == ["@odata.context", "value"]
    assert len(body["value"]) == 250


async def test_pages_echo_their_number_and_size(service: Service) -> None:
    url = "/partner/external/v3/general/customers/batch"
    body = (await service.client.post(url, params={"pageIndex": 3, "pageSize": 20}, json={"customerIds": []})).json()
    assert body["metadata"] == {"pageIndex": 3, "pageSize": 20, "totalCount": 250}
    assert body["data"][0] == json.loads(service.avepoint.item("elements-v3-customers", 40))


@pytest.mark.parametrize("name", [name for name, listing in LISTINGS.items() if listing.resource.paging.size])
async def test_page_sizes_out_of_bounds_are_400(service: Service, name: str) -> None:
    resource = LISTINGS[name].resource
    too_many = [str(resource.paging.maximum + 1)] if resource.paging.maximum else []
    for size in ("0", "-1", "ten", "1.5", "", *too_many):
        query = {**asked_of(LISTINGS[name]), resource.paging.size: size}
        assert (await service.client.request(resource.method, resource.path, params=query)).status_code == 400


@pytest.mark.parametrize("name", ["enpower-powerapps", "legacy-enpower-powerapps", "elements-v3-customers"])
async def test_the_largest_page_is_served(service: Service, name: str) -> None:
    resource = LISTINGS[name].resource
    service.avepoint.change({"items": 2_000})
    query = {resource.paging.size: str(resource.paging.maximum)}
    page = page_of(resource.body, (await service.client.request(resource.method, resource.path, params=query)).json())
    assert len(page["$items"]) == resource.paging.maximum


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


async def test_required_parameters_are_required(service: Service) -> None:
    assert (await service.client.get("/insights/users/summary", params={"startPage": 1})).status_code == 400


@pytest.mark.parametrize("name", [name for name, listing in LISTINGS.items() if listing.resource.tenant])
async def test_the_tenant_filter_divides_the_items(service: Service, name: str) -> None:
    service.avepoint.change({"items": 251})
    of_tenants = [await walk(service, LISTINGS[name], tenant=tenant) for tenant in (*TENANTS, "unknown")]
    assert [len(items) for items in of_tenants] == [126, 125, 0]
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


def test_items_are_a_pure_function_of_name_number_and_seed() -> None:
    one, same, other = AvePoint(seed=1), AvePoint(seed=1), AvePoint(seed=2)
    for name in LISTINGS:
        assert one.item(name, 999_999) == same.item(name, 999_999)
    assert one.item("enpower-powerapps", 5) != other.item("enpower-powerapps", 5)
    assert one.item("enpower-powerapps", 5) != one.item("enpower-powerapps", 6)


def test_power_apps_are_as_big_as_real_ones() -> None:
    assert 2_800 < len(AvePoint().item("enpower-powerapps", 123_456)) < 3_200


def test_both_generations_of_enpower_name_the_same_apps() -> None:
    avepoint = AvePoint()
    old, new = (json.loads(avepoint.item(name, 7)) for name in ("legacy-enpower-powerapps", "enpower-powerapps"))
    assert (old["Id"], old["AppId"], old["TenantId"]) == (new["id"], new["appId"], new["tenantId"])
    assert old["Id"] == f"{old['AppId']}_{TENANTS[1]}_default-{TENANTS[1]}"


def test_keys_stay_unique_up_to_a_million_items() -> None:
    avepoint = AvePoint()
    for name, listing in LISTINGS.items():
        items = (json.loads(avepoint.item(name, n)) for n in range(0, 1_000_000, 997))
        assert len({tuple(item[key] for key in listing.resource.keys) for item in items}) == 1004

"""Child lists know the parents that the parents' own lists show, and no others."""

from itertools import islice
from typing import cast

import pytest

from sandbox.avepoint import TENANTS, UnknownParentError
from sandbox.avepoint.columns import Column
from sandbox.avepoint.families import Families

from .conftest import Service
from .documented import CHILDREN, DOCUMENTED
from .walking import Json, Parents, dig, parsed, question, read, walk

ALIKE = {"elements-v3-m365-tenant-apps"}
"""Its items show nothing but a flag."""

UNKNOWN = "00000000-dead-5000-8000-000000000000"


def shown(service: Service, source: tuple[str, str], parents: Parents) -> set[object]:
    """What the items of a documented parent list show in a field."""
    resource, path = source
    inherited = {name: parents[name] for name in DOCUMENTED[resource].parents if name in parents}
    if resource == "insights-site-id":
        sites = service.avepoint.parents(resource)
        return {service.avepoint.item(resource, 0, site).decode().strip('"') for site in sites}
    items = parsed(service.avepoint.items(resource, inherited))
    if path == "tenants[].id":
        return {tenant["id"] for item in items for tenant in cast("list[Json]", dig(item, "tenants"))}
    return {dig(item, path) for item in items}


@pytest.mark.parametrize("name", CHILDREN)
def test_parents_are_those_that_their_lists_show(service: Service, name: str) -> None:
    service.avepoint.change({"items": 4})
    documented = DOCUMENTED[name].parents
    families = list(service.avepoint.parents(name))
    assert families
    assert len({tuple(parents.values()) for parents in families}) == len(families)
    for parents in families[:12]:
        assert parents.keys() == documented.keys()
        for parameter, source in documented.items():
            values = shown(service, (source[0], source[1]), parents) if source[0] in DOCUMENTED else source
            assert parents[parameter] in values


@pytest.mark.parametrize("name", CHILDREN)
def test_every_parent_has_items_of_its_own(service: Service, name: str) -> None:
    service.avepoint.change({"items": 3})
    lists = [tuple(service.avepoint.items(name, parents)) for parents in islice(service.avepoint.parents(name), 9)]
    assert len(set(lists)) == (1 if name in ALIKE else len(lists))


@pytest.mark.parametrize("name", CHILDREN)
async def test_unknown_and_gone_parents_are_404(service: Service, name: str) -> None:
    parents = next(service.avepoint.parents(name))
    values = {
        parameter: parents[parameter]
        for parameter, source in DOCUMENTED[name].parents.items()
        if source[0] in DOCUMENTED
    }
    for parameter in values:
        answer = await question(service, name, {**parents, parameter: UNKNOWN}).ask(service)
        assert (answer.status_code, UNKNOWN in answer.text) == (404, True)
    for value in values.values():
        service.avepoint.change({"goneParents": [value]})
        assert (await question(service, name, parents).ask(service)).status_code == 404
        with pytest.raises(UnknownParentError):
            service.avepoint.items(name, parents)


@pytest.mark.parametrize(
    ("name", "parameter"),
    [(name, p) for name in CHILDREN for p, source in DOCUMENTED[name].parents.items() if source[0] not in DOCUMENTED],
)
async def test_other_values_than_the_documented_are_400_by_name(service: Service, name: str, parameter: str) -> None:
    parents = next(service.avepoint.parents(name))
    answer = await question(service, name, {**parents, parameter: "999"}).ask(service)
    assert (answer.status_code, parameter in answer.text) == (400, True)


async def test_a_parent_beyond_the_end_of_its_list_is_unknown(service: Service) -> None:
    service.avepoint.change({"items": 10})
    last = list(service.avepoint.parents("enpower-powerapp-launches"))[-1]
    assert (await question(service, "enpower-powerapp-launches", last).ask(service)).status_code == 200
    service.avepoint.change({"items": 9})
    assert (await question(service, "enpower-powerapp-launches", last).ask(service)).status_code == 404


async def test_a_parent_of_another_grandparent_is_unknown(service: Service) -> None:
    one, *_, other = islice(service.avepoint.parents("elements-v3-rm-hit-items"), 7)
    assert one["tenantId"] != other["tenantId"]
    for mixed in ({**one, "ruleId": other["ruleId"]}, {**one, "tenantId": other["tenantId"]}):
        assert (await question(service, "elements-v3-rm-hit-items", mixed).ask(service)).status_code == 404


async def test_a_share_of_the_parents_is_gone_for_good(service: Service) -> None:
    name = "enpower-cloudflow-runs"
    families = list(service.avepoint.parents(name))
    service.avepoint.change({"goneShare": {name: 0.2}})
    gone = [parents for parents in families if service.avepoint.is_gone(name, parents)]
    assert 25 < len(gone) < 75
    assert list(service.avepoint.parents(name)) == families
    for parents in (*gone[:3], families[0]):
        answer = await question(service, name, parents).ask(service)
        assert answer.status_code == (404 if parents in gone else 200)
    service.avepoint.change({"goneShare": {name: 0.4}})
    assert all(service.avepoint.is_gone(name, parents) for parents in gone)
    assert not any(service.avepoint.is_gone("enpower-cloudflow-activities", parents) for parents in families)


async def test_a_parent_list_does_not_show_the_children_of_what_is_gone_above(service: Service) -> None:
    service.avepoint.change({"items": 6})
    customers = list(dict.fromkeys(p["customerId"] for p in service.avepoint.parents("elements-v3-rm-hit-items")))
    service.avepoint.change({"goneParents": [customers[0]]})
    left = {parents["customerId"] for parents in service.avepoint.parents("elements-v3-rm-hit-items")}
    assert left == set(customers[1:])


async def test_several_parents_can_be_asked_for_at_once(service: Service) -> None:
    name = "insights-site-permissions"
    one, other = islice(service.avepoint.parents(name), 2)
    asked = question(service, name, one)
    asked.set("siteUrls", [one["siteUrls"], other["siteUrls"]])
    found = read(name, await asked.ask(service)).items
    assert found == parsed(service.avepoint.items(name, one) + service.avepoint.items(name, other))


async def test_the_parent_in_the_query_can_be_made_optional(service: Service) -> None:
    name = "enpower-cloudflow-connection-usage"
    service.avepoint.change({"items": 4})
    asked = question(service, name)
    assert (await asked.ask(service)).status_code == 400
    service.avepoint.change({"parentRequired": {name: False}})
    found = read(name, await asked.ask(service)).items
    families = service.avepoint.parents(name)
    assert found == [item for parents in families for item in parsed(service.avepoint.items(name, parents))]


async def test_children_can_go_by_another_id_of_the_parent(service: Service) -> None:
    name = "enpower-powerpage-activities"
    service.avepoint.change({"parentField": {name: "siteId"}})
    [page] = parsed([service.avepoint.item("enpower-powerpages", 0)])
    assert (await question(service, name, {"powerPageId": str(dig(page, "id"))}).ask(service)).status_code == 404
    assert (await question(service, name, {"powerPageId": str(dig(page, "siteId"))}).ask(service)).status_code == 200


async def test_the_tenant_filter_takes_all_children_of_a_parent_or_none(service: Service) -> None:
    name = "enpower-agent-activities"
    for n, parents in enumerate(islice(service.avepoint.parents(name), 2)):
        for wanted, tenant in enumerate(TENANTS):
            asked = question(service, name, parents)
            asked.set("tenant", tenant)
            expected = service.avepoint.items(name, parents, tenant=tenant)
            assert read(name, await asked.ask(service)).items == parsed(expected)
            assert len(expected) == (3 if wanted == n else 0)


@pytest.mark.parametrize(
    ("name", "parameter", "key"),
    [
        ("elements-v3-customers", "customerIds", "id"),
        ("elements-v3-services", "customerIds", "customerId"),
        ("elements-v3-bm-baselines", "baselineIds", "baselineId"),
        ("elements-v3-bm-tenants", "tenantIds", "tenantId"),
        ("elements-v3-bm-jobs", "jobIds", "jobId"),
        ("elements-v3-scan-profiles", "scanProfileIds", "profileId"),
        ("elements-v3-tenant-seats", "tenantIds", "tenantId"),
        ("elements-v3-um-users", "userIds", "id"),
        ("elements-v3-m365-users", "userEmails", "email"),
    ],
)
async def test_ids_in_the_body_narrow_the_answer(service: Service, name: str, parameter: str, key: str) -> None:
    parents = next(service.avepoint.parents(name), {})
    items = parsed(service.avepoint.items(name, parents))
    for wanted in ([items[2], items[0]], [items[1]]):
        asked = question(service, name, parents)
        asked.set(parameter, [dig(item, key) for item in wanted] + ["unknown"])
        page = read(name, await asked.ask(service))
        assert page.items == [item for item in items if item in wanted]
        assert page.total == len(wanted)
    asked.set(parameter, [])
    assert read(name, await asked.ask(service)).total == len(items)


async def test_children_of_a_million_parents_are_found_at_once(service: Service) -> None:
    service.avepoint.change({"items": 1_000_000})
    app = parsed([service.avepoint.item("enpower-powerapps", 999_999)])[0]
    pages = await walk(service, "enpower-powerapp-activities", {"appId": str(dig(app, "appId"))})
    assert [len(page.items) for page in pages] == [3]


def test_a_column_without_numbers_is_looked_through(service: Service) -> None:
    holdings = service.avepoint.holdings
    family = Families(holdings).of("elements-customer-jobs", next(service.avepoint.parents("elements-customer-jobs")))
    column = holdings.column("elements-customer-jobs", family, "jobModule")
    assert isinstance(column, Column)
    assert list(column.candidates("Exchange Online", range(3))) == [0, 1, 2]

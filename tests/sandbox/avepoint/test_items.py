"""Items are a pure function of list, parents, number and seed."""

import json

import pytest

from sandbox.avepoint import TENANTS, AvePoint
from sandbox.avepoint.catalog import load
from sandbox.avepoint.items import Family, Origin, Template
from sandbox.avepoint.numbers import Timeline, leads_back, number_of

from .conftest import Clock

LISTINGS = load(0)
ROOTS = {name: listing for name, listing in LISTINGS.items() if not listing.resource.parent}


def rendered(source: str, n: int, family: Family | None = None) -> str:
    return Template("list", [source.encode()], Origin(0, Timeline(), family)).render(n).decode()


def test_items_do_not_depend_on_who_makes_them() -> None:
    one, same, other = (AvePoint(seed=seed, clock=Clock()) for seed in (1, 1, 2))
    for name in ROOTS:
        assert one.item(name, 999) == same.item(name, 999)
    assert one.item("enpower-powerapps", 5) != other.item("enpower-powerapps", 5)
    assert one.item("enpower-powerapps", 5) != one.item("enpower-powerapps", 6)


def test_power_apps_are_as_big_as_real_ones() -> None:
    assert 2_800 < len(AvePoint().item("enpower-powerapps", 123_456)) < 3_200


def test_both_generations_of_enpower_name_the_same_apps() -> None:
    avepoint = AvePoint()
    old, new = (json.loads(avepoint.item(name, 7)) for name in ("legacy-enpower-powerapps", "enpower-powerapps"))
    assert (old["Id"], old["AppId"], old["TenantId"]) == (new["id"], new["appId"], new["tenantId"])
    assert old["Id"] == f"{old['AppId']}_{TENANTS[1]}_default-{TENANTS[1]}"


@pytest.mark.parametrize("name", [name for name, listing in ROOTS.items() if not listing.resource.answers_one])
def test_keys_stay_unique_up_to_a_million_items(name: str) -> None:
    template = LISTINGS[name].template()
    items = [json.loads(template.render(n)) for n in range(0, 1_000_000, 9_973)]
    assert len({tuple(item[key] for key in LISTINGS[name].resource.keys) for item in items}) == len(items)


def test_what_belongs_to_parents_is_filled_in() -> None:
    family = Family((("siteUrl", 'https://a/"b"/50%'), ("type", "7")), row=4, tenant=1)
    assert rendered('["{parent:siteUrl}","{number:type}","{tenant}"]', 0, family) == (
        f'["https://a/\\"b\\"/50%",7,"{TENANTS[1]}"]'
    )
    assert rendered('"{row:sites.id}"', 0, family) == rendered('"{guid:sites.id}"', 4)
    assert rendered('"{guid:sites.id}"', 4, family) != rendered('"{guid:sites.id}"', 4)


@pytest.mark.parametrize("pattern", ["{guid:a.b}", "x-{hex:a.b}_{tenant}", "user{n}@{domain}", "N{date}-{n:7}"])
def test_a_number_is_found_again_by_what_was_made_of_it(pattern: str) -> None:
    assert leads_back(pattern)
    for n in (0, 1, 2, 99, 12_345, 9_999_999):
        assert number_of(pattern, json.loads(rendered(f'"{pattern}"', n)), "0") == n
    assert number_of(pattern, "something else", "0") is None
    assert not leads_back("Microsoft 365 {tenant}")


def test_variants_take_turns() -> None:
    template = Template("list", [b'"a{n}"', b'"b{n}"', b'"c"'], Origin(0, Timeline()))
    assert [template.render(n) for n in range(4)] == [b'"a01"', b'"b02"', b'"c"', b'"a04"']

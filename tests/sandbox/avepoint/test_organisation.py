"""The most used lists look like those of an organisation, and change from night to night."""

import json
from collections import Counter
from functools import cache
from typing import cast

import pytest

from sandbox.avepoint import AvePoint, Settings
from sandbox.avepoint.organisation import CHANGING, DRESSES

from .conftest import Clock

type Item = dict[str, object]

CHANGING_LISTS = sorted(CHANGING - {"aos-jobs"})
ITEMS = 300


def avepoint(night: int = 0) -> AvePoint:
    return AvePoint(Settings(items=ITEMS, night=night), clock=Clock())


@cache
def listed(name: str, night: int = 0) -> list[Item]:
    return [cast("Item", json.loads(item)) for item in avepoint(night).items(name)]


def column(items: list[Item], field: str) -> list[object]:
    return [item[field] for item in items]


class TestJoins:
    @pytest.mark.parametrize(
        ("name", "field", "other", "key"),
        [
            ("enpower-powerapps", "environment", "enpower-environments", "id"),
            ("enpower-powerapps", "environmentName", "enpower-environments", "displayName"),
            ("enpower-cloudflows", "environmentId", "enpower-environments", "id"),
            ("enpower-desktopflows", "environmentId", "enpower-environments", "id"),
            ("enpower-agents", "environmentId", "enpower-environments", "id"),
            ("enpower-connections", "environmentId", "enpower-environments", "id"),
            ("enpower-powerpages", "environmentId", "enpower-environments", "id"),
            ("enpower-powerbi-artifacts", "workspaceId", "enpower-powerbi-workspaces", "id"),
            ("enpower-powerbi-artifacts", "parentName", "enpower-powerbi-workspaces", "name"),
            ("enpower-environments", "environmentOwnerId", "enpower-mailboxes", "userId"),
            ("enpower-cloudflows", "creatorUpn", "enpower-mailboxes", "principalName"),
            ("enpower-agents", "ownerId", "enpower-mailboxes", "userId"),
            ("enpower-powerbi-active-users", "userPrincipalName", "enpower-mailboxes", "principalName"),
            ("elements-services", "organization", "elements-v3-customers", "organization"),
            ("legacy-enpower-powerautomate", "EnvironmentId", "legacy-enpower-environments", "Id"),
        ],
    )
    def test_every_value_is_found_in_the_other_list(self, name: str, field: str, other: str, key: str) -> None:
        assert set(column(listed(name), field)) <= set(column(listed(other), key))

    def test_things_lie_in_environments_of_their_own_tenant(self) -> None:
        tenants = {item["id"]: item["tenantId"] for item in listed("enpower-environments")}

        assert all(app["tenantId"] == tenants[app["environment"]] for app in listed("enpower-powerapps"))

    @pytest.mark.parametrize("night", [0, 3])
    def test_environments_count_what_the_lists_show(self, night: int) -> None:
        shown = Counter(column(listed("enpower-powerapps", night), "environment"))

        for item in listed("enpower-environments", night):
            assert item["numberOfApps"] == shown[item["id"]]

    def test_both_generations_say_the_same(self) -> None:
        old, new = listed("legacy-enpower-powerapps"), listed("enpower-powerapps")

        assert column(old, "DisplayName") == column(new, "displayName")
        assert column(old, "LastLaunchedOn") == column(new, "lastLaunchedOn")

    def test_who_launched_an_app_has_a_mailbox(self) -> None:
        simulated = avepoint()
        parents = next(simulated.parents("enpower-powerapp-launches"))
        launches = [json.loads(item) for item in simulated.items("enpower-powerapp-launches", parents)]

        assert {one["userId"] for one in launches} <= set(column(listed("enpower-mailboxes"), "principalName"))


class TestVariety:
    def test_apps_follow_a_long_tail(self) -> None:
        launches = sorted(
            cast("list[int]", column(listed("enpower-powerapps"), "appLaunchesLast180Days")), reverse=True
        )

        assert sum(launches[: ITEMS // 10]) > 0.6 * sum(launches)
        assert launches.count(0) > ITEMS // 5

    def test_last_use_is_spread_over_a_year_and_some_were_never_used(self) -> None:
        used = Counter(str(one)[:7] for one in column(listed("enpower-powerapps"), "lastLaunchedOn"))

        assert len(used) > 10
        assert used["0001-01"] + used[""] > 5

    @pytest.mark.parametrize(
        ("name", "field", "least"),
        [
            ("enpower-environments", "environmentType", 5),
            ("enpower-environments", "region", 4),
            ("enpower-powerapps", "environmentType", 5),
            ("enpower-powerapps", "ownerStatus", 3),
            ("enpower-powerapps", "creatorDepartment", 10),
            ("enpower-cloudflows", "status", 3),
            ("enpower-mailboxes", "recipientType", 2),
            ("enpower-powerbi-artifacts", "type", 4),
            ("insights-users-summary", "LastSignIn", 5),
            ("elements-v3-customers", "jobStatus", 4),
            ("iaas-backup-jobs", "status", 4),
            ("m365-backup-jobs", "state", 3),
        ],
    )
    def test_values_vary(self, name: str, field: str, least: int) -> None:
        assert len(set(column(listed(name), field))) >= least

    def test_some_are_shared_with_everybody_some_premium_some_without_an_active_owner(self) -> None:
        apps = listed("enpower-powerapps")

        for share in (
            column(apps, "sharedOrganization").count(True),
            column(apps, "hasPremiumConnection").count(True),
            column(apps, "ownerStatus").count("Disable"),
        ):
            assert 0.02 * ITEMS < share < 0.4 * ITEMS

    def test_some_mailboxes_are_nearly_full(self) -> None:
        shares = [
            cast("int", item["storageUsed"]) / cast("int", item["prohibitSendReceiveQuota"])
            for item in listed("enpower-mailboxes")
        ]

        assert 0 < sum(share > 0.9 for share in shares) < ITEMS / 5


class TestNights:
    @pytest.mark.parametrize("name", sorted(DRESSES))
    def test_a_night_is_always_the_same(self, name: str) -> None:
        one, other = avepoint(2), avepoint(2)
        parents = next(one.parents(name), {})

        assert one.items(name, parents) == other.items(name, parents)

    @pytest.mark.parametrize("name", CHANGING_LISTS)
    def test_items_come_and_go(self, name: str) -> None:
        before, after = (
            {json.dumps(item[key]) for item in listed(name, night)} for night in (0, 1) for key in [_key(name)]
        )

        assert len(before - after) == 2
        assert len(after - before) == 3

    def test_what_came_was_made_that_night(self) -> None:
        before = set(column(listed("enpower-powerapps"), "id"))
        new = [item for item in listed("enpower-powerapps", 1) if item["id"] not in before]

        assert {str(item["createdOn"])[:10] for item in new} == {"2027-01-16"}

    def test_a_few_of_the_others_change_hands_or_are_shared_further(self) -> None:
        before = {item["id"]: item for item in listed("enpower-powerapps")}
        changed = Counter(
            field
            for item in listed("enpower-powerapps", 5)
            if item["id"] in before
            for field, value in item.items()
            if value != before[item["id"]][field]
        )

        for field in ("ownerDisplayName", "sharedUsers", "ownerStatus"):
            assert 0 < changed[field] < ITEMS / 4
        assert changed["displayName"] == changed["createdOn"] == changed["environment"] == 0

    def test_what_is_in_use_is_used_again_and_what_is_not_stays_as_it_was(self) -> None:
        before, after = (column(listed("enpower-mailboxes", night), "lastActivityDate") for night in (0, 1))
        moved = sum(one != other for one, other in zip(before, after, strict=True))

        assert 0.05 * ITEMS < moved < 0.5 * ITEMS

    def test_no_environment_is_modified_by_a_night_alone(self) -> None:
        before, after = (column(listed("enpower-environments", night), "lastModifiedTime") for night in (0, 1))

        assert before == after

    def test_people_leave(self) -> None:
        archived = [column(listed("enpower-mailboxes", night), "status").count("Archived") for night in (0, 30, 60)]

        assert archived == sorted(archived)
        assert archived[0] < archived[2] < ITEMS / 2

    def test_a_night_can_be_set_while_it_runs(self) -> None:
        simulated = avepoint()
        simulated.change({"night": 1})

        assert simulated.items("enpower-powerapps") == avepoint(1).items("enpower-powerapps")
        assert simulated.item("enpower-powerapps", 0) == simulated.items("enpower-powerapps")[0]


def _key(name: str) -> str:
    return avepoint().listings[name].resource.keys[0]

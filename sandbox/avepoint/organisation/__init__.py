"""What makes the items of the most used lists look like those of an organisation.

It has people with departments, who leave; environments with types and regions; apps and flows that follow a long tail,
some shared, some premium, last used at any time in the past year; jobs that fail. Ids are the same in all lists. From
night to night some things come, some go, some change.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from sandbox.avepoint.items import TENANTS, Family
from sandbox.avepoint.organisation import makers, others, platform, power_bi
from sandbox.avepoint.organisation.parts import Dress, Item, Thing
from sandbox.avepoint.organisation.world import World

__all__ = ["CHANGING", "COUNTED", "DRESSES", "Dressed", "World", "births", "deaths"]

COUNTED = platform.COUNTED

_OBJECTS: Mapping[str, Dress] = {
    "enpower-environments": platform.environment,
    "enpower-connections": platform.connection,
    "enpower-powerapps": makers.app,
    "enpower-cloudflows": makers.cloud_flow,
    "enpower-powerbi-workspaces": power_bi.workspace,
    "enpower-powerbi-artifacts": power_bi.artifact,
}
_LEGACY = {"legacy-enpower-powerautomate": "enpower-cloudflows"} | {
    name.replace("enpower-", "legacy-enpower-"): name for name in _OBJECTS if name != "enpower-cloudflows"
}

DRESSES: Mapping[str, Dress] = {
    **_OBJECTS,
    **{legacy: _OBJECTS[name] for legacy, name in _LEGACY.items()},
    "enpower-desktopflows": makers.desktop_flow,
    "enpower-agents": makers.agent,
    "enpower-powerpages": makers.site,
    "enpower-powerbi-active-users": power_bi.power_bi_user,
    "enpower-mailboxes": others.mailbox,
    "enpower-powerapp-activities": others.by_somebody,
    "enpower-powerapp-launches": others.by_somebody,
    "enpower-cloudflow-activities": others.by_somebody,
    "enpower-agent-activities": others.by_somebody,
    "enpower-powerpage-activities": others.by_somebody,
    "enpower-cloudflow-runs": others.ended("state", {"Succeeded": 88, "Failed": 9, "Cancelled": 3}),
    "enpower-desktopflow-runs": others.ended("runStatus", {"Succeeded": 85, "Failed": 12, "Canceled": 3}),
    "insights-users-summary": others.external_user,
    "insights-groups-summary": others.group,
    "insights-sites-overview": others.risky_site,
    "aos-audit": others.by_somebody,
    "aos-jobs": others.scan_job,
    "d365-backup-jobs": others.ended("status", {3: 84, 4: 8, 7: 8}),
    "google-backup-jobs": others.ended("status", {2: 84, 3: 8, 7: 8}),
    "iaas-backup-jobs": others.ended("status", {2: 82, 4: 4, 8: 6, 16: 8}),
    "m365-backup-jobs": others.ended("state", {"Finished": 84, "Failed": 8, "Finished with Exception": 8}),
    "salesforce-backup-jobs": others.ended("state", {2: 84, 3: 8, 4: 8}),
    "elements-customers": others.customer,
    "elements-services": others.customer,
    "elements-v3-customers": others.coded_customer,
    "elements-v3-services": others.customer,
    "elements-v3-customer-jobs": others.ended("status", {2: 80, 3: 8, 4: 10, 5: 2}),
}
"""What is dressed, by the name of the list."""

CHANGING = frozenset(
    {
        *COUNTED,
        *(legacy for legacy, name in _LEGACY.items() if name in COUNTED),
        "enpower-powerbi-artifacts",
        "legacy-enpower-powerbi-artifacts",
        "enpower-agents",
        "enpower-powerpages",
        "aos-jobs",
    }
)
"""The lists whose items come and go."""

_SMALLEST = 20
_ONE_IN_COMES, _ONE_IN_GOES = 80, 120


def births(count: int) -> int:
    """Return how many items come to a list of so many each night."""
    return max(count // _ONE_IN_COMES, 1) if count >= _SMALLEST else 0


def deaths(count: int) -> int:
    """Return how many of its oldest items a list of so many loses each night."""
    return max(count // _ONE_IN_GOES, 1) if count >= _SMALLEST else 0


@dataclass(frozen=True, slots=True)
class Dressed:
    """Lets the items of a list, which held ``count`` of them at first, look like those of the organisation."""

    name: str
    world: World
    count: int
    family: Family | None

    def __call__(self, n: int, item: Item, /) -> Item:
        """Return the item with what it shows in place of its template's values."""
        successor = _LEGACY.get(self.name, self.name)
        changes = DRESSES[self.name](self._thing(successor, n))
        if self.name in _LEGACY:
            changes = {field[:1].upper() + field[1:]: value for field, value in changes.items()}
        return item | {field: value for field, value in changes.items() if field in item}

    def _thing(self, name: str, n: int) -> Thing:
        if self.family is None:
            return Thing(self.world, self.world.luck(name, n), n, self._born(n), tenant=n % len(TENANTS))
        values = "/".join(value for _, value in self.family.values)
        return Thing(self.world, self.world.luck(f"{name}/{values}", n), n, born=0, tenant=self.family.tenant)

    def _born(self, n: int) -> int:
        each = births(self.count) if self.name in CHANGING else 0
        return 1 + (n - self.count) // each if each and n >= self.count else 0

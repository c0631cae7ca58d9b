"""Environments and connections."""

from collections import Counter
from functools import lru_cache

from sandbox.avepoint.items import TENANTS
from sandbox.avepoint.organisation.parts import CONNECTORS, Item, Thing, contact, created, home_of, owner_of, stamp
from sandbox.avepoint.organisation.world import COMPANIES, World

_CUSTOM = "Contoso ERP"
_QUOTA_MB = 10_240
_COUNTED_UP_TO = 20_000

COUNTED = ("enpower-powerapps", "enpower-cloudflows", "enpower-desktopflows", "enpower-connections")
"""The lists whose items are counted by environment."""


def environment(thing: Thing) -> Item:
    """Return an environment; its numbers of apps, flows and connections are those that the lists show."""
    world, luck, here = thing.world, thing.luck, thing.world.environment(thing.n)
    owner = world.someone(luck, thing.tenant, "owner")
    apps, flows, desktop, connections = (_census(world, name)[here.number] for name in COUNTED)
    used = luck.share("storage") ** 2 * _QUOTA_MB * (1 + world.night / 500)
    policies = 0 if luck.happens("no policy", 0.25) else 1 + luck.below("policies", 3)
    return {
        "name": here.id,
        "displayName": here.name,
        "region": here.region,
        "environmentType": here.type,
        "isDefault": here.type == "Default",
        "createdTime": stamp(world.ago(30 + luck.below("age", 1_800))),
        "lastModifiedTime": stamp(world.ago(luck.share("changed") * 30)),
        "environmentOwnerId": owner.id,
        "environmentOwnerDisplayName": owner.name,
        "environmentOwnerDepartment": owner.department,
        "environmentOwnerUserPrincipalName": owner.address,
        "ownerIsDisabled": owner.has_left,
        "ownerUserType": "Guest" if owner.is_guest else "Member",
        "hasManaged": here.type == "Production" and luck.happens("managed", 0.5),
        "hasDataverse": here.type != "Trial",
        "hasDlpPolicy": policies > 0,
        "dlpPolicies": policies,
        "hasPremiumConnection": luck.happens("premium", 0.4),
        "hasSecurityGroup": here.has_security_group,
        "totalNumberOfAppsAndFlows": apps + flows + desktop,
        "numberOfApps": apps,
        "numberOfFlows": flows,
        "numberOfDesktopFlows": desktop,
        "numberOfConnections": connections,
        "numberOfAdmins": 1 + luck.below("admins", 4),
        "numberOfMakers": min(apps + flows, 1 + luck.tail("makers", 60)),
        "numberOfUsers": 1 + luck.tail("users", 400),
        "numberOfGuestUsers": luck.tail("guests", 12, steep=4),
        "numberOfShadowUsers": luck.tail("shadows", 20, steep=4),
        "totalUsage": f"{used:,.2f} MB",
        "usageOfDatabase": f"{used:,.2f} MB",
        "usageOfDatabasePercentage": f"{min(used / _QUOTA_MB * 100, 100):.0f}%",
        "primaryContact": contact(owner, thing.tenant),
    }


def connection(thing: Thing) -> Item:
    """Return a connection, which belongs to one person and one environment."""
    luck, owner, here = thing.luck, owner_of(thing), home_of(thing)
    name, tier = luck.pick("connector", CONNECTORS)
    return {
        "tenantName": COMPANIES[thing.tenant],
        "displayName": owner.address if luck.happens("named after its owner", 0.6) else name,
        "connectorId": f"shared_{name.replace(' ', '').lower()}",
        "connectorDisplayName": name,
        "publisher": "Contoso" if name == _CUSTOM else "Microsoft",
        "isCustom": name == _CUSTOM,
        "tier": tier,
        "environmentId": here.id,
        "environmentDisplayName": here.name,
        "connectorCreatedTime": stamp(created(thing)),
        "powerAppCount": luck.tail("apps", 12),
        "flowCount": luck.tail("flows", 12),
        "status": "Error" if luck.happens("broken", 0.07) else "Connected",
        "ownerId": owner.id,
        "ownerDisplayName": owner.name,
        "ownerUserPrincipalName": owner.address,
        "ownerStatus": "Disabled" if owner.has_left else "Enabled",
        "ownerCountry": owner.country,
    }


@lru_cache(maxsize=64)
def _census(world: World, name: str) -> Counter[int]:
    """Return how many items of a list each environment has."""
    numbers = dict(world.populations).get(name, range(0))[:_COUNTED_UP_TO]
    return Counter(world.somewhere(world.luck(name, n), n % len(TENANTS)).number for n in numbers)

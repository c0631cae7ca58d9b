"""What makers make: apps, flows, agents and sites."""

from sandbox.avepoint.organisation.parts import (
    CONNECTORS,
    Item,
    Thing,
    contact,
    created,
    creator,
    creator_of,
    home_of,
    idle_days,
    last_use,
    owner_of,
    shared_with,
    spans,
    stamp,
    title,
    uses,
)
from sandbox.avepoint.organisation.world import COMPANIES, Person


def app(thing: Thing) -> Item:
    """Return a Power App."""
    luck, owner, here, launches = thing.luck, owner_of(thing), home_of(thing), uses(thing)
    premium, users = luck.happens("premium", 0.22), shared_with(thing)
    kind = luck.pick("type", {"Canvas": 70, "Model-driven": 22, "SharePoint form": 8})
    used = last_use(thing)
    made = stamp(created(thing))
    return {
        **creator(creator_of(thing)),
        "displayName": title(thing),
        "environment": here.id,
        "environmentName": here.name,
        "environmentType": here.type,
        "environmentHasSecurityGroup": here.has_security_group,
        **_app_owner(thing, owner),
        "createdOn": made,
        "modifiedOn": made,
        "lastLaunchedOn": used,
        "lastActivityDate": used,
        "lastPublishOn": made,
        "sharedUsers": users,
        "sharedGroups": luck.tail("groups", 6, steep=4),
        "sharedOrganization": luck.happens("everybody", 0.06),
        "guestUserCount": luck.tail("guests", 9, steep=8),
        "shadowUserCount": luck.tail("shadows", 9, steep=6),
        "coOwnerCount": luck.tail("co-owners", 4),
        "appType": kind,
        "connectorCount": luck.below("connectors", 6),
        "hasPremiumConnection": premium,
        "connectorTier": "Premium" if premium else "Standard",
        "quarantineState": "Quarantined" if luck.happens("quarantined", 0.03) else "Unquarantined",
        **spans("lastActivityD{}", launches),
        **spans("appLaunchesLast{}Days", launches),
        **spans("launchedUsersLast{}Days", tuple(min(count, users + 1) for count in launches)),
        "appLaunchedCount": launches[-1] * 3,
        "primaryContact": contact(owner, thing.tenant),
    }


def _app_owner(thing: Thing, owner: Person) -> Item:
    if thing.luck.happens("nobody", 0.02):
        return {"ownerDisplayName": "", "ownerUserPrincipalName": "", "ownerStatus": "N/A", "ownerUserType": ""}
    return {
        "ownerDisplayName": owner.name,
        "ownerUserPrincipalName": owner.address,
        "ownerStatus": "Disable" if owner.has_left else "Enable",
        "ownerUserType": "Guest" if owner.is_guest else "Member",
    }


def cloud_flow(thing: Thing) -> Item:
    """Return a cloud flow."""
    luck, owner, here, runs = thing.luck, owner_of(thing), home_of(thing), uses(thing, 20_000)
    kind = luck.pick("type", {"Automated": 55, "Scheduled": 25, "Instant": 20})
    trigger = {"Automated": "When an item is created", "Scheduled": "Recurrence", "Instant": "PowerAppsButton"}[kind]
    used = last_use(thing)
    name, tier = luck.pick("connector", CONNECTORS)
    made = stamp(created(thing))
    return {
        **creator(creator_of(thing)),
        "creatorUserType": "Guest" if creator_of(thing).is_guest else "Member",
        "creatorStatus": "Disable" if creator_of(thing).has_left else "Enable",
        "displayName": title(thing),
        "environmentId": here.id,
        "environment": here.name,
        "type": kind,
        "flowTrigger": trigger,
        "status": _flow_status(thing),
        "triggered": runs[1] > 0,
        "actionCount": 1 + luck.tail("actions", 60),
        "createdTime": made,
        "lastModifiedTime": made,
        "lastRunTime": used,
        "lastActivityDate": used,
        "flowRuns": runs[-1] * 2,
        **spans("runsLast{}Days", runs),
        **spans("activitiesLast{}Days", runs),
        "owner": {
            "id": owner.id,
            "name": owner.name,
            "department": owner.department,
            "office": owner.office,
            "status": "Disabled" if owner.has_left else "Active",
            "userType": "Guest" if owner.is_guest else "Regular",
            "country": owner.country,
            "email": owner.address,
            "jobTitle": owner.title,
            "userPrincipalName": owner.address,
        },
        "coOwners": luck.tail("co-owners", 4),
        "users": shared_with(thing),
        "guests": luck.tail("guests", 5, steep=8),
        "shadowUsers": luck.tail("shadows", 9, steep=6),
        "connections": [
            {
                "connectionName": f"shared-{name.replace(' ', '').lower()}-{thing.n}",
                "connectionDisplayName": owner.address,
                "connectorName": f"shared_{name.replace(' ', '').lower()}",
                "connectorDisplayName": name,
                "iconUri": "",
                "type": tier,
            }
        ],
        "primaryContact": contact(owner, thing.tenant),
        "phase": luck.pick("phase", {"Active": 80, "RenewalExpired": 12, "PendingRenewal": 8}),
        "claimStatus": luck.pick("claim", {"Claimed": 85, "Unclaimed": 15}),
    }


def desktop_flow(thing: Thing) -> Item:
    """Return a desktop flow."""
    luck, here, runs = thing.luck, home_of(thing), uses(thing)
    made = stamp(created(thing))
    return {
        **creator(creator_of(thing)),
        "displayName": title(thing),
        "environmentId": here.id,
        "environment": here.name,
        "coOwners": luck.tail("co-owners", 3),
        "users": shared_with(thing),
        "triggered": runs[1] > 0,
        "lastRunTime": last_use(thing),
        "lastRunStatus": "" if not runs[-1] else luck.pick("last run", {"Succeeded": 85, "Failed": 12, "Canceled": 3}),
        "flowRuns": runs[-1] * 2,
        **spans("runsLast{}Days", runs),
        "createdTime": made,
        "modifiedTime": made,
    }


def agent(thing: Thing) -> Item:
    """Return a Copilot Studio agent."""
    luck, owner, here, activities = thing.luck, owner_of(thing), home_of(thing), uses(thing)
    made = stamp(created(thing))
    return {
        **creator(creator_of(thing)),
        "tenantName": COMPANIES[thing.tenant],
        "environmentId": here.id,
        "environment": here.name,
        "displayName": f"{title(thing)} Assistant",
        "ownerId": owner.id,
        "ownerUserPrincipalName": owner.address,
        "createdTime": made,
        "lastModifiedTime": made,
        "lastPublishedTime": made,
        "lastActivityTime": last_use(thing),
        **spans("activityCountLast{}D", activities),
        "sharedWithOrganization": luck.happens("everybody", 0.15),
        "sharedUsers": shared_with(thing),
        "sharedGroups": luck.tail("groups", 5, steep=4),
        "useAIGeneralKnowledge": luck.happens("general", 0.4),
        "useWebSearch": luck.happens("web", 0.2),
        "knowledgeSourceCount": luck.tail("sources", 12),
        "toolCount": luck.tail("tools", 9),
        "restAPIToolCount": luck.tail("rest", 4),
    }


def site(thing: Thing) -> Item:
    """Return a Power Pages site."""
    luck, owner, here, visits = thing.luck, owner_of(thing), home_of(thing), uses(thing)
    made = stamp(created(thing))
    return {
        **creator(creator_of(thing)),
        "tenantName": COMPANIES[thing.tenant],
        "environmentId": here.id,
        "environmentName": here.name,
        "name": title(thing),
        "websiteName": title(thing),
        "ownerId": owner.id,
        "ownerDisplayName": owner.name,
        "ownerDepartment": owner.department,
        "ownerOffice": owner.office,
        "siteVisibility": luck.pick("visibility", {"private": 60, "public": 40}),
        "anonymousAccess": luck.pick("anonymous", {"": 60, "Enabled": 25, "Disabled": 15}),
        "createdTime": made,
        "modifiedTime": made,
        "siteStatus": "Active" if idle_days(thing) is not None else "Inactive",
        **spans("activitiesLast{}Days", visits),
    }


def _flow_status(thing: Thing) -> str:
    luck, days = thing.luck, idle_days(thing)
    if luck.happens("suspended", 0.04):
        return "Suspended"
    switched_off = luck.happens("switched off", 0.05) and thing.world.night > luck.below("switched off on", 20)
    return "Stopped" if switched_off or days is None or days > 200 else "Started"  # noqa: PLR2004 - more than half a year

"""Power BI: workspaces, artifacts, and what users did there."""

from sandbox.avepoint.items import TENANTS
from sandbox.avepoint.numbers import guid
from sandbox.avepoint.organisation.parts import (
    Item,
    Thing,
    contact,
    created,
    creator,
    creator_of,
    last_use,
    owner_of,
    spans,
    stamp,
    title,
    uses,
)
from sandbox.avepoint.organisation.world import COMPANIES, UNITS, World

_WORKSPACES = 60
"""How many workspaces are not personal."""
_LABELS = {"": 45, "General": 25, "Confidential": 22, "Highly Confidential": 8}


def workspace(thing: Thing) -> Item:
    """Return a Power BI workspace; the later ones are personal."""
    luck, owner, activities = thing.luck, owner_of(thing), uses(thing)
    shared, dedicated = thing.n < _WORKSPACES, luck.happens("capacity", 0.25)
    return {
        "name": _workspace_name(thing.world, thing.n),
        "type": "Workspace" if shared else "PersonalGroup",
        "state": "Deleted" if luck.happens("deleted", 0.05) else "Active",
        "isDeleted": luck.happens("deleted", 0.05),
        "isOnDedicatedCapacity": dedicated,
        "createdDateTime": stamp(created(thing)),
        "numberOfReports": luck.tail("reports", 40),
        "numberOfDashboards": luck.tail("dashboards", 12),
        "numberOfDataSets": luck.tail("sets", 30),
        "numberOfAdmins": luck.below("admins", 4),
        "numberOfMembers": luck.tail("members", 60),
        "numberOfGuests": luck.tail("guests", 6, steep=6),
        "numberOfUsers": 1 + luck.tail("users", 200),
        "lastActivityD7": activities[0],
        "lastActivityTime": last_use(thing),
        "primaryContact": contact(owner, thing.tenant),
    }


def artifact(thing: Thing) -> Item:
    """Return a Power BI artifact, which lies in one of the workspaces."""
    world, luck, owner, views = thing.world, thing.luck, owner_of(thing), uses(thing)
    place = luck.tail("workspace", _WORKSPACES // len(TENANTS)) * len(TENANTS) + thing.tenant
    kind = luck.pick("type", {"Report": 60, "SemanticModel": 25, "Dashboard": 10, "Dataflow": 5})
    used, viewers = last_use(thing), [min(count, 1 + luck.tail("viewers", 80)) for count in views]
    return {
        **creator(creator_of(thing)),
        "tenantName": COMPANIES[thing.tenant],
        "name": title(thing),
        "type": kind,
        "owner": owner.address,
        "workspaceId": guid(place, f"{world.seed}/powerbi-workspaces.id").decode(),
        "parentName": _workspace_name(world, place),
        "sensitivityLabelName": luck.pick("label", _LABELS),
        "createdDateTime": stamp(created(thing)),
        "createdBy": creator_of(thing).address,
        "createdById": creator_of(thing).id,
        "modifiedBy": owner.address,
        "modifiedById": owner.id,
        "modifiedDateTime": stamp(created(thing)),
        "lastRefreshDate": used,
        "lastViewedTime": used,
        "lastActivityTime": used,
        "lastActivityD7": views[0],
        **spans("viewsOfLast{}Days", views[:3]),
        **spans("uniqueViewersOfLast{}Days", tuple(viewers[:3])),
    }


def power_bi_user(thing: Thing) -> Item:
    """Return what somebody did in Power BI."""
    world, luck = thing.world, thing.luck
    person = world.someone(luck, thing.tenant)
    place = luck.tail("workspace", _WORKSPACES // len(TENANTS)) * len(TENANTS) + thing.tenant
    return {
        "userId": person.id,
        "userPrincipalName": person.address,
        "displayName": person.name,
        "department": person.department,
        "operation": luck.pick(
            "operation", {"ViewReport": 70, "CreateReport": 8, "ShareReport": 12, "ExportReport": 10}
        ),
        "activityTime": stamp(world.ago(thing.n * 37 / 1440, since_night=world.night)),
        "isSuccess": not luck.happens("failed", 0.04),
        "pbiObjectId": guid(place, f"{world.seed}/powerbi-workspaces.id").decode(),
        "pbiObjectName": _workspace_name(world, place),
    }


def _workspace_name(world: World, n: int) -> str:
    luck = world.luck("workspace", n)
    if n >= _WORKSPACES:
        return f"PersonalWorkspace {world.person(n).name}"
    topic = luck.one_of("topic", ("Analytics", "Reporting", "KPIs", "Planning"))
    return f"{luck.one_of('department', UNITS)} {topic} {n + 1}"

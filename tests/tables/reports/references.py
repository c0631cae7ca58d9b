"""Every report once more, in plain Python over plain rows."""

import json
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.tables.reports.tenant import NOW, Row, Tenant, documented

type Answer = list[tuple[Any, ...]]

REFERENCES: dict[str, Callable[[Tenant, Mapping[str, Any]], Answer]] = {}

APPS, FLOWS, AGENTS = "graph/enpower-powerapps", "graph/enpower-cloudflows", "graph/enpower-agents"
CONNECTIONS, ENVIRONMENTS, MAILBOXES = (
    "graph/enpower-connections",
    "graph/enpower-environments",
    "graph/enpower-mailboxes",
)


def reference(function: Callable[[Tenant, Mapping[str, Any]], Answer]) -> Callable[[Tenant, Mapping[str, Any]], Answer]:
    """Make a function the reference of the report of its name."""
    REFERENCES[function.__name__.replace("_", "-")] = function
    return function


def member(value: object, name: str) -> str | None:
    """A member of a JSON object as text."""
    found = value.get(name) if isinstance(value, dict) else None
    return found if found is None or isinstance(found, str) else json.dumps(found)


def listed(value: str | None, texts: str) -> bool:
    return value is not None and value.strip().lower() in {text.strip().lower() for text in texts.split(",")}


def last(value: Any) -> tuple[bool, Any]:  # noqa: ANN401 - whatever can be compared
    """A key that puts nulls last."""
    return (True, 0) if value is None else (False, value)


def first(value: Any) -> tuple[bool, Any]:  # noqa: ANN401 - whatever can be compared
    """A key that puts nulls first."""
    return (False, 0) if value is None else (True, value)


def latest(*moments: datetime | None) -> datetime | None:
    return max((moment for moment in moments if moment is not None), default=None)


def before(days: int) -> datetime:
    return NOW - timedelta(days=days)


def meaning(dataset: str, name: str, value: object) -> str | None:
    if value is None:
        return None
    codes = next(field.codes for field in documented(dataset) if field.name == name)
    return codes.get(str(value), str(value))


@reference
def items_by_environment(tenant: Tenant, _: Mapping[str, Any]) -> Answer:
    items = [(app["environmentName"], "app", app["appType"], app["ownerDisplayName"]) for app in tenant[APPS]]
    items += [(flow["environment"], "flow", flow["type"], member(flow["owner"], "name")) for flow in tenant[FLOWS]]
    items += [(agent["environment"], "agent", None, agent["ownerUserPrincipalName"]) for agent in tenant[AGENTS]]
    counted = [(*item, count) for item, count in Counter(items).items()]
    return sorted(counted, key=lambda row: (last(row[0]), row[1], last(row[2]), last(row[3])))


@reference
def without_active_owner(tenant: Tenant, given: Mapping[str, Any]) -> Answer:
    def app(row: Row) -> tuple[Any, ...]:
        owner = row["ownerDisplayName"], row["ownerStatus"]
        return "app", row["displayName"], row["environmentName"], *owner, row["lastActivityDate"], row["_key"]

    def flow(row: Row) -> tuple[Any, ...]:
        owner = member(row["owner"], "name"), member(row["owner"], "status")
        return "flow", row["displayName"], row["environment"], *owner, row["lastActivityDate"], row["_key"]

    def connection(row: Row) -> tuple[Any, ...]:
        owner = row["ownerDisplayName"], row["ownerStatus"]
        return "connection", row["displayName"], row["environmentDisplayName"], *owner, None, row["_key"]

    items = [*map(app, tenant[APPS]), *map(flow, tenant[FLOWS]), *map(connection, tenant[CONNECTIONS])]
    found = [item for item in items if not listed(item[4], given["active"])]
    return sorted(found, key=lambda row: (row[0], last(row[2]), last(row[1]), row[6]))


@reference
def not_used(tenant: Tenant, given: Mapping[str, Any]) -> Answer:
    items = [
        (
            "app",
            row["displayName"],
            row["environmentName"],
            row["ownerDisplayName"],
            latest(row["lastLaunchedOn"], row["lastActivityDate"]),
            row["createdOn"],
            row["_key"],
        )
        for row in tenant[APPS]
    ]
    items += [
        (
            "flow",
            row["displayName"],
            row["environment"],
            member(row["owner"], "name"),
            latest(row["lastRunTime"], row["lastActivityDate"]),
            row["createdTime"],
            row["_key"],
        )
        for row in tenant[FLOWS]
    ]
    items += [
        (
            "agent",
            row["displayName"],
            row["environment"],
            row["ownerUserPrincipalName"],
            row["lastActivityTime"],
            row["createdTime"],
            row["_key"],
        )
        for row in tenant[AGENTS]
    ]
    found = [item for item in items if (latest(*item[4:6]) or datetime.min.replace(tzinfo=UTC)) < before(given["days"])]
    return sorted(found, key=lambda row: (first(row[4]), row[0], last(row[1]), row[6]))


@reference
def shared_widely(tenant: Tenant, _: Mapping[str, Any]) -> Answer:
    items = [
        (
            "app",
            row["displayName"],
            row["environmentName"],
            row["ownerDisplayName"],
            bool(row["sharedOrganization"]),
            row["guestUserCount"] or 0,
            row["sharedUsers"],
            row["sharedGroups"],
            row["_key"],
        )
        for row in tenant[APPS]
    ]
    items += [
        (
            "flow",
            row["displayName"],
            row["environment"],
            member(row["owner"], "name"),
            False,
            row["guests"] or 0,
            row["users"],
            None,
            row["_key"],
        )
        for row in tenant[FLOWS]
    ]
    items += [
        (
            "agent",
            row["displayName"],
            row["environment"],
            row["ownerUserPrincipalName"],
            bool(row["sharedWithOrganization"]),
            0,
            row["sharedUsers"],
            row["sharedGroups"],
            row["_key"],
        )
        for row in tenant[AGENTS]
    ]
    found = [item for item in items if item[4] or item[5]]
    return sorted(found, key=lambda row: (not row[4], -row[5], row[0], last(row[1]), row[8]))


@reference
def premium_and_custom_connectors(tenant: Tenant, given: Mapping[str, Any]) -> Answer:
    found = [row for row in tenant[CONNECTIONS] if row["isCustom"] or listed(row["tier"], given["premium"])]
    answer = []
    for connector in {row["connectorId"] for row in found}:
        rows = [row for row in found if row["connectorId"] == connector]
        environments = {row["environmentId"] for row in rows} - {None}
        counts = len(rows), len(environments), sum(row["powerAppCount"] or 0 for row in rows)
        flows = sum(row["flowCount"] or 0 for row in rows)
        answer.append((connector, any(row["isCustom"] for row in rows), *counts, flows))
    return sorted(answer, key=lambda row: (-row[2], last(row[0])))


@reference
def environments_without_dlp_policy(tenant: Tenant, _: Mapping[str, Any]) -> Answer:
    def has_policy(row: Row) -> bool:
        return bool(row["dlpPolicies"]) if row["hasDlpPolicy"] is None else row["hasDlpPolicy"]

    names = "displayName", "environmentType", "region", "environmentOwnerDisplayName", "ownerIsDisabled"
    counts = "numberOfApps", "numberOfFlows", "numberOfConnections"
    answer = [
        tuple(row[name] for name in (*names, *counts, "hasPremiumConnection", "createdTime", "_key"))
        for row in tenant[ENVIRONMENTS]
        if not has_policy(row)
    ]
    return sorted(answer, key=lambda row: (-(row[5] or 0) - (row[6] or 0), last(row[0]), row[10]))


@reference
def mailboxes_near_quota(tenant: Tenant, given: Mapping[str, Any]) -> Answer:
    answer = []
    for row in tenant[MAILBOXES]:
        used, quota = row["storageUsed"], row["prohibitSendReceiveQuota"]
        if used is not None and quota and used * 100 >= quota * given["percent"]:
            facts = row["displayName"], row["emailAddress"], row["recipientType"], row["status"], used, quota
            percent = round(100.0 * used / quota, 1)
            answer.append((*facts, percent, row["itemCount"], row["lastActivityDate"], row["_key"]))
    return sorted(answer, key=lambda row: (-row[6], last(row[0]), row[9]))


@reference
def mailboxes_forwarding_outside(tenant: Tenant, _: Mapping[str, Any]) -> Answer:
    names = "displayName", "emailAddress", "recipientType", "status", "externalForwardingAddressDomain"
    answer = [
        tuple(row[name] for name in (*names, "litigationHoldEnabled", "lastActivityDate", "_key"))
        for row in tenant[MAILBOXES]
        if row["externalEmailForwardingEnabled"]
    ]
    return sorted(answer, key=lambda row: (last(row[4]), last(row[0]), row[7]))


@reference
def power_bi_workspaces_to_review(tenant: Tenant, given: Mapping[str, Any]) -> Answer:
    answer = []
    for row in tenant["graph/enpower-powerbi-workspaces"]:
        used = latest(row["lastActivityTime"], row["createdDateTime"])
        flags = not row["numberOfAdmins"], bool(row["numberOfGuests"]), used is None or used < before(given["days"])
        if any(flags) and not row["isDeleted"]:
            what = row["name"], row["type"], row["state"], row["capacityName"]
            counts = row["numberOfReports"], row["numberOfDataSets"], row["numberOfUsers"], row["numberOfGuests"]
            answer.append((*what, *flags, *counts, row["lastActivityTime"], row["_key"]))
    return sorted(answer, key=lambda row: (not row[4], not row[5], not row[6], last(row[0]), row[12]))


@reference
def failed_jobs(tenant: Tenant, given: Mapping[str, Any]) -> Answer:
    def failed_of(details: object) -> int | None:
        text = member(details, "failedCount")
        return int(text) if text and text.isdecimal() else None

    graph = "graph/"
    jobs: list[tuple[Any, ...]] = [
        (
            f"{graph}m365-backup-jobs",
            row["id"],
            row["state"],
            row["startTime"],
            row["finishTime"],
            failed_of(row["backupDetails"]),
        )
        for row in tenant[f"{graph}m365-backup-jobs"]
    ]
    for name, job, status, failed in (
        ("d365-backup-jobs", "jobId", "status", "failedEntity"),
        ("google-backup-jobs", "jobId", "status", None),
        ("iaas-backup-jobs", "jobId", "status", "failedCount"),
        ("salesforce-backup-jobs", "jobId", "state", "failedObjects"),
        ("aos-jobs", "id", "state", None),
    ):
        for row in tenant[graph + name]:
            value = row["status"] if status == "state" and row["state"] is None and "status" in row else row[status]
            facts = graph + name, row[job], meaning(graph + name, status, value), row["startTime"], row["finishTime"]
            jobs.append((*facts, row[failed] if failed else None))
    found = [
        job
        for job in jobs
        if listed(job[2], given["failed"]) and (job[4] or job[3]) and (job[4] or job[3]) >= before(given["days"])
    ]
    return sorted(found, key=lambda row: (-(row[4] or row[3]).timestamp(), row[0], last(row[1])))


@reference
def elements_customers(tenant: Tenant, _: Mapping[str, Any]) -> Answer:
    dataset = "elements/v3-customers"
    answer = []
    for row in tenant[dataset]:
        who = row["organization"], row["ownerEmail"], row["countryOrRegion"]
        job, managed = (meaning(dataset, name, row[name]) for name in ("jobStatus", "managementMode"))
        tenants = row["tenants"]
        size = None if tenants is None else len(tenants) if isinstance(tenants, list) else 0
        answer.append((*who, job, managed, size, row["_key"]))
    return sorted(answer, key=lambda row: (last(row[3]), last(row[0]), row[6]))


@reference
def elements_licences_expiring(tenant: Tenant, given: Mapping[str, Any]) -> Answer:
    answer = []
    for row in tenant["elements/v3-services"]:
        for product in row["products"] or []:
            if product["expirationDate"] == "N/A":
                continue
            expires = datetime.fromisoformat(product["expirationDate"])
            names = "service", "purchasedUserSeats", "purchasedCapacity", "consumedStorage"
            facts = row["organization"], row["customer"], *(member(product, name) for name in names)
            if expires < NOW + timedelta(days=given["days"]):
                answer.append((*facts, expires, (expires.date() - NOW.date()).days, row["_key"]))
    return sorted(answer, key=lambda row: (row[6], last(row[0]), last(row[2]), row[8]))

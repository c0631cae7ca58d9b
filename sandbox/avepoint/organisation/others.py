"""Power BI, mailboxes, Insights, Elements customers, and what became of jobs and runs."""

from collections.abc import Mapping
from datetime import timedelta

from sandbox.avepoint.organisation.parts import NEVER, Dress, Item, Thing, contact, created, idle_days, last_use, stamp
from sandbox.avepoint.organisation.world import UNITS

_GB = 1024**3
_INDUSTRIES = ("Bank", "Clinic", "College", "Foods", "Insurance", "Logistics", "Retail", "Software", "Travel", "Works")
_PLACES = (
    "Adventure",
    "Alpine",
    "Blue Yonder",
    "City",
    "Coho",
    "Fourth",
    "Lucerne",
    "Margie",
    "Northwind",
    "Woodgrove",
)
_COUNTRIES = {"Germany": 25, "United States": 25, "Vietnam": 12, "Japan": 12, "Slovenia": 6, "Australia": 20}


def mailbox(thing: Thing) -> Item:
    """Return the mailbox of a person, or one that several share."""
    world, luck, person = thing.world, thing.luck, thing.world.person(thing.n)
    quota = luck.pick("quota", {50: 70, 100: 30}) * _GB
    used = int(quota * min(luck.share("used") ** 3 * 1.05 + world.night / 2000, 1))
    shared, forwards = luck.happens("shared", 0.12), luck.happens("forwards", 0.04)
    outside = forwards and luck.happens("outside", 0.5)
    return {
        "principalName": person.address,
        "emailAddress": person.address,
        "name": person.address.split("@", maxsplit=1)[0],
        "alias": person.address.split("@", maxsplit=1)[0],
        "displayName": f"{person.department} {thing.n + 1}" if shared else person.name,
        "firstName": None if shared else person.first_name,
        "lastName": None if shared else person.last_name,
        "recipientType": "Shared mailbox" if shared else "User mailbox",
        "status": "Archived" if person.has_left else "Normal",
        "hiddenFromAddressListsEnabled": luck.happens("hidden", 0.05),
        "createTime": stamp(created(thing)),
        "modifiedTime": stamp(world.ago(luck.share("changed") * 90)),
        "itemCount": used // 80_000,
        "storageUsed": used,
        "issueWarningQuota": int(quota * 0.98),
        "prohibitSendQuota": int(quota * 0.99),
        "prohibitSendReceiveQuota": quota,
        "deletedItemCount": used // 900_000,
        "deletedItemSize": used // 12,
        "autoReplyEnabled": luck.happens("away", 0.05),
        "litigationHoldEnabled": luck.happens("hold", 0.2),
        "emailForwardingEnabled": forwards,
        "externalEmailForwardingEnabled": outside,
        "externalForwardingAddressDomain": "elsewhere.example" if outside else "",
        "archiveStatus": luck.pick("archive", {"Active": 40, "None": 60}),
        "lastActivityDate": NEVER if idle_days(thing) is None else last_use(thing) or NEVER,
        "primaryContact": contact(person, thing.tenant),
    }


def external_user(thing: Thing) -> Item:
    """Return somebody from outside whom Insights reports on."""
    luck, person = thing.luck, thing.world.person(10_000 + thing.n)
    return {
        "displayName": person.name,
        "userStatus": "Blocked" if luck.happens("blocked", 0.08) else "Active",
        "trustStatus": "Trusted" if luck.happens("trusted", 0.3) else "Not Trusted",
        "sitesWithDirectAccess": luck.tail("sites", 30),
        "LastSignIn": luck.pick(
            "signed in",
            {"Less than 90 Days": 50, "More than 90 Days": 20, "More than 180 Days": 20, "None": 6, "N/A": 4},
        ),
    }


def group(thing: Thing) -> Item:
    """Return a group that Insights reports on."""
    luck = thing.luck
    department, kind = luck.one_of("department", UNITS), luck.one_of("kind", ("Team", "Board", "Project"))
    return {
        "displayName": f"{department} {kind} {thing.n + 1}",
        "groupType": luck.pick("type", {"Microsoft 365 Group": 60, "Security Group": 30, "Distribution Group": 10}),
        "membershipType": luck.pick("membership", {"Assigned": 85, "Dynamic": 15}),
        "externalMemberCount": luck.tail("external", 25, steep=5),
    }


def risky_site(thing: Thing) -> Item:
    """Return a site that Insights reports on."""
    luck = thing.luck
    return {
        "riskItemCount": luck.tail("risk", 400, steep=4),
        "sensitiveItemCount": luck.tail("sensitive", 2_000, steep=4),
        "exposureItemCount": luck.tail("exposure", 800, steep=4),
    }


def customer(thing: Thing) -> Item:
    """Return a customer of a partner."""
    luck = thing.world.luck("customer", thing.n)
    name = f"{luck.one_of('place', _PLACES)} {luck.one_of('industry', _INDUSTRIES)} {thing.n + 1}"
    states = {"Working": 60, "Failed": 8, "Multiple issues found": 8, "Finished with exception": 14, "N/A": 10}
    return {
        "organization": name,
        "countryOrRegion": luck.pick("country", _COUNTRIES),
        "jobStatus": luck.pick("jobs", states),
    }


def coded_customer(thing: Thing) -> Item:
    """Return a customer whose job status is a number."""
    luck = thing.world.luck("customer", thing.n)
    states = {1: 60, 2: 8, 4: 8, 5: 14, 0: 10}
    return customer(thing) | {
        "jobStatus": luck.pick("jobs", states),
        "managementMode": luck.pick("mode", {0: 20, 1: 70, 2: 10}),
    }


def by_somebody(thing: Thing) -> Item:
    """Return who did it: one of the people, by sign-in name."""
    person = thing.world.someone(thing.luck, thing.tenant)
    return {"userId": person.address, "userKey": person.id, "actionUser": person.address}


def ended(field: str, outcomes: Mapping[object, float]) -> Dress:
    """Return the dress of a job or run that ended in one of these ways."""
    return lambda thing: {field: thing.luck.pick("outcome", outcomes)}


def scan_job(thing: Thing) -> Item:
    """Return a scan job of the days before the first night; later ones are of the night they were born in."""
    started = created(thing) if thing.born else thing.world.ago(1 + thing.luck.share("age") * 90)
    finished = started + timedelta(minutes=4 + thing.luck.tail("minutes", 180))
    return {
        "startTime": f"{started:%Y-%m-%dT%H:%M:%S}.1234567+00:00",
        "finishTime": f"{finished:%Y-%m-%dT%H:%M:%S}.1234567+00:00",
        "state": thing.luck.pick("outcome", {2: 84, 3: 6, 4: 8, 5: 2}),
        "category": thing.luck.pick("category", {0: 70, 1: 25, 3: 5}),
    }

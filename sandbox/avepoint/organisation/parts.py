"""What several lists show in the same way: names, times of use, owners."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from sandbox.avepoint.items import TENANTS
from sandbox.avepoint.organisation.luck import Luck, words
from sandbox.avepoint.organisation.world import Environment, Person, World

type Item = dict[str, object]


@dataclass(frozen=True, slots=True)
class Thing:
    """Item ``n`` of a list, of the tenant at a place; it came to be in night ``born`` (0: before the first one)."""

    world: World
    luck: Luck
    n: int
    born: int
    tenant: int


type Dress = Callable[[Thing], Item]
"""Returns what an item shows in place of values of its template; fields that a list does not have are left out."""

CONNECTORS = {
    ("SharePoint", "Standard"): 24,
    ("Office 365 Outlook", "Standard"): 20,
    ("Microsoft Teams", "Standard"): 12,
    ("Office 365 Users", "Standard"): 10,
    ("Approvals", "Standard"): 6,
    ("Microsoft Dataverse", "Premium"): 10,
    ("SQL Server", "Premium"): 7,
    ("HTTP with Microsoft Entra ID", "Premium"): 4,
    ("Azure Key Vault", "Premium"): 2,
    ("Contoso ERP", "Premium"): 3,
}
"""The connectors that things use, with their tier, and how often."""

NEVER = "0001-01-01 00:00:00"

_SUBJECTS = words(
    """
    Absence Asset Budget Contract Customer Delivery Device Expense Facility Feedback Fleet Incident
    Inspection Invoice Leave Maintenance Meeting Onboarding Order Parking Payroll Permit Project Purchase
    Quality Receipt Risk Room Safety Shift Site Supplier Survey Ticket Training Travel Vendor Visitor
    Warehouse
    """
)
_PURPOSES = words(
    """
    Approval Archive Booking Checklist Dashboard Digest Intake Overview Planner Register Reminder Report
    Request Sync Tracker
    """
)
_SPANS = (7, 30, 90, 180)
_STILL_USED_DAYS = 8


def title(thing: Thing) -> str:
    """Return the name of something that people have built."""
    luck = thing.luck
    return f"{luck.one_of('subject', _SUBJECTS)} {luck.one_of('purpose', _PURPOSES)} {thing.n + 1}"


def stamp(moment: datetime) -> str:
    """Return a time as EnPower writes it."""
    return f"{moment:%Y-%m-%d %H:%M:%S}"


def created(thing: Thing) -> datetime:
    """Return when it came to be: in the night it was born, or in the four years before the first one."""
    world, luck = thing.world, thing.luck
    if thing.born:
        return world.ago(luck.share("hour") / 2, since_night=thing.born)
    return world.ago(2 + luck.tail("age", 1_400, steep=1.5))


def idle_days(thing: Thing) -> float | None:
    """Return for how many days it was not used when the first night began, over a year at most; None: never used."""
    luck = thing.luck
    return None if luck.happens("never", 0.06) else luck.share("idle") ** 2.2 * 400


def last_use(thing: Thing) -> str:
    """Return when it was last used; what is in use is used again each day."""
    world, luck, days = thing.world, thing.luck, idle_days(thing)
    if days is None:
        return luck.one_of("dirty", (NEVER, ""))
    if days < _STILL_USED_DAYS or thing.born:
        return stamp(world.ago(luck.share(f"hour {world.night}") / 2, since_night=world.night))
    return stamp(max(world.ago(days), created(thing)))


def uses(thing: Thing, most: int = 3_000) -> tuple[int, int, int, int]:
    """Return how often it was used in the last 7, 30, 90 and 180 days: most things seldom, a few always."""
    world, luck, days = thing.world, thing.luck, idle_days(thing)
    if days is None:
        return 0, 0, 0, 0
    daily = (luck.tail("popularity", most, steep=7) / 30 + 0.2) * (1 + luck.share(f"wave {world.night}") / 5)
    idle = days + world.night if days >= _STILL_USED_DAYS else 0
    first, second, third, fourth = (int(max(span - idle, 0) * daily) for span in _SPANS)
    return first, second, third, fourth


def shared_with(thing: Thing) -> int:
    """Return how many users it is shared with; some things are shared further one night."""
    luck = thing.luck
    users = luck.tail("users", 120, steep=5)
    further = luck.happens("shared further", 0.2) and thing.world.night > luck.below("shared on", 20)
    return users + 3 if further else users


def owner_of(thing: Thing) -> Person:
    """Return the owner; some things change hands one night."""
    luck = thing.luck
    handed_over = luck.happens("handed over", 0.1) and thing.world.night > luck.below("handed over on", 20)
    return thing.world.someone(luck, thing.tenant, "new owner" if handed_over else "owner")


def creator_of(thing: Thing) -> Person:
    """Return who made it, which is most often its first owner."""
    return thing.world.someone(thing.luck, thing.tenant, "owner" if thing.luck.happens("own", 0.8) else "creator")


def contact(person: Person, tenant: int) -> Item:
    """Return a person as the contacts of Cloud Governance are written."""
    return {
        "id": person.id,
        "displayName": person.name,
        "email": person.address,
        "tenantId": TENANTS[tenant],
        "userPrincipalName": person.address,
        "objectId": person.id,
        "jobTitle": person.title,
        "department": person.department,
        "companyName": "",
        "office": person.office,
        "city": person.office,
        "countryOrRegion": person.country,
    }


def creator(person: Person) -> Item:
    """Return the fields of a creator; a list takes those that it has."""
    return {
        "creatorId": person.id,
        "creatorDisplayName": person.name,
        "creator": person.name,
        "creatorDepartment": person.department,
        "creatorCountry": person.country,
        "creatorJobTitle": person.title,
        "creatorEmail": person.address,
        "creatorUpn": person.address,
        "creatorUserPrincipalName": person.address,
    }


def spans(pattern: str, counts: tuple[int, ...]) -> Item:
    """Return the fields that count something in the last 7, 30, 90 and 180 days, or in the first of these spans."""
    return {pattern.format(days): count for days, count in zip(_SPANS, counts, strict=False)}


def home_of(thing: Thing) -> Environment:
    """Return the environment it is in."""
    return thing.world.somewhere(thing.luck, thing.tenant)

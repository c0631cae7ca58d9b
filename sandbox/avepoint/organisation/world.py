"""The organisation at one night: who works there and which environments it has, the same for all lists."""

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from functools import lru_cache

from sandbox.avepoint.items import TENANTS
from sandbox.avepoint.numbers import guid
from sandbox.avepoint.organisation.luck import Luck, words

DOMAINS = ("contoso.example", "fabrikam.example")
PEOPLE = 240
"""How many people own and do things, numbered as the mailboxes are; whoever has a mailbox beyond them does not."""

ENVIRONMENTS = 60
SHARED = 24
"""How many environments things are in, and how many of these belong to departments; the others are a person's each."""

COMPANIES = ("Contoso", "Fabrikam")

_FIRST_NAMES = words(
    """
    Adele Alex Amara Anna Aoife Ben Bianca Carlos Chen Daniel Diego Elena Emeka Emma Erik Fatima Grace Hanna
    Henrik Ines Ivan Jana Jonas Julia Kenji Lars Laura Leila Lena Liam Lucia Maja Marco Maria Mateo Mei
    Miguel Mina Nadia Nikhil Noah Nora Olga Omar Paul Petra Priya Rafael Rosa Sam Sara Sofia Sven Tariq Tom
    Valeria Victor Yuki Zoe
    """
)
_LAST_NAMES = words(
    """
    Adeyemi Andersson Bauer Becker Bianchi Carter Chen Costa Dubois Eriksen Fischer Garcia Haddad Hansen
    Hoang Huber Ivanov Jansen Kaya Keller Kim Kovacs Larsen Lopez Martin Meyer Moreau Mueller Nakamura Nguyen
    Novak Okafor Olsen Patel Peters Petrov Popescu Ramos Rossi Santos Schmidt Silva Smith Sokolov Svensson
    Tanaka Vogel Walker Wang Weber Wilson Yilmaz Young Zhang
    """
)
_WEIGHTS = {
    "Sales": 20, "Operations": 18, "IT": 14, "Finance": 10, "Human Resources": 8, "Marketing": 9, "Legal": 4,
    "Research": 9, "Customer Service": 12, "Facilities": 5,
}  # fmt: skip
UNITS = tuple(_WEIGHTS)
_DEPARTMENTS = {**_WEIGHTS, "": 3, "N/A": 1}
_COUNTRIES = {"Germany": 30, "United States": 25, "United Kingdom": 12, "France": 10, "Japan": 8, "Singapore": 6, "": 4}
_OFFICES = {"Germany": "Munich", "United States": "Jersey City", "United Kingdom": "London", "France": "Paris"}
_TITLES = ("Analyst", "Assistant", "Consultant", "Coordinator", "Director", "Engineer", "Manager", "Specialist")
_LEAVES = 0.3
_LEFT_BEFORE = 0.4
_NIGHTS_AHEAD = 60


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who works there, or did; ``id`` is that of the owner of the mailbox of the same number."""

    id: str
    first_name: str
    last_name: str
    address: str
    department: str
    country: str
    office: str
    title: str
    is_guest: bool
    has_left: bool

    @property
    def name(self) -> str:
        return f"{self.first_name} {self.last_name}"


@dataclass(frozen=True, slots=True)
class Environment:
    """A Power Platform environment; ``id`` is that of the environment of the same number."""

    number: int
    id: str
    name: str
    type: str
    region: str
    has_security_group: bool


@dataclass(frozen=True, slots=True)
class World:
    """What all lists have in common.

    Attributes:
        seed: Of all that is drawn.
        today: The day on which the simulator was started; night 0 follows it.
        night: How many nights have gone by since then.
        populations: The numbers of the items of some lists, by name.
    """

    seed: int
    today: date
    night: int
    populations: tuple[tuple[str, range], ...] = ()

    def luck(self, name: str, n: int) -> Luck:
        """Return the draws for item n of a list."""
        return Luck(f"{self.seed}/{name}/{n}")

    def ago(self, days: float, *, since_night: int = 0) -> datetime:
        """Return the moment so many days before the evening of a night."""
        evening = datetime.combine(self.today, time(20)) + timedelta(days=since_night)
        return (evening - timedelta(days=days)).replace(second=0, microsecond=0)

    def person(self, n: int) -> Person:
        """Return person n, as he or she is at this night; people belong to tenant n modulo 2."""
        return _person(self.seed, self.night, n)

    def someone(self, luck: Luck, tenant: int, name: str = "person") -> Person:
        """Return one of the people of a tenant: a few of them many times, most of them seldom."""
        return self.person(luck.tail(name, PEOPLE // len(TENANTS), steep=2) * len(TENANTS) + tenant)

    def environment(self, n: int) -> Environment:
        """Return environment n; the first of each tenant is its default environment."""
        return _environment(self.seed, n)

    def somewhere(self, luck: Luck, tenant: int) -> Environment:
        """Return one of the environments of a tenant: most often its default one, seldom that of a person."""
        known = ENVIRONMENTS if luck.happens("of a person", 0.2) else SHARED
        place = luck.tail("environment", known // len(TENANTS), steep=1.7)
        return self.environment(place * len(TENANTS) + tenant)


@lru_cache(maxsize=4096)
def _person(seed: int, night: int, n: int) -> Person:
    luck = Luck(f"{seed}/person/{n}")
    first, last = luck.one_of("first", _FIRST_NAMES), luck.one_of("last", _LAST_NAMES)
    country = luck.pick("country", _COUNTRIES)
    leaves = 1 + luck.below("leaves", _NIGHTS_AHEAD) if not luck.happens("left before", _LEFT_BEFORE) else 0
    return Person(
        id=guid(n, f"{seed}/mailboxes.userId").decode(),
        first_name=first,
        last_name=last,
        address=f"{first}.{last}{n}@{DOMAINS[n % len(TENANTS)]}".lower(),
        department=luck.pick("department", _DEPARTMENTS),
        country=country,
        office=_OFFICES.get(country, ""),
        title=luck.one_of("title", _TITLES),
        is_guest=luck.happens("guest", 0.03),
        has_left=luck.happens("turnover", _LEAVES) and night >= leaves,
    )


_TYPES = {"Production": 30, "Sandbox": 20, "Developer": 25, "Trial": 8, "Microsoft Teams": 17}
_REGIONS = {"Europe": 45, "United States": 30, "Asia": 15, "United Kingdom": 10}


@lru_cache(maxsize=4096)
def _environment(seed: int, n: int) -> Environment:
    luck = Luck(f"{seed}/environment/{n}")
    kind = "Default" if n < len(TENANTS) else luck.pick("type", _TYPES) if n < SHARED else "Developer"
    name = {
        "Default": f"{COMPANIES[n % len(TENANTS)]} (default)",
        "Developer": f"{_person(seed, 0, n).name}'s Environment",
    }.get(kind, f"{luck.one_of('department', UNITS)} {kind} {n // 2}")
    return Environment(
        number=n,
        id=guid(n, f"{seed}/environments.id").decode(),
        name=name,
        type=kind,
        region=luck.pick("region", _REGIONS),
        has_security_group=kind == "Production" and luck.happens("group", 0.6),
    )

"""What the fields of the datasets are: read from ``fields/*.toml`` when somebody asks, one file at a time.

A dataset's fields stand in the file of the same name as the catalogue file that it stands in. A legacy dataset has the
fields of its successor, with the first letter raised, as AvePoint documents it.
"""

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache, cached_property
from pathlib import Path
from typing import Literal

import msgspec

from shared.avepoint.catalog import BrokenCatalog, Dataset, catalog

_FOLDER = Path(__file__).parent / "fields"
_NO_TIME = ("0001-01-01", "1970-01-01")

type FieldType = Literal["boolean", "long", "double", "string", "timestamp", "json"]
"""``timestamp`` is what the documents or their samples show as a time; ``json`` is for objects and lists."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One field of a dataset's items.

    Attributes:
        name: As answers spell it. Keys drift in their case: compare names without it.
        description: One line in plain English.
        volatile: It moves by itself, night after night: counters of use, times of last use, sizes.
        group: Worth counting items by.
        personal: It names a person: name, mail address, user id, sign-in name, IP address.
        members: The documented names inside the JSON; empty where none are documented.
        codes: What the documented values mean, by the value as text.
    """

    name: str
    type: FieldType
    description: str
    volatile: bool = False
    group: bool = False
    personal: bool = False
    members: tuple[str, ...] = ()
    codes: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """How an item of a list of jobs or runs tells that it has ended.

    Attributes:
        status: The fields that may hold its status; the first that has a value counts.
        ended: The statuses that mean ended, as text.
        open: The documented statuses that mean that it goes on, as text.
        start: The field with the time it started, by which lists with a window are asked; ``None`` without one.
        end: The field with the time it ended; it counts where the status is in neither.
    """

    status: tuple[str, ...]
    ended: frozenset[str]
    open: frozenset[str]
    start: str | None
    end: str | None

    def has_ended(self, item: Mapping[str, object]) -> bool:
        """Return whether ``item`` has ended; one that does not tell has not."""
        values = {name.casefold(): value for name, value in item.items()}
        given = (values.get(name.casefold()) for name in self.status)
        status = next((str(value).strip().casefold() for value in given if value is not None), "")
        if status in self.ended or status in self.open:
            return status in self.ended
        return self.end is not None and not means_no_time(values.get(self.end.casefold()))


@dataclass(frozen=True, kw_only=True)
class Fields:
    """What a dataset holds.

    Attributes:
        holds: One line that says what the list holds.
        all: The fields of its items, in the order of the documents.
        ending: How an item tells that it has ended; ``None`` where nothing ends.
    """

    holds: str
    all: tuple[Field, ...]
    ending: Ending | None

    def __iter__(self) -> Iterator[Field]:
        """Iterate over the fields."""
        return iter(self.all)

    def find(self, name: str) -> Field | None:
        """Return the field of this name, compared without case, or ``None``."""
        return self._by_name.get(name.casefold())

    @cached_property
    def _by_name(self) -> Mapping[str, Field]:
        return {field.name.casefold(): field for field in self.all}

    @property
    def times(self) -> tuple[str, ...]:
        """Return the names of the fields that hold times."""
        return tuple(field.name for field in self.all if field.type == "timestamp")

    @property
    def volatile(self) -> tuple[str, ...]:
        """Return the names of the fields that move by themselves."""
        return tuple(field.name for field in self.all if field.volatile)

    @property
    def groups(self) -> tuple[str, ...]:
        """Return the names of the fields worth counting by."""
        return tuple(field.name for field in self.all if field.group)

    @property
    def personal(self) -> tuple[str, ...]:
        """Return the names of the fields that name people."""
        return tuple(field.name for field in self.all if field.personal)


_UNKNOWN = Fields(holds="", all=(), ending=None)


def means_no_time(value: object) -> bool:
    """Return whether ``value`` stands for no time: nothing, ``""``, ``"N/A"``, the first day of year 1 or of 1970."""
    return value is None or (isinstance(value, str) and (value.strip() in {"", "N/A"} or value.startswith(_NO_TIME)))


def fields_of(dataset: Dataset) -> Fields:
    """Return the fields of ``dataset``; none for a dataset that the catalogue does not hold.

    Raises:
        BrokenCatalog: The file of its fields is wrong; the message names file and place.
    """
    if dataset.successor is not None:
        return _raised(dataset.successor)
    return _read(dataset.family).get(dataset.name, _UNKNOWN) if dataset.family else _UNKNOWN


@cache
def _raised(successor: str) -> Fields:
    fields = fields_of(catalog()["graph", successor])
    return replace(fields, all=tuple(replace(one, name=one.name[:1].upper() + one.name[1:]) for one in fields))


class _Row(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    type: FieldType
    text: str
    volatile: bool = False
    group: bool = False
    personal: bool = False
    model: str | None = None


class _Ended(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    status: tuple[str, ...] = ()
    values: tuple[str, ...] = ()
    start: str | None = None
    end: str | None = None


class _Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    holds: str
    fields: dict[str, _Row]
    ended: _Ended | None = None
    codes: dict[str, dict[str, str]] = {}


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    datasets: dict[str, _Table]
    models: dict[str, tuple[str, ...]] = {}


@cache
def _read(family: str) -> Mapping[str, Fields]:
    path = _FOLDER / f"{family}.toml"
    try:
        file = msgspec.convert(tomllib.loads(path.read_text(encoding="utf-8")), _File)
        return {name: _fields(table, file.models) for name, table in file.datasets.items()}
    except (tomllib.TOMLDecodeError, msgspec.ValidationError, KeyError) as error:
        raise BrokenCatalog(f"fields/{path.name}: {error}") from error


def _fields(table: _Table, models: Mapping[str, tuple[str, ...]]) -> Fields:
    rows = (
        Field(
            name=name,
            type=row.type,
            description=row.text,
            volatile=row.volatile,
            group=row.group,
            personal=row.personal,
            members=models[row.model] if row.model else (),
            codes=table.codes.get(name, {}),
        )
        for name, row in table.fields.items()
    )
    return Fields(holds=table.holds, all=tuple(rows), ending=_ending(table))


def _ending(table: _Table) -> Ending | None:
    if table.ended is None:
        return None
    documented = {code for name in table.ended.status for code in table.codes.get(name, ())}
    return Ending(
        status=table.ended.status,
        ended=frozenset(map(str.casefold, table.ended.values)),
        open=frozenset(documented - set(table.ended.values)),
        start=table.ended.start,
        end=table.ended.end,
    )

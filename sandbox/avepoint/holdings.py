from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

import msgspec

from sandbox.avepoint.catalog import LASTS, Listing
from sandbox.avepoint.columns import Column
from sandbox.avepoint.items import TENANTS, Family, Items, Joined, Template
from sandbox.avepoint.organisation import CHANGING, COUNTED, DRESSES, Dressed, World, births, deaths
from sandbox.avepoint.retouch import Edit, Odd, Recased, Retouched, Running
from sandbox.avepoint.settings import Settings, for_list
from sandbox.avepoint.windows import Events, Span

_ITEMS = 250
_MINUTES = 60


@dataclass(frozen=True, slots=True)
class Rows:
    """Items with the numbers of those that are meant, in the order in which they are served."""

    items: Items
    numbers: Sequence[int]

    def __iter__(self) -> Iterator[bytes]:
        return map(self.items.render, self.numbers)


@dataclass(frozen=True, slots=True)
class Holdings:
    """What the lists of the simulated AvePoint hold at one moment."""

    listings: Mapping[str, Listing]
    settings: Settings
    now: datetime
    today: date

    def count(self, name: str) -> int:
        """Return how many items the list holds (of each parent); a call that answers one object holds one."""
        resource = self.listings[name].resource
        if resource.answers_one:
            return 1
        if resource.parent:
            return self.settings.items.get(name, self.settings.items_per_parent)
        return for_list(self.settings.items, name, _ITEMS)

    def rows(
        self,
        name: str,
        family: Family | None = None,
        *,
        span: Span | None = None,
        tenant: str | None = None,
        count: int | None = None,
    ) -> Rows:
        """Return the items of a list in a window, of a tenant; `count` overrides how many the whole list holds."""
        count = self.count(name) if count is None else count
        numbers = self._numbers(name, count, span)
        return Rows(self._items(name, family, count), _of_tenant(numbers, tenant, family))

    def joined(self, name: str, families: Iterable[Family | None], *, count: int | None = None) -> Rows:
        """Return the items of several child lists without a time filter, one list after the other."""
        each = self.count(name) if count is None else count
        lists = [self._items(name, family, each) for family in families]
        return Rows(Joined(lists, each), range(each * len(lists)))

    def row(self, name: str, family: Family | None, place: int) -> bytes:
        """Return the item at a place of the whole list, or where it would stand in a longer one."""
        return self._items(name, family, place + 1).render(self._numbers(name, place + 1, None)[place])

    def having(self, rows: Rows, column: Column, values: Iterable[str]) -> Rows:
        """Return those of the rows that show one of the values in a column."""
        found = {n for value in values for n in column.candidates(value, rows.numbers) if value in column.values(n)}
        return Rows(rows.items, tuple(sorted(found)))

    def column(self, name: str, family: Family | None, field: str) -> Column:
        return Column(self._template(name, family), field)

    def _template(self, name: str, family: Family | None) -> Template:
        lasts = for_list(self.settings.running_minutes, name, LASTS)
        return self.listings[name].template(family, self._step(name), lasts or LASTS)

    def _items(self, name: str, family: Family | None, count: int) -> Items:
        """Return the items of a list of so many, as settings let them look."""
        items: Items = self._template(name, family)
        if edits := tuple(self._edits(name, family, count)):
            items = Retouched(items, edits)
        oddities = for_list(self.settings.odd_items, name, ())
        return Odd(items, tuple(zip(self._numbers(name, count, None), oddities, strict=False))) if oddities else items

    def _edits(self, name: str, family: Family | None, count: int) -> Iterator[Edit]:
        if name in DRESSES:
            yield Dressed(name, self._world, self.count(name), family)
        resource, first = self.listings[name].resource, self._first_running(name, count)
        if resource.running and first is not None:
            yield Running(first, msgspec.json.encode(resource.running))
        if case := for_list(self.settings.item_key_case, name, None):
            yield Recased(case)

    def _first_running(self, name: str, count: int) -> int | None:
        """Return the number of the first job that has not ended; the newest have the highest numbers."""
        windowed = self.listings[name].resource.window is not None
        minutes = for_list(self.settings.running_minutes, name, 0) if windowed else 0
        unfinished = for_list(self.settings.unfinished, name, 0)
        if not minutes and not unfinished:
            return None
        newest = self._events(name, count).newest if windowed else self._alive(name, count)[-1]
        began = self._events(name, count).newest_at(self.now - timedelta(minutes=minutes)) if minutes else newest
        return min(began, newest - unfinished) + 1

    def _numbers(self, name: str, count: int, span: Span | None) -> range:
        if self.listings[name].resource.window is None:
            return self._alive(name, count)
        end = for_list(self.settings.window_end, name, "inclusive")
        numbers = self._events(name, count).numbers(self._of_starts(name, span), end_included=end == "inclusive")
        running = self._first_running(name, count) if span and self._looks_at_ends(name) else None
        return numbers if running is None else range(min(numbers.start, running - 1), numbers.stop, -1)

    def _alive(self, name: str, count: int) -> range:
        """Return the numbers of the items that a list has at this night if it held so many before the first one."""
        if name not in CHANGING:
            return range(count)
        night, usual = self.settings.night, self.count(name)
        return range(night * deaths(usual), count + night * births(usual))

    @property
    def _world(self) -> World:
        counted = tuple((name, self._alive(name, self.count(name))) for name in COUNTED)
        return World(self.listings[COUNTED[0]].seed, self.today, self.settings.night, counted)

    def _looks_at_ends(self, name: str) -> bool:
        return for_list(self.settings.window_filter, name, "start") == "within"

    def _of_starts(self, name: str, span: Span | None) -> Span | None:
        """Return the window of the items' starts; what has to end in a window starts earlier."""
        if span is None or span.until is None or not self._looks_at_ends(name):
            return span
        lasts = for_list(self.settings.running_minutes, name, LASTS) or LASTS
        return Span(span.since, span.until - timedelta(minutes=lasts))

    def _events(self, name: str, count: int) -> Events:
        return Events(self.now, count, timedelta(minutes=self._step(name)))

    def _step(self, name: str) -> int:
        return for_list(self.settings.every_minutes, name, _MINUTES)


def _of_tenant(numbers: range, tenant: str | None, family: Family | None) -> range:
    if tenant is None:
        return numbers
    if tenant.lower() not in TENANTS:
        return numbers[:0]
    wanted = TENANTS.index(tenant.lower())
    if family:
        return numbers if family.tenant == wanted else numbers[:0]
    return numbers[(wanted - numbers.start) % len(TENANTS) :: len(TENANTS)]

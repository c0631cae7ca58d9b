from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sandbox.avepoint.catalog import Listing
from sandbox.avepoint.columns import Column
from sandbox.avepoint.items import TENANTS, Family, Items, Joined, Template
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
        numbers = self._numbers(name, self.count(name) if count is None else count, span)
        return Rows(self._items(name, family), _of_tenant(numbers, tenant, family))

    def joined(self, name: str, families: Iterable[Family | None], *, count: int | None = None) -> Rows:
        """Return the items of several child lists without a time filter, one list after the other."""
        each = self.count(name) if count is None else count
        lists = [self.listings[name].template(family) for family in families]
        return Rows(Joined(lists, each), range(each * len(lists)))

    def row(self, name: str, family: Family | None, place: int) -> bytes:
        """Return the item at a place of the whole list, or where it would stand in a longer one."""
        return self._items(name, family).render(self._numbers(name, place + 1, None)[place])

    def having(self, rows: Rows, column: Column, values: Iterable[str]) -> Rows:
        """Return those of the rows that show one of the values in a column."""
        found = {n for value in values for n in column.candidates(value, rows.numbers) if value in column.values(n)}
        return Rows(rows.items, tuple(sorted(found)))

    def column(self, name: str, family: Family | None, field: str) -> Column:
        return Column(self._items(name, family), field)

    def _items(self, name: str, family: Family | None) -> Template:
        return self.listings[name].template(family, self._step(name))

    def _numbers(self, name: str, count: int, span: Span | None) -> range:
        if self.listings[name].resource.window is None:
            return range(count)
        end = for_list(self.settings.window_end, name, "inclusive")
        events = Events(self.now, count, timedelta(minutes=self._step(name)))
        return events.numbers(span, end_included=end == "inclusive")

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

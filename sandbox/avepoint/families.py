from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from itertools import product

from sandbox.avepoint.catalog import Parent
from sandbox.avepoint.columns import Column
from sandbox.avepoint.holdings import Holdings
from sandbox.avepoint.items import TENANTS, Family
from sandbox.avepoint.settings import for_list


class UnknownParentError(LookupError):
    """A child list was asked of a parent that its list does not hold, or that is gone."""


@dataclass(frozen=True, slots=True)
class Families:
    """Which child lists there are: those of the parents that the parents' own lists show."""

    holdings: Holdings

    def parameters(self, name: str) -> tuple[str, ...]:
        """Return the names of the parent values that a list is asked with, the outermost parent's first."""
        resource = self.holdings.listings[name].resource
        if resource.parent is None:
            return ()
        inherited = [above for above in self.parameters(resource.parent.resource) if above not in resource.parent.by]
        return *inherited, *resource.parent.by, *resource.choices

    def of(self, name: str, given: Mapping[str, str]) -> Family | None:
        """Return what the child list of these parent values belongs to; None for a list without parents.

        Raises:
            KeyError: a value is missing.
            UnknownParentError: there is no such parent, or not any more.
            ValueError: a value is none of those that the parameter can take.
        """
        resource = self.holdings.listings[name].resource
        if resource.parent is None:
            return None
        for parameter, allowed in resource.choices.items():
            if given[parameter] not in allowed:
                raise ValueError(f"{parameter} must be one of {', '.join(allowed)}.")
        above = self.of(resource.parent.resource, given)
        row = self._row(name, resource.parent, above, given)
        if row is None or self.is_gone(name, given):
            raise UnknownParentError(f"There is no {_described(resource.parent, given)}.")
        values = tuple((parameter, given[parameter]) for parameter in self.parameters(name))
        return Family(values, row, above.tenant if above else row % len(TENANTS))

    def all_of(self, name: str) -> Iterator[dict[str, str]]:
        """Yield the parent values of every child list in the order of the parents' lists, gone parents included."""
        resource = self.holdings.listings[name].resource
        if resource.parent is None:
            return
        for above in self._above(resource.parent):
            for values in self._shown(name, resource.parent, above):
                for chosen in product(*resource.choices.values()):
                    yield values | dict(zip(resource.choices, chosen, strict=True))

    def is_gone(self, name: str, given: Mapping[str, str]) -> bool:
        """Tell whether the parent is gone from the sight of a child list; its own parents are not looked at."""
        parent = self.holdings.listings[name].resource.parent
        values = [given[parameter] for parameter in parent.by] if parent else []
        settings = self.holdings.settings
        return not settings.gone_parents.isdisjoint(values) or _luck(values) < for_list(settings.gone_share, name, 0)

    def _row(self, name: str, parent: Parent, above: Family | None, given: Mapping[str, str]) -> int | None:
        """Return the number of the first row of the parent's list that shows the values."""
        columns = self._columns(name, parent, above)
        (first, field), *_ = columns.items()
        numbers = self.holdings.rows(parent.resource, above).numbers
        rows = (
            n
            for n in field.candidates(given[first], numbers)
            if all(given[parameter] in column.values(n) for parameter, column in columns.items())
        )
        return next(rows, None)

    def _above(self, parent: Parent) -> Iterator[dict[str, str]]:
        if self.holdings.listings[parent.resource].resource.parent is None:
            yield {}
            return
        for values in self.all_of(parent.resource):
            if not self._is_closed(parent.resource, values):
                yield values

    def _is_closed(self, name: str, values: Mapping[str, str]) -> bool:
        try:
            self.of(name, values)
        except UnknownParentError:
            return True
        return False

    def _shown(self, name: str, parent: Parent, above: Mapping[str, str]) -> Iterator[dict[str, str]]:
        """Yield the values that the rows of one parent list show, each once."""
        family = self.of(parent.resource, above)
        columns = self._columns(name, parent, family)
        for n in self.holdings.rows(parent.resource, family).numbers:
            for shown in product(*(column.values(n) for column in columns.values())):
                values = {**above, **dict(zip(columns, shown, strict=True))}
                if self._row(name, parent, family, values) == n:
                    yield values

    def _columns(self, name: str, parent: Parent, above: Family | None) -> dict[str, Column]:
        """Return the fields of the parent's list by the parameters they go into."""
        settings = self.holdings.settings.parent_field
        return {
            parameter: self.holdings.column(parent.resource, above, settings.get(name, field))
            for parameter, field in parent.by.items()
        }


def _described(parent: Parent, given: Mapping[str, str]) -> str:
    return " with ".join(f"{parameter} {given[parameter]}" for parameter in parent.by)


def _luck(values: list[str]) -> float:
    """Return a number from 0 to below 1 that looks random and is always the same for the same values."""
    return int.from_bytes(blake2b("/".join(values).encode(), digest_size=6).digest()) / 2**48

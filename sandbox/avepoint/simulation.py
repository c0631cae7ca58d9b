import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime

from sandbox.avepoint import catalog
from sandbox.avepoint.families import Families
from sandbox.avepoint.faults import Faults
from sandbox.avepoint.holdings import Holdings, Rows
from sandbox.avepoint.identity import Credentials, Identity
from sandbox.avepoint.log import Log
from sandbox.avepoint.opus import Opus
from sandbox.avepoint.paging import Seal
from sandbox.avepoint.settings import Settings
from sandbox.avepoint.windows import Span

_NO_PARENTS: Mapping[str, str] = {}


class AvePoint:
    """One simulated AvePoint: its data, its memory and its moods.

    Args:
        settings: what it holds and how it behaves; can be changed while it runs.
        credentials: the only client let in; any is without.
        seed: items and continuation tokens are pure functions of it.
        clock: gives epoch seconds; the day on which it is made is that of night 0.
    """

    def __init__(
        self,
        settings: Settings | None = None,
        *,
        credentials: Credentials | None = None,
        seed: int = 0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._today = datetime.fromtimestamp(clock(), UTC).date()
        self._initial = self.settings = settings or Settings()
        self.clock = clock
        self.listings = catalog.load(seed)
        self.seal = Seal(seed)
        self.identity = Identity(credentials, clock)
        self.opus = Opus(clock)
        self.faults = Faults(clock)
        self.log = Log()

    @property
    def holdings(self) -> Holdings:
        """What the lists hold now, with the settings as they are."""
        return self._holdings(self.settings.now or datetime.fromtimestamp(self.clock(), UTC))

    def item(self, resource: str, n: int, parents: Mapping[str, str] = _NO_PARENTS) -> bytes:
        """Return item n (from 0) of a list as it is served, byte for byte; `parents` as for `items`.

        Item 0 of a list with a time filter is the newest; the others are older by `every_minutes` each.
        """
        holdings = self.holdings
        return holdings.row(resource, Families(holdings).of(resource, parents), n)

    def items(
        self,
        resource: str,
        parents: Mapping[str, str] = _NO_PARENTS,
        *,
        window: tuple[datetime | None, datetime | None] = (None, None),
        tenant: str | None = None,
    ) -> list[bytes]:
        """Return the items of a list as they are served, in that order, byte for byte.

        Args:
            resource: name of the list.
            parents: for a child list, the parent values by the names of the parameters they go into.
            window: start and end of the time filter (with a zone), in a list that has one; None leaves a side open.
            tenant: the tenant filter.

        Raises:
            KeyError: there is no such list, or a parent value is missing.
            UnknownParentError: there is no such parent, or it is gone; the service answers 404.
            ValueError: a parent value is none of those that its parameter takes.
        """
        return list(self.rows(resource, parents, window=window, tenant=tenant))

    def rows(
        self,
        resource: str,
        parents: Mapping[str, str] = _NO_PARENTS,
        *,
        window: tuple[datetime | None, datetime | None] = (None, None),
        tenant: str | None = None,
        count: int | None = None,
        at: datetime | None = None,
    ) -> Rows:
        """Return what `items` does without making the items yet.

        Args:
            resource, parents, window, tenant: as for `items`.
            count: as if the whole list held that many.
            at: what the list holds at that instant (with a zone); now without it.
        """
        holdings = self._holdings(at) if at else self.holdings
        family = Families(holdings).of(resource, parents)
        return holdings.rows(resource, family, span=Span(*window), tenant=tenant, count=count)

    def item_count(self, resource: str) -> int:
        """Return how many items the list holds (of each parent); a call that answers one object holds one."""
        return self.holdings.count(resource)

    def parents(self, resource: str) -> Iterator[dict[str, str]]:
        """Yield the parent values of every child list, by the names of the parameters they go into.

        Parents that are gone are among them; see `is_gone`. There are none for a list without parents.
        """
        return Families(self.holdings).all_of(resource)

    def is_gone(self, resource: str, parents: Mapping[str, str]) -> bool:
        """Tell whether settings let the child list answer 404 although the list of its parents holds the parent."""
        return Families(self.holdings).is_gone(resource, parents)

    def change(self, changes: Mapping[str, object]) -> None:
        """Change settings, named as in JSON.

        Raises:
            ValueError: a setting, a value or the name of a list is not known.
        """
        settings = self.settings.changed(changes)
        if unknown := settings.named_lists() - self.listings.keys():
            raise ValueError(f"There is no list {', '.join(sorted(unknown))}.")
        self.settings = settings

    def calm(self) -> None:
        """Take back all faults and changes of settings; what was stored and logged stays."""
        self.faults.clear()
        self.settings = self._initial

    def _holdings(self, moment: datetime) -> Holdings:
        return Holdings(self.listings, self.settings, moment.astimezone(UTC), self._today)

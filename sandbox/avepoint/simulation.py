import time
from collections.abc import Callable, Mapping

from sandbox.avepoint import catalog
from sandbox.avepoint.faults import Faults
from sandbox.avepoint.identity import Credentials, Identity
from sandbox.avepoint.log import Log
from sandbox.avepoint.opus import Opus
from sandbox.avepoint.paging import Seal
from sandbox.avepoint.settings import Settings, for_list

_ITEMS = 250


class AvePoint:
    """One simulated AvePoint: its data, its memory and its moods.

    Args:
        settings: what it holds and how it behaves; can be changed while it runs.
        credentials: the only client let in; any is without.
        seed: items and continuation tokens are pure functions of it.
        clock: gives epoch seconds.
    """

    def __init__(
        self,
        settings: Settings | None = None,
        *,
        credentials: Credentials | None = None,
        seed: int = 0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._initial = self.settings = settings or Settings()
        self.clock = clock
        self.listings = catalog.load(seed)
        self.seal = Seal(seed)
        self.identity = Identity(credentials, clock)
        self.opus = Opus(clock)
        self.faults = Faults()
        self.log = Log()

    def item(self, resource: str, n: int) -> bytes:
        """Return item n (from 0) of a resource, the very bytes that are served; raise KeyError for an unknown name."""
        return self.listings[resource].template.render(n)

    def item_count(self, resource: str) -> int:
        """Return how many items the list holds; a call that answers one object holds one."""
        if self.listings[resource].resource.answers_one:
            return 1
        return for_list(self.settings.items, resource, _ITEMS)

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

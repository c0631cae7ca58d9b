"""What nights of harvests take and leave behind, for an organisation of a given size: ``capacity month``. Pure.

The numbers below were counted on the real worker and the real tables with storage in memory; the simulated month under
``tests/nights`` holds the sum against what it counts.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from math import ceil
from typing import Final

from shared.avepoint.catalog import Dataset
from shared.harvest.plan.capacity import Pace, estimate, fewest_requests
from shared.harvest.plan.plan import FAN_OUT
from shared.harvest.runs.sweep import TURNS
from shared.transport.budget import Limits

KILO: Final = 1_000
GIGA: Final = 1_000_000_000

_RUNS_KEPT_NIGHTS: Final = 30
_UNMERGED_NIGHTS: Final = 30
"""After so many nights the small files of a table are merged as fast as new ones come."""

_PAGE: Final = 100
_PAGE_CPU_SECONDS: Final = 0.028
_BUILD_CPU_SECONDS: Final = 0.35
_ROW_CPU_SECONDS: Final = 0.000_08
_EXECUTION_CPU_SECONDS: Final = 0.005


@dataclass(frozen=True, slots=True)
class ChosenList:
    """A dataset that is harvested every night.

    Attributes:
        items: How many it holds, or of a windowed one how many come in a day; of all parents together.
        parents: How many parents it is asked for; 1 where it has none.
        item_bytes: Compressed bytes of an item, as a manifest tells them: ``bytes`` divided by ``items``.
    """

    dataset: Dataset
    items: int
    parents: int = 1
    item_bytes: float = 547
    tabled: bool = True

    @property
    def slices(self) -> int:
        """Partitions of the list, each worked on by a slice of its own."""
        return min(FAN_OUT, self.parents) if self.dataset.parent else 1

    @property
    def remembers(self) -> bool:
        """Whether what was harvested is remembered beside the watermark."""
        return bool(self.dataset.window or self.dataset.parent)

    def requests(self, page_size: int | None) -> int:
        """How many requests a night takes at least."""
        size = self.dataset.size
        most = (size and (size.most or size.default)) or _PAGE
        choices = 1
        for values in self.dataset.choices.values():
            choices *= len(values)
        lists = self.parents * choices
        return fewest_requests(self.items, page_size=min(page_size or most, most), lists=lists)


@dataclass(frozen=True, slots=True)
class Habits:
    """How the app is run.

    Attributes:
        nights: From an account that is empty to the day that is asked about.
        sweeps: In a day.
        raw_days: How long raw files are kept (``RETENTION_DAYS``).
        table_days: How long old versions of tables are kept (``TABLES_KEEP_DAYS``).
        changed: The share of the items of a full list that changes in a night.
    """

    nights: int = 30
    sweeps: int = 144
    page_size: int | None = None
    latency: timedelta = timedelta(milliseconds=200)
    storage_latency: timedelta = timedelta(milliseconds=5)
    raw_days: int = 365
    table_days: float = 8
    changed: float = 0.02
    instance_gigabytes: float = 2
    window_days: int = 30


@dataclass(frozen=True)
class Bill:
    """What it comes to, in all nights together; ``gigabytes`` is what is stored at their end."""

    lists: Sequence[ChosenList]
    habits: Habits
    limits: Limits

    @property
    def _runs(self) -> int:
        return len({one.dataset.source for one in self.lists})

    @property
    def _kept(self) -> float:
        """How many runs are kept, on average: a sweep reads a few of them in turn, and those of the last hours."""
        nights, most = self.habits.nights, _RUNS_KEPT_NIGHTS
        mean = (nights + 1) / 2 if nights <= most else (most * (most + 1) / 2 + (nights - most) * most) / nights
        return mean * self._runs

    @cached_property
    def _slices(self) -> int:
        return sum(one.slices for one in self.lists)

    @property
    def _tables(self) -> int:
        return sum(one.tabled for one in self.lists)

    @cached_property
    def requests(self) -> int:
        """Requests to AvePoint; the first night of a window asks for all its days."""
        nightly = sum(one.requests(self.habits.page_size) for one in self.lists)
        backlog = [one for one in self.lists if one.dataset.window]
        more = sum(ceil(one.items * (self.habits.window_days - 1) / _PAGE) for one in backlog)
        return nightly * self.habits.nights + more

    @property
    def waiting(self) -> timedelta:
        """How long the harvests wait for the request budget."""
        nightly = sum(one.requests(self.habits.page_size) for one in self.lists)
        pace = Pace(self.habits.latency, chains=max(1, self._slices))
        return estimate(nightly, pace, self.limits).by_budget * self.habits.nights

    @property
    def messages(self) -> int:
        """Messages on the queues: for each start, each slice (with its guard) and the table of each list."""
        return (self._runs + 3 * self._slices + 2 * len(self.lists)) * self.habits.nights

    @property
    def executions(self) -> int:
        """How often a function runs."""
        return self.messages + (self._runs + self.habits.sweeps) * self.habits.nights

    @property
    def gigabyte_seconds(self) -> float:
        """Seconds at work, by the memory of an instance; one request to storage follows the other."""
        pace, nights = Pace(self.habits.latency, chains=max(1, self._slices)), self.habits.nights
        answers = pace.lasts(ceil(self.requests / nights)) * nights
        rows = sum(one.items for one in self.lists if one.tabled) * nights
        builds = self._tables * nights * _BUILD_CPU_SECONDS + rows * _ROW_CPU_SECONDS
        own = self.requests * _PAGE_CPU_SECONDS + builds + self.executions * _EXECUTION_CPU_SECONDS
        storage = self.transactions * self.habits.storage_latency
        return ((answers + storage).total_seconds() + own) * self.habits.instance_gigabytes

    @property
    def reads(self) -> int:
        """Reads of blobs."""
        remembering = sum(one.slices for one in self.lists if one.remembers)
        starts = self._runs * 13 + 6 * len(self.lists) + 22 * self._slices + 13 * remembering
        looks = 6 + self._runs + self._kept / TURNS + len(self.lists) + 2 * self._tables
        return round((starts + self.habits.sweeps * looks + 170 * self._tables) * self.habits.nights) + self.requests

    @property
    def writes(self) -> int:
        """Writes and lists of blobs."""
        remembering = sum(one.remembers for one in self.lists)
        starts = self._runs * 15 + 3 * len(self.lists) + 5 * self._slices + 5 * remembering
        return (starts + 8 * self.habits.sweeps + 27 * self._tables) * self.habits.nights

    @property
    def queue_operations(self) -> int:
        """Each message is put, taken and deleted; what the host asks of idle queues is not among them."""
        return 3 * self.messages

    @property
    def transactions(self) -> int:
        """Requests to Azure Storage."""
        return self.reads + self.writes + self.queue_operations

    @property
    def gigabytes(self) -> float:
        """What is stored: snapshots, state, tables with their changes, and history."""
        return (sum(map(self._bytes, self.lists)) + self._state_bytes) / GIGA

    def _bytes(self, one: ChosenList) -> float:
        nights, kept = self.habits.nights, min(self.habits.nights, self.habits.raw_days)
        backlog = one.items * (self.habits.window_days - 1) if one.dataset.window else 0
        raw = (one.items * kept + (backlog if kept == nights else 0)) * one.item_bytes
        snapshots = kept * (2.4 + one.slices * 0.1) * KILO
        return raw + snapshots + (self._table_bytes(one, backlog) if one.tabled else 0)

    def _table_bytes(self, one: ChosenList, backlog: int) -> float:
        nights, versions = self.habits.nights, min(self.habits.nights, self.habits.table_days + 1)
        small = min(nights, _UNMERGED_NIGHTS)
        told = small * 5 * KILO  # snapshots and history
        if one.dataset.window:
            return told + (one.items * nights + backlog) * one.item_bytes + small * 6 * KILO
        current = versions * (20 * KILO + one.items * one.item_bytes)
        changes = nights * (5 * KILO + one.items * self.habits.changed * one.item_bytes * 2)
        return told + current + changes

    @property
    def _state_bytes(self) -> float:
        nights = min(self.habits.nights, _RUNS_KEPT_NIGHTS)
        hashes = 8 * sum(one.items for one in self.lists)
        return nights * (self._runs * KILO + len(self.lists) * 1.7 * KILO + self._slices * KILO + hashes)

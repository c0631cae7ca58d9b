"""How long a harvest takes at least: bound by the latency of AvePoint, or by the request budget. Pure."""

from dataclasses import dataclass
from datetime import timedelta
from math import ceil
from typing import Literal

from shared.transport.budget import Limits


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast AvePoint can be asked.

    Attributes:
        latency: From a request to the next one of the same chain.
        chains: Chains of pages that do not wait for each other: partitions.
        instances: Of the app.
        concurrency: The most requests in flight of an instance (``THROTTLE_CONCURRENCY``).
    """

    latency: timedelta
    chains: int = 1
    instances: int = 1
    concurrency: int = 8

    @property
    def in_flight(self) -> int:
        """Requests in flight, of all instances."""
        return min(self.chains, self.instances * self.concurrency)

    def lasts(self, requests: int) -> timedelta:
        """How long so many requests take, evenly shared among the chains."""
        return ceil(requests / self.in_flight) * self.latency


@dataclass(frozen=True, slots=True)
class Estimate:
    """How long a harvest takes that begins with a window of the budget.

    Attributes:
        requests: How many it takes.
        by_latency: How long it would take if there were no budget.
        by_budget: How long it has to wait for the window in which its last request is allowed.
        lasts: How long it takes with both. One that begins late in a window takes up to a window less, as the budget
            does not ask when in a window its requests are spent.
    """

    requests: int
    by_latency: timedelta
    by_budget: timedelta
    lasts: timedelta

    @property
    def bound_by(self) -> Literal["latency", "budget"]:
        """What would have to change first for it to be faster."""
        return "budget" if self.by_budget > self.by_latency else "latency"


def fewest_requests(items: int, *, page_size: int, lists: int = 1) -> int:
    """How many requests so many items take at least, when they lie in so many lists: each list takes one."""
    return max(lists, ceil(items / page_size))


def estimate(requests: int, pace: Pace, limits: Limits) -> Estimate:
    """How long so many requests of a harvest take."""
    share = limits.terms("harvest").most
    waits = (requests - 1) // share if requests and pace.lasts(share) < limits.window else 0
    by_latency = pace.lasts(requests)
    rest = pace.lasts(requests - waits * share)
    lasts = waits * limits.window + rest if waits else by_latency
    return Estimate(requests, by_latency, waits * limits.window, lasts)

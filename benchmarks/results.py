"""What was measured, as it is kept in ``results.json``."""

import platform
from collections.abc import Callable, Sequence
from math import ceil
from pathlib import Path
from statistics import median
from typing import Self

import psutil
from pydantic import computed_field

from benchmarks.contenders.work import PAGE_SIZE
from shared.avepoint.opus import BATCH_SIZE
from shared.document import Document

DISTURBED = 0.02
"""A run counts as disturbed when a core was taken away for more than this part of its time."""

KEPT = Path(__file__).with_name("results.json")


class Machine(Document):
    """What it was measured on."""

    cpu: str
    cores: int
    memory_bytes: int
    system: str
    python: str

    @classmethod
    def this(cls) -> Self:
        """Return the machine this process runs on."""
        return cls(
            cpu=_cpu_model(),
            cores=psutil.cpu_count() or 1,
            memory_bytes=psutil.virtual_memory().total,
            system=f"{platform.system()} {platform.machine()}",
            python=f"{platform.python_implementation()} {platform.python_version()}",
        )


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown")


class Took(Document):
    """What one run did and took: seconds on the wall and of CPU (user and system), and the peak of its memory.

    Attributes:
        stolen: The seconds of CPU that the hypervisor gave to others meanwhile.
    """

    items: int
    bytes: int
    wall: float
    cpu: float
    stolen: float
    peak_bytes: int

    @property
    def disturbance(self) -> float:
        """Which part of the time a core was taken away."""
        return self.stolen / self.wall


class Scenario(Document):
    """A contender, what it was given to do, and what each of its runs took.

    Attributes:
        items: In the list, or records to submit.
        milliseconds: How long each answer takes.
        at_once: Chains of pages, or calls to Opus in flight.
    """

    name: str
    contender: str
    items: int
    milliseconds: int = 0
    at_once: int = 1
    runs: tuple[Took, ...] = ()

    @property
    def floor(self) -> float:
        """The seconds that the latency alone takes."""
        each = BATCH_SIZE if self.contender == "opus" else PAGE_SIZE
        return ceil(ceil(self.items / each) / self.at_once) * self.milliseconds / 1000

    def median(self, figure: Callable[[Took], float]) -> float:
        """Return the median of a figure over the runs."""
        return median(map(figure, self.runs))


class Overhead(Document):
    """What something adds to 1,000 requests: CPU, and transactions of Azure Storage."""

    name: str
    cpu_ms: float
    reads: int
    writes: int


class EndToEnd(Document):
    """A harvest through the local Functions host and Azurite, or two of a windowed list.

    Attributes:
        windowed: The second harvest gives all lines of the first again, and stores none of them.
        seconds: From the claim of the first slice to the end of the last.
        cpu: Of the host, from its first request to the end.
        peak_bytes: Of the host, which was started for it.
    """

    items: int
    windowed: bool = False
    chains: int
    milliseconds: int
    bytes: int
    parts: int
    seconds: float
    cpu: float
    peak_bytes: int


class Served(Document):
    """How long the local Functions host takes for an answer, as a client sees it, in milliseconds."""

    name: str
    calls: int
    p50: float
    p95: float
    p99: float

    @classmethod
    def of(cls, name: str, seconds: Sequence[float]) -> Self:
        """Return what was seen of so many answers."""
        ordered = sorted(1000 * one for one in seconds)
        p50, p95, p99 = (ordered[ceil(part * len(ordered)) - 1] for part in (0.5, 0.95, 0.99))
        return cls(name=name, calls=len(ordered), p50=p50, p95=p95, p99=p99)


class Goal(Document):
    """A goal, and what was measured."""

    name: str
    target: float
    at_least: bool = False
    measured: float

    @computed_field  # type: ignore[prop-decorator]  # pydantic wants it outside
    @property
    def met(self) -> bool:
        """Whether the goal was reached."""
        return self.measured >= self.target if self.at_least else self.measured <= self.target


class Results(Document):
    """Everything that was measured in one run of the benchmark."""

    machine: Machine
    rounds: int
    scenarios: tuple[Scenario, ...]
    overheads: tuple[Overhead, ...]
    end_to_end: tuple[EndToEnd, ...]
    served: tuple[Served, ...]
    goals: tuple[Goal, ...] = ()

    def scenario(self, name: str) -> Scenario:
        """Return the scenario of that name."""
        return next(scenario for scenario in self.scenarios if scenario.name == name)

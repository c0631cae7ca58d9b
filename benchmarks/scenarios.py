"""What is measured: the scenarios, and the goals for them."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from statistics import median

from benchmarks.results import Goal, Results, Scenario, Took

LIMIT, HARVEST, HANDWRITTEN, LARGE = "limit pipeline", "harvest core", "hand-written loop", "harvest core, ten times"
LATENCIES = (50, 200)
OPUS_AT_ONCE = (1, 4, 8)
CHAINS = 8


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much there is to do."""

    rounds: int
    tries: int
    """How often a run that others disturb is tried."""
    pages: int
    """Different ones, which the server repeats."""
    items: int
    latency_items: int
    records: int
    requests: int
    end_to_end: tuple[tuple[int, int, int], ...]
    """Items, milliseconds an answer, and chains; the first and the last are compared."""


FULL = Sizes(
    rounds=5,
    tries=4,
    pages=10,
    items=100_000,
    latency_items=64_000,
    records=10_000,
    requests=1000,
    end_to_end=((100_000, 0, 1), (96_000, LATENCIES[0], CHAINS), (1_000_000, 0, 1)),
)
QUICK = Sizes(
    rounds=1,
    tries=1,
    pages=1,
    items=1_000,
    latency_items=8_000,
    records=120,
    requests=20,
    end_to_end=((1_000, 0, 1),),
)


def paged(milliseconds: int, chains: int) -> str:
    """The name of a scenario that is bound by latency."""
    return f"{milliseconds} ms a page, {chains} {'chain' if chains == 1 else 'chains'}"


def submitted(at_once: int) -> str:
    """The name of an Opus scenario."""
    return f"Opus, {at_once} {'call' if at_once == 1 else 'calls'} in flight"


def scenarios(sizes: Sizes) -> tuple[Scenario, ...]:
    """Everything that is measured in each round, in this order."""
    return (
        Scenario(name=LIMIT, contender="limit", items=sizes.items),
        Scenario(name=HARVEST, contender="harvest", items=sizes.items),
        Scenario(name=HANDWRITTEN, contender="handwritten", items=sizes.items),
        Scenario(name=LARGE, contender="harvest", items=10 * sizes.items),
        *(
            Scenario(
                name=paged(milliseconds, chains),
                contender="harvest",
                items=sizes.latency_items,
                milliseconds=milliseconds,
                at_once=chains,
            )
            for milliseconds in LATENCIES
            for chains in (1, CHAINS)
        ),
        *(
            Scenario(name=submitted(at_once), contender="opus", items=sizes.records, milliseconds=50, at_once=at_once)
            for at_once in OPUS_AT_ONCE
        ),
    )


def goals(results: Results) -> Iterator[Goal]:
    """The goals, with what was measured."""
    limit, ours, by_hand = map(results.scenario, (LIMIT, HARVEST, HANDWRITTEN))
    yield Goal(
        name="wall time of the harvest core over the limit pipeline", target=1.8, measured=ratio(ours, limit, wall)
    )
    yield Goal(name="CPU of the harvest core over the limit pipeline", target=1.8, measured=ratio(ours, limit, cpu))
    yield Goal(
        name="CPU of the hand-written loop over the harvest core",
        target=4,
        at_least=True,
        measured=ratio(by_hand, ours, cpu),
    )
    for milliseconds, target in zip(LATENCIES, (1.4, 1.12), strict=True):
        name = f"wall time over the latency floor, one chain, {milliseconds} ms a page"
        yield Goal(name=name, target=target, measured=over_floor(results.scenario(paged(milliseconds, 1))))
    one, many = (results.scenario(paged(LATENCIES[-1], chains)) for chains in (1, CHAINS))
    name = f"{CHAINS} chains against one, {LATENCIES[-1]} ms a page"
    yield Goal(name=name, target=5.5, at_least=True, measured=ratio(one, many, wall))
    large = results.scenario(LARGE)
    yield Goal(
        name=f"peak memory of the harvest core, {large.items:,} items over {ours.items:,}",
        target=1.25,
        measured=ratio(large, ours, peak),
    )
    small_host, large_host = results.end_to_end[0], results.end_to_end[-1]
    yield Goal(
        name=f"peak memory of the Functions worker, {large_host.items:,} items over {small_host.items:,}",
        target=1.25,
        measured=large_host.peak_bytes / small_host.peak_bytes,
    )
    for at_once in OPUS_AT_ONCE:
        name = f"Opus: wall time over the latency floor, {at_once} in flight"
        yield Goal(name=name, target=1.2, measured=over_floor(results.scenario(submitted(at_once))))


def wall(took: Took) -> float:
    """Seconds on the wall."""
    return took.wall


def cpu(took: Took) -> float:
    """Seconds of CPU."""
    return took.cpu


def peak(took: Took) -> float:
    """The peak of the memory, in bytes."""
    return took.peak_bytes


def ratio(one: Scenario, other: Scenario, figure: Callable[[Took], float]) -> float:
    """How many times as much one took as the other: the median over the rounds, so that a slow one counts for both."""
    return median(figure(a) / figure(b) for a, b in zip(one.runs, other.runs, strict=True))


def over_floor(scenario: Scenario) -> float:
    """Wall time over what the latency alone takes."""
    return scenario.median(wall) / scenario.floor

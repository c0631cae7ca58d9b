"""What is measured: the scenarios, and the goals for them."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from statistics import median

from benchmarks.results import Goal, Results, Scenario, Took

LIMIT, HARVEST, HANDWRITTEN, LARGE = "limit pipeline", "harvest core", "hand-written loop", "harvest core, ten times"
_GROWTH, _MOST = 50 * 2**20, 500 * 2**20
TABLE, CONVERSION = "table build", "conversion alone"
POLARS, DUCKDB = "polars, the same parts", "duckdb, the same parts"
CHANGED, CHANGED_LARGE = "table build with changes", "table build with changes, ten times"
OF_TABLES = frozenset({"table", "conversion", "polars", "duckdb", "changes"})
"""The contenders that make tables."""

LISTED, ROWS, HEALTH = "`GET /datasets`", "the first 100 rows", "`GET /health`"
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
    windowed: tuple[int, int]
    """Lines of a windowed list; both are compared."""
    served: tuple[int, int]
    """Rows of a table, and how often each thing is asked of it."""


FULL = Sizes(
    rounds=5,
    tries=4,
    pages=10,
    items=100_000,
    latency_items=64_000,
    records=10_000,
    requests=1000,
    end_to_end=((100_000, 0, 1), (96_000, LATENCIES[0], CHAINS), (3_000_000, 0, 1)),
    windowed=(100_000, 3_000_000),
    served=(1_000_000, 200),
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
    windowed=(1_000, 3_000),
    served=(2_000, 5),
)


def paged(milliseconds: int, chains: int) -> str:
    """Return the name of a scenario that is bound by latency."""
    return f"{milliseconds} ms a page, {chains} {'chain' if chains == 1 else 'chains'}"


def submitted(at_once: int) -> str:
    """Return the name of an Opus scenario."""
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
        Scenario(name=TABLE, contender="table", items=sizes.items),
        Scenario(name=CONVERSION, contender="conversion", items=sizes.items),
        Scenario(name=POLARS, contender="polars", items=sizes.items),
        Scenario(name=DUCKDB, contender="duckdb", items=sizes.items),
        Scenario(name=CHANGED, contender="changes", items=sizes.items),
        Scenario(name=CHANGED_LARGE, contender="changes", items=10 * sizes.items),
    )


def goals(results: Results) -> Iterator[Goal]:
    """Yield the goals, with what was measured."""
    limit, ours, by_hand = map(results.scenario, (LIMIT, HARVEST, HANDWRITTEN))
    yield Goal(
        name="wall time of the harvest core over the limit pipeline", target=1.5, measured=ratio(ours, limit, wall)
    )
    yield Goal(name="CPU of the harvest core over the limit pipeline", target=1.4, measured=ratio(ours, limit, cpu))
    yield Goal(
        name="CPU of the hand-written loop over the harvest core",
        target=4.5,
        at_least=True,
        measured=ratio(by_hand, ours, cpu),
    )
    for milliseconds, target in zip(LATENCIES, (1.25, 1.06), strict=True):
        name = f"wall time over the latency floor, one chain, {milliseconds} ms a page"
        yield Goal(name=name, target=target, measured=over_floor(results.scenario(paged(milliseconds, 1))))
    one, many = (results.scenario(paged(LATENCIES[-1], chains)) for chains in (1, CHAINS))
    name = f"{CHAINS} chains against one, {LATENCIES[-1]} ms a page"
    yield Goal(name=name, target=6.5, at_least=True, measured=ratio(one, many, wall))
    large = results.scenario(LARGE)
    yield Goal(
        name=f"peak memory of the harvest core, {large.items:,} items over {ours.items:,}",
        target=1.25,
        measured=ratio(large, ours, peak),
    )
    for windowed in (False, True):
        hosted = [one for one in results.end_to_end if one.windowed == windowed]
        what = "windowed lines" if windowed else "items"
        yield Goal(
            name=f"peak memory of the Functions worker, {hosted[-1].items:,} {what} over {hosted[0].items:,}",
            target=1.25,
            measured=hosted[-1].peak_bytes / hosted[0].peak_bytes,
        )
    for at_once in OPUS_AT_ONCE:
        name = f"Opus: wall time over the latency floor, {at_once} in flight"
        yield Goal(name=name, target=1.12, measured=over_floor(results.scenario(submitted(at_once))))
    yield from table_goals(results)
    told = {one.name: one for one in results.served}
    name = f"p95 of {ROWS} over p95 of {LISTED}"
    yield Goal(name=name, target=5, measured=told[ROWS].p95 / told[LISTED].p95)


def table_goals(results: Results) -> Iterator[Goal]:
    """Yield the goals for builds of tables."""
    table, conversion, polars = map(results.scenario, (TABLE, CONVERSION, POLARS))
    yield Goal(name="CPU of a table build over polars", target=2.0, measured=ratio(table, polars, cpu))
    yield Goal(
        name="wall time of a table build over the conversion alone", target=1.5, measured=ratio(table, conversion, wall)
    )
    small, large = results.scenario(CHANGED), results.scenario(CHANGED_LARGE)
    grown = median(
        (many.peak_bytes - _GROWTH) / few.peak_bytes for many, few in zip(large.runs, small.runs, strict=True)
    )
    name = f"peak memory of a build with changes, {large.items:,} rows over {small.items:,}, less 50 MiB"
    yield Goal(name=name, target=1.3, measured=grown)
    name = f"peak memory of a build with changes, {large.items:,} rows, over 500 MiB"
    yield Goal(name=name, target=1, measured=median(one.peak_bytes for one in large.runs) / _MOST)


def wall(took: Took) -> float:
    """Seconds on the wall."""
    return took.wall


def cpu(took: Took) -> float:
    """Seconds of CPU."""
    return took.cpu


def peak(took: Took) -> float:
    """Return the peak of the memory, in bytes."""
    return took.peak_bytes


def ratio(one: Scenario, other: Scenario, figure: Callable[[Took], float]) -> float:
    """How many times as much one took as the other: the median over the rounds, so that a slow one counts for both."""
    return median(figure(a) / figure(b) for a, b in zip(one.runs, other.runs, strict=True))


def over_floor(scenario: Scenario) -> float:
    """Wall time over what the latency alone takes."""
    return scenario.median(wall) / scenario.floor

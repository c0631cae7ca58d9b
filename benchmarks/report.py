"""docs/benchmarks.md, written from ``results.json``."""

from collections.abc import Iterator

from benchmarks.results import DISTURBED, Results, Scenario
from benchmarks.scenarios import FULL, HARVEST, OF_TABLES, cpu, over_floor, peak, ratio, wall
from benchmarks.tables import table

_INTRODUCTION = """\
# Benchmarks

What `make bench` measured. It writes this page and `benchmarks/results.json`, which holds every single run.

- **Machine:** {machine}.
- **Method:** {rounds}. Every contender runs once in every round, in a process of its own, against a lean server in
  another process, whose CPU does not count, and after a first page, which does not count either. Figures are medians,
  ratios are medians of the ratios within a round. CPU is user and system time. A run during which the hypervisor gave
  more than {disturbed:.0%} of a core to others was repeated, three times at most; the least disturbed one counts.
- **Data:** Power Apps with all documented fields, 3 KB of JSON each; a page holds 1,000 of them and comes as gzip.

## Goals
"""
_CONTENDERS = """\
## Contenders

The same work for all: page through the list in one chain and write gzip NDJSON, which is then thrown away.

- *limit pipeline*: a raw socket, isal and `msgspec.Raw` in two threads. It checks, counts and retries nothing, and
  would lose everything in a crash.
- *harvest core*: the app's own slice worker and transport, with tokens, budget, checks, keys, parts and checkpoints,
  on a storage that keeps documents in memory and throws parts away.
- *hand-written loop*: `httpx.AsyncClient`, `orjson`, `gzip` at level 6.
"""
_TABLES = """\
## Tables

The same raw parts for all, on disk; ten thousand items repeated under ids of their own.

- *table build*: what the app does once `latest` has moved: conversion, commit, history, on a storage without a network.
- *conversion alone*: lines to typed Parquet, with key, line hash and rescue.
- *polars*: `scan_ndjson` to `sink_parquet`, types guessed from the first thousand lines, on all cores.
- *duckdb*: `read_json` to Parquet, types guessed, on all cores.
- *with changes*: a second night, in which half of the items have moved counters, one in a hundred another status, and
  one in five hundred is gone.
"""
_LATENCY = """\
## Latency

The harvest core against a server that takes its time, and the Opus proxy with 15 records a call. The floor is what the
latency alone takes.
"""
_OVERHEAD = """\
## Overhead

What the app adds to 1,000 requests, in CPU of one core and in transactions of Azure Storage (in memory here). A slice
reads the run document after every page, to notice within a page that the run was cancelled.
"""
_END_TO_END = """\
## End to end

Through the local Functions host, the queue and Azurite, once each, every time with a new host, which makes no tables.
Seconds are from the claim of the first slice to the end of the last; CPU and memory are those of the host. A windowed
list (audits, 0.6 KB of JSON each) is harvested twice: the second harvest gets every line of the first again and stores
none of them. Its seconds are those of the second, CPU and memory those of both.
"""
_SERVED = """\
## Answers

What one client sees of the local Functions host, in milliseconds, while a table of {rows:,} Power Apps lies in Azurite.
Rows and the list of datasets are asked for in turn, after ten calls that do not count. `GET /health` is asked for ten
times a second: alone, and beside work that never pauses: a body of 2 MB with a million wrong ids, pages of 1,000 rows,
the build of the next snapshot. Its p99 is to stay under 250 ms on a quiet machine; it is told, and no goal.
"""


def page(results: Results) -> str:
    """Return the page, in Markdown."""
    return "\n".join(_lines(results))


def _lines(results: Results) -> Iterator[str]:
    machine = results.machine
    named = ", ".join(
        (
            f"{machine.cores} cores",
            machine.cpu,
            f"{machine.memory_bytes / 2**30:.0f} GiB",
            machine.system,
            machine.python,
        )
    )
    rounds = f"{results.rounds} round{'s' * (results.rounds > 1)}"
    yield _INTRODUCTION.format(machine=named, rounds=rounds, disturbed=DISTURBED)
    yield from _goals(results)
    yield _CONTENDERS
    yield from _contenders(results)
    if any(scenario.contender in OF_TABLES for scenario in results.scenarios):
        yield _TABLES
        yield from _tables(results)
    yield _LATENCY
    yield from _latency(results)
    yield _OVERHEAD
    yield from _overhead(results)
    yield _END_TO_END
    yield from _end_to_end(results)
    yield _SERVED.format(rows=FULL.served[0])
    yield from _served(results)


def _goals(results: Results) -> Iterator[str]:
    rows = [
        (
            goal.name,
            f"{'at least' if goal.at_least else 'at most'} {goal.target:g}",
            _times(goal.measured),
            "yes" if goal.met else "**no**",
        )
        for goal in results.goals
    ]
    yield from table(("goal", "target", "measured", "met"), rows)


def _contenders(results: Results) -> Iterator[str]:
    ours = results.scenario(HARVEST)
    rows = []
    for scenario in results.scenarios:
        if scenario.milliseconds or scenario.contender in OF_TABLES:
            continue
        same = scenario.items == ours.items
        rows.append(
            (
                scenario.name,
                f"{scenario.items:,}",
                f"{scenario.median(wall):.2f}",
                f"{scenario.median(cpu):.2f}",
                f"{scenario.median(peak) / 1e6:.0f}",
                f"{scenario.runs[0].bytes / 1e6:.1f}",
                _times(ratio(scenario, ours, wall)) if same else "",
                _times(ratio(scenario, ours, cpu)) if same else "",
            )
        )
    header = ("contender", "items", "wall s", "CPU s", "peak MB", "gzip MB", "wall / core", "CPU / core")
    yield from table(header, rows)


def _tables(results: Results) -> Iterator[str]:
    rows = [
        (
            scenario.name,
            f"{scenario.items:,}",
            f"{scenario.median(wall):.2f}",
            f"{scenario.median(cpu):.2f}",
            f"{scenario.median(peak) / 1e6:.0f}",
            f"{scenario.runs[0].bytes / 1e6:.1f}",
        )
        for scenario in results.scenarios
        if scenario.contender in OF_TABLES
    ]
    yield from table(("contender", "items", "wall s", "CPU s", "peak MB", "Parquet MB"), rows)


def _latency(results: Results) -> Iterator[str]:
    rows = [_over_floor(scenario) for scenario in results.scenarios if scenario.milliseconds]
    yield from table(("scenario", "items", "floor s", "wall s", "wall / floor", "CPU s"), rows)


def _over_floor(scenario: Scenario) -> tuple[str, ...]:
    return (
        scenario.name,
        f"{scenario.items:,}",
        f"{scenario.floor:.2f}",
        f"{scenario.median(wall):.2f}",
        _times(over_floor(scenario)),
        f"{scenario.median(cpu):.2f}",
    )


def _overhead(results: Results) -> Iterator[str]:
    rows = [(one.name, f"{one.cpu_ms:.1f}", f"{one.reads:,}", f"{one.writes:,}") for one in results.overheads]
    yield from table(("per 1,000 requests", "CPU ms", "reads", "writes"), rows)


def _end_to_end(results: Results) -> Iterator[str]:
    rows = [
        (
            f"{one.items:,}{' windowed' * one.windowed}",
            str(one.chains),
            str(one.milliseconds),
            f"{one.seconds:.1f}",
            f"{one.items / one.seconds:,.0f}",
            f"{one.cpu:.1f}",
            f"{one.peak_bytes / 1e6:.0f}",
            f"{one.bytes / 1e6:.0f}",
            str(one.parts),
        )
        for one in results.end_to_end
    ]
    header = ("items", "chains", "ms a page", "seconds", "items/s", "CPU s", "peak MB", "gzip MB", "parts")
    yield from table(header, rows)


def _served(results: Results) -> Iterator[str]:
    rows = [
        (one.name, f"{one.calls:,}", *(f"{milliseconds:.1f}" for milliseconds in (one.p50, one.p95, one.p99)))
        for one in results.served
    ]
    yield from table(("asked for", "calls", "p50 ms", "p95 ms", "p99 ms"), rows)


def _times(value: float) -> str:
    return f"{value:.2f}"

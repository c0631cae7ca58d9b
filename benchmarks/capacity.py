"""How long a harvest takes: ``python -m benchmarks.capacity`` for a reader's own numbers, and docs/capacity.md.

It asks ``shared.harvest.plan.capacity``, as ``POST /api/harvests?dryRun=true`` does.
"""

import sys
from argparse import ArgumentDefaultsHelpFormatter, ArgumentParser, ArgumentTypeError
from collections.abc import Iterator
from datetime import timedelta
from typing import Final

from benchmarks.bill import monthly
from benchmarks.contenders.work import PAGE_SIZE
from benchmarks.results import Results
from benchmarks.scenarios import HARVEST, cpu, paged, wall
from benchmarks.tables import table
from sandbox.arguments import at_least_one, count, duration
from shared.harvest.plan.capacity import Estimate, Pace, estimate, fewest_requests
from shared.harvest.plan.plan import FAN_OUT
from shared.settings import Settings
from shared.transport.budget import Limits

USUAL_LATENCY: Final = timedelta(milliseconds=200)

_DEFAULTS: Final = {name: field.default for name, field in Settings.model_fields.items()}
LIMITS: Final = Limits(
    _DEFAULTS["throttle_requests"],
    timedelta(seconds=_DEFAULTS["throttle_window_seconds"]),
    _DEFAULTS["throttle_reserved_percent"],
)
_CONCURRENCY: Final[int] = _DEFAULTS["throttle_concurrency"]
_RUN_HOURS: Final[float] = _DEFAULTS["run_hours"]

_SCALED: Final = 6_000
_WHOLE: Final = 100
_EXAMPLES: Final = (
    "--items 1000000 --latency-ms 200",
    f"--parents 20000 --chains {FAN_OUT} --latency-ms 200",
)
_MONTH: Final = "month graph/enpower-powerapps=20000 graph/enpower-cloudflows=50000 graph/aos-audit=5000"

_TEXT: Final = """\
# Capacity

This page says how long a harvest takes, what limits it, and what makes it faster. The command calculates with your
own numbers:

{examples}
The command uses the same formula as `POST /api/harvests?dryRun=true` (`shared/harvest/plan/capacity.py`). A test
compares the formula with the real request budget in simulated time. `make bench` writes this page from the formula
and from the measured figures of [benchmarks.md](benchmarks.md).

## A month

The command also calculates a month of nightly harvests: how many requests and how much storage they need, for the
lists that you name and their sizes. With options for the prices that you know (`--per-gb-second`, …), it also prints
the costs:

{month}
For a windowed list, give the number of new items in a day. `:BYTES` after the number is the size of a compressed
item: divide `bytes` by `items` of a manifest. Without it, an item has the size of the benchmark's items, 3 KB before
compression.

- **Transactions** were counted with the real worker and the real tables. The sweep makes most of them, because it
  lists the stored blobs and looks at every table. The host's checks of idle queues are not included.
- **GB** are those of snapshots, state, tables with their old versions and changes, and history. Evidence, logs, and
  copies that soft delete and versioning keep are not included.
- **GB-seconds** are calculated from the latency of AvePoint and of storage, and from the measured CPU time, on one
  instance.
- Outages are not included: the app requests a list that failed again.

A test compares requests, executions, transactions and bytes of a simulated month with these figures. They differ by
at most a quarter.

## The rule

- **Requests.** One for each page: items divided by the page size, and at least one for every list. A child dataset
  needs at least one for every parent.
- **Latency.** A chain requests one page after the other. At the same time there are as many requests as partitions
  (one for a list, or one for each of `HARVEST_TENANTS`; up to {fan_out} for the parents of a child dataset), and at
  most `THROTTLE_CONCURRENCY` ({concurrency}) for each instance. Each full page takes its latency and {own_ms:.0f} ms
  more (measured) for the work that cannot overlap with the next request.
- **CPU.** A full page of {page_size:,} items of 3 KB takes {cpu_ms:.0f} ms of one core (measured): a core processes
  {rate:.0f} pages or {item_rate:,.0f} items a second. With {fan_out} chains on one core, the CPU limits a harvest of
  full pages if each page arrives within {cpu_latency:.0f} ms. Then a second instance helps.
- **Budget.** {requests:,} requests in {window} (`THROTTLE_REQUESTS`, `THROTTLE_WINDOW_SECONDS`), less the
  {percent:g} % that are reserved for HTTP callers (`THROTTLE_RESERVED_PERCENT`): {share:,} for the harvests of all
  instances together. When they are used up, harvests wait for the next window, and nothing is lost.
- **Deadline.** A run that has not ended after `HARVEST_RUN_HOURS` ({hours:g}) fails. If you resume it,
  it continues where it stopped.

## The ceiling

The budget is {flat:.2f} requests a second. If each answer takes {latency}, *one* chain makes {one_chain:.0f} requests
a second. So the budget usually limits a large harvest, and not the speed. Below {share:,} requests, more chains make
a harvest faster. Above that, only fewer requests or a larger budget help.

| with a page size of | items in a window | items in a run of {hours:g} hours |
|---|---|---|
{ceilings}

For a child dataset, count the parents: {share:,} in a window, {run_requests:,} in a run.

To raise the ceiling:

- use the largest pages: without `HARVEST_PAGE_SIZE` the app requests the most that AvePoint allows, such as 1,000 for
  the EnPower lists of the Graph API, and 100 for the EnPower Web API;
- harvest fewer parents in a run (`HARVEST_MAX_PARENTS`): the app begins with the least recently harvested ones;
- spread the schedules over the day;
- ask AvePoint to raise its limit, and then raise `THROTTLE_REQUESTS`.

## N items

Each page takes {latency}, with the default settings, on one instance. *Waits* is the part of the time in which the
harvest waits for the next window.

{items}
## N parents

One request for each parent, in {fan_out} partitions; each answer takes {latency}.

{parents}
## More instances

{scaled:,} requests, and each answer takes {latency}. More instances help as long as there are chains for them and the
budget is not used up.

{instances}"""


def main(argv: list[str]) -> None:
    """Answer for a reader's own numbers."""
    print(answer(argv))


def answer(argv: list[str]) -> str:
    """Return the answer to what is asked on the command line."""
    if argv[:1] == ["month"]:
        return monthly(argv[1:], LIMITS)
    asked = _parser().parse_args(argv)
    pace = Pace(timedelta(milliseconds=asked.latency_ms), asked.chains, asked.instances, asked.concurrency)
    limits = Limits(asked.requests, timedelta(seconds=asked.window_seconds), asked.reserved_percent)
    found = estimate(fewest_requests(asked.items, page_size=asked.page_size, lists=asked.parents), pace, limits)
    return (
        f"{found.requests:,} requests at least, {pace.in_flight} in flight\n"
        f"{shown(found.by_latency)} by latency, {shown(found.by_budget)} of waiting for the budget\n"
        f"{shown(found.lasts)} in all, bound by the {found.bound_by}"
    )


def _parser() -> ArgumentParser:
    parser = ArgumentParser(
        prog="python -m benchmarks.capacity",
        description="How long a harvest takes, and what bounds it; 'month' says what nights of harvests take.",
        formatter_class=ArgumentDefaultsHelpFormatter,
    )
    options = parser.add_argument
    options("--items", type=count, default=0, help="in all lists together")
    options("--parents", type=at_least_one, default=1, help="lists, each of which takes a request at least")
    options("--page-size", type=at_least_one, default=PAGE_SIZE, help="items in a page")
    options("--latency-ms", type=duration, default=USUAL_LATENCY / timedelta(milliseconds=1), help="of an answer")
    options("--chains", type=at_least_one, default=1, help="partitions: tenants, or shares of the parents")
    options("--instances", type=at_least_one, default=1, help="of the app")
    options("--concurrency", type=at_least_one, default=_CONCURRENCY, help="THROTTLE_CONCURRENCY")
    options("--requests", type=at_least_one, default=LIMITS.requests, help="THROTTLE_REQUESTS")
    window = LIMITS.window.total_seconds()
    options("--window-seconds", type=duration, default=window, help="THROTTLE_WINDOW_SECONDS")
    options("--reserved-percent", type=_percent, default=LIMITS.reserved_percent, help="THROTTLE_RESERVED_PERCENT")
    return parser


def _percent(text: str) -> float:
    percent = duration(text) if text.strip("0.") else 0.0
    if percent >= _WHOLE:
        raise ArgumentTypeError("it has to be below 100")
    return percent


def page(results: Results) -> str:
    """docs/capacity.md, in Markdown."""
    ours, one_chain = results.scenario(HARVEST), results.scenario(paged(50, 1))
    cpu_ms = ours.median(cpu) / (ours.items / PAGE_SIZE) * 1000
    own_ms = (one_chain.median(wall) - one_chain.floor) / (one_chain.items / PAGE_SIZE) * 1000
    share = LIMITS.terms("harvest").most
    windows = timedelta(hours=_RUN_HOURS) / LIMITS.window
    return _TEXT.format(
        examples="\n".join(map(_example, _EXAMPLES)),
        month=_example(_MONTH),
        fan_out=FAN_OUT,
        concurrency=_CONCURRENCY,
        own_ms=own_ms,
        page_size=PAGE_SIZE,
        cpu_ms=cpu_ms,
        rate=1000 / cpu_ms,
        item_rate=round(PAGE_SIZE * 1000 / cpu_ms, -2),
        cpu_latency=round(cpu_ms * FAN_OUT, -1),
        requests=LIMITS.requests,
        window=shown(LIMITS.window),
        percent=LIMITS.reserved_percent,
        share=share,
        flat=share / LIMITS.window.total_seconds(),
        latency=shown(USUAL_LATENCY),
        one_chain=timedelta(seconds=1) / USUAL_LATENCY,
        hours=_RUN_HOURS,
        ceilings="\n".join(f"| {size:,} | {size * share:,} | {size * share * windows:,.0f} |" for size in (1000, 100)),
        run_requests=round(share * windows),
        items="\n".join(_items()),
        parents="\n".join(_parents()),
        scaled=_SCALED,
        instances="\n".join(_instances()),
    )


def _example(arguments: str) -> str:
    return f"```sh\n./avepoint capacity {arguments}\n```\n\n```text\n{answer(arguments.split())}\n```\n"


def _items() -> Iterator[str]:
    rows = []
    for items in (10_000, 100_000, 1_000_000, 10_000_000, 50_000_000):
        for size in (1000, 100):
            for chains in (1, 8):
                found = estimate(fewest_requests(items, page_size=size), Pace(USUAL_LATENCY, chains), LIMITS)
                rows.append((f"{items:,}", f"{size:,}", str(chains), *_cells(found)))
    yield from table(("items", "page size", "chains", "requests", "lasts", "waits", "bound by"), rows)


def _parents() -> Iterator[str]:
    rows = []
    for parents in (500, 5_000, 13_500, 50_000, 200_000):
        found = estimate(parents, Pace(USUAL_LATENCY, FAN_OUT), LIMITS)
        rows.append((f"{parents:,}", *_cells(found)))
    yield from table(("parents", "requests", "lasts", "waits", "bound by"), rows)


def _instances() -> Iterator[str]:
    rows = []
    for chains in (1, 8, 40):
        paces = (Pace(USUAL_LATENCY, chains, instances) for instances in (1, 2, 5))
        rows.append((str(chains), *(shown(estimate(_SCALED, pace, LIMITS).lasts) for pace in paces)))
    yield from table(("chains", "1 instance", "2 instances", "5 instances"), rows)


def _cells(found: Estimate) -> tuple[str, ...]:
    return (f"{found.requests:,}", shown(found.lasts), shown(found.by_budget), found.bound_by)


def shown(duration: timedelta) -> str:
    """Return a duration in the largest unit that makes sense."""
    seconds = duration.total_seconds()
    for unit, size in (("h", 3600), ("min", 60), ("s", 1)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds * 1000:.3g} ms" if seconds else "0"


if __name__ == "__main__":
    main(sys.argv[1:])

"""``capacity month``: what so many nights take of AvePoint and of Azure, and what it costs at a reader's prices."""

from argparse import ArgumentDefaultsHelpFormatter, ArgumentParser, ArgumentTypeError, Namespace
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Final, NamedTuple, cast

from benchmarks.month import Bill, ChosenList, Habits
from sandbox.arguments import at_least_one, count, duration
from shared.avepoint.catalog import Dataset, catalog
from shared.closest import closest_hint
from shared.transport.budget import Limits

if TYPE_CHECKING:
    from shared.avepoint.platform import Source

_USUAL: Final = Habits()
_ITEM_BYTES: Final = 547
_PRICES: Final[Mapping[str, tuple[str, str]]] = {
    "per_million_executions": ("--per-million-executions", "price of a million executions"),
    "per_gb_second": ("--per-gb-second", "price of a GB-second"),
    "per_10000_reads": ("--per-10000-reads", "price of 10,000 reads of blobs"),
    "per_10000_writes": ("--per-10000-writes", "price of 10,000 writes or lists of blobs"),
    "per_10000_messages": ("--per-10000-messages", "price of 10,000 queue operations"),
    "per_gb_month": ("--per-gb-month", "price of a GB that is stored for a month"),
}


class _Asked(NamedTuple):
    """A list as it is named on the command line."""

    dataset: Dataset
    items: int
    item_bytes: float


def monthly(argv: Sequence[str], limits: Limits) -> str:
    """Return the answer to what is asked on the command line."""
    parser = _parser()
    asked = parser.parse_args(argv)
    try:
        lists = list(_chosen(asked.lists, tabled=not asked.no_tables))
    except ArgumentTypeError as error:
        parser.error(str(error))
    habits = Habits(
        nights=asked.nights,
        sweeps=asked.sweeps,
        page_size=asked.page_size,
        latency=timedelta(milliseconds=asked.latency_ms),
        storage_latency=timedelta(milliseconds=asked.storage_ms),
        raw_days=asked.raw_days,
        table_days=asked.table_days,
        changed=asked.changed_percent / 100,
        instance_gigabytes=asked.instance_gb,
    )
    return "\n".join(_lines(Bill(lists, habits, limits), asked))


def _lines(bill: Bill, asked: Namespace) -> Iterator[str]:
    hours = bill.waiting / timedelta(hours=1)
    yield f"nights: {bill.habits.nights:,}, from an empty account; lists: {len(bill.lists)}"
    yield f"{bill.requests:,} requests to AvePoint, {hours:,.3g} hours of waiting for the budget"
    yield f"{bill.executions:,} executions, {bill.gigabyte_seconds:,.0f} GB-seconds"
    yield f"{bill.reads:,} reads, {bill.writes:,} writes and lists, {bill.queue_operations:,} queue operations"
    yield f"{bill.gigabytes:,.3g} GB stored in the end"
    if any(getattr(asked, name) is not None for name in _PRICES):
        kept = bill.gigabytes * _price(asked, "per_gb_month")
        yield f"costs {_nights_cost(bill, asked):,.2f}, and {kept:,.2f} a month for what is stored"


def _nights_cost(bill: Bill, asked: Namespace) -> float:
    ten_thousands = {
        "per_10000_reads": bill.reads,
        "per_10000_writes": bill.writes,
        "per_10000_messages": bill.queue_operations,
    }
    storage = sum(number / 10_000 * _price(asked, name) for name, number in ten_thousands.items())
    executions = bill.executions / 1_000_000 * _price(asked, "per_million_executions")
    return storage + executions + bill.gigabyte_seconds * _price(asked, "per_gb_second")


def _price(asked: Namespace, name: str) -> float:
    price: float | None = getattr(asked, name)
    return price or 0.0


def _chosen(asked: Sequence[_Asked], *, tabled: bool) -> Iterator[ChosenList]:
    """Yield the lists with the number of their parents.

    Raises:
        ArgumentTypeError: The parents of a list are not among those that are asked about.
    """
    items = {(one.dataset.source, one.dataset.name): one.items for one in asked}
    for dataset, number, item_bytes in asked:
        parents = 1
        if dataset.parent is not None:
            key = (dataset.source, dataset.parent.dataset)
            if key not in items:
                raise ArgumentTypeError(f"{dataset.name} is asked for each of its parents: name {'/'.join(key)}, too")
            parents = max(1, items[key])
        yield ChosenList(dataset, number, parents, item_bytes, tabled)


def _list(text: str) -> _Asked:
    """Read ``graph/enpower-powerapps=20000`` or ``graph/enpower-powerapps=20000:420``."""
    name, equals, number = text.partition("=")
    source, _, dataset = name.partition("/")
    found = catalog().get((cast("Source", source), dataset))
    if found is None or not equals:
        hint = closest_hint(name, [f"{one.source}/{one.name}" for one in catalog().values()])
        raise ArgumentTypeError(f"{text!r} is not SOURCE/DATASET=ITEMS{hint}")
    items, _, item_bytes = number.partition(":")
    return _Asked(found, count(items), duration(item_bytes) if item_bytes else _ITEM_BYTES)


def _parser() -> ArgumentParser:
    parser = ArgumentParser(
        prog="./avepoint capacity month",
        description="What so many nights of harvests take of AvePoint and of Azure.",
        formatter_class=ArgumentDefaultsHelpFormatter,
    )
    options = parser.add_argument
    options(
        "lists",
        type=_list,
        nargs="+",
        metavar="SOURCE/DATASET=ITEMS[:BYTES]",
        help=f"how many items a list holds (in windows: come in a day), and compressed bytes of one ({_ITEM_BYTES})",
    )
    options("--nights", type=at_least_one, default=_USUAL.nights, help="from an empty account on")
    options("--sweeps", type=at_least_one, default=_USUAL.sweeps, help="in a day (SWEEP_SCHEDULE)")
    options("--page-size", type=at_least_one, help="HARVEST_PAGE_SIZE, if lower than what AvePoint allows")
    options("--latency-ms", type=duration, default=_USUAL.latency / timedelta(milliseconds=1), help="of an answer")
    storage = _USUAL.storage_latency / timedelta(milliseconds=1)
    options("--storage-ms", type=duration, default=storage, help="of a request to Azure Storage")
    options("--raw-days", type=at_least_one, default=_USUAL.raw_days, help="how long raw files are kept")
    options("--table-days", type=duration, default=_USUAL.table_days, help="TABLES_KEEP_DAYS")
    options("--changed-percent", type=duration, default=_USUAL.changed * 100, help="items that change in a night")
    options("--instance-gb", type=duration, default=_USUAL.instance_gigabytes, help="memory of an instance")
    options("--no-tables", action="store_true", help="no list has a table")
    for name, (option, words) in _PRICES.items():
        options(option, dest=name, type=duration, metavar="PRICE", help=words)
    return parser

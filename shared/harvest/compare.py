"""``python -m shared.harvest.compare``: whether the Graph API gives all that the EnPower Web API gives."""

import asyncio
import json
import sys
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Final, Literal

from shared.avepoint.catalog import Dataset, catalog
from shared.azure.storage import Storage
from shared.clock import rfc3339, utc_now
from shared.document import Document
from shared.errors import AppError, GiveUp
from shared.harvest.snapshots.differences import DIFFERENCES_NAMED, Contents, Differences, differences
from shared.harvest.snapshots.manifest import Manifest, Verdict, read_newest_manifest
from shared.harvest.snapshots.reading import lines_of
from shared.services import storage_alone
from shared.settings import CANNOT_TELL, CommandResult, add_settings_option, load_storage_settings, run_command

type ComparisonState = Literal["same", "different", "incomparable"]

STATUS: Final[dict[ComparisonState, int]] = {"same": 0, "different": 1, "incomparable": CANNOT_TELL}
"""The exit status of the command; of several comparisons the worst counts."""


class NoSnapshot(GiveUp):
    """No snapshot of a dataset has been published."""


class Snapshot(Document):
    """One side of a comparison: the newest published snapshot of a dataset."""

    run_id: str
    finished_at: datetime
    verdict: Verdict
    items: int


class SnapshotComparison(Document):
    """A legacy dataset beside its successor, or the reason why they cannot be compared."""

    dataset: str
    successor: str
    state: ComparisonState
    reason: str | None = None
    legacy_snapshot: Snapshot | None = None
    successor_snapshot: Snapshot | None = None
    differences: Differences | None = None


def replaced() -> dict[str, Dataset]:
    """Return the legacy datasets that have a successor, by name."""
    return {dataset.name: dataset for dataset in catalog().values() if dataset.successor}


async def compare_snapshots(storage: Storage, legacy: Dataset, *, now: datetime) -> SnapshotComparison:
    """Compare the newest snapshot of a dataset with that of its successor; the memory needed is that of their ids."""
    successor = catalog()["graph", legacy.successor or ""]
    try:
        old, new = [await _newest(storage, dataset, now) for dataset in (legacy, successor)]
        found = differences(await _contents(storage, old, legacy), await _contents(storage, new, successor))
    except AppError as error:
        return SnapshotComparison(
            dataset=legacy.name, successor=successor.name, state="incomparable", reason=str(error)
        )
    return SnapshotComparison(
        dataset=legacy.name,
        successor=successor.name,
        state="same" if found.replaceable else "different",
        legacy_snapshot=_snapshot(old),
        successor_snapshot=_snapshot(new),
        differences=found,
    )


async def _newest(storage: Storage, dataset: Dataset, now: datetime) -> Manifest:
    manifest = await read_newest_manifest(storage, dataset.source, dataset.name, now=now)
    if manifest is None:
        raise NoSnapshot(f"no snapshot of {dataset.source}/{dataset.name} has been published")
    return manifest


async def _contents(storage: Storage, manifest: Manifest, dataset: Dataset) -> Contents:
    contents = Contents(*dataset.key)
    async for lines in lines_of(storage, manifest):
        await asyncio.to_thread(contents.add, lines)
    return contents


def _snapshot(manifest: Manifest) -> Snapshot:
    return Snapshot(
        run_id=manifest.run_id, finished_at=manifest.finished_at, verdict=manifest.verdict, items=manifest.items
    )


def main(argv: list[str]) -> int:
    """Compare the datasets that are named, or all, in the storage that the settings in the environment name.

    Returns:
        The exit status: 0 when nothing is missing, 1 when something is, 2 when that cannot be told.
    """
    return run_command(_found, _arguments(argv))


async def _found(args: Namespace) -> CommandResult:
    comparisons = await _compared(args.datasets)
    told = [comparison.model_dump(mode="json", by_alias=True) for comparison in comparisons]
    lines = [line for comparison in comparisons for line in _lines(comparison)]
    text = json.dumps({"value": told}, indent=2) if args.json else "\n".join(lines)
    return CommandResult(text, max(STATUS[comparison.state] for comparison in comparisons))


def _arguments(argv: list[str]) -> Namespace:
    parser = ArgumentParser(
        prog="python -m shared.harvest.compare",
        description="Say whether the Graph API gives all that the EnPower Web API gives, by the newest snapshots.",
    )
    parser.add_argument(
        "datasets",
        metavar="dataset",
        nargs="*",
        type=_legacy,
        default=[*replaced().values()],
        help=f"any of {', '.join(replaced())}; default: all of them",
    )
    parser.add_argument("--json", action="store_true", help="print everything, for other programs")
    add_settings_option(parser)
    return parser.parse_args(argv)


def _legacy(name: str) -> Dataset:
    if name not in replaced():
        raise ArgumentTypeError(f"{name!r} is not one of {', '.join(replaced())}")
    return replaced()[name]


async def _compared(datasets: Sequence[Dataset]) -> list[SnapshotComparison]:
    async with storage_alone(load_storage_settings()) as storage:
        return [await compare_snapshots(storage, dataset, now=utc_now()) for dataset in datasets]


def _lines(told: SnapshotComparison) -> Iterator[str]:
    yield f"enpower/{told.dataset} -> graph/{told.successor}: {told.state}"
    if told.reason:
        yield f"  {told.reason}"
    for name, side in (("legacy", told.legacy_snapshot), ("successor", told.successor_snapshot)):
        if side:
            yield f"  {name}: {side.items} items, {side.verdict}, run {side.run_id}, {rfc3339(side.finished_at)}"
    if told.differences:
        yield from (f"  {line}" for line in _differences(told.differences))


def _differences(found: Differences) -> Iterator[str]:
    renamed = [f"{old} -> {new}" for old, new in found.fields_renamed.items()]
    yield _listed("ids missing in the successor", found.missing_in_successor.first, found.missing_in_successor.count)
    yield _listed("ids missing in the legacy", found.missing_in_legacy.first, found.missing_in_legacy.count)
    yield f"items without an id: {found.without_id}"
    yield _listed("fields missing in the successor", found.fields_missing_in_successor)
    yield _listed("fields new in the successor", found.fields_missing_in_legacy)
    yield _listed("fields renamed", renamed)


def _listed(title: str, names: Sequence[str], count: int | None = None) -> str:
    """Return a number of things, and the first of them."""
    count = len(names) if count is None else count
    shown = ", ".join([*names[:DIFFERENCES_NAMED], *(["…"] if count > DIFFERENCES_NAMED else [])])
    return f"{title}: {count}{f' ({shown})' if shown else ''}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

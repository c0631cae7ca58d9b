"""``python -m shared.harvest.verify``: whether every part of the snapshots is what their manifests say.

It reads the container ``inventory`` of the app whose settings are in the environment, and changes nothing. Nothing but
the settings of the storage account is needed.
"""

import json
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import AsyncIterator, Iterator, Sequence
from itertools import groupby
from operator import itemgetter

from shared.avepoint.catalog import catalog
from shared.avepoint.platform import SOURCES, Source
from shared.azure.storage import Container, Storage
from shared.closest import closest_hint
from shared.document import Document
from shared.errors import REPAIR, MissingDocument, NotFound, StoredFault
from shared.harvest.plan import paths
from shared.harvest.plan.paths import SnapshotName
from shared.harvest.snapshots.manifest import read_latest, read_manifest
from shared.harvest.snapshots.verifying import Fault, SnapshotReport, parts_that_are_there, verify_snapshot
from shared.services import storage_alone
from shared.settings import CommandResult, add_settings_option, load_storage_settings, run_command

_MEGABYTE = 1_000_000


class VerifyReport(Document):
    """What was found: a report on each snapshot, and the paths that are not names of this app."""

    value: tuple[SnapshotReport, ...]
    passed_over: tuple[str, ...]


class VerifyProgress:
    """Says on a terminal, in one line, how far it is."""

    def __init__(self) -> None:
        self._bytes = 0
        self._what = ""

    def begin(self, number: int, of: int, run_id: str, dataset: str) -> None:
        """Begin with another snapshot."""
        self._what = f"{number} of {of}: {dataset} {run_id}"
        self.seen(0)

    def seen(self, size: int) -> None:
        """Count bytes in."""
        self._bytes += size
        self._say(f"{self._what}, {self._bytes / _MEGABYTE:,.0f} MB")

    def end(self) -> None:
        """Take the line away."""
        self._say("")

    @staticmethod
    def _say(text: str) -> None:
        if sys.stderr.isatty():
            sys.stderr.write(f"\r\x1b[K{text[:100]}")
            sys.stderr.flush()


def main(argv: Sequence[str]) -> int:
    """Verify the snapshots in the storage that the settings in the environment name.

    Returns:
        The exit status: 0 when nothing is wrong, 1 when something is, 2 when it could not be found out.
    """
    return run_command(_found, _arguments(argv))


async def _found(args: Namespace) -> CommandResult:
    report = await _verified(args)
    told = report.model_dump(mode="json", by_alias=True)
    text = json.dumps(told, indent=2) if args.json else "\n".join(_lines(report))
    return CommandResult(text, 1 if any(one.faults for one in report.value) else 0)


def _arguments(argv: Sequence[str]) -> Namespace:
    parser = ArgumentParser(
        prog="python -m shared.harvest.verify",
        description="Compare every part of the snapshots with their manifests: SHA-256, bytes, items, every line.",
    )
    parser.add_argument("--source", choices=SOURCES, help="only snapshots of this source")
    parser.add_argument("--dataset", help="only snapshots of this dataset")
    parser.add_argument("--run", metavar="RUN_ID", help="only the snapshots of this run")
    parser.add_argument("--json", action="store_true", help="print everything, for other programs")
    add_settings_option(parser)
    args = parser.parse_args(argv)
    if args.run is not None and paths.source_of(args.run) is None:
        parser.error(f"{args.run!r} is not the id of a run")
    return args


async def _verified(args: Namespace) -> VerifyReport:
    if args.dataset is not None:
        _check_name(args.dataset)
    async with storage_alone(load_storage_settings()) as storage:
        stored = [path async for path in storage.list(Container.INVENTORY, paths.MANIFESTS)]
        names = {path: paths.snapshot_of(path) for path in stored if not paths.is_companion(path)}
        wanted = [one for one in names.values() if one and _is_wanted(one, args)]
        if not wanted:
            raise NotFound("no such snapshot is stored", remedy="Harvest the dataset first, or ask for another one.")
        progress = VerifyProgress()
        try:
            found = verify(storage, sorted(wanted), may_expire=args.run is None, progress=progress)
            reports = tuple([report async for report in found])
        finally:
            progress.end()
    return VerifyReport(value=reports, passed_over=tuple(path for path, name in names.items() if name is None))


def _is_wanted(name: SnapshotName, args: Namespace) -> bool:
    return all(
        wanted in {None, one}
        for wanted, one in ((args.source, name.source), (args.dataset, name.dataset), (args.run, name.run))
    )


def _check_name(dataset: str) -> None:
    names = [name for _, name in catalog()]
    if dataset not in names:
        raise NotFound(f"there is no dataset {dataset!r}{closest_hint(dataset, names)}")


async def verify(
    storage: Storage, names: Sequence[SnapshotName], *, may_expire: bool, progress: VerifyProgress
) -> AsyncIterator[SnapshotReport]:
    """Yield a report on each snapshot, dataset by dataset, the oldest first, and on each ``latest`` without manifest.

    Args:
        may_expire: Old snapshots whose parts are all gone are no fault, as long as no older one has parts.
    """
    number = 0
    for (source, dataset), of_dataset in groupby(names, key=itemgetter(0, 1)):
        newest, older_expired, runs = None, may_expire, [name.run for name in of_dataset]
        try:
            newest = await read_latest(storage, source, dataset)
        except StoredFault as fault:
            yield _pointer_report(source, dataset, "", fault)
        if newest is not None and may_expire and newest.run_id not in runs:
            problem = MissingDocument(f"names {newest.manifest}, which is not there", remedy=REPAIR)
            yield _pointer_report(source, dataset, newest.run_id, problem)
        for run in runs:
            number += 1
            progress.begin(number, len(names), run, f"{source}/{dataset}")
            older_expired = older_expired and (newest is None or newest.run_id != run)
            report = await _report(storage, SnapshotName(source, dataset, run), progress, may_expire=older_expired)
            older_expired = report.expired or (older_expired and not report.parts)
            yield report


async def _report(
    storage: Storage, name: SnapshotName, progress: VerifyProgress, *, may_expire: bool
) -> SnapshotReport:
    source, dataset, run = name
    report = SnapshotReport(source=source, dataset=dataset, run_id=run)
    try:
        manifest = await read_manifest(storage, run, source, dataset)
    except StoredFault as fault:
        path = paths.manifest(run, source, dataset)
        return report.model_copy(update={"faults": (Fault(path=path, problem=str(fault), remedy=fault.remedy),)})
    if manifest is None:  # deleted since it was listed
        return report
    if may_expire and manifest.parts and not await parts_that_are_there(storage, manifest):
        return report.model_copy(update={"verdict": manifest.verdict, "expired": True, "parts": len(manifest.parts)})
    return await verify_snapshot(storage, manifest, seen=progress.seen)


def _pointer_report(source: Source, dataset: str, run: str, fault: StoredFault) -> SnapshotReport:
    told = Fault(path=paths.latest(source, dataset), problem=str(fault), remedy=fault.remedy)
    return SnapshotReport(source=source, dataset=dataset, run_id=run, faults=(told,))


def _lines(report: VerifyReport) -> Iterator[str]:
    for one in report.value:
        for fault in one.faults:
            yield f"{fault.path}: {fault.problem}"
            if fault.remedy:
                yield f"  -> {fault.remedy}"
    yield from (f"{path}: passed over, this app writes no such name" for path in report.passed_over)
    whole = [one for one in report.value if not one.faults and not one.expired]
    expired = sum(one.expired for one in report.value)
    yield f"{len(whole)} snapshots with {sum(one.items for one in whole):,} items are what their manifests say"
    if expired:
        yield f"{expired} snapshots have expired: their parts were deleted"
    yield f"{sum(len(one.faults) for one in report.value)} problems"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

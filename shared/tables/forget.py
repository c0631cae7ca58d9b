"""``python -m shared.tables.forget --text T``: every row and change in the tables that names a person.

With ``--apply`` they are taken out. It also says in which raw parts, states, operations and evidence the text still
stands, and until which day. Nothing but the settings of the storage accounts is needed, and ``RETENTION_DAYS`` where
the deployment keeps things longer or shorter than the template does by default.
"""

import asyncio
import json
import os
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from itertools import groupby

from shared.avepoint.catalog import Dataset, catalog
from shared.azure.storage import Container, Storage
from shared.clock import Clock, Sleep, utc_now
from shared.document import Document
from shared.services import storages_alone
from shared.settings import CommandResult, add_settings_option, load_storage_settings, run_command
from shared.tables.build.names import SNAPSHOTS
from shared.tables.engine.connection import open_engine
from shared.tables.forgetting.folders import FolderHits, TableFolder
from shared.tables.forgetting.matching import PersonText
from shared.tables.forgetting.remains import Remain, find_remains
from shared.tables.forgetting.retention import Retention
from shared.tables.forgetting.taking_out import SHARED, ForgetWork, take_out_of_dataset, take_out_of_shared

_MEMORY_MB = 400


class TableHits(Document):
    """What a table has of the person.

    Attributes:
        rows: How many rows it shows.
        names: The keys of some of them.
        old_files: Files that only older versions of the table need.
        taken_out: The rows and the files are gone.
    """

    table: str
    rows: int
    names: tuple[str, ...]
    old_files: int
    taken_out: bool = False


class ForgetReport(Document):
    """What was found, and what is left.

    Attributes:
        passed_over: Folders in the container ``tables`` that are no tables of this version; nobody has looked there.
        restorable_until: The day until which somebody can bring deleted files back.
    """

    tables: tuple[TableHits, ...]
    remains: tuple[Remain, ...]
    passed_over: tuple[str, ...]
    restorable_until: date

    @property
    def left(self) -> int:
        """How many tables still have the person."""
        return sum(not one.taken_out for one in self.tables)


def main(argv: Sequence[str]) -> int:
    """Find a person in the storage that the settings in the environment name, and forget it where that is asked.

    Returns:
        The exit status: 0 when no table has the person any more, 1 when one has, 2 when it could not be found out.
    """
    return run_command(_found, _arguments(argv))


async def _found(args: Namespace) -> CommandResult:
    report = await _forgotten(args)
    told = report.model_dump(mode="json", by_alias=True)
    text = json.dumps(told, indent=2) if args.json else "\n".join(_lines(report))
    return CommandResult(text, 1 if report.left else 0)


def _arguments(argv: Sequence[str]) -> Namespace:
    parser = ArgumentParser(
        prog="python -m shared.tables.forget",
        description="Find every row and change that names a person, and take them out of the tables.",
    )
    parser.add_argument("--text", required=True, help="an id, a name or an address; upper and lower case are the same")
    parser.add_argument("--apply", action="store_true", help="take the rows and changes out of the tables")
    parser.add_argument("--json", action="store_true", help="print everything, for other programs")
    add_settings_option(parser)
    return parser.parse_args(argv)


async def _forgotten(args: Namespace) -> ForgetReport:
    text, kept = PersonText(args.text), Retention.parse(os.environ.get("RETENTION_DAYS", ""))
    async with storages_alone(load_storage_settings()) as (inventory, tables):
        try:
            return await forget_person(inventory, tables, text, kept, apply=args.apply)
        finally:
            _say("")


async def forget_person(
    inventory: Storage,
    tables: Storage,
    text: PersonText,
    kept: Retention,
    *,
    apply: bool,
    clock: Clock = utc_now,
    sleep: Sleep = asyncio.sleep,
) -> ForgetReport:
    """Find a person in everything that is stored and, with ``apply``, take it out of the tables."""
    there = {name async for name in tables.list_folders(Container.TABLES, "")}
    async with open_engine(memory_mb=_MEMORY_MB) as engine:
        work = ForgetWork(engine, inventory, tables, clock, sleep, text, _say)
        found: list[TableHits] = []
        known = {SNAPSHOTS, *SHARED}
        for dataset in catalog().values():
            known |= {folder.name for folder in work.folders(dataset)}
            found += await _in_dataset(work, dataset, there, apply=apply)
        for name, only in SHARED.items():
            if name in there:
                found += await _in_shared(work, work.folder(name, only), apply=apply)
    remains = await find_remains(inventory, text, kept, _say)
    until = clock().date() + timedelta(days=kept.deleted)
    return ForgetReport(
        tables=tuple(found),
        remains=tuple(remains),
        passed_over=tuple(sorted(there - known)),
        restorable_until=until,
    )


async def _in_dataset(work: ForgetWork, dataset: Dataset, there: set[str], *, apply: bool) -> list[TableHits]:
    folders = [folder for folder in work.folders(dataset) if folder.name in there]
    found = await work.search(folders)
    if apply and any(found):
        await take_out_of_dataset(work, dataset)
    return _hits(folders, found, taken_out=apply)


async def _in_shared(work: ForgetWork, folder: TableFolder, *, apply: bool) -> list[TableHits]:
    hits = await folder.search(work.text, work.say)
    if apply and hits:
        await take_out_of_shared(work, folder)
    return _hits([folder], [hits], taken_out=apply)


def _hits(folders: Sequence[TableFolder], found: Sequence[FolderHits], *, taken_out: bool) -> list[TableHits]:
    return [
        TableHits(table=folder.name, rows=hits.rows, names=hits.names, old_files=len(hits.old), taken_out=taken_out)
        for folder, hits in zip(folders, found, strict=True)
        if hits
    ]


def _say(text: str) -> None:
    """Say on a terminal how far it is, in one line."""
    if sys.stderr.isatty():
        sys.stderr.write(f"\r\x1b[K{text[:100]}")
        sys.stderr.flush()


def _lines(report: ForgetReport) -> Iterator[str]:
    for one in report.tables:
        named = f", such as {', '.join(one.names)}" if one.names else ""
        done = "taken out" if one.taken_out else "found"
        yield f"{one.table}: {one.rows:,} rows {done}{named}; {one.old_files} files of older versions"
    for (container, folder), group in groupby(report.remains, key=_where):
        yield from _remains(f"{container}/{folder}", list(group))
    yield from (f"{name}: skipped, because it is not a table of this version" for name in report.passed_over)
    yield f"{len(report.tables)} tables, {report.left} of them still have it"
    if report.left:
        yield "give --apply to take it out"
    elif report.tables:
        yield f"deleted files can be brought back until {report.restorable_until}, where soft delete is on"
        yield "a snapshot that still has it brings it back with the next build: see AvePoint, not the tables"


def _where(one: Remain) -> tuple[str, str]:
    return one.container, one.path.partition("/date=")[0] if "/date=" in one.path else one.path.rpartition("/")[0]


def _remains(where: str, found: Sequence[Remain]) -> Iterator[str]:
    last = max((one.until for one in found if one.until), default=None)
    yield f"{where}: {len(found)} blobs{f', the last until {last}' if last else ''}; {found[0].how}"
    yield from (f"  {one.path}: not looked through, {one.unread}" for one in found if one.unread)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""``python -m shared.tables.verify``: whether the tables are what their snapshots are.

It reads the tables and the raw parts of the app whose settings are in the environment, and changes nothing.
"""

import json
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator, Sequence

from shared.avepoint.catalog import Dataset, catalog
from shared.avepoint.platform import SOURCES
from shared.closest import closest_hint
from shared.errors import NotFound, StoredFault
from shared.harvest.snapshots.manifest import read_latest
from shared.services import Services, open_services
from shared.settings import CommandResult, add_settings_option, load_settings, run_command
from shared.tables.build.names import is_enabled
from shared.tables.build.requests import is_silent_build
from shared.tables.build.state import TableState, read_state
from shared.tables.verifying.checking import TableReport, check_table


def main(argv: Sequence[str]) -> int:
    """Verify the tables of the app whose settings are in the environment.

    Returns:
        The exit status: 0 when nothing is wrong, 1 when something is, 2 when it could not be found out.
    """
    return run_command(_found, _arguments(argv))


async def _found(args: Namespace) -> CommandResult:
    reports = await _verified(args)
    told = {"value": [one.model_dump(mode="json", by_alias=True) for one in reports]}
    text = json.dumps(told, indent=2) if args.json else "\n".join(_lines(reports))
    return CommandResult(text, 1 if any(one.problems for one in reports) else 0)


def _arguments(argv: Sequence[str]) -> Namespace:
    parser = ArgumentParser(
        prog="python -m shared.tables.verify",
        description="Compare tables with the snapshots they name: rows, keys, every value.",
    )
    parser.add_argument("--source", choices=SOURCES, help="only tables of this source")
    parser.add_argument("--dataset", help="only the table of this dataset")
    parser.add_argument("--json", action="store_true", help="print everything, for other programs")
    add_settings_option(parser)
    return parser.parse_args(argv)


async def _verified(args: Namespace) -> list[TableReport]:
    wanted = _wanted(args)
    services = await open_services(load_settings())
    try:
        return await verify_tables(services, wanted)
    finally:
        await services.close()


def _wanted(args: Namespace) -> list[Dataset]:
    of_source = [one for one in catalog().values() if args.source in {None, one.source}]
    wanted = [one for one in of_source if args.dataset in {None, one.name}]
    if not wanted:
        hint = closest_hint(args.dataset, [one.name for one in of_source])
        raise NotFound(f"there is no dataset {args.dataset!r}{hint}")
    return wanted


async def verify_tables(services: Services, datasets: Sequence[Dataset]) -> list[TableReport]:
    """Return a report on the table of each dataset that has one, or should have; no fault keeps another back."""
    reports = []
    for dataset in datasets:
        state = TableState(source=dataset.source, dataset=dataset.name)
        try:
            state = (await read_state(services.storage, dataset.source, dataset.name)).value
            if state.ground.run_id is not None:
                reports.append(await check_table(services, dataset, state, _say))
            elif missing := await _missing(services, dataset, state):
                reports.append(missing)
        except StoredFault as fault:
            reports.append(TableReport.unreadable(state, fault.text))
    _say("")
    return reports


async def _missing(services: Services, dataset: Dataset, state: TableState) -> TableReport | None:
    """Return the report on a table that should be there by now, and is not."""
    if not is_enabled(services.settings, dataset.source, dataset.name):
        return None
    latest = await read_latest(services.storage, dataset.source, dataset.name)
    if latest is None or not (state.reason or is_silent_build(state, latest, now=services.clock())):
        return None
    return TableReport.missing(state, latest.run_id)


def _say(text: str) -> None:
    """Say on a terminal how far it is, in one line."""
    if sys.stderr.isatty():
        sys.stderr.write(f"\r\x1b[K{text[:100]}")
        sys.stderr.flush()


def _lines(reports: Sequence[TableReport]) -> Iterator[str]:
    for one in reports:
        name = f"{one.source}/{one.dataset}"
        unchecked = f", {one.unchecked:,} of them not checked: their raw files are gone" if one.unchecked else ""
        yield f"{name}: {one.rows:,} rows of {one.run_id}{unchecked}" if one.run_id else f"{name}: no table"
        yield from (f"  {problem}" for problem in one.problems)
    problems = sum(len(one.problems) for one in reports)
    yield f"{len(reports)} tables, {problems} problems"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

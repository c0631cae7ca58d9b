"""``python -m shared.opus.prune --before DATE``: leave a word in each chain that its beginning may be deleted.

The evidence of operations that began before the day is verified first; where anything is wrong, nothing is declared.
The pieces themselves are deleted by whoever keeps the records schedule. With ``--apply`` the word is written. Nothing
but the settings of the storage account is needed.
"""

import asyncio
import random
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Mapping, Sequence
from datetime import date

from shared.clock import utc_now
from shared.opus.evidence.archive import Archive
from shared.opus.evidence.findings import SeenPiece, evidence_chains, problems
from shared.opus.evidence.survey import Found
from shared.opus.ledger.store import OperationStore
from shared.opus.verify import gather_evidence
from shared.services import storage_alone
from shared.settings import CommandResult, add_settings_option, load_storage_settings, read_day, run_command


def beginnings(seen: SeenPiece, before: date) -> Mapping[str, Found]:
    """Return the last piece of the beginning of each chain, which is of operations before a day. Pure."""
    edge = f"date={before.isoformat()}/"
    found: dict[str, Found] = {}
    for chain in evidence_chains(seen.found):
        for one in chain.pieces:
            if one.path >= edge:
                break
            found[chain.caller] = one
    return found


async def declare(
    store: OperationStore, archive: Archive, *, before: date, today: date, apply: bool
) -> tuple[list[str], list[str]]:
    """Return what is wrong, and a line for each chain whose beginning is declared, or would be."""
    seen = await gather_evidence(store.storage, today=today)
    if wrong := list(problems(seen)):
        return wrong, []
    lines = []
    for caller, last in beginnings(seen, before).items():
        lines.append(f"{caller}: links 1 to {last.piece.chain.sequence}, the last is {last.path}")
        if apply:
            await archive.declare_pruned(caller, before=before, last=last)
    return [], lines


def main(argv: Sequence[str]) -> int:
    """Declare the beginnings of the chains of the app whose settings are in the environment.

    Returns:
        The exit status: 0 when it is done, 1 when something is wrong with the evidence, 2 when that is not known.
    """
    parser = ArgumentParser(prog="python -m shared.opus.prune", description="Declare old Opus evidence as pruned.")
    parser.add_argument("--before", type=read_day, metavar="DATE", required=True, help="operations before it")
    parser.add_argument("--apply", action="store_true", help="write the declaration; without it, only show it")
    add_settings_option(parser)
    return run_command(_declared, parser.parse_args(argv))


async def _declared(args: Namespace) -> CommandResult:
    async with storage_alone(load_storage_settings()) as storage:
        store = OperationStore(storage)
        archive = Archive(store, clock=utc_now, sleep=asyncio.sleep, random=random.random)
        wrong, lines = await declare(store, archive, before=args.before, today=utc_now().date(), apply=args.apply)
    return CommandResult("\n".join([*wrong, *lines]), 1 if wrong else 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

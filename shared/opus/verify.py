"""``python -m shared.opus.verify``: whether the evidence is whole and as it was written.

It reads the containers ``opus-evidence`` and ``opus-operations`` of the app whose settings are in the environment, and
changes nothing. Nothing but the settings of the storage account is needed. What it finds is told by path, never by
content.
"""

import json
import re
import sys
from argparse import ArgumentParser, Namespace
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from pathlib import Path

from shared.azure.storage import Container, Storage
from shared.clock import utc_now
from shared.errors import DamagedDocument, GiveUp
from shared.opus.evidence.findings import SeenPiece, declarations, problems
from shared.opus.evidence.gathering import Ledger, first_day_known, read_heads, read_ledger, read_pieces
from shared.opus.ledger.marks import operation_id_of
from shared.opus.ledger.store import OperationStore
from shared.services import storage_alone
from shared.settings import CommandResult, add_settings_option, load_storage_settings, read_day, run_command

_FOLDER = "date="
_JSON = re.compile(r"\{[^{}]*\}")
_LINE = re.compile(r"evidence\.written\b.*?\bpath=(\S+).*?\bsha256=([0-9a-f]{64})")


async def gather_evidence(
    storage: Storage,
    *,
    today: date,
    caller: str | None = None,
    since: date | None = None,
    anchor: Mapping[str, frozenset[str]] | None = None,
) -> SeenPiece:
    """Return all there is to compare; raises what ``Storage`` raises."""
    heads = [head for head in await read_heads(storage) if caller in {None, head.link.caller}]
    start = f"{_FOLDER}{since.isoformat()}/" if since else ""
    paths = [path async for path in storage.list(Container.EVIDENCE, _FOLDER) if path >= start]
    read = await read_pieces(storage, paths)
    found = [one for one in read.values() if one and caller in {None, one.piece.chain.caller}]
    named = {before.path for one in found if (before := one.piece.chain.previous)} | {head.path for head in heads}
    earlier = await read_pieces(storage, [path for path in named if path < start])
    ledger = await _ledger(OperationStore(storage), since, caller)
    return SeenPiece(
        found=found,
        unreadable=[path for path, one in read.items() if one is None],
        heads=heads,
        earlier={path: one.sha256 for path, one in earlier.items() if one},
        ledger=ledger.operations,
        resolutions=ledger.resolutions,
        forgotten_before=first_day_known(today),
        anchor={path: hashes for path, hashes in (anchor or {}).items() if path >= start and caller is None},
    )


def read_anchor(text: str) -> dict[str, frozenset[str]]:
    """Return the hashes by path that logged events of ``evidence.written`` tell: JSON objects, or the log itself.

    Raises:
        DamagedDocument: There is not one in it.
    """
    anchor: dict[str, set[str]] = defaultdict(set)
    for line in text.splitlines():
        for path, digest in [*_LINE.findall(line), *_objects(line)]:
            anchor[path].add(digest)
    if not anchor and text.strip():
        raise DamagedDocument("the anchor names no evidence", remedy='A line is {"path": …, "sha256": …}.')
    return {path: frozenset(hashes) for path, hashes in anchor.items()}


def _objects(line: str) -> Iterable[tuple[str, str]]:
    for text in _JSON.findall(line):
        try:
            entry = json.loads(text)
        except ValueError:
            continue
        if isinstance(path := entry.get("path"), str) and isinstance(digest := entry.get("sha256"), str):
            yield path, digest


async def _ledger(store: OperationStore, since: date | None, caller: str | None) -> Ledger:
    """Return what the ledger knows of operations, of the days that are verified."""
    days = [day for day in await store.marks.days() if since is None or day >= since]
    ids = [operation_id_of(mark) for day in days async for mark in store.marks.of_day(day)]
    return await read_ledger(store, ids, caller=caller, thoroughly=True)


def main(argv: Sequence[str]) -> int:
    """Verify the evidence of the app whose settings are in the environment.

    Returns:
        The exit status: 0 when nothing is wrong, 1 when something is, 2 when it could not be found out.
    """
    return run_command(_verified, _arguments(argv))


def _arguments(argv: Sequence[str]) -> Namespace:
    parser = ArgumentParser(prog="python -m shared.opus.verify", description="Verify the chains of Opus evidence.")
    parser.add_argument("--caller", help="only the evidence of this caller, as it stands there: key, or entra:{id}")
    parser.add_argument("--since", type=read_day, metavar="DATE", help="only operations begun on or after it")
    parser.add_argument(
        "--anchor",
        type=Path,
        metavar="FILE",
        help="logged evidence.written events, a proof from outside: JSON objects with path and sha256, or a log",
    )
    add_settings_option(parser)
    args = parser.parse_args(argv)
    if args.anchor and args.caller:
        parser.error("--anchor needs all chains, because it does not say whose evidence it names: leave --caller out")
    return args


async def _verified(args: Namespace) -> CommandResult:
    anchor = _anchor(args.anchor) if args.anchor else {}
    async with storage_alone(load_storage_settings()) as storage:
        seen = await gather_evidence(
            storage, today=utc_now().date(), caller=args.caller, since=args.since, anchor=anchor
        )
    if args.anchor and not anchor and seen.found:
        raise GiveUp(f"{args.anchor} is empty, and there is evidence", remedy="Fetch the anchor again, as a whole.")
    wrong = list(problems(seen))
    callers = {one.piece.chain.caller for one in seen.found}
    summary = f"{len(seen.found)} pieces of evidence in {len(callers)} chains, {len(wrong)} problems"
    return CommandResult("\n".join([*wrong, *declarations(seen), summary]), 1 if wrong else 0)


def _anchor(file: Path) -> Mapping[str, frozenset[str]]:
    try:
        return read_anchor(file.read_text())
    except (OSError, UnicodeError) as error:
        raise GiveUp(f"the anchor cannot be read: {error}") from error


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""``python -m shared.opus.verify``: whether the evidence is whole and as it was written.

It reads the containers ``opus-evidence`` and ``opus-operations`` of the app whose settings are in the environment, and
changes nothing. What it finds is told by path, never by content.
"""

import asyncio
import logging
import sys
from argparse import ArgumentParser, Namespace
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from hashlib import sha256
from itertools import pairwise

from shared.document import Document
from shared.errors import AppError, BadAnswer
from shared.opus.documents import Link
from shared.opus.evidence import CHAINS, Head
from shared.services import open_services
from shared.settings import load_settings
from shared.storage import Container, Storage

UNUSABLE = 2
"""The exit status when nothing could be verified."""

_READS_AT_ONCE = 16
_FOLDER = "date="


class _Chained(Document):
    chain: Link


@dataclass(frozen=True, slots=True)
class Found:
    """One piece of evidence: where it is, its hash, and its place in a chain."""

    path: str
    sha256: str
    link: Link


@dataclass(frozen=True, slots=True)
class Evidences:
    """What there is: readable evidence, paths of what cannot be read, and the heads of the chains."""

    found: Sequence[Found]
    unreadable: Sequence[str]
    heads: Sequence[Head]


def problems(seen: Evidences, *, earlier: Mapping[str, str]) -> Iterator[str]:
    """What is wrong, one line each. Pure.

    Args:
        earlier: Evidence from before the day that was asked for, as far as later evidence names it: path to hash.
    """
    yield from (f"{path}: cannot be read as evidence" for path in sorted(seen.unreadable))
    chains: dict[str, list[Found]] = defaultdict(list)
    for one in seen.found:
        chains[one.link.caller].append(one)
    hashes = {**earlier, **{one.path: one.sha256 for one in seen.found}}
    for caller in sorted(chains):
        chains[caller].sort(key=lambda one: (one.link.sequence, one.path))
        yield from _broken_links(chains[caller], hashes)
        yield from _forks(chains[caller])
    heads = {head.link.caller: head for head in seen.heads}
    for caller in sorted(chains.keys() | heads.keys()):
        yield from _wrong_end(caller, chains[caller], heads.get(caller), hashes)


def _broken_links(chain: Iterable[Found], hashes: Mapping[str, str]) -> Iterator[str]:
    for one in chain:
        previous = one.link.previous
        if (previous is None) != (one.link.sequence == 1):
            yield f"{one.path}: link {one.link.sequence} does not say what came before it"
        elif previous and previous.path not in hashes:
            yield f"{previous.path}: is missing; {one.path} follows it"
        elif previous and hashes[previous.path] != previous.sha256:
            yield f"{previous.path}: is not what it was when {one.path} followed it"


def _forks(chain: Sequence[Found]) -> Iterator[str]:
    for one, other in pairwise(chain):
        if one.link.sequence == other.link.sequence:
            yield f"{other.path}: is link {other.link.sequence} of {one.link.caller}, and so is {one.path}"


def _wrong_end(caller: str, chain: Sequence[Found], head: Head | None, hashes: Mapping[str, str]) -> Iterator[str]:
    if head is None:
        yield f"{chain[-1].path}: the chain of {caller} has no head"
    elif chain and chain[-1].link.sequence > head.link.sequence:
        yield f"{chain[-1].path}: stands after the head of the chain of {caller}"
    elif head.path not in hashes:
        yield f"{head.path}: is missing at the end of the chain of {caller}; it may be about to be written: try again"


async def gather_evidence(
    storage: Storage, *, caller: str | None = None, since: date | None = None
) -> tuple[Evidences, dict[str, str]]:
    """What there is, and what it names from before ``since``; raises what ``Storage`` raises."""
    heads = [head for head in await _heads(storage) if caller in (None, head.link.caller)]
    start = f"{_FOLDER}{since.isoformat()}/" if since else ""
    paths = [path async for path in storage.list(Container.EVIDENCE, _FOLDER) if path >= start]
    read = await _read(storage, paths)
    found = [one for one in read.values() if one and caller in (None, one.link.caller)]
    named = {before.path for one in found if (before := one.link.previous)} | {head.path for head in heads}
    earlier = await _read(storage, [path for path in named if path < start])
    seen = Evidences(found, [path for path, one in read.items() if one is None], heads)
    return seen, {path: one.sha256 for path, one in earlier.items() if one}


async def _heads(storage: Storage) -> list[Head]:
    paths = [path async for path in storage.list(Container.OPERATIONS, CHAINS)]
    stored = [await storage.read(Container.OPERATIONS, path) for path in paths]
    return [Head.from_json(one.data) for one in stored if one]


async def _read(storage: Storage, paths: Sequence[str]) -> dict[str, Found | None]:
    """The evidence at these paths; ``None`` for what is missing or is none."""
    slots = asyncio.Semaphore(_READS_AT_ONCE)

    async def read(path: str) -> Found | None:
        async with slots:
            stored = await storage.read(Container.EVIDENCE, path)
        try:
            chained = _Chained.from_json(stored.data) if stored else None
        except BadAnswer:
            chained = None
        return Found(path, sha256(stored.data).hexdigest(), chained.chain) if stored and chained else None

    return dict(zip(paths, await asyncio.gather(*map(read, paths)), strict=True))


def main(argv: Sequence[str]) -> int:
    """Verify the evidence of the app whose settings are in the environment.

    Returns:
        The exit status: 0 when nothing is wrong, 1 when something is, 2 when it could not be found out.
    """
    args = _arguments(argv)
    logging.basicConfig(level=logging.CRITICAL)  # the report says what there is to say
    try:
        return asyncio.run(_verified(args))
    except AppError as error:
        sys.stderr.write(f"{error.text}\n")
        return UNUSABLE


def _arguments(argv: Sequence[str]) -> Namespace:
    parser = ArgumentParser(prog="python -m shared.opus.verify", description="Verify the chains of Opus evidence.")
    parser.add_argument("--caller", help="only the evidence of this caller, as it stands there: key, or entra:{id}")
    parser.add_argument("--since", type=date.fromisoformat, metavar="DATE", help="only operations begun on or after it")
    return parser.parse_args(argv)


async def _verified(args: Namespace) -> int:
    services = await open_services(load_settings())
    try:
        seen, earlier = await gather_evidence(services.storage, caller=args.caller, since=args.since)
    finally:
        await services.close()
    wrong = list(problems(seen, earlier=earlier))
    callers = {one.link.caller for one in seen.found}
    summary = f"{len(seen.found)} pieces of evidence in {len(callers)} chains, {len(wrong)} problems"
    sys.stdout.write("\n".join([*wrong, summary, ""]))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

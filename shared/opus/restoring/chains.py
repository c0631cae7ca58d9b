"""Chains of evidence that have lost something or have something twice, as after a restore: declared once."""

from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import partial
from itertools import batched, pairwise

from shared.azure.damage import note_unusable
from shared.azure.misfits import Misfit, Repair
from shared.azure.storage import Container, Storage
from shared.errors import REPAIR, DamagedDocument, MissingDocument, StoredFault
from shared.opus.evidence.archive import Archive, head_path, read_head
from shared.opus.evidence.documents import Declared, Head
from shared.opus.evidence.findings import EvidenceChain, evidence_chains
from shared.opus.evidence.gathering import first_day_known, head_paths, read_pieces
from shared.opus.evidence.survey import Found, evidence_folders, survey

_AT_ONCE = 500
_LOOKED_AT = 50
"""How many pieces of the newest day are read to learn which callers there are, while the app works."""


async def chain_repairs(storage: Storage, archive: Archive, *, now: datetime, is_off: bool) -> AsyncIterator[Repair]:
    """Yield what each chain has to declare.

    Args:
        is_off: Every piece is read, so that chains without a head are known; otherwise only the ends of the chains.
    """
    oldest = first_day_known(now.date())
    quiet = await _callers(storage, before=oldest) if is_off else frozenset[str]()
    for path, fault in (await _heads(storage))[1].items():
        if isinstance(fault, DamagedDocument):
            words = "delete it: the pieces of its chain say what it was"
            yield Repair(Misfit(path, fault), words, partial(storage.delete, Container.OPERATIONS, path))
        else:
            yield Repair.leave(Misfit(path, fault), fault.remedy)
    told_before: dict[str, str] = {}
    while faults := {
        caller: (told, breaks)
        for caller, told, breaks in await _undeclared(storage, oldest, quiet, is_off=is_off)
        if told_before.get(caller) != told  # a piece that was written just now may show another break
    }:
        for caller, (told, breaks) in faults.items():
            told_before[caller] = told
            misfit = Misfit(head_path(caller), MissingDocument(f"the chain of {caller} {told}", remedy=REPAIR))
            apply = partial(archive.declare_breaks, caller, breaks)
            yield Repair(misfit, "declare it once, in a separate piece of evidence", apply)


async def _undeclared(
    storage: Storage, oldest: str, quiet: frozenset[str], *, is_off: bool
) -> list[tuple[str, str, list[Declared]]]:
    """Return the callers whose chain has something to declare, what that is, and what only a look at all shows."""
    heads, unusable = await _heads(storage)
    found = await _since(storage, oldest) if is_off else await _newest(storage)
    chains = {chain.caller: chain for chain in evidence_chains(found)}
    undeclared = []
    for caller in sorted(chains.keys() | heads.keys() | quiet):
        if head_path(caller) in unusable:
            continue
        breaks = [*_forks_and_gaps(chains[caller], oldest)] if is_off and caller in chains else []
        if told := await _told(storage, caller, heads.get(caller), breaks):
            undeclared.append((caller, told, breaks))
    return undeclared


async def named_pieces(storage: Storage, now: datetime, *, is_off: bool) -> frozenset[str]:
    """Return the pieces that another one names as lost or, if the app does not work, as the one before it."""
    links = [one.piece.chain for one in await _since(storage, first_day_known(now.date()))]
    before = {link.previous.path for link in links if link.previous and is_off}
    return frozenset(before | {each.path for link in links for each in link.declared})


async def _told(storage: Storage, caller: str, head: Head | None, breaks: Iterable[Declared]) -> str | None:
    """Say what a chain has not declared yet, unless it grows at this moment."""
    end = await survey(storage, caller, head)
    told = [f"has a {each.kind} at link {each.sequence}" for each in dict.fromkeys((*end.breaks, *breaks))]
    if head is None and end.head is not None:
        told.append("has pieces and no head")
    elif head is not None and await storage.read(Container.EVIDENCE, head.path) is None:
        told.append(f"ends with {head.path}, which is not there")
    stored = await read_head(storage, head_path(caller))
    is_growing = head != (stored.value if stored else None)
    return ", ".join(told) if told and not is_growing else None


def _forks_and_gaps(chain: EvidenceChain, oldest: str) -> Iterator[Declared]:
    """Yield what no piece of a chain has declared. Pure."""
    paths = {one.path for one in chain.pieces}
    for one in chain.pieces:
        previous, number = one.piece.chain.previous, one.piece.chain.sequence - 1
        if previous is None or previous.path in paths or previous.path < oldest:
            continue
        if not (chain.excuses("gap", number) or chain.excuses("pruned", number)):
            yield Declared(kind="gap", path=previous.path, sequence=number, through=number)
    for one, other in pairwise(chain.pieces):
        number = other.piece.chain.sequence
        if one.piece.chain.sequence == number and not chain.excuses("fork", number):
            yield Declared(kind="fork", path=other.path, sequence=number, through=number)


async def _heads(storage: Storage) -> tuple[Mapping[str, Head], Mapping[str, StoredFault]]:
    """Return the heads by their callers, and what is wrong with the others by their paths."""
    heads, faults = dict[str, Head](), dict[str, StoredFault]()
    for path in [path async for path in head_paths(storage)]:
        try:
            stored = await read_head(storage, path)
        except StoredFault as fault:
            note_unusable(path, fault)
            faults[path] = fault
            continue
        if stored:
            heads[stored.value.link.caller] = stored.value
    return heads, faults


async def _callers(storage: Storage, *, before: str) -> frozenset[str]:
    """Return whose evidence is older than the last weeks: what is left of a chain whose head is lost."""
    paths = [path async for path in storage.list(Container.EVIDENCE, "date=") if path < before]
    return frozenset(
        {
            one.piece.chain.caller
            for some in batched(paths, _AT_ONCE, strict=False)
            for one in await _read(storage, some)
        }
    )


async def _since(storage: Storage, oldest: str) -> list[Found]:
    return await _read(storage, [path async for path in storage.list(Container.EVIDENCE, "date=") if path >= oldest])


async def _newest(storage: Storage) -> list[Found]:
    folders = await evidence_folders(storage)
    if not folders:
        return []
    paths = [path async for path in storage.list(Container.EVIDENCE, f"{folders[0]}/")]
    return await _read(storage, paths[:_LOOKED_AT])


async def _read(storage: Storage, paths: Sequence[str]) -> list[Found]:
    return [one for one in (await read_pieces(storage, paths)).values() if one]

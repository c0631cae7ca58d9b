"""Looks at the newest pieces of a chain, to set right a head that does not know them, as after a restore."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import partial
from hashlib import sha256
from typing import NamedTuple

from shared.azure.bounded_map import bounded_map
from shared.azure.damage import note_strange
from shared.azure.storage import Container, Storage
from shared.errors import DamagedDocument
from shared.opus.evidence.documents import Declared, Head, Sealed
from shared.opus.ledger.marks import Marks, day_of, operation_id_of

_FOLDER = "date="
_ID_LENGTH = 32
_NEWEST = 50
"""How many of the newest operations of a day may be the last one of a chain, however many began on that day."""


class Found(NamedTuple):
    """A piece, where it is, and the hash of its bytes."""

    path: str
    sha256: str
    piece: Sealed


@dataclass(frozen=True, slots=True)
class Survey:
    """The last link of a chain by its pieces, and what the next piece has to declare."""

    head: Head | None
    breaks: tuple[Declared, ...]


async def survey(storage: Storage, caller: str, head: Head | None) -> Survey:
    """Return the end of the chain of ``caller``; raises what ``Storage`` raises.

    Only pieces of the days around the head are looked at, or, without a head, those of the last day that has any; of
    those, what the ledger does not know, and what it knows as the newest.
    """
    found: list[Found] = []
    for folder in await _folders(storage, head):
        paths = await _suspects(storage, folder)
        found += [one for one in await _read_pieces(storage, paths) if one.piece.chain.caller == caller]
        if found and head is None:
            break
    return judge_chain(head, found)


def judge_chain(head: Head | None, found: Sequence[Found]) -> Survey:
    """Return what pieces tell of the end of a chain. Pure."""
    newest = max(found, key=lambda one: one.piece.chain.sequence, default=None)
    known = head.link.sequence if head else 0
    forks = _forks(found)
    if newest is None or newest.piece.chain.sequence <= known:
        return Survey(head, forks)
    last = newest.piece.chain
    ahead = Declared(kind="restored", path=newest.path, sequence=known + 1, through=last.sequence)
    adopted = Head(
        link=last, path=newest.path, operation_id=operation_of(newest.piece), resolution=None, sha256=newest.sha256
    )
    return Survey(adopted, (*forks, ahead))


def _forks(found: Sequence[Found]) -> tuple[Declared, ...]:
    """Return the numbers that two pieces have, unless a piece has declared them already."""
    declared = {each.path for one in found for each in one.piece.chain.declared if each.kind == "fork"}
    count = Counter(one.piece.chain.sequence for one in found)
    forked = sorted((one.piece.chain.sequence, one.path) for one in found if count[one.piece.chain.sequence] > 1)
    return tuple(
        Declared(kind="fork", path=path, sequence=number, through=number)
        for number, path in forked
        if path not in declared
    )


def operation_of(piece: Sealed) -> str:
    """Return the operation that a piece is about; nothing where it is about none."""
    return piece.order.operation_id if piece.order else piece.operation_id


async def evidence_folders(storage: Storage) -> list[str]:
    """Return the folders of the days that have evidence, the newest first; what is not one is named and passed over."""
    found = list[str]()
    async for name in storage.list_folders(Container.EVIDENCE, ""):
        if name.startswith(_FOLDER) and day_of(name.removeprefix(_FOLDER)):
            found.append(name)
        else:
            note_strange(f"{Container.EVIDENCE}/{name}/")
    return sorted(found, reverse=True)


async def _folders(storage: Storage, head: Head | None) -> list[str]:
    """Return the days to look at, the newest first; an operation that took long ends below an earlier day."""
    names = await evidence_folders(storage)
    if head is None:
        return names
    begun = date.fromisoformat(head.path.removeprefix(_FOLDER)[:10]) - timedelta(days=1)
    return [name for name in names if name >= f"{_FOLDER}{begun.isoformat()}"]


async def _suspects(storage: Storage, folder: str) -> list[str]:
    """Return the pieces of a day that may stand behind the head."""
    paths = [path async for path in storage.list(Container.EVIDENCE, f"{folder}/")]
    day = date.fromisoformat(folder.removeprefix(_FOLDER))
    known = [operation_id_of(mark) async for mark in Marks(storage).of_day(day)]
    settled = set(known[:-_NEWEST])
    return [path for path in paths if path.removeprefix(f"{folder}/")[:_ID_LENGTH] not in settled]


async def _read_pieces(storage: Storage, paths: Sequence[str]) -> list[Found]:
    """Return the pieces at these paths that can be read."""
    return [one for one in await bounded_map(partial(read_piece, storage), paths) if one]


async def read_piece(storage: Storage, path: str) -> Found | None:
    """Return the piece at ``path``; ``None`` for what is missing or damaged."""
    stored = await storage.read(Container.EVIDENCE, path)
    try:
        piece = Sealed.from_json(stored.data) if stored else None
    except DamagedDocument:
        return None
    return Found(path, sha256(stored.data).hexdigest(), piece) if stored and piece else None

"""Reads pieces of evidence, and what there is to compare them with."""

import re
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from functools import partial

from shared.azure.bounded_map import bounded_map
from shared.azure.damage import note_strange
from shared.azure.storage import Container, Storage
from shared.opus.evidence.archive import CHAINS, head_path, read_head
from shared.opus.evidence.documents import Declared, Head, Subject
from shared.opus.evidence.findings import Known, KnownResolution, SeenPiece
from shared.opus.evidence.survey import Found, operation_of, read_piece
from shared.opus.ledger.documents import Opening, Order
from shared.opus.ledger.store import OperationStore

_HEAD = re.compile(rf"{CHAINS}[0-9a-f]{{32}}\.json")

WRITTEN_WITHIN = timedelta(hours=1)
"""How long the last piece of a chain may be missing: the sweep wakes an operation whose writer was stopped."""

LEDGER_KEPT = timedelta(days=29)
"""How long the ledger is sure to know its operations; it forgets them after 30 days."""


async def head_paths(storage: Storage) -> AsyncIterator[str]:
    """Yield where heads of chains lie; what is named otherwise is named and passed over."""
    async for path in storage.list(Container.OPERATIONS, CHAINS):
        if _HEAD.fullmatch(path):
            yield path
        else:
            note_strange(f"{Container.OPERATIONS}/{path}")


async def read_heads(storage: Storage) -> list[Head]:
    """Return the heads of all chains."""
    paths = [path async for path in head_paths(storage)]
    read = [await read_head(storage, path) for path in paths]
    return [stored.value for stored in read if stored]


async def read_pieces(storage: Storage, paths: Sequence[str]) -> dict[str, Found | None]:
    """Return the evidence at these paths; ``None`` for what is missing or is not evidence."""
    return dict(zip(paths, await bounded_map(partial(read_piece, storage), paths), strict=True))


@dataclass(frozen=True, slots=True)
class Ledger:
    """What the ledger knows: operations, one entry for each time they were taken up, and what people said of them."""

    operations: Sequence[Known]
    resolutions: Sequence[KnownResolution]


async def read_ledger(
    store: OperationStore, ids: Iterable[str], *, caller: str | None = None, thoroughly: bool = False
) -> Ledger:
    """Return what the ledger knows of operations.

    Args:
        thoroughly: Whether the outcomes of their batches are read too, of which there may be hundreds.
    """

    async def known(operation_id: str) -> tuple[list[Known], list[KnownResolution]]:
        opening = await store.opening(operation_id)
        if opening is None:
            return [], []
        rounds = await _rounds(store, opening, thoroughly=thoroughly)
        is_uncertain = any(one.finished and one.finished.uncertain for one in rounds)
        said = await _resolutions(store, opening.order) if is_uncertain else []
        mine = rounds if caller in {None, opening.order.caller} else []
        return mine, [each for each in said if caller in {None, each.said.caller}]

    found = await bounded_map(known, ids)
    return Ledger([one for rounds, _ in found for one in rounds], [one for _, said in found for one in said])


async def _rounds(store: OperationStore, opening: Opening, *, thoroughly: bool) -> list[Known]:
    order, state = opening.order, (await store.state(opening)).value
    rounds = range(state.round + 1)
    results = [await store.result_of_round(order.operation_id, round_) for round_ in rounds]
    known = [
        Known(Subject.operation(order, round_=round_).path, order, result)
        for round_, result in zip(rounds, results, strict=True)
    ]
    if thoroughly and known[-1].finished:
        outcomes = await store.outcomes(order.operation_id, state)
        known[-1] = replace(known[-1], outcomes=outcomes, cancellation=await store.cancellation(order.operation_id))
    return known


async def _resolutions(store: OperationStore, order: Order) -> list[KnownResolution]:
    said = (await store.resolutions(order.operation_id)).value.entries
    kept = bool(said) and await store.opened_at(order.operation_id) is None
    subjects = [Subject.resolved(order, number=number, caller=entry.caller) for number, entry in enumerate(said)]
    return [KnownResolution(subject.path, entry, kept) for subject, entry in zip(subjects, said, strict=True)]


def first_day_known(today: date) -> str:
    """Return the folder of the first day whose operations the ledger is sure to know."""
    return f"date={(today - LEDGER_KEPT).isoformat()}/"


async def gather_pieces(
    storage: Storage, paths: Sequence[str], *, declared: Mapping[str, Sequence[Declared]], now: datetime
) -> SeenPiece:
    """Return some pieces with what they name and what the ledger knows of them; raises what ``Storage`` raises.

    Args:
        declared: What pieces of each caller that are not among these declare.
    """
    read = await read_pieces(storage, paths)
    heads = await read_heads(storage)  # after the pieces: none of them may stand behind its head
    found = [one for one in read.values() if one]
    named = {before.path for one in found if (before := one.piece.chain.previous)} | {head.path for head in heads}
    earlier = await read_pieces(storage, sorted(named - read.keys()))
    days_known = first_day_known(now.date())
    ids = {operation_of(one.piece) for one in found if one.path >= days_known} - {""}
    ledger = await read_ledger(OperationStore(storage), sorted(ids))
    return SeenPiece(
        found=found,
        unreadable=[path for path, one in read.items() if one is None],
        heads=heads,
        earlier={path: one.sha256 for path, one in earlier.items() if one} | await _on_their_way(storage, heads, now),
        ledger=[known for known in ledger.operations if known.path in read],
        resolutions=[known for known in ledger.resolutions if known.path in read],
        forgotten_before=days_known,
        declared=declared,
    )


async def _on_their_way(storage: Storage, heads: Sequence[Head], now: datetime) -> dict[str, str]:
    """Return the last pieces of chains that may be about to be written: the link is reserved before."""
    written = {one.path: one.modified async for one in storage.list_details(Container.OPERATIONS, CHAINS)}
    young = [head for head in heads if written.get(head_path(head.link.caller), now) > now - WRITTEN_WITHIN]
    there = await read_pieces(storage, [head.path for head in young])
    return {head.path: head.sha256 or "" for head in young if there[head.path] is None}

"""Operations whose documents do not fit together, as after a restore, and how they are set right.

Nothing is claimed that evidence does not prove, and nothing is sent: what may have been sent is counted as sent.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from functools import partial
from heapq import nlargest

from shared.azure.documents import create_document, read_document, update
from shared.azure.misfits import Misfit, Repair
from shared.azure.storage import Container
from shared.clock import TOLERANCE
from shared.document import StoredDocument
from shared.errors import REPAIR, MissingDocument, StoredFault
from shared.opus.evidence.archive import Archive
from shared.opus.evidence.documents import Declared, Subject
from shared.opus.evidence.gathering import LEDGER_KEPT
from shared.opus.evidence.restoring import read_resolutions, read_rounds, restore_operation
from shared.opus.ledger.documents import Opening, OperationState, in_phase
from shared.opus.ledger.keys import KeyEntry
from shared.opus.ledger.store import OperationStore, path_of
from shared.opus.restoring.chains import named_pieces
from shared.opus.restoring.listing import KnownDocuments, list_documents

_DECLARED = "declared"
_READ_AT_WORK = 100
_NEVER = datetime.min.replace(tzinfo=UTC)


class DeclaredLoss(StoredDocument):
    """The word that what an operation was asked is lost; its other documents stay, so that its key stays used."""

    at: datetime


async def operation_repairs(
    store: OperationStore, archive: Archive, *, now: datetime, is_off: bool
) -> AsyncIterator[Repair]:
    """Yield what can be done about each operation whose documents do not fit together.

    Args:
        is_off: The app does not work: the documents of all operations are read, not of the newest alone, and what is
            open may have been sent since.
    """
    mending = _Mending(store, archive, now, is_off=is_off)
    listed = await list_documents(store.storage, today=now.date())
    newest = nlargest(_READ_AT_WORK, listed, key=lambda one: listed[one].touched_at or _NEVER)
    for operation_id, known in sorted(listed.items()):
        if not is_off and known.touched_at is not None and known.touched_at > now - TOLERANCE:
            continue
        try:
            async for repair in mending.repairs(operation_id, known, thoroughly=is_off or operation_id in newest):
                yield repair
        except StoredFault as fault:
            yield Repair.leave(Misfit(path_of(operation_id, "order"), fault), "nothing proves what it was")


class _Mending:
    """What is found of one operation after the other."""

    def __init__(self, store: OperationStore, archive: Archive, now: datetime, *, is_off: bool) -> None:
        self._store = store
        self._archive = archive
        self._now = now
        self._is_off = is_off
        self._named: frozenset[str] | None = None

    async def repairs(self, operation_id: str, known: KnownDocuments, *, thoroughly: bool) -> AsyncIterator[Repair]:
        has_order = "order" in known.names
        if known.evidence and (not has_order or known.results < len(known.evidence)):
            name = "operation" if has_order else "order"
            told = f"it is not there, and {known.evidence[0]} is"
            apply = partial(self._restore, known)
            yield _repair(path_of(operation_id, name), told, "write it again from its evidence", apply)
        elif not has_order:
            if known.names and _DECLARED not in known.names:
                yield self._without_order(operation_id, known)
        else:
            async for repair in self._with_order(operation_id, known):
                yield repair
            if thoroughly:
                async for repair in self._with_all_documents(operation_id, known):
                    yield repair

    def _without_order(self, operation_id: str, known: KnownDocuments) -> Repair:
        told = f"what was asked is missing, and {path_of(operation_id, min(known.names))} is there"
        words = "record this once: look into Opus which records were processed, and use a new key for the others"
        loss = DeclaredLoss(at=self._now)
        path = path_of(operation_id, _DECLARED)
        apply = partial(create_document, self._store.storage, Container.OPERATIONS, path, loss)
        return _repair(path_of(operation_id, "order"), told, words, apply)

    async def _with_order(self, operation_id: str, known: KnownDocuments) -> AsyncIterator[Repair]:
        if not known.results and not known.is_open:
            apply = partial(self._reopen, operation_id)
            yield _repair(
                f"open/{operation_id}", "it is not there, and the operation has not ended", "write it again", apply
            )
        if known.day is None:
            apply = partial(self._list, operation_id)
            yield _repair(f"operations/{operation_id}/", "no list of a day names it", "name it there again", apply)
        if known.results > len(known.evidence) and (known.day is None or known.day >= (self._now - LEDGER_KEPT).date()):
            async for repair in self._without_evidence(operation_id, known):
                yield repair

    async def _without_evidence(self, operation_id: str, known: KnownDocuments) -> AsyncIterator[Repair]:
        """Yield an operation that has ended, and whose evidence no piece names."""
        if self._named is None:
            self._named = await named_pieces(self._store.storage, self._now, is_off=self._is_off)
        opening = await self._opening(operation_id)
        order, state = opening.order, (await self._store.state(opening)).value
        path = Subject.operation(order, round_=state.round).path
        outcomes = await self._store.outcomes(operation_id, state)
        if path in {*self._named, *known.evidence}:
            return
        told = "it is not there, and the ledger knows that its operation ended"
        if len(outcomes) == order.batch_count:
            ordered = [outcomes[number] for number in sorted(outcomes)]
            keep = partial(self._archive.keep_operation, order, ordered, round_=state.round)
            yield _repair(path, told, "write it again", keep)
        else:
            lost = Declared(kind="gap", path=path, sequence=0, through=0)  # its link is not known
            declare = partial(self._archive.declare_breaks, order.caller, [lost])
            yield _repair(path, told, "declare it as lost, because outcomes are missing", declare)

    async def _with_all_documents(self, operation_id: str, known: KnownDocuments) -> AsyncIterator[Repair]:
        opening = await self._opening(operation_id)
        order, store = opening.order, self._store
        if order.key_path:
            entry = await read_document(store.storage, Container.OPERATIONS, order.key_path, KeyEntry)
            if entry is None:
                written = KeyEntry(operation_id=operation_id)
                apply = partial(create_document, store.storage, Container.OPERATIONS, order.key_path, written)
                yield _repair(order.key_path, f"no key names the operation {operation_id}", "write it again", apply)
        if known.results:
            rounds = await read_rounds(store, known.evidence)
            results = [await store.result_of_round(operation_id, one.round) for one in rounds]
            if any(one.operation != result for one, result in zip(rounds, results, strict=True)):
                told = f"it is not what {known.evidence[0]} tells"
                words = "write it again from its evidence"
                yield _repair(
                    path_of(operation_id, "operation"), told, words, partial(self._replace, known, operation_id)
                )
            said = (await store.resolutions(operation_id)).value.entries
            if len(said) < len(known.resolutions):
                path, words = path_of(operation_id, "resolutions"), "write it again from its evidence"
                yield _repair(
                    path, f"it does not say what {known.resolutions[-1]} does", words, partial(self._restore, known)
                )
            finished = await store.finished(operation_id)
            if finished and finished.uncertain and not await store.marks.waits_for_a_person(order):
                told = "it is uncertain, and no list says so"
                listing = partial(store.marks.note_uncertain, order)
                yield _repair(f"operations/{operation_id}/", told, "list it again", listing)
        elif self._is_off and await self._may_have_been_sent(opening):
            told = "it has not ended: what it has not sent may have been sent after the point that was restored"
            words = "count it as sent: of a destroy, it is looked up where that is possible, and uncertain otherwise"
            yield _repair(path_of(operation_id, "state"), told, words, partial(self._count_as_sent, opening))

    async def _may_have_been_sent(self, opening: Opening) -> bool:
        state = (await self._store.state(opening)).value
        return state.held_until(self._now) is None and bool(in_phase(state.batches, "pending"))

    async def _count_as_sent(self, opening: Opening) -> None:
        def change(state: OperationState | None) -> OperationState:
            known = state or opening.state
            batches = [
                batch.model_copy(update={"phase": "sent", "sent_at": None}) if batch.phase == "pending" else batch
                for batch in known.batches
            ]
            return known.model_copy(update={"batches": tuple(batches), "hold": None})

        path = path_of(opening.order.operation_id, "state")
        await update(self._store.storage, Container.OPERATIONS, path, OperationState, change)

    async def _restore(self, known: KnownDocuments) -> None:
        rounds = await read_rounds(self._store, known.evidence)
        if rounds:
            resolutions = await read_resolutions(self._store, known.resolutions)
            await restore_operation(self._store, rounds, resolutions=resolutions)

    async def _replace(self, known: KnownDocuments, operation_id: str) -> None:
        for name in known.names - {"order", "cancellation", "resolutions"}:
            await self._store.storage.delete(Container.OPERATIONS, path_of(operation_id, name))
        await self._restore(known)

    async def _reopen(self, operation_id: str) -> None:
        await self._store.reopen((await self._opening(operation_id)).order)

    async def _list(self, operation_id: str) -> None:
        marks = self._store.marks
        await marks.note(marks.day_path((await self._opening(operation_id)).order))

    async def _opening(self, operation_id: str) -> Opening:
        opening = await self._store.opening(operation_id)
        if opening is None:
            raise MissingDocument(f"{path_of(operation_id, 'order')} is not there any more", remedy=REPAIR)
        return opening


def _repair(path: str, told: str, words: str, apply: Callable[[], Awaitable[object]]) -> Repair:
    async def applied() -> None:
        await apply()

    return Repair(Misfit(path, MissingDocument(told, remedy=REPAIR)), words, applied)

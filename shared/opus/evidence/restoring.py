"""Writes the documents of an operation again from its evidence, when storage has forgotten them."""

import asyncio
from collections.abc import Sequence

from shared.azure.documents import create_document, read_document
from shared.azure.storage import Container
from shared.opus.evidence.documents import Evidence, ResolutionEvidence
from shared.opus.ledger.documents import Batch, Opening, OperationState, Order, Resolutions
from shared.opus.ledger.keys import KeyEntry
from shared.opus.ledger.store import OperationStore, path_of


async def restore_operation(
    store: OperationStore, rounds: Sequence[Evidence], *, resolutions: Sequence[ResolutionEvidence] = ()
) -> Opening:
    """Write down an operation as its evidence tells it; what stands there stays. Return what was asked.

    Args:
        rounds: The evidence of the operation, and of each time that it was taken up again.
        resolutions: What people said of it, in order.
    """
    order, newest = rounds[0].order, max(rounds, key=lambda one: one.round)
    batches = tuple(Batch(phase="done", round=one.round) for one in sorted(newest.batches, key=lambda one: one.batch))
    state = OperationState(hold=None, batches=batches, round=newest.round)
    await store.announce(order)
    begun = state.model_copy(update={"round": 0})  # so that state.json is written, which alone tells of later rounds
    standing = await store.open(Opening(order=order, state=begun))
    known = await store.state(standing)
    if known.value.batches != batches or known.value.round != newest.round:
        changed = known.value.model_copy(update={"batches": batches, "round": newest.round, "hold": None})
        path = path_of(order.operation_id, "state")
        await store.storage.write(Container.OPERATIONS, path, changed.to_json(), etag=known.etag)
    await asyncio.gather(
        *(store.record(order.operation_id, outcome) for one in rounds for outcome in one.batches),
        *(store.cancel(order.operation_id, one.cancellation) for one in rounds if one.cancellation),
    )
    for one in sorted(rounds, key=lambda one: one.round):
        await store.finish(order, one.batches, round_=one.round)
    if order.key_path:
        entry = KeyEntry(operation_id=order.operation_id)
        await create_document(store.storage, Container.OPERATIONS, order.key_path, entry)
    await restore_resolutions(store, standing.order, resolutions)
    await store.close(order.operation_id)
    return standing


async def restore_resolutions(store: OperationStore, order: Order, told: Sequence[ResolutionEvidence]) -> None:
    """Write down what people said of an operation, as far as the ledger has forgotten it."""
    standing = await store.resolutions(order.operation_id)
    said = Resolutions(entries=tuple(one.resolution for one in told))
    if len(said.entries) <= len(standing.value.entries):
        return
    await store.resolve(order, standing, said)
    finished = await store.finished(order.operation_id)
    if finished and not finished.uncertain:
        await store.marks.settle(order)


async def read_rounds(store: OperationStore, paths: Sequence[str]) -> list[Evidence]:
    """Return the evidence at these paths."""
    read = [await read_document(store.storage, Container.EVIDENCE, path, Evidence) for path in paths]
    return [stored.value for stored in read if stored]


async def read_resolutions(store: OperationStore, paths: Sequence[str]) -> list[ResolutionEvidence]:
    """Return the resolutions at these paths, in the order of their numbers."""
    read = [await read_document(store.storage, Container.EVIDENCE, path, ResolutionEvidence) for path in sorted(paths)]
    return [stored.value for stored in read if stored]

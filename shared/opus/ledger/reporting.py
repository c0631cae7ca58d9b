"""What the app says of an operation, as it follows from what is stored. Pure."""

from collections.abc import Sequence
from datetime import datetime

from shared.opus.ledger.documents import FailedItem, Operation, Order, Outcome, Resolution, Status, UncertainItem


def operation_so_far(
    order: Order, outcomes: Sequence[Outcome], *, begun: bool = True, finished_at: datetime | None = None
) -> Operation:
    """Return an operation that has these outcomes; without ``finished_at`` it still runs."""
    failed = (*order.refused, *(item for outcome in outcomes for item in outcome.failed))
    succeeded = sum(outcome.succeeded for outcome in outcomes)
    skipped = sum(outcome.skipped for outcome in outcomes)
    if finished_at:
        status = _verdict(order.size, succeeded + skipped, len(failed))
    else:
        status = "Running" if begun else "NotStarted"
    return Operation(
        operation_id=order.operation_id,
        kind=order.kind,
        status=status,
        requested=order.size,
        succeeded=succeeded,
        skipped=skipped,
        failed=tuple(sorted(failed, key=lambda item: item.index)),
        uncertain=tuple(item for outcome in outcomes for item in outcome.uncertain),
        confirmed=tuple(key for outcome in outcomes for key in outcome.confirmed),
        created_at=order.created_at,
        finished_at=finished_at,
    )


def finished_operation(order: Order, outcomes: Sequence[Outcome]) -> Operation:
    """Return an operation whose batches all have an outcome."""
    return operation_so_far(order, outcomes, finished_at=max(outcome.finished_at for outcome in outcomes))


def resolved(operation: Operation, resolutions: Sequence[Resolution]) -> Operation:
    """Return a finished operation after people have said what became of uncertain items."""
    for resolution in resolutions:
        operation = _resolved(operation, resolution)
    return operation


def _resolved(operation: Operation, resolution: Resolution) -> Operation:
    named = [item for item in operation.uncertain if item.id in resolution.ids]
    succeeded = operation.succeeded + (len(named) if resolution.outcome == "Succeeded" else 0)
    failed = operation.failed + (_not_executed(named, resolution) if resolution.outcome == "Failed" else ())
    changes = {
        "status": _verdict(operation.requested, succeeded + operation.skipped, len(failed)),
        "succeeded": succeeded,
        "failed": tuple(sorted(failed, key=lambda item: item.index)),
        "uncertain": tuple(item for item in operation.uncertain if item not in named),
    }
    return operation.model_copy(update=changes)


def _not_executed(items: Sequence[UncertainItem], resolution: Resolution) -> tuple[FailedItem, ...]:
    message = f"{resolution.checked_by} has checked: {resolution.note}"
    return tuple(FailedItem(index=item.index, id=item.id, code="NotExecuted", message=message) for item in items)


def _verdict(requested: int, processed: int, failed: int) -> Status:
    if processed == requested:
        return "Succeeded"
    if failed == requested:
        return "Failed"
    return "PartiallySucceeded" if processed else "Uncertain"

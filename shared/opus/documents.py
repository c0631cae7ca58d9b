"""The documents of an operation: what was asked, how far it is, what came of each batch, and what is told of it.

They lie in the container ``opus-operations`` under ``operations/{operationId}/``; ``shared.opus.ledger`` keeps them.
"""

from collections.abc import Sequence
from datetime import datetime
from functools import cached_property
from typing import Literal, Self, override

from shared.avepoint.opus import BATCH_SIZE, ConflictOption
from shared.document import Document

type Kind = Literal["submit", "destroy"]
type Status = Literal["NotStarted", "Running", "Succeeded", "PartiallySucceeded", "Uncertain", "Failed"]
type Resolved = Literal["Succeeded", "Failed"]
type Phase = Literal["pending", "sent", "unknown", "done"]
"""``sent`` is marked before the call; ``unknown`` waits for a look at what is still due; ``done`` has an outcome."""


class FailedItem(Document):
    """An item that was certainly not processed; ``index`` is its place in the request."""

    index: int
    id: str
    code: str
    message: str


class UncertainItem(Document):
    """An item of which nobody can say whether it was processed."""

    index: int
    id: str
    reason: str


class Operation(Document):
    """What is told of an operation."""

    operation_id: str
    kind: Kind
    status: Status
    requested: int
    succeeded: int
    skipped: int
    failed: tuple[FailedItem, ...]
    uncertain: tuple[UncertainItem, ...]
    created_at: datetime
    finished_at: datetime | None


class Order(Document):
    """What was asked, written once; records are as Opus gets them, so the document proves what was sent.

    Attributes:
        client: The ids that the caller gave the call: idempotency key, request id, workflow run.
        fingerprint: SHA-256 of connection and body as they were asked (``shared.opus.identity``).
        dates: The zone and the format in which the times of the records are written.
        refused: Records that break a rule: they are never sent, and stand in ``records`` as the caller wrote them.
    """

    operation_id: str
    kind: Kind
    caller: str
    client: dict[str, str]
    fingerprint: str
    connection: str | None
    created_at: datetime
    conflict_option: ConflictOption | None = None
    dates: str | None = None
    records: tuple[dict[str, object], ...] = ()
    refused: tuple[FailedItem, ...] = ()
    ids: tuple[str, ...] = ()
    before: datetime | None = None

    @property
    def size(self) -> int:
        """How many items there are."""
        return len(self.ids) or len(self.records)

    @property
    def batch_count(self) -> int:
        """How many batches they fill."""
        return -(-(self.size - len(self.refused)) // BATCH_SIZE)

    def indexes(self, batch: int) -> Sequence[int]:
        """The places of the items of a batch."""
        return self._sendable[batch * BATCH_SIZE : (batch + 1) * BATCH_SIZE]

    @cached_property
    def _sendable(self) -> Sequence[int]:
        refused = {item.index for item in self.refused}
        return [index for index in range(self.size) if index not in refused]

    def key(self, index: int) -> str:
        """The row key of an item."""
        return self.ids[index] if self.ids else str(self.records[index]["rowKey"])


class Claim(Document):
    """Who works on the operation, and until when nobody else may."""

    owner: str
    until: datetime


class Batch(Document):
    """How far one batch is.

    Attributes:
        troubles: Why each counted try came to nothing; being asked for patience does not count.
        doubtful: One of these tries may have been executed.
        uncertain: Items that are perhaps destroyed and are not sent again.
    """

    phase: Phase = "pending"
    sent_at: datetime | None = None
    troubles: tuple[str, ...] = ()
    doubtful: bool = False
    uncertain: tuple[UncertainItem, ...] = ()


class State(Document):
    """How far the operation is; ``resume_at`` is when its executor wanted to come back."""

    claim: Claim | None
    batches: tuple[Batch, ...]
    resume_at: datetime | None = None
    trouble: str = ""
    """What made an executor give up, and what can be done about it."""

    @classmethod
    def first(cls, order: Order, claim: Claim | None, *, sent: int = 0) -> Self:
        """The state of an operation that begins; its first ``sent`` batches are sent as soon as that is written."""
        marked = Batch(phase="sent", sent_at=order.created_at)
        batches = tuple(marked if number < sent else Batch() for number in range(order.batch_count))
        return cls(claim=claim, batches=batches)

    @override
    def to_json(self) -> bytes:
        """The document without what needs no mention: it is written often, and most batches wait or are done."""
        return self.model_dump_json(by_alias=True, exclude_defaults=True).encode()

    @property
    def begun(self) -> bool:
        """Whether anything was ever sent."""
        return any(batch.sent_at for batch in self.batches)


def in_phase(batches: Sequence[Batch], *phases: Phase) -> list[int]:
    """The numbers of the batches in one of ``phases``."""
    return [number for number, batch in enumerate(batches) if batch.phase in phases]


class Opening(Document):
    """What is written first, and only once: who writes it has the first claim, and so may begin."""

    order: Order
    state: State


class Outcome(Document):
    """What came of one batch, and what AvePoint said; ``sent``, ``status`` and ``answer`` are of the last call."""

    batch: int
    sent: tuple[str, ...] = ()
    succeeded: int
    skipped: int
    failed: tuple[FailedItem, ...]
    uncertain: tuple[UncertainItem, ...]
    sent_at: datetime | None
    finished_at: datetime
    status: int | None
    answer: str
    troubles: tuple[str, ...]


class Previous(Document):
    """The evidence that a caller left before this one, and the SHA-256 of its bytes."""

    path: str
    sha256: str


class Link(Document):
    """The place of a piece of evidence among all evidence of one caller, counted from 1."""

    caller: str
    sequence: int
    previous: Previous | None


class Evidence(Document):
    """What is kept for good of a finished operation."""

    chain: Link
    order: Order
    batches: tuple[Outcome, ...]
    operation: Operation
    app_version: str


class Resolution(Document):
    """What a person who has looked into Opus says of uncertain items, and who passed it on."""

    outcome: Resolved
    ids: tuple[str, ...]
    note: str
    checked_by: str
    caller: str
    client: dict[str, str]
    at: datetime


class Resolutions(Document):
    """All that was said of the uncertain items of one operation."""

    entries: tuple[Resolution, ...] = ()


class ResolutionEvidence(Document):
    """What is kept for good of a resolution, beside the evidence of the operation."""

    chain: Link
    operation_id: str
    resolution: Resolution
    app_version: str


def told(order: Order, outcomes: Sequence[Outcome], *, begun: bool = True, finished_at: datetime | None) -> Operation:
    """What is told of an operation that has these outcomes; without ``finished_at`` it still runs."""
    failed = (*order.refused, *(item for outcome in outcomes for item in outcome.failed))
    uncertain = tuple(item for outcome in outcomes for item in outcome.uncertain)
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
        uncertain=uncertain,
        created_at=order.created_at,
        finished_at=finished_at,
    )


def finally_told(order: Order, outcomes: Sequence[Outcome]) -> Operation:
    """What is told of an operation whose batches all have an outcome."""
    return told(order, outcomes, finished_at=max(outcome.finished_at for outcome in outcomes))


def resolved(operation: Operation, resolutions: Sequence[Resolution]) -> Operation:
    """What is told of a finished operation after people have said what became of uncertain items."""
    for resolution in resolutions:
        named = [item for item in operation.uncertain if item.id in resolution.ids]
        succeeded = operation.succeeded + (len(named) if resolution.outcome == "Succeeded" else 0)
        failed = operation.failed + (_not_executed(named, resolution) if resolution.outcome == "Failed" else ())
        changes = {
            "status": _verdict(operation.requested, succeeded + operation.skipped, len(failed)),
            "succeeded": succeeded,
            "failed": tuple(sorted(failed, key=lambda item: item.index)),
            "uncertain": tuple(item for item in operation.uncertain if item not in named),
        }
        operation = operation.model_copy(update=changes)
    return operation


def _not_executed(items: Sequence[UncertainItem], resolution: Resolution) -> tuple[FailedItem, ...]:
    message = f"{resolution.checked_by} has checked: {resolution.note}"
    return tuple(FailedItem(index=item.index, id=item.id, code="NotExecuted", message=message) for item in items)


def _verdict(requested: int, processed: int, failed: int) -> Status:
    if processed == requested:
        return "Succeeded"
    if failed == requested:
        return "Failed"
    return "PartiallySucceeded" if processed else "Uncertain"

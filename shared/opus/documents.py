"""The documents of an operation: what was asked, how far it is, what came of each batch, and what is told of it.

They lie in the container ``opus-operations`` under ``operations/{operationId}/``; ``shared.opus.ledger`` keeps them.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Literal

from pydantic import JsonValue

from shared.avepoint.opus import BATCH_SIZE, ConflictOption
from shared.document import Document

type Kind = Literal["submit", "destroy"]
type Status = Literal["NotStarted", "Running", "Succeeded", "PartiallySucceeded", "Uncertain", "Failed"]
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
    """What was asked, written once; records are as Opus gets them, so the document proves what was sent."""

    operation_id: str
    kind: Kind
    caller: str
    client: dict[str, str]
    """The ids that the caller gave the call: idempotency key, request id, workflow run."""
    fingerprint: str
    connection: str | None
    created_at: datetime
    conflict_option: ConflictOption | None = None
    records: tuple[dict[str, JsonValue], ...] = ()
    ids: tuple[str, ...] = ()
    before: datetime | None = None

    @property
    def size(self) -> int:
        """How many items there are."""
        return len(self.ids) or len(self.records)

    @property
    def batch_count(self) -> int:
        """How many batches they fill."""
        return -(-self.size // BATCH_SIZE)

    def indexes(self, batch: int) -> range:
        """The places of the items of a batch."""
        return range(batch * BATCH_SIZE, min((batch + 1) * BATCH_SIZE, self.size))

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

    def with_batches(self, changed: Mapping[int, Batch]) -> "State":
        """The state with some batches replaced."""
        kept = tuple(changed.get(index, batch) for index, batch in enumerate(self.batches))
        return self.model_copy(update={"batches": kept})

    @property
    def begun(self) -> bool:
        """Whether anything was ever sent."""
        return any(batch.sent_at for batch in self.batches)

    def in_phase(self, *phases: Phase) -> list[int]:
        """The numbers of the batches in one of ``phases``."""
        return [index for index, batch in enumerate(self.batches) if batch.phase in phases]


class Outcome(Document):
    """What came of one batch, and what AvePoint said; ``status`` and ``answer`` are of the last call."""

    batch: int
    succeeded: int
    skipped: int
    failed: tuple[FailedItem, ...]
    uncertain: tuple[UncertainItem, ...]
    sent_at: datetime | None
    finished_at: datetime
    status: int | None
    answer: str
    troubles: tuple[str, ...]


class Evidence(Document):
    """What is kept for good of a finished operation."""

    order: Order
    batches: tuple[Outcome, ...]
    operation: Operation
    app_version: str


def told(order: Order, outcomes: Sequence[Outcome], *, begun: bool = True, finished: bool) -> Operation:
    """What is told of an operation that has these outcomes."""
    failed = tuple(item for outcome in outcomes for item in outcome.failed)
    uncertain = tuple(item for outcome in outcomes for item in outcome.uncertain)
    succeeded = sum(outcome.succeeded for outcome in outcomes)
    skipped = sum(outcome.skipped for outcome in outcomes)
    if finished:
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
        failed=failed,
        uncertain=uncertain,
        created_at=order.created_at,
        finished_at=max(outcome.finished_at for outcome in outcomes) if finished else None,
    )


def _verdict(requested: int, processed: int, failed: int) -> Status:
    if processed == requested:
        return "Succeeded"
    if failed == requested:
        return "Failed"
    return "PartiallySucceeded" if processed else "Uncertain"

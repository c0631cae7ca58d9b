"""What is stored of an operation: what was asked, how far it is, and what came of each batch.

The documents lie in the container ``opus-operations`` under ``operations/{operationId}/``; ``store`` keeps them. Names
in JSON are those of the first release: ``troubles`` are failed attempts, ``doubtful`` is a batch that may have been
executed, ``claim`` is the lease.
"""

from collections.abc import Sequence
from datetime import datetime
from functools import cached_property
from typing import Literal, Self, override

from pydantic import Field

from shared.avepoint.opus import BATCH_SIZE, ConflictOption, Generation
from shared.azure.lease import Hold, LeasedDocument
from shared.document import Document, StoredDocument, StoredValue

type OperationKind = Literal["submit", "destroy"]
type Status = Literal["NotStarted", "Running", "Succeeded", "PartiallySucceeded", "Uncertain", "Failed"]
type Resolved = Literal["Succeeded", "Failed"]
type Phase = Literal["pending", "sent", "unknown", "done"]
"""``sent`` is marked before the call; ``unknown`` waits for a look at what is still due; ``done`` has an outcome."""
type StopCode = Literal["Cancelled", "DestroyDisabled", "PlaceChanged", "GivenUp"]


class FailedItem(Document):
    """An item that was certainly not processed; ``index`` is its place in the request."""

    index: int
    id: str
    code: str
    message: str


class UncertainItem(Document):
    """An item of which nobody can say whether it was processed.

    Attributes:
        repeatable: The same call again takes it up; otherwise a person has to find out.
    """

    index: int
    id: str
    reason: str
    repeatable: bool = False


class Operation(Document):
    """What the app says of an operation; ``confirmed`` are the ids of which a lookup proved that they are destroyed."""

    operation_id: str
    kind: OperationKind
    status: Status
    requested: int
    succeeded: int
    skipped: int
    failed: tuple[FailedItem, ...]
    uncertain: tuple[UncertainItem, ...]
    confirmed: tuple[str, ...] = ()
    created_at: datetime
    finished_at: datetime | None


class Place(StoredValue):
    """Where an operation belongs: an Opus, an app registration, and the storage account that keeps its documents."""

    origin: str
    client_id: str
    generation: Generation
    account: str

    def __str__(self) -> str:
        return f"{self.origin} ({self.generation}), client id {self.client_id}, storage account {self.account}"


class Order(StoredDocument):
    """What was asked, written once; records are as Opus gets them, so the document proves what was sent.

    Attributes:
        client: The ids that the caller gave the call: idempotency key, request id, workflow run.
        fingerprint: SHA-256 of connection and body as they were asked (``shared.opus.intake.identity``).
        dates: The zone and the format in which the times of the records are written.
        refused: Records that break a rule: they are never sent, and stand in ``records`` as the caller wrote them.
        place: Where it was asked; the first release did not say.
        key_path: Where the index names this operation by its idempotency key.
    """

    operation_id: str
    kind: OperationKind
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
    place: Place | None = None
    key_path: str | None = None

    @property
    def size(self) -> int:
        """How many items there are."""
        return len(self.ids) or len(self.records)

    @property
    def batch_count(self) -> int:
        """How many batches they fill."""
        return -(-(self.size - len(self.refused)) // BATCH_SIZE)

    @property
    def can_be_looked_up(self) -> bool:
        """Whether the list of due records shows what became of its items."""
        return self.kind == "destroy" and self.connection is not None and self.before is not None

    def indexes(self, batch: int) -> Sequence[int]:
        """Return the places of the items of a batch."""
        return self._sendable[batch * BATCH_SIZE : (batch + 1) * BATCH_SIZE]

    @cached_property
    def _sendable(self) -> Sequence[int]:
        refused = {item.index for item in self.refused}
        return [index for index in range(self.size) if index not in refused]

    def key(self, index: int) -> str:
        """Return the row key of an item."""
        return self.ids[index] if self.ids else str(self.records[index]["rowKey"])


class Batch(StoredValue):
    """How far one batch is.

    Attributes:
        sent_at: When it was last sent; a batch in the phase ``sent`` without it may have been sent before storage was
            restored.
        failed_attempts: Why attempts came to nothing: the first one, and the last ones.
        attempts: How many there were; being asked for patience does not count.
        first_sent_at: When the first of them began, which is what patience counts from.
        maybe_executed: One of these attempts may have been executed, and this never ends.
        uncertain: Items that are perhaps destroyed and are not sent again.
        not_due: Places of items that were not due before anything was sent; they are not sent.
        seen_due: Places of items that this app saw due before it sent them.
        look_at: Before when no lookup may happen, because the call may still be running.
        due_before: Places of items that were due at the first of two lookups; ``None`` before it.
        confirmed: Places of items of which a lookup proved that they are destroyed.
        round: How often the whole operation was taken up again before.
    """

    phase: Phase = "pending"
    sent_at: datetime | None = None
    failed_attempts: tuple[str, ...] = Field(default=(), alias="troubles")
    attempts: int = 0
    first_sent_at: datetime | None = None
    maybe_executed: bool = Field(default=False, alias="doubtful")
    uncertain: tuple[UncertainItem, ...] = ()
    not_due: tuple[int, ...] = ()
    seen_due: tuple[int, ...] = ()
    look_at: datetime | None = None
    due_before: tuple[int, ...] | None = None
    confirmed: tuple[int, ...] = ()
    round: int = 0


class OperationState(LeasedDocument, StoredDocument):
    """How far the operation is.

    Attributes:
        resume_at: When its worker wanted to come back.
        failure: What made a worker give up, and what can be done about it.
        waits: How often in a row nothing could be sent, for want of a token or of the list of due records.
        round: How often the operation was taken up again after it had finished.
    """

    # Without a default, so that it is always written: the first release reads no state without it.
    hold: Hold | None = Field(alias="claim")
    batches: tuple[Batch, ...]
    resume_at: datetime | None = None
    failure: str = Field(default="", alias="trouble")
    waits: int = 0
    round: int = 0

    @classmethod
    def first(cls, order: Order, hold: Hold | None, *, sent: int = 0) -> Self:
        """Return the state of an operation that begins; once it is written, its first ``sent`` batches are sent."""
        marked = Batch(phase="sent", sent_at=order.created_at, first_sent_at=order.created_at)
        batches = tuple(marked if number < sent else Batch() for number in range(order.batch_count))
        return cls(hold=hold, batches=batches)

    @override
    def to_json(self) -> bytes:
        """Return the document without what needs no mention: it is written often, and most batches wait or are done."""
        return self.model_dump_json(by_alias=True, exclude_defaults=True).encode()

    @property
    def begun(self) -> bool:
        """Whether anything was ever sent, or a worker wanted to come back."""
        return self.resume_at is not None or any(batch.sent_at for batch in self.batches)


def in_phase(batches: Sequence[Batch], *phases: Phase) -> list[int]:
    """Return the numbers of the batches in one of ``phases``."""
    return [number for number, batch in enumerate(batches) if batch.phase in phases]


class Opening(StoredDocument):
    """What is written first, and only once: whoever writes it has the first lease, and so may begin."""

    order: Order
    state: OperationState


class Outcome(StoredDocument):
    """What came of one batch, and what AvePoint said; ``sent``, ``status`` and ``answer`` are of the last call."""

    batch: int
    sent: tuple[str, ...] = ()
    succeeded: int
    skipped: int
    failed: tuple[FailedItem, ...]
    uncertain: tuple[UncertainItem, ...]
    confirmed: tuple[str, ...] = ()
    sent_at: datetime | None
    finished_at: datetime
    status: int | None
    answer: str
    failed_attempts: tuple[str, ...] = Field(default=(), alias="troubles")
    attempts: int = 0
    round: int = 0


class Sending(StoredDocument):
    """Who was about to send a batch of a destroy, and when: written once an attempt, and never changed.

    ``state.json`` can go back to an older version; this cannot, so that nothing is destroyed a second time.
    """

    by: str
    at: datetime | None


class Cancellation(StoredDocument):
    """Who ended an operation, and when."""

    caller: str
    client: dict[str, str]
    at: datetime


class Resolution(StoredValue):
    """What a person who has looked into Opus says of uncertain items, and who passed it on."""

    outcome: Resolved
    ids: tuple[str, ...]
    note: str
    checked_by: str
    caller: str
    client: dict[str, str]
    at: datetime


class Resolutions(StoredDocument):
    """All that was said of the uncertain items of one operation."""

    entries: tuple[Resolution, ...] = ()

"""Pieces of evidence: one for each finished operation and each resolution, kept for good, and chained."""

import json
from collections.abc import Mapping
from datetime import UTC, date, datetime
from hashlib import sha256
from typing import Literal, Self, override

from shared.document import StoredDocument, StoredValue
from shared.errors import DamagedDocument
from shared.opus.ledger.documents import Cancellation, Operation, Order, Outcome, Resolution

_OWN = "sha256"

type Break = Literal["gap", "fork", "restored", "pruned"]
"""A piece is missing; two have one number; pieces are there that storage had forgotten; the beginning was deleted."""


class Previous(StoredValue):
    """The piece before this one, and the SHA-256 of its bytes; empty where the piece and its hash are lost."""

    path: str
    sha256: str


class Declared(StoredValue):
    """A break in the chain that this piece tells of, so that the chain can go on behind it.

    Attributes:
        path: The piece it is about.
        sequence: Its number; of several pieces, the first one.
        through: The number of the last one.
    """

    kind: Break
    path: str
    sequence: int
    through: int


class Link(StoredValue):
    """The place of a piece of evidence among all evidence of one caller, counted from 1."""

    caller: str
    sequence: int
    previous: Previous | None
    declared: tuple[Declared, ...] = ()


class Piece(StoredDocument):
    """What all pieces have; ``sha256`` is the hash of the rest of the piece."""

    chain: Link
    app_version: str = ""

    def sealed(self) -> bytes:
        """Return the piece as it is stored, with its own hash."""
        data = self.to_json()
        return b'%b,"%b":"%b"}' % (data.removesuffix(b"}"), _OWN.encode(), own_hash(json.loads(data)).encode())


class Evidence(Piece):
    """What is kept of a finished operation; ``round`` counts how often it was taken up again."""

    order: Order
    batches: tuple[Outcome, ...]
    operation: Operation
    cancellation: Cancellation | None = None
    round: int = 0


class ResolutionEvidence(Piece):
    """What is kept of a resolution, beside the evidence of the operation."""

    operation_id: str
    resolution: Resolution


class PrunedEvidence(Piece):
    """The word that the beginning of a chain was verified and may be deleted: its pieces before a day."""

    before: date
    pieces: int


class RestoredEvidence(Piece):
    """The word that storage was restored or damaged, and what the chain has lost or has twice since."""

    at: datetime


class Head(StoredDocument):
    """The last link of a chain, what it is about, and the hash of its piece; ``resolution`` counts from 0."""

    link: Link
    path: str
    operation_id: str
    resolution: int | None = None
    round: int = 0
    sha256: str | None = None
    app_version: str | None = None


class Subject(StoredValue):
    """What evidence is about: an operation, or a resolution of it; ``caller`` is whose chain it belongs to."""

    caller: str
    operation_id: str
    day: datetime
    resolution: int | None = None
    round: int = 0

    @classmethod
    def operation(cls, order: Order, *, round_: int = 0) -> Self:
        """Return the operation itself."""
        return cls(caller=order.caller, operation_id=order.operation_id, day=order.created_at, round=round_)

    @classmethod
    def resolved(cls, order: Order, *, number: int, caller: str) -> Self:
        """Return a resolution of the operation, which belongs to whoever passed it on."""
        return cls(caller=caller, operation_id=order.operation_id, day=order.created_at, resolution=number)

    @property
    def path(self) -> str:
        """Where its evidence lies, below the day on which the operation began."""
        suffix = "" if self.resolution is None else f"-resolution-{self.resolution:03d}"
        again = f"-round-{self.round:03d}" if self.round else ""
        return f"date={self.day.astimezone(UTC):%Y-%m-%d}/{self.operation_id}{again}{suffix}.json"


class Sealed(StoredDocument):
    """What is read of any piece to verify it."""

    chain: Link
    order: Order | None = None
    batches: tuple[Outcome, ...] = ()
    operation: Operation | None = None
    cancellation: Cancellation | None = None
    operation_id: str = ""
    resolution: Resolution | None = None
    before: date | None = None

    @override
    @classmethod
    def from_json(cls, data: bytes) -> Self:
        """Read a piece whose own hash, if it has one, is right; the pieces of the first release have none.

        Raises:
            DamagedDocument: The bytes are not such a piece.
        """
        piece = super().from_json(data)
        content = json.loads(data)
        if _OWN in content and content[_OWN] != own_hash(content):
            raise DamagedDocument("a piece of evidence does not have the hash that it names")
        return piece


def own_hash(content: Mapping[str, object]) -> str:
    """Return the SHA-256 of a piece without the name of its hash, with names in order and without blanks."""
    rest = {name: value for name, value in content.items() if name != _OWN}
    return sha256(json.dumps(rest, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()).hexdigest()

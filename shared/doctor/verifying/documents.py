"""What the sweep remembers of verifying what is stored: how far it is, and what it found."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Literal, Self

from shared.azure.documents import Versioned, read_document
from shared.azure.storage import Container, Storage
from shared.clock import is_recent
from shared.doctor.verifying.trail import Trail
from shared.document import StoredDocument, StoredValue
from shared.harvest.snapshots.verifying import Fault, SnapshotProgress
from shared.opus.evidence.documents import Declared

STATE = "verification.json"
"""Where it is, in ``harvest-state``."""

AGAIN_AFTER = timedelta(days=1)
"""How long a finding is left alone."""

_MOST_FINDINGS = 100
_NAMED_EACH = 5

type VerifiedKind = Literal["snapshot", "table", "evidence"]


class Finding(StoredValue):
    """Something that is not as it was written.

    Attributes:
        unit: What was looked at when it was found: a manifest, a table, or the evidence.
        seen_at: When it was last found.
    """

    kind: VerifiedKind
    unit: str
    fault: Fault
    seen_at: datetime
    source: str = ""
    dataset: str = ""


class Declaration(StoredValue):
    """A break that a piece of evidence declares in the chain of a caller."""

    caller: str
    declared: Declared


class Verification(StoredDocument):
    """One pass through everything that is stored.

    Attributes:
        started_at: When the pass began.
        ended_at: When it had seen everything; what is new is still looked at.
        looked_at: When storage was last listed.
        snapshots: The way through the manifests, and ``at`` the one that is half read, with ``progress``.
        tables: Those that are done in this pass.
        left_out: Those that take longer than a sweep may.
        evidence: The way through the pieces; ``suspects`` are those that have to be judged once all are known.
    """

    started_at: datetime
    ended_at: datetime | None = None
    looked_at: datetime | None = None
    snapshots: Trail = Trail()
    at: str | None = None
    progress: SnapshotProgress = SnapshotProgress()
    tables: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    evidence: Trail = Trail()
    suspects: tuple[str, ...] = ()
    declared: tuple[Declaration, ...] = ()
    findings: tuple[Finding, ...] = ()

    def begun_again(self, now: datetime) -> Self:
        """Return the next pass: what was found and what was declared stays known."""
        return self.model_copy(
            update={
                "started_at": now,
                "ended_at": None,
                "snapshots": Trail(),
                "tables": (),
                "left_out": (),
                "evidence": Trail(),
            }
        )

    def found(self, unit: str, findings: Iterable[Finding]) -> Self:
        """Return the state with what was found of a unit, in place of what was found of it before."""
        others = [one for one in self.findings if one.unit != unit]
        return self.model_copy(update={"findings": (*others, *[*findings][:_NAMED_EACH])[-_MOST_FINDINGS:]})

    def due_again(self, kind: VerifiedKind, now: datetime) -> list[str]:
        """Return the units in which something was found a day ago: it may have been set right, or is told again."""
        of_kind = [one for one in self.findings if one.kind == kind]
        due = [one.unit for one in of_kind if not is_recent(one.seen_at, within=AGAIN_AFTER, now=now)]
        return list(dict.fromkeys(due))

    def is_late(self, days: float, now: datetime) -> bool:
        """Whether a pass takes longer than it may."""
        return self.ended_at is None and now - self.started_at > timedelta(days=days)


async def read_verification(storage: Storage) -> Versioned[Verification] | None:
    """Return how far verifying is; ``None`` before the first sweep."""
    return await read_document(storage, Container.HARVEST_STATE, STATE, Verification)

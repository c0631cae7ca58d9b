"""What is there of each operation, by the names of the blobs alone."""

import re
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import date, datetime

from shared.azure.storage import Container, Storage
from shared.opus.evidence.gathering import first_day_known
from shared.opus.evidence.survey import evidence_folders
from shared.opus.ledger.marks import OPEN, Marks, operation_id_of

_DOCUMENT = re.compile(r"operations/([0-9a-f]{32})/(.+)\.json")
_EVIDENCE = re.compile(r"date=[\d-]{10}/([0-9a-f]{32})(?:-round-\d{3})?\.json")
_RESOLUTION = re.compile(r"date=[\d-]{10}/([0-9a-f]{32})(?:-round-\d{3})?-resolution-\d{3}\.json")
_RESULT = re.compile(r"operation(?:-\d+)?")


@dataclass(slots=True)
class KnownDocuments:
    """What is there of one operation.

    Attributes:
        names: Its documents in the ledger.
        evidence: The paths of its evidence, one for each round.
        resolutions: The paths of the evidence of its resolutions.
        day: The day of the list that names it.
        is_open: Something is left to do for it.
        touched_at: When anything of it was last written.
    """

    names: set[str] = field(default_factory=set)
    evidence: list[str] = field(default_factory=list)
    resolutions: list[str] = field(default_factory=list)
    day: date | None = None
    is_open: bool = False
    touched_at: datetime | None = None

    def touch(self, at: datetime) -> None:
        """Note that something of it was written."""
        self.touched_at = max(at, self.touched_at or at)

    @property
    def results(self) -> int:
        """How many rounds have ended, as the ledger knows it."""
        return sum(_RESULT.fullmatch(name) is not None for name in self.names)


async def list_documents(storage: Storage, *, today: date) -> dict[str, KnownDocuments]:
    """Return what is there of each operation that the ledger has, or should have."""
    found: defaultdict[str, KnownDocuments] = defaultdict(KnownDocuments)
    async for listed in storage.list_details(Container.OPERATIONS, "operations/"):
        if match := _DOCUMENT.fullmatch(listed.path):
            found[match[1]].names.add(match[2])
            found[match[1]].touch(listed.modified)
    await _add_evidence(storage, found, first_day_known(today).rstrip("/"))
    async for path in storage.list(Container.OPERATIONS, OPEN):
        if (operation := path.removeprefix(OPEN)) in found:
            found[operation].is_open = True
    marks = Marks(storage)
    for day in await marks.days():
        async for mark in marks.of_day(day):
            if (operation := operation_id_of(mark)) in found:
                found[operation].day = day
    return dict(found)


async def _add_evidence(storage: Storage, found: defaultdict[str, KnownDocuments], oldest: str) -> None:
    for folder in [name for name in await evidence_folders(storage) if name >= oldest]:
        async for listed in storage.list_details(Container.EVIDENCE, f"{folder}/"):
            if match := _EVIDENCE.fullmatch(listed.path):
                found[match[1]].evidence.append(listed.path)
                found[match[1]].touch(listed.modified)
            elif match := _RESOLUTION.fullmatch(listed.path):
                found[match[1]].resolutions.append(listed.path)

"""Verifies evidence, a bounded number of pieces after the other, as long as there is time."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from shared.azure.storage import Container, Storage
from shared.doctor.verifying.documents import Declaration, Finding, Verification
from shared.doctor.verifying.snapshots import TimeLeft
from shared.doctor.verifying.trail import next_blobs
from shared.harvest.snapshots.verifying import Fault
from shared.opus.evidence.documents import Declared
from shared.opus.evidence.findings import SeenPiece, problems
from shared.opus.evidence.gathering import gather_pieces

PIECES_AT_ONCE = 200
UNIT = "evidence"

_MOST_SUSPECTS = 100
_REMEDY = "./avepoint evidence lists all problems; see 'Evidence' in docs/operations.md."


@dataclass(slots=True)
class EvidenceTurn:
    """One turn at verifying evidence, with the state as it stands.

    Whether a break in a chain is one that a piece declares is known once all pieces were seen: what looks wrong before
    is kept as a suspect, and judged then.
    """

    storage: Storage
    state: Verification
    now: datetime

    async def work(self, time_left: TimeLeft) -> None:
        """Verify what comes next, until nothing is left or the time is over; some pieces at least."""
        while True:
            listed = self.storage.list_details(Container.EVIDENCE, "date=")
            blobs = await next_blobs(self.state.evidence, listed, PIECES_AT_ONCE)
            if not blobs:
                break
            seen = await self._seen([blob.path for blob in blobs])
            wrong = " ".join(problems(seen))
            suspects = [blob.path for blob in blobs if blob.path in wrong]
            trail = self.state.evidence
            for blob in blobs:
                trail = trail.past(blob)
            self._put(evidence=trail, declared=self._declared_with(seen))
            self._put(suspects=tuple(dict.fromkeys((*self.state.suspects, *suspects)))[:_MOST_SUSPECTS])
            if not time_left():
                return
        self._put(evidence=self.state.evidence.model_copy(update={"ended": True}))
        await self._judge()

    async def _judge(self) -> None:
        """Tell what is wrong with the suspects, now that all that is declared is known, and with the chains' ends."""
        wrong = [*problems(await self._seen(self.state.suspects))]
        text = " ".join(wrong)
        self._put(suspects=tuple(path for path in self.state.suspects if path in text))
        self.state = self.state.found(UNIT, [self._finding(line) for line in wrong])

    async def _seen(self, paths: Sequence[str]) -> SeenPiece:
        return await gather_pieces(self.storage, paths, declared=self._declared(), now=self.now)

    def _declared(self) -> Mapping[str, Sequence[Declared]]:
        found: dict[str, list[Declared]] = defaultdict(list)
        for one in self.state.declared:
            found[one.caller].append(one.declared)
        return found

    def _declared_with(self, seen: SeenPiece) -> tuple[Declaration, ...]:
        links = [one.piece.chain for one in seen.found]
        new = [Declaration(caller=link.caller, declared=each) for link in links for each in link.declared]
        return (*self.state.declared, *(one for one in new if one not in self.state.declared))

    def _put(self, **changes: object) -> None:
        self.state = self.state.model_copy(update=changes)

    def _finding(self, line: str) -> Finding:
        path, _, problem = line.partition(": ")
        return Finding(
            kind="evidence", unit=UNIT, fault=Fault(path=path, problem=problem, remedy=_REMEDY), seen_at=self.now
        )

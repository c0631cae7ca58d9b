"""Keeps the hashes of evidence outside of the account that holds it, for as long as nobody deletes them.

Each piece is named once, with its SHA-256, in a file below ``_opus_anchors/`` of the container ``tables``, which lies
in another storage account where the app is deployed. ``python -m shared.opus.verify --anchor`` takes these files.
"""

import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from hashlib import sha256

from shared.azure.bounded_map import bounded_map
from shared.azure.documents import read_document
from shared.azure.storage import Container, Listed, Storage
from shared.clock import is_recent
from shared.doctor.verifying.snapshots import TimeLeft
from shared.doctor.verifying.trail import Trail, next_blobs
from shared.document import StoredDocument
from shared.opus.evidence.survey import evidence_folders

ANCHORS = "_opus_anchors/"
EXPORTED_EVERY = timedelta(hours=1)

_STATE = "anchors.json"
_AT_ONCE = 500
_SETTLED = timedelta(minutes=5)
"""How old a piece is when it is named, so that none before it in its chain can be missing from the list."""


class AnchorExport(StoredDocument):
    """How far the export is, in ``opus-operations``."""

    looked_at: datetime
    trail: Trail = Trail()


@dataclass(frozen=True, slots=True)
class AnchorReach:
    """The first and the last day on which pieces were named, and the first and the last day that have evidence."""

    first: str | None
    last: str | None
    evidence: str | None
    newest: str | None


async def export_anchors(evidence: Storage, kept: Storage, *, now: datetime, time_left: TimeLeft) -> int:
    """Name the pieces that were not named yet; return how many those were. Raises what ``Storage`` raises.

    Args:
        kept: The account of the tables.
    """
    stored = await read_document(evidence, Container.OPERATIONS, _STATE, AnchorExport)
    state, etag = (stored.value, stored.etag) if stored else (AnchorExport(looked_at=now), None)
    if stored and is_recent(state.looked_at, within=EXPORTED_EVERY, now=now):
        return 0
    if not [name async for name in kept.list_folders(Container.TABLES, ANCHORS)]:  # as after the container was lost
        state = state.model_copy(update={"trail": Trail()})
    count = 0
    while blobs := await next_blobs(state.trail, _settled(evidence, now), _AT_ONCE):
        lines = await bounded_map(partial(_line, evidence), blobs)
        data = "".join(lines).encode()
        path = f"{ANCHORS}date={now.date().isoformat()}/{sha256(data).hexdigest()[:32]}.ndjson"
        await kept.write(Container.TABLES, path, data, etag=None)  # the same again is the same file
        state = state.model_copy(update={"trail": _past(state.trail, blobs)})
        etag = await evidence.write(Container.OPERATIONS, _STATE, state.to_json(), etag=etag)
        count += len(blobs)
        if not time_left():
            return count
    done = state.model_copy(update={"looked_at": now})
    await evidence.write(Container.OPERATIONS, _STATE, done.to_json(), etag=etag)
    return count


async def reach_of_anchors(evidence: Storage, kept: Storage) -> AnchorReach:
    """Return how far back the export reaches.

    Raises:
        StoredFault: It does not go on, because how far it is cannot be read.
    """
    await read_document(evidence, Container.OPERATIONS, _STATE, AnchorExport)
    days = [name async for name in kept.list_folders(Container.TABLES, ANCHORS)]
    begun = await evidence_folders(evidence)
    ends = (min(days, default=None), max(days, default=None), min(begun, default=None), max(begun, default=None))
    return AnchorReach(*(name.removeprefix("date=") if name else None for name in ends))


async def _settled(evidence: Storage, now: datetime) -> AsyncIterator[Listed]:
    async for blob in evidence.list_details(Container.EVIDENCE, "date="):
        if blob.modified <= now - _SETTLED:
            yield blob


async def _line(evidence: Storage, blob: Listed) -> str:
    stored = await evidence.read(Container.EVIDENCE, blob.path)
    if stored is None:  # deleted since it was listed
        return ""
    return json.dumps({"path": blob.path, "sha256": sha256(stored.data).hexdigest()}) + "\n"


def _past(trail: Trail, blobs: Sequence[Listed]) -> Trail:
    for blob in blobs:
        trail = trail.past(blob)
    return trail

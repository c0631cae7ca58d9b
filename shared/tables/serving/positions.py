"""How far a polling trigger has come: the text that its next call gives back. No server keeps it. Pure.

For each dataset it names the last run that was told. A night's datasets share their run, so the text is short; it is
compressed all the same, because it stands in a URL. It says nothing that its reader may not know, so it is not signed:
zlib's checksum finds what was damaged.
"""

import base64
import json
import re
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from shared.clock import credible, rfc3339
from shared.errors import InvalidInput
from shared.harvest.plan import paths

_LARGEST = 65_536
_DIGEST = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True, slots=True)
class Partly:
    """The changes of a dataset of which a part has been told.

    Attributes:
        run_id: The run of the last one that was told.
        digest: The MD5 of its key: of a run, changes are told in the order of these, whatever is taken out of them.
        change: Which kind alone was asked for.
    """

    dataset: str
    run_id: str
    digest: str
    change: str | None = None


@dataclass(frozen=True, slots=True)
class Positions:
    """How far a trigger has come.

    Attributes:
        since: When it began; of a dataset that had nothing then, whatever comes later is new.
        seen: The last run that was told, by ``{source}/{dataset}``.
        partly: The dataset of which a part of the newer changes has been told.
    """

    since: datetime
    seen: Mapping[str, str] = field(default_factory=dict)
    partly: Partly | None = None

    def with_seen(self, dataset: str, run_id: str) -> "Positions":
        """Return the positions after everything up to a run has been told of a dataset."""
        partly = None if self.partly and self.partly.dataset == dataset else self.partly
        return replace(self, seen={**self.seen, dataset: run_id}, partly=partly)

    def partly_of(self, dataset: str, change: str | None) -> Partly | None:
        """Return which change of a dataset was told last behind the last run that was told whole, if any was."""
        partly = self.partly
        return partly if partly and (partly.dataset, partly.change) == (dataset, change) else None


def check_positions(positions: Positions, *, now: datetime) -> None:
    """See that a trigger begins in the past, behind runs that have begun.

    Raises:
        InvalidInput: Something is still to come: until then, nothing would be told.
    """
    times = (positions.since, *map(paths.started_at, positions.seen.values()))
    for instant in times:
        if not credible(instant, now=now):
            message = f"triggerState was given when the clock was at {rfc3339(instant)}, which is in the future"
            raise InvalidInput(message, target="triggerState", remedy="Leave it out to begin from now.")


def positions_text(positions: Positions) -> str:
    """Return positions as letters, digits, ``-`` and ``_``."""
    runs: dict[str, list[str]] = {}
    for dataset, run_id in sorted(positions.seen.items()):
        runs.setdefault(run_id, []).append(dataset)
    partly = positions.partly
    content = {
        "t": int(positions.since.timestamp()),
        "r": runs,
        **({"p": [partly.dataset, partly.run_id, partly.digest, partly.change]} if partly else {}),
    }
    packed = zlib.compress(json.dumps(content, separators=(",", ":")).encode(), level=9)
    return base64.urlsafe_b64encode(packed).rstrip(b"=").decode()


def read_positions(text: str) -> Positions:
    """Return the positions that a text stands for.

    Raises:
        InvalidInput: It is not one that a trigger of this app has given.
    """
    try:
        packed = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        return _positions(json.loads(_unpacked(packed)))
    except (zlib.error, ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError) as error:
        message = "triggerState is not one that a trigger of this app has given"
        raise InvalidInput(message, target="triggerState", remedy="Leave it out to begin from now.") from error


def _unpacked(packed: bytes) -> bytes:
    unpacking = zlib.decompressobj()
    content = unpacking.decompress(packed, _LARGEST)
    if not unpacking.eof or unpacking.unused_data:
        raise ValueError("it does not end as it should")
    return content


def _positions(content: dict[str, object]) -> Positions:
    since, runs, partly = content["t"], content["r"], content.get("p")
    if not isinstance(since, int) or not isinstance(runs, dict):
        raise TypeError("it has other values")
    seen = {str(dataset): _run_id(run_id) for run_id, datasets in runs.items() for dataset in datasets}
    return Positions(datetime.fromtimestamp(since, UTC), seen, _partly(partly) if partly is not None else None)


def _run_id(text: str) -> str:
    if paths.source_of(text) is None:
        raise ValueError("it names something that is not a run")
    return text


def _partly(content: object) -> Partly:
    match content:
        case [str() as dataset, str() as run_id, str() as digest, str() | None as change] if _DIGEST.fullmatch(digest):
            return Partly(dataset, _run_id(run_id), digest, change)
        case _:
            raise TypeError("it has other values")

"""Where things lie in the containers ``inventory`` and ``harvest-state``."""

import re
from datetime import UTC, datetime

from shared.avepoint.platform import SOURCES, Source

RUNS = "runs/"
WATERMARKS = "watermarks/"
LATEST = "latest/"

_RUN_ID = re.compile(rf"(?P<stamp>\d{{8}}T\d{{6}}Z)-(?P<source>{'|'.join(SOURCES)})(-[a-z0-9]{{6}})?")


def run_id(source: Source, started: datetime, *, suffix: str = "") -> str:
    """The id of a run: its instant in UTC, its source, and six characters where the instant is not a tick."""
    stamp = started.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")
    return f"{stamp}-{source}-{suffix}" if suffix else f"{stamp}-{source}"


def source_of(run: str) -> Source | None:
    """The source of a run id, or ``None`` when it is no run id."""
    match = _RUN_ID.fullmatch(run)
    return next((source for source in SOURCES if match and match["source"] == source), None)


def started_at(run: str) -> datetime:
    """The instant in a run id."""
    return datetime.strptime(run[:16], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)


def announced(source: Source) -> str:
    """The run of a source that is the last to begin, in ``harvest-state``."""
    return f"announced/{source}.json"


def run_document(run: str) -> str:
    """The run document, in ``harvest-state``."""
    return f"{RUNS}{run}/run.json"


def checkpoint(run: str, source: Source, dataset: str, partition: str) -> str:
    """The checkpoint of a partition, in ``harvest-state``."""
    return f"{RUNS}{run}/{source}/{dataset}/{partition}.json"


def keys(run: str, part_path: str) -> str:
    """The hashes of the keys of the items of a part, in ``harvest-state``."""
    return f"{RUNS}{run}/keys/{part_path}"


def parents(run: str, source: Source, dataset: str) -> str:
    """The parents that a run asks for, in ``harvest-state``."""
    return f"{RUNS}{run}/parents/{source}/{dataset}.json"


def parts(run: str, source: Source, dataset: str) -> str:
    """The folder of the parts of a snapshot, in ``inventory``."""
    return f"raw/{source}/{dataset}/date={started_at(run):%Y-%m-%d}/run={run}/"


def part(run: str, source: Source, dataset: str, partition: str, *, epoch: int, number: int) -> str:
    """A part, in ``inventory``: the epoch of its writer is in its name, so no two writers share a name."""
    return f"{parts(run, source, dataset)}part-{partition}-{epoch:04d}-{number:05d}.ndjson.gz"


def manifest(run: str, source: Source, dataset: str) -> str:
    """The manifest of a snapshot, in ``inventory``."""
    return f"manifests/{source}/{dataset}/{run}.json"


def watermark(source: Source, dataset: str) -> str:
    """The watermark of a windowed or child dataset, in ``harvest-state``."""
    return f"{WATERMARKS}{source}/{dataset}.json"


def remembered(source: Source, dataset: str, run: str) -> str:
    """What the next run has to know of the lines and the parents of a run, in ``harvest-state``."""
    return f"watermarks/{source}/{dataset}/{run}.bin"


def latest(source: Source, dataset: str) -> str:
    """The pointer to the newest published snapshot, in ``inventory``."""
    return f"{LATEST}{source}/{dataset}.json"

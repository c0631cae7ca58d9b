"""Where things lie in the containers ``inventory`` and ``harvest-state``."""

import re
from datetime import UTC, datetime
from typing import Annotated, NamedTuple

from pydantic import AfterValidator

from shared.avepoint.platform import SOURCES, Source

RUNS = "runs/"
OPEN_RUNS = "open/"
WATERMARKS = "watermarks/"
LATEST = "latest/"
MANIFESTS = "manifests/"

_RUN_ID = re.compile(rf"(?P<stamp>\d{{8}}T\d{{6}}Z)-(?P<source>{'|'.join(SOURCES)})(-[a-z0-9]{{6}})?", re.ASCII)


_MANIFEST = re.compile(rf"{MANIFESTS}(?P<source>[a-z]+)/(?P<dataset>[a-z0-9-]+)/(?P<run>[^/]+)\.json")
_KEYS = re.compile(rf"{RUNS}[^/]+/keys/")
_COMPANIONS = (".odd.ndjson", ".parents.ndjson")


class SnapshotName(NamedTuple):
    """Which snapshot: of which dataset, by which run."""

    source: Source
    dataset: str
    run: str


def snapshot_of(manifest_path: str) -> SnapshotName | None:
    """Return the snapshot whose manifest has this path, or ``None`` where this app gives no manifest such a path."""
    match = _MANIFEST.fullmatch(manifest_path)
    source = source_of(match["run"]) if match else None
    if match is None or source is None or source != match["source"]:
        return None
    return SnapshotName(source, match["dataset"], match["run"])


def is_companion(path: str) -> bool:
    """Whether a path below ``MANIFESTS`` is that of a list beside a manifest."""
    return snapshot_beside(path) is not None


def snapshot_beside(path: str) -> SnapshotName | None:
    """Return the snapshot whose list beside the manifest has this path, or ``None`` where it is not such a list."""
    suffix = next((one for one in _COMPANIONS if path.endswith(one)), None)
    return snapshot_of(f"{path.removesuffix(suffix)}.json") if suffix else None


def run_id(source: Source, started: datetime, *, suffix: str = "") -> str:
    """Return the id of a run: its instant in UTC, its source, and six characters where the instant is not a tick."""
    return f"{stamp(started)}-{source}-{suffix}" if suffix else f"{stamp(started)}-{source}"


def stamp(instant: datetime) -> str:
    """Return how the id of a run begins that started at an instant: ids are in order of time."""
    return instant.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")


def source_of(run: str) -> Source | None:
    """Return the source of a run id, or ``None`` when it is not one, or begins at an instant that never was."""
    match = _RUN_ID.fullmatch(run)
    if match is None:
        return None
    try:
        datetime.fromisoformat(match["stamp"])
    except ValueError:
        return None
    return next(source for source in SOURCES if match["source"] == source)


def started_at(run: str) -> datetime:
    """Return the instant in a run id."""
    return datetime.strptime(run[:16], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)


def _run_id(text: str) -> str:
    if source_of(text) is None:
        raise ValueError("it is not the id of a run")
    return text


RunId = Annotated[str, AfterValidator(_run_id)]
"""The id of a run in a stored document."""


def announced(source: Source) -> str:
    """Return the run of a source that is the last to begin, in ``harvest-state``."""
    return f"announced/{source}.json"


def run_document(run: str) -> str:
    """Return the run document, in ``harvest-state``."""
    return f"{RUNS}{run}/run.json"


def open_run(run: str) -> str:
    """Return the mark of a run that has not ended, in ``harvest-state``."""
    return f"{OPEN_RUNS}{run}"


def checkpoint(run: str, source: Source, dataset: str, partition: str) -> str:
    """Return the checkpoint of a partition, in ``harvest-state``."""
    return f"{RUNS}{run}/{source}/{dataset}/{partition}.json"


def keys(run: str, part_path: str) -> str:
    """Return the hashes of the keys of the items of a part, in ``harvest-state``."""
    return f"{RUNS}{run}/keys/{part_path}"


def is_keys(path: str) -> bool:
    """Whether a path in ``harvest-state`` is that of hashes of keys: not gzip, although it ends like its part."""
    return _KEYS.match(path) is not None


def parents(run: str, source: Source, dataset: str) -> str:
    """Return the parents that a run asks for, in ``harvest-state``."""
    return f"{RUNS}{run}/parents/{source}/{dataset}.json"


def neighbours(run: str, source: Source, dataset: str, digest: str = "") -> str:
    """Return the hashes of the lines around the window of a run, in ``harvest-state``, or the beginning of the path.

    The name holds a digest of the content, so that two workers never write over each other.
    """
    return f"{RUNS}{run}/neighbours/{source}/{dataset}/{digest}"


def parts(run: str, source: Source, dataset: str) -> str:
    """Return the folder of the parts of a snapshot, in ``inventory``."""
    return f"raw/{source}/{dataset}/date={started_at(run):%Y-%m-%d}/run={run}/"


def part(run: str, source: Source, dataset: str, partition: str, *, epoch: int, number: int) -> str:
    """Return a part, in ``inventory``: the epoch of its writer is in its name, so no two writers share a name."""
    return f"{parts(run, source, dataset)}part-{partition}-{epoch:04d}-{number:05d}.ndjson.gz"


def manifests(source: Source, dataset: str) -> str:
    """Return the folder of the manifests of a dataset, in ``inventory``."""
    return f"{MANIFESTS}{source}/{dataset}/"


def manifest(run: str, source: Source, dataset: str) -> str:
    """Return the manifest of a snapshot, in ``inventory``."""
    return f"{manifests(source, dataset)}{run}.json"


def watermark(source: Source, dataset: str) -> str:
    """Return the watermark of a windowed or child dataset, in ``harvest-state``."""
    return f"{WATERMARKS}{source}/{dataset}.json"


def odd_items(run: str, source: Source, dataset: str) -> str:
    """Return the first items of a snapshot that could not be read as documented, in ``inventory``."""
    return f"manifests/{source}/{dataset}/{run}.odd.ndjson"


def asked_parents_path(run: str, source: Source, dataset: str) -> str:
    """Return the parents that a snapshot was asked for, in ``inventory``."""
    return f"manifests/{source}/{dataset}/{run}.parents.ndjson"


def remembered(source: Source, dataset: str, run: str, digest: str) -> str:
    """Return what the next run has to know of the lines and the parents of a run, in ``harvest-state``.

    The name holds a digest of the content, so that two publishers never write over each other.
    """
    return f"watermarks/{source}/{dataset}/{run}-{digest}.bin"


def latest(source: Source, dataset: str) -> str:
    """Return the pointer to the newest published snapshot, in ``inventory``."""
    return f"{LATEST}{source}/{dataset}.json"

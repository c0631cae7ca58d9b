"""The columns of the tables that tell of all datasets."""

from collections.abc import Mapping
from typing import Final

from shared.tables.schema.columns import ColumnType

SNAPSHOTS: Final[Mapping[str, ColumnType]] = {
    "source": "string",
    "dataset": "string",
    "run_id": "string",
    "verdict": "string",
    "items": "long",
    "duplicates": "long",
    "added": "long",
    "removed": "long",
    "changed": "long",
    "volatile_only": "long",
    "requests": "long",
    "wait_seconds": "double",
    "bytes": "long",
    "finished_at": "timestamp",
}

HISTORY: Final[Mapping[str, ColumnType]] = {
    "day": "string",
    "source": "string",
    "dataset": "string",
    "field": "string",
    "value": "string",
    "items": "long",
}

DRIFT: Final[Mapping[str, ColumnType]] = {
    "run_id": "string",
    "source": "string",
    "dataset": "string",
    "field": "string",
    "event": "string",
    "count": "long",
}

HISTORY_COMMENTS: Final[Mapping[str, str]] = {
    "source": "enpower, graph or elements.",
    "dataset": "The dataset.",
    "run_id": "The run that made the snapshot.",
    "verdict": "How sure it is that the snapshot is whole.",
    "items": "How many items; in the history, how many have that value.",
    "duplicates": "How many items had the key of another one.",
    "added": "How many rows are new; null where no changes are told.",
    "removed": "How many rows are gone; null where no changes are told.",
    "changed": "How many rows differ; null where no changes are told.",
    "volatile_only": "How many rows differ only in fields that move by themselves.",
    "requests": "How many requests the harvest took.",
    "wait_seconds": "How long the harvest waited for AvePoint.",
    "bytes": "The size of the raw parts, compressed.",
    "finished_at": "When the snapshot was finished.",
    "day": "The day of the run, YYYY-MM-DD.",
    "field": "The field that is counted by; null for all items.",
    "value": "Its value; (other) for those beyond the 200 most frequent.",
    "event": "new, vanished, typed, rescued or renamed.",
    "count": "How many values that concerns.",
}
"""What each column means, whichever table it stands in."""

"""The columns of a table of changes."""

from collections.abc import Mapping
from typing import Final

from shared.tables.schema.columns import ColumnType

CHANGES: Final[Mapping[str, ColumnType]] = {
    "key": "string",
    "change": "string",
    "sure": "boolean",
    "fields": "string",
    "before": "json",
    "after": "json",
    "run_id": "string",
    "previous_run_id": "string",
    "at": "timestamp",
}

CHANGES_COMMENTS: Final[Mapping[str, str]] = {
    "key": "The key of the row, as in _key.",
    "change": "added, removed or changed.",
    "sure": "Whether it is sure; only a removal may not be.",
    "fields": "The fields that differ, separated by commas; empty for added and removed.",
    "before": "The row, or the fields that differ, as it was.",
    "after": "The row, or the fields that differ, as it is.",
    "run_id": "The run whose snapshot shows the change.",
    "previous_run_id": "The run whose snapshot it is compared with.",
    "at": "When that snapshot was finished.",
}

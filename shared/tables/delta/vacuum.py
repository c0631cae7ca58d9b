"""Deletes what a table does not need any more: replaced files, files nobody committed, and old log files."""

import re
from datetime import datetime, timedelta
from typing import Final

from shared.azure.storage import Container, Storage
from shared.tables.delta.actions import DeltaTable
from shared.tables.delta.log import CHECKPOINT_EVERY, DeltaLog

ABANDONED: Final = timedelta(days=1)
"""After this time a file that no commit names belongs to nobody."""

_LOG_FILE: Final = re.compile(r"(?P<version>\d{20})\.(?P<kind>json|checkpoint\.parquet)")


async def vacuum(storage: Storage, log: DeltaLog, table: DeltaTable, *, now: datetime, keep: timedelta) -> int:
    """Delete what is old, and return how many blobs that were.

    Args:
        table: As it is.
        keep: How long replaced files, and the versions that need them, stay readable.
    """
    prefix = f"{log.name}/"
    listed = [one async for one in storage.list_details(Container.TABLES, prefix) if "/_delta_log/" not in one.path]
    old = [
        one.path for one in listed if _is_old(one.path.removeprefix(prefix), one.modified, table, now=now, keep=keep)
    ]
    old += await _old_log_files(storage, log, table, now - keep)
    for path in old:
        await storage.delete(Container.TABLES, path)
    return len(old)


def _is_old(name: str, modified: datetime, table: DeltaTable, *, now: datetime, keep: timedelta) -> bool:
    if name in table.files:
        return False
    removed_at = table.removed.get(name)
    if removed_at is not None:
        return removed_at < now - keep
    return modified < now - max(keep, ABANDONED)


async def _old_log_files(storage: Storage, log: DeltaLog, table: DeltaTable, before: datetime) -> list[str]:
    """Return the log files that are older than what is kept, and that a checkpoint stands for."""
    first_kept = table.version - table.version % CHECKPOINT_EVERY
    listed = [one async for one in storage.list_details(Container.TABLES, f"{log.name}/_delta_log/")]
    known = [(one, match) for one in listed if (match := _LOG_FILE.fullmatch(one.path.rpartition("/")[2]))]
    checkpoints = sorted(int(match["version"]) for _, match in known if match["kind"] != "json")
    kept_by_time = [int(match["version"]) for one, match in known if match["kind"] == "json" and one.modified >= before]
    oldest_needed = min([*kept_by_time, first_kept])
    base = max((number for number in checkpoints if number <= oldest_needed), default=None)
    if base is None:
        return []
    return [one.path for one, match in known if int(match["version"]) < base]

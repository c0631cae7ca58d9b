"""The end of counts by value: a value may name a person, as an environment that is called after its owner does.

How many items there were in all is kept for good.
"""

from collections.abc import Sequence
from typing import Final

from shared.tables.delta.actions import Commit, DataFile, DeltaTable
from shared.tables.engine.connection import Engine, literal
from shared.tables.engine.parquet import download, write_parquet
from shared.tables.history.appending import GrowingTable

_SINCE: Final = "from"
"""The tag of a file that says from which day on it may hold counts by value."""

_ENDING: Final = "avepoint-functions-history"


def values_since(files: Sequence[DataFile]) -> dict[str, str]:
    """Return the tags of a file that takes the place of several."""
    return {_SINCE: min(_since(file) for file in files)}


async def drop_old_values(engine: Engine, table: GrowingTable, current: DeltaTable, *, before: str) -> DeltaTable:
    """Take the counts by value out of ``inventory_history`` that are of days before one.

    Args:
        current: The table as it is.
    """
    for file in [one for one in current.files.values() if _since(one) < before]:
        current = await _without_old_values(engine, table, file, before)
    return current


async def _without_old_values(engine: Engine, table: GrowingTable, file: DataFile, before: str) -> DeltaTable:
    copy = await download(table.storage, f"{table.name}/{file.path}", engine.scratch("parquet"))
    rows = f"SELECT * FROM read_parquet({literal(str(copy))}) WHERE field IS NULL OR day >= {literal(before)}"
    written = await write_parquet(engine, rows, engine.scratch("parquet"))
    copy.unlink()
    kept = await table.keep_file(written, tags={_SINCE: before})

    def plan(current: DeltaTable) -> Commit | None:
        if file.path not in current.files:
            return None
        return Commit(_ENDING, current.version + 1, "DELETE", add=(kept,) if kept.rows else (), remove=(file.path,))

    return await table.log.commit(engine, plan, keep_since=table.keep_since)


def _since(file: DataFile) -> str:
    return file.tags.get(_SINCE) or file.tags.get("day", "")

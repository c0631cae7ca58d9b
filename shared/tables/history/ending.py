"""The end of counts by value: a value may name a person, as an environment that is called after its owner does.

How many items there were in all is kept for good.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from shared.tables.delta.actions import Commit, DataFile, DeltaTable
from shared.tables.engine.connection import Engine, literal
from shared.tables.engine.parquet import download, write_parquet
from shared.tables.history.appending import GrowingTable
from shared.tables.schema.columns import TableSpec

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


async def drop_hidden_values(engine: Engine, table: GrowingTable, spec: TableSpec) -> None:
    """Take the counts by fields of a dataset that have been hidden since out of ``inventory_history``."""
    ours = f"source = {literal(spec.source)} AND dataset = {literal(spec.dataset)}"
    of = f"{spec.source}/{spec.dataset}"
    current = await table.log.read(engine)
    for file in [one for one in current.files.values() if one.tags.get("of", of) == of]:
        copy = await download(table.storage, f"{table.name}/{file.path}", engine.scratch("parquet"))
        named = f"SELECT DISTINCT field FROM read_parquet({literal(str(copy))}) WHERE {ours} AND field IS NOT NULL"
        hidden = [field for (field,) in await engine.rows(named) if spec.is_hidden(field)]
        if hidden:
            among = ", ".join(map(literal, hidden))
            await _keep_only(
                engine, table, file, copy, f"field IS NULL OR NOT ({ours} AND field IN ({among}))", tags=file.tags
            )
        copy.unlink()


async def _without_old_values(engine: Engine, table: GrowingTable, file: DataFile, before: str) -> DeltaTable:
    copy = await download(table.storage, f"{table.name}/{file.path}", engine.scratch("parquet"))
    current = await _keep_only(
        engine, table, file, copy, f"field IS NULL OR day >= {literal(before)}", tags={_SINCE: before}
    )
    copy.unlink()
    return current


async def _keep_only(
    engine: Engine, table: GrowingTable, file: DataFile, copy: Path, condition: str, *, tags: Mapping[str, str]
) -> DeltaTable:
    """Let the rows of a file that meet a condition take its place."""
    rows = f"SELECT * FROM read_parquet({literal(str(copy))}) WHERE {condition}"
    written = await write_parquet(engine, rows, engine.scratch("parquet"))
    kept = await table.keep_file(written, tags=tags)

    def plan(current: DeltaTable) -> Commit | None:
        if file.path not in current.files:
            return None
        return Commit(_ENDING, current.version + 1, "DELETE", add=(kept,) if kept.rows else (), remove=(file.path,))

    return await table.log.commit(engine, plan, keep_since=table.keep_since)


def _since(file: DataFile) -> str:
    return file.tags.get(_SINCE) or file.tags.get("day", "")

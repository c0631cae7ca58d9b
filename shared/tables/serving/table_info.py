"""What ``GET /datasets`` tells of tables."""

from collections.abc import Mapping
from functools import partial

from shared.avepoint.platform import Source
from shared.azure.bounded_map import bounded_map
from shared.azure.storage import Container, Storage
from shared.document import Document
from shared.errors import StoredFault
from shared.settings import Settings
from shared.tables.build import names
from shared.tables.build.state import TableCondition, TableState

type TableStates = Mapping[tuple[Source, str], TableState | StoredFault]
"""The state of each table that has one; or what is wrong with it, where it cannot be read."""


class TableInfo(Document):
    """The table of a dataset: the snapshot it names, its version, and how it is with it."""

    run_id: str | None
    version: int | None
    rows: int | None
    state: TableCondition
    reason: str | None


async def table_states(storage: Storage) -> TableStates:
    """Return the state of each table that has one; or what is wrong with it, where it cannot be read."""
    listed = [path async for path in storage.list(Container.HARVEST_STATE, names.STATES) if path.endswith(".json")]
    read = await bounded_map(partial(storage.read, Container.HARVEST_STATE), listed)
    found: dict[tuple[Source, str], TableState | StoredFault] = {}
    for path, stored in zip(listed, read, strict=True):
        source, _, dataset = path.removeprefix(names.STATES).removesuffix(".json").partition("/")
        if stored is not None:
            found[source, dataset] = _read(stored.data)  # type: ignore[index]  # a source, as the path was made from one
    return found


def table_info(
    state: TableState | StoredFault | None, settings: Settings, source: Source, dataset: str, *, latest_run: str | None
) -> TableInfo:
    """Return what is told of one table; pure.

    Args:
        latest_run: The newest published snapshot.
    """
    if isinstance(state, StoredFault):
        return TableInfo(run_id=None, version=None, rows=None, state="failed", reason=state.text)
    known = state or TableState(source=source, dataset=dataset)
    condition = _condition(known, latest_run) if names.is_enabled(settings, source, dataset) else "off"
    reason = " ".join(filter(None, (known.reason, known.remedy))) if condition == "failed" else None
    return TableInfo(run_id=known.ground.run_id, version=known.version, rows=known.rows, state=condition, reason=reason)


def _read(data: bytes) -> TableState | StoredFault:
    try:
        return TableState.from_json(data)
    except StoredFault as error:
        return error


def _condition(state: TableState, latest_run: str | None) -> TableCondition:
    if state.build is not None or state.redo is not None or state.requested is not None:
        return "building"
    if state.reason is not None:
        return "failed"
    return "current" if latest_run is None or latest_run in state.ground.applied else "behind"

"""What others ask of builds: a table made again, a build given up, what fell silent woken."""

import logging
from contextlib import suppress
from datetime import datetime, timedelta
from functools import partial
from typing import Final

from shared.avepoint.catalog import Dataset, catalog
from shared.avepoint.platform import Source
from shared.azure.bounded_map import bounded_map
from shared.azure.documents import update
from shared.azure.lease import ATTEMPTS
from shared.azure.storage import Container
from shared.clock import is_recent
from shared.closest import closest_hint
from shared.errors import AppError, NotFound, NotReady, StoredFault
from shared.harvest.plan import paths
from shared.harvest.snapshots.manifest import Latest, read_latest
from shared.harvest.snapshots.table_builds import TableAddress, enqueue_build
from shared.services import Services
from shared.tables.build import names
from shared.tables.build.snapshots import is_waiting
from shared.tables.build.state import Rebuild, TableCondition, TableState, read_state
from shared.telemetry.events import log_event

BUILD_SILENCE: Final = timedelta(minutes=5)
"""How long a build that nobody holds may be quiet before it is woken."""

log = logging.getLogger(__name__)


async def request_rebuild(services: Services, source: Source, dataset: str, mode: Rebuild) -> None:
    """Ask for the tables of a dataset to be made again from its snapshots.

    Changes that somebody has asked for before, and that have not been made again yet, are made again all the same.

    Raises:
        NotFound: There is no such dataset.
        NotReady: It has no table: tables are switched off for it, or nothing has been published.
    """
    if (source, dataset) not in catalog():
        known = [name for owner, name in catalog() if owner == source]
        raise NotFound(f"there is no dataset {source}/{dataset}{closest_hint(dataset, known)}")
    if not names.is_enabled(services.settings, source, dataset):
        raise NotReady(f"tables are switched off for {source}/{dataset}", remedy="Name the dataset in TABLES_DATASETS.")
    if await read_latest(services.storage, source, dataset) is None:
        raise NotReady(f"{source}/{dataset} has no published snapshot", remedy="Harvest the dataset first.")

    def change(state: TableState | None) -> TableState:
        standing = state or TableState(source=source, dataset=dataset)
        waiting = {mode, standing.requested, standing.redo.mode if standing.redo else None}
        return standing.model_copy(update={"requested": "changes" if "changes" in waiting else "table"})

    path = names.state_path(source, dataset)
    await update(services.storage, Container.HARVEST_STATE, path, TableState, change)
    await enqueue_build(services.storage, source, dataset)


async def fail_build(services: Services, address: TableAddress) -> None:
    """Write down that all attempts at a build are spent; the old table stays, and the sweep tries again."""
    latest = await read_latest(services.storage, address.source, address.dataset)
    now, reason, is_free = services.clock(), f"the build failed {ATTEMPTS} times", False

    def change(state: TableState | None) -> TableState | None:
        nonlocal is_free
        is_free = state is not None and state.held_until(now) is None
        if state is None or not is_free:
            return None
        run_id = latest.run_id if latest else None
        return state.failed(reason, "The log says why; the app tries again within the hour.", run_id=run_id, now=now)

    path = names.state_path(address.source, address.dataset)
    with suppress(StoredFault):  # what cannot be read is named where datasets are listed
        await update(services.storage, Container.HARVEST_STATE, path, TableState, change)
        if is_free:
            fields = {"source": address.source, "dataset": address.dataset}
            log_event(log, "table.failed", logging.ERROR, **fields, reason=reason)


async def sweep_tables(services: Services) -> None:
    """Wake the builds that fell silent, whose message was lost, or that failed some time ago; log how all are."""
    listed = [path async for path in services.storage.list(Container.INVENTORY, paths.LATEST)]
    await bounded_map(partial(_look_after, services), listed)


async def _look_after(services: Services, path: str) -> None:
    source, _, dataset = path.removeprefix(paths.LATEST).removesuffix(".json").partition("/")
    known = next((one for one in catalog().values() if (one.source, one.name) == (source, dataset)), None)
    if known is None or not names.is_enabled(services.settings, known.source, known.name):
        return
    try:
        stored = await services.storage.read(Container.INVENTORY, path)
        state = await _readable_state(services, known)
        latest = Latest.from_json(stored.data) if stored else None
        if latest is not None:
            log_event(log, "table.aged", source=known.source, dataset=known.name, state=_aged(state, latest.run_id))
        if latest is not None and await _waits_in_vain(services, known, state, latest):
            await enqueue_build(services.storage, known.source, known.name)
            log_event(log, "table.woken", logging.WARNING, source=known.source, dataset=known.name)
    except AppError as error:
        log_event(log, "sweep.failed", logging.ERROR, what=f"table of {source}/{dataset}", error=error)


async def _readable_state(services: Services, dataset: Dataset) -> TableState:
    """Return the state of a table; one that cannot be read is raised, and counts as a table that failed."""
    try:
        return (await read_state(services.storage, dataset.source, dataset.name)).value
    except StoredFault:
        log_event(log, "table.aged", source=dataset.source, dataset=dataset.name, state="failed")
        raise


def _aged(state: TableState, run_id: str) -> TableCondition:
    if state.reason is not None:
        return "failed"
    return "current" if run_id in state.ground.applied else "behind"


async def _waits_in_vain(services: Services, dataset: Dataset, state: TableState, latest: Latest) -> bool:
    """Return whether a build waits for a message that seems to be lost."""
    now = services.clock()
    return is_silent_build(state, latest, now=now) and await is_waiting(
        services.storage, dataset, state, latest, now=now
    )


def is_silent_build(state: TableState, latest: Latest, *, now: datetime) -> bool:
    """Return whether nobody builds a table, and whoever was to do so should have begun; pure."""
    if state.held_until(now) is not None:
        return False
    signs = filter(None, (latest.finished_at, state.touched_at, state.hold.until if state.hold else None))
    return not any(is_recent(sign, within=BUILD_SILENCE, now=now) for sign in signs)

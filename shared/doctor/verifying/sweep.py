"""Verifies what is stored without being asked: a bounded piece at each sweep, the newest first.

Everything is seen once within ``VERIFY_DAYS``. How far it is lies in ``verification.json``; two sweeps at once do the
same twice and no harm, for the first one to write it wins.
"""

import asyncio
import logging
from collections.abc import Callable
from datetime import datetime, timedelta
from importlib import import_module

from shared.azure.documents import Versioned
from shared.azure.storage import Container, Storage
from shared.clock import is_recent
from shared.doctor.verifying.anchors import export_anchors
from shared.doctor.verifying.documents import STATE, Verification, VerifiedKind, read_verification
from shared.doctor.verifying.evidence import EvidenceTurn
from shared.doctor.verifying.snapshots import SnapshotsTurn
from shared.errors import AppError, Conflict, Misconfigured, StorageUnavailable, StoredFault
from shared.services import Services
from shared.telemetry.events import log_event

TURN = timedelta(seconds=20)
"""How long one sweep verifies snapshots, tables and evidence each; what is begun is ended."""

LOOKED_AGAIN = timedelta(hours=1)
"""How often storage is listed once a pass is over."""

log = logging.getLogger(__name__)


async def sweep_anchors(services: Services) -> None:
    """Keep the hashes of new evidence outside of its account; what fails is tried again by the next sweep."""
    try:
        count = await export_anchors(
            services.storage, services.tables, now=services.clock(), time_left=_for_a_turn(services)
        )
    except AppError as error:
        log_event(log, "sweep.failed", logging.WARNING, what="keeping anchors of evidence", error=error)
    else:
        if count:
            log_event(log, "evidence.anchored", pieces=count)


async def sweep_stored(services: Services) -> None:
    """Verify the next piece of what is stored, and tell what was found; storage that is away is no finding."""
    days = services.settings.verify_days
    if not days:
        return
    try:
        stored = await read_verification(services.storage)
        state = _due(stored.value if stored else None, days, services.clock())
        if state is not None:
            await _verify(services, Versioned(state, stored.etag if stored else None))
    except (Conflict, StorageUnavailable, Misconfigured) as error:
        log_event(log, "sweep.failed", logging.WARNING, what="verifying what is stored", error=error)
    except StoredFault as fault:
        log_event(log, "sweep.failed", logging.ERROR, what="verifying what is stored", error=fault.text)


def _due(state: Verification | None, days: float, now: datetime) -> Verification | None:
    """Return the state to go on from; ``None`` while there is nothing to do. Pure."""
    if state is None:
        return Verification(started_at=now)
    if state.ended_at is None:
        return state
    if not is_recent(state.started_at, within=timedelta(days=days), now=now):
        return state.begun_again(now)
    if state.looked_at is not None and is_recent(state.looked_at, within=LOOKED_AGAIN, now=now):
        return None
    return state


async def _verify(services: Services, standing: Versioned[Verification]) -> None:
    now, storage = services.clock(), services.storage
    snapshots = SnapshotsTurn(storage, standing.value, now)
    await snapshots.work(_for_a_turn(services))
    etag = await _keep(storage, snapshots.state, standing.etag)
    _tell(snapshots.state, "snapshot", now)

    await asyncio.to_thread(import_module, "shared.doctor.verifying.tables")  # with its engine, which takes a second
    from shared.doctor.verifying.tables import TablesTurn

    tables = TablesTurn(services, snapshots.state, now)
    tables_done = await tables.work(_for_a_turn(services))
    etag = await _keep(storage, tables.state, etag)
    _tell(tables.state, "table", now)

    evidence = EvidenceTurn(storage, tables.state, now)
    await evidence.work(_for_a_turn(services))
    state = evidence.state.model_copy(update={"looked_at": now})
    if state.ended_at is None and tables_done and state.snapshots.ended and state.evidence.ended:
        state = state.model_copy(update={"ended_at": services.clock()})
    await _keep(storage, state, etag)
    _tell(state, "evidence", now)
    ended = state.ended_at is not None
    log_event(log, "verify.swept", since=state.started_at, ended=ended, findings=len(state.findings))


def _for_a_turn(services: Services) -> Callable[[], bool]:
    until = services.clock() + TURN
    return lambda: services.clock() < until


async def _keep(storage: Storage, state: Verification, etag: str | None) -> str:
    return await storage.write(Container.HARVEST_STATE, STATE, state.to_json(), etag=etag)


def _tell(state: Verification, kind: VerifiedKind, now: datetime) -> None:
    """Log what a turn has found, or found again."""
    for one in state.findings:
        if one.kind == kind and one.seen_at == now:
            log_event(
                log,
                "verify.finding",
                logging.ERROR,
                kind=one.kind,
                source=one.source,
                dataset=one.dataset,
                path=one.fault.path,
                problem=one.fault.problem,
            )

"""``python -m shared.doctor --repair``: what does not fit together in storage, and setting it right."""

import asyncio
import random
import sys
from collections.abc import AsyncIterator

from shared.azure.misfits import Repair
from shared.azure.storage import Storage
from shared.clock import Clock, utc_now
from shared.errors import AppError
from shared.harvest.runs.repairing import repairs
from shared.opus.evidence.archive import Archive
from shared.opus.ledger.store import OperationStore
from shared.opus.restoring.chains import chain_repairs
from shared.opus.restoring.operations import operation_repairs
from shared.services import storages_alone
from shared.settings import load_storage_settings, say
from shared.tables.build.repairing import table_repairs


def repair(*, apply: bool) -> int:
    """Say what does not fit together and, with ``apply``, set it right.

    Returns:
        The exit status: 0 when nothing is left that does not fit, 1 when something is, 2 when storage cannot be read.
    """
    try:
        return asyncio.run(_repaired(apply=apply))
    except AppError as error:
        sys.stderr.write(f"{error.text}\n")
        return 2


async def all_repairs(storage: Storage, tables: Storage, *, clock: Clock) -> AsyncIterator[Repair]:
    """Yield what can be done about everything that does not fit together, while the app does not work.

    Each is set right before the next is looked for: a table depends on ``latest``, a chain on its operations.
    """
    now = clock()
    async for one in repairs(storage, now=now):
        yield one
    async for one in table_repairs(storage, tables, clock=clock):
        yield one
    store = OperationStore(storage)
    archive = Archive(store, clock=clock, sleep=asyncio.sleep, random=random.random)
    async for one in chain_repairs(storage, archive, now=now, is_off=True):
        yield one
    async for one in operation_repairs(store, archive, now=now, is_off=True):
        yield one


async def _repaired(*, apply: bool) -> int:
    async with storages_alone(load_storage_settings()) as (storage, tables):
        found, left = await _repair_all(storage, tables, apply=apply)
    done = "were repaired" if apply else "can be repaired with --apply"
    say(f"{found} problems found; {found - left} {done}")
    return 1 if left or (found and not apply) else 0


async def _repair_all(storage: Storage, tables: Storage, *, apply: bool) -> tuple[int, int]:
    """Return how many problems there are, and how many of them a person has to solve."""
    found = left = 0
    async for one in all_repairs(storage, tables, clock=utc_now):
        found += 1
        say(f"{one.misfit.path}: {one.misfit.fault}\n  -> {one.words}")
        if one.is_left:
            left += 1
        elif apply:
            await one.apply()
    return found, left

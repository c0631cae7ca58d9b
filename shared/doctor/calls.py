"""Who used to call, and does not any more: one mark for each caller, function and day.

The marks lie in ``harvest-state`` below ``calls/``. What somebody called regularly is missed once it stays away for
more than twice its longest pause; a month later it counts as given up.
"""

import logging
from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress
from datetime import date, datetime, timedelta
from itertools import pairwise

from shared.azure.bounded_map import bounded_map
from shared.azure.damage import note_strange, note_unusable
from shared.azure.per_storage import PerStorage
from shared.azure.storage import Container, Storage
from shared.clock import TOLERANCE
from shared.errors import Conflict, FutureTime
from shared.telemetry.events import log_event

CALLS = "calls/"
CALLED_BY_FLOWS = frozenset(
    {"destroy_records", "list_due_records", "on_change", "on_snapshot", "start_harvest", "submit_records"}
)
"""The functions that programs call: people open the others, who may be on holiday."""

CALLS_KEPT = timedelta(days=200)
GIVEN_UP_AFTER = timedelta(days=30)

_AHEAD = "The clock of its writer was wrong: delete it."
_FEWEST = 3
_SHORTEST = timedelta(days=2)

log = logging.getLogger(__name__)
_noted: PerStorage[set[str]] = PerStorage(set)


async def note_call(storage: Storage, *, caller: str, function: str, now: datetime) -> None:
    """Leave the mark of a day, unless this process has left it."""
    path = f"{CALLS}{caller.replace(':', '-')}/{function}/{now.date().isoformat()}"
    noted = _noted.of(storage)
    if path in noted:
        return
    with suppress(Conflict):  # another process was faster
        await storage.write(Container.HARVEST_STATE, path, b"", etag=None)
    noted.add(path)


async def tell_missed_calls(storage: Storage, *, now: datetime) -> None:
    """Log which calls are missed, and delete marks that nobody needs any more."""
    called: dict[tuple[str, str], list[date]] = defaultdict(list)
    old = list[str]()
    async for path in storage.list(Container.HARVEST_STATE, CALLS):
        mark = _mark_of(path)
        if mark is None:
            note_strange(f"{Container.HARVEST_STATE}/{path}")
            continue
        caller, function, day = mark
        if day > (now + TOLERANCE).date():
            note_unusable(f"{Container.HARVEST_STATE}/{path}", FutureTime("its day is in the future", remedy=_AHEAD))
            continue
        called[caller, function].append(day)
        if day < (now - CALLS_KEPT).date():
            old.append(path)
    for (caller, function), days in called.items():
        if is_missed(days, now.date()):
            log_event(log, "call.missed", logging.WARNING, caller=caller, function=function, last=max(days).isoformat())

    async def delete(path: str) -> None:
        await storage.delete(Container.HARVEST_STATE, path)

    await bounded_map(delete, old)


def _mark_of(path: str) -> tuple[str, str, date] | None:
    """Return caller, function and day of a mark; ``None`` where the app gives no mark such a path."""
    try:
        caller, function, day = path.removeprefix(CALLS).split("/")
        return caller, function, date.fromisoformat(day)
    except ValueError:
        return None


def is_missed(days: Sequence[date], today: date) -> bool:
    """Whether somebody who called on these days, in order, used to do so and does not any more. Pure."""
    if len(days) < _FEWEST:
        return False
    longest = max(later - earlier for earlier, later in pairwise(days))
    patience = max(_SHORTEST, 2 * longest)
    return patience < today - days[-1] <= patience + GIVEN_UP_AFTER

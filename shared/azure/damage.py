"""Damage is local: what cannot be read is passed over and named, and everything else goes on."""

import logging
from collections import OrderedDict
from collections.abc import Awaitable

from shared.errors import DamagedDocument, StoredFault
from shared.telemetry.events import log_event
from shared.telemetry.redaction import bounded

log = logging.getLogger(__name__)

_MOST = 100
_WHOSE = "Delete it, unless another version of the app needs it."
_found: OrderedDict[str, str] = OrderedDict()


async def unless_unusable[T](what: str, reading: Awaitable[T]) -> T | None:
    """Return what ``reading`` gives; ``None`` where what is stored cannot be used, which is logged and remembered.

    Args:
        what: Names the thing, for the log and for the details of health: a path, a run, an operation.
    """
    try:
        value = await reading
    except StoredFault as fault:
        note_unusable(what, fault)
        return None
    _found.pop(what, None)
    return value


def note_unusable(what: str, fault: StoredFault) -> None:
    """Log what cannot be used, and remember it for the details of health."""
    log_event(log, "stored.unusable", logging.WARNING, what=what, reason=fault)
    _found[what] = bounded(fault.text, 500)
    _found.move_to_end(what)
    if len(_found) > _MOST:
        _found.popitem(last=False)


def note_strange(path: str) -> None:
    """Log and remember a blob whose name says nothing to this version, in a folder where names say everything.

    Args:
        path: With its container.
    """
    note_unusable(path, DamagedDocument("its name says nothing to this version of the app", remedy=_WHOSE))


def unusable() -> dict[str, str]:
    """Return what this process has found unusable and not read since, with the reason; the newest hundred."""
    return dict(_found)

"""Submits that come without an idempotency key: their body is the key, for two hours.

``remembered/{hash}.json`` in the container ``opus-operations`` says when a body was first seen.
"""

from datetime import datetime, timedelta

from shared.document import Document
from shared.errors import Conflict
from shared.opus.identity import fingerprint, operation_id
from shared.opus.ledger import Ledger
from shared.storage import Container, Storage, Stored

SPAN = timedelta(hours=2)


class Memory(Document):
    """When a body was first seen."""

    since: datetime


async def remembered_key(caller: str, asked: str, *, storage: Storage, ledger: Ledger, now: datetime) -> str:
    """The key of a submit that came without one: the same for two hours, unless all of it failed.

    Args:
        asked: The fingerprint of connection and body.
    """
    digest = fingerprint([caller, asked])
    stored = await storage.read(Container.OPERATIONS, _path(digest))
    memory = Memory.from_json(stored.data) if stored else None
    if memory is None or now - memory.since >= SPAN or await _failed(caller, _key(digest, memory), ledger):
        memory = await _remember(digest, Memory(since=now), stored, storage)
    return _key(digest, memory)


async def forget_body(storage: Storage, ledger: Ledger, operation_id: str, *, now: datetime) -> None:
    """Forget the body of an operation, unless it came again meanwhile."""
    opening = await ledger.opening(operation_id)
    if opening is None:
        return
    path = _path(fingerprint([opening.order.caller, opening.order.fingerprint]))
    stored = await storage.read(Container.OPERATIONS, path)
    if stored and now - Memory.from_json(stored.data).since >= SPAN:
        await storage.delete(Container.OPERATIONS, path)


async def _failed(caller: str, key: str, ledger: Ledger) -> bool:
    finished = await ledger.finished(operation_id(caller, "submit", key))
    return finished is not None and finished.status == "Failed"


async def _remember(digest: str, memory: Memory, stored: Stored | None, storage: Storage) -> Memory:
    """Remember a body anew, unless somebody else just did."""
    path = _path(digest)
    try:
        if stored is None:
            await storage.create(Container.OPERATIONS, path, memory.to_json())
        else:
            await storage.replace(Container.OPERATIONS, path, memory.to_json(), etag=stored.etag)
    except Conflict:
        theirs = await storage.read(Container.OPERATIONS, path)
        return Memory.from_json(theirs.data) if theirs else memory
    return memory


def _path(digest: str) -> str:
    return f"remembered/{digest}.json"


def _key(digest: str, memory: Memory) -> str:
    return f"body:{digest}:{memory.since.isoformat()}"

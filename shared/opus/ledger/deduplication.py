"""Submits that come without an idempotency key: their body is the key, for two hours.

In the container ``opus-operations``, ``remembered/{hash}.json`` says when a body was first seen, and
``connections/{hash}.json`` which submit to a connection was the last. A body is only the same call while its operation
is that one: what was submitted after it must not be undone by an answer that is given again.
"""

import asyncio
from datetime import datetime, timedelta

from shared.azure.damage import note_unusable
from shared.azure.storage import Container, Storage
from shared.clock import is_recent
from shared.document import StoredDocument
from shared.errors import Conflict, DamagedDocument, NewerDocument
from shared.opus.intake.identity import fingerprint, operation_id
from shared.opus.ledger.documents import Order
from shared.opus.ledger.store import OperationStore

SPAN = timedelta(hours=2)


class FirstSeen(StoredDocument):
    """When a body was first seen."""

    since: datetime


class LastSubmit(StoredDocument):
    """The last submit to a connection."""

    operation_id: str


async def body_id(caller: str, connection: str, asked: str, *, store: OperationStore, now: datetime) -> str:
    """Return the id of the operation of a submit that came without a key.

    Args:
        asked: The fingerprint of connection and body.
    """
    digest = fingerprint([caller, asked])
    path = _path(digest)
    (known, etag), last = await asyncio.gather(
        _read(store.storage, path, FirstSeen), _last_submit(store.storage, connection)
    )
    if known and is_recent(known.since, within=SPAN, now=now):
        earlier = operation_id(caller, "submit", _key(digest, known))
        if last in {None, earlier} and not await _failed(earlier, store):
            return earlier
    seen = await _remember(path, FirstSeen(since=now), etag, store.storage)
    return operation_id(caller, "submit", _key(digest, seen))


async def note_last_submit(store: OperationStore, order: Order) -> None:
    """Remember a submit as the last one of its connection; what a newer version of the app remembers is left alone."""
    if order.kind != "submit" or order.connection is None:
        return
    last, path = LastSubmit(operation_id=order.operation_id), _connection_path(order.connection)
    while True:
        try:
            known, etag = await _read(store.storage, path, LastSubmit)
            if known != last:
                await store.storage.write(Container.OPERATIONS, path, last.to_json(), etag=etag)
        except Conflict:
            continue
        except NewerDocument as fault:
            note_unusable(f"{Container.OPERATIONS}/{path}", fault)
        return


async def forget_body(store: OperationStore, operation_id: str, *, now: datetime) -> None:
    """Forget the body of an operation, unless it came again meanwhile."""
    opening = await store.opening(operation_id)
    if opening is None:
        return
    path = _path(fingerprint([opening.order.caller, opening.order.fingerprint]))
    known, _ = await _read(store.storage, path, FirstSeen)
    if known and not is_recent(known.since, within=SPAN, now=now):
        await store.storage.delete(Container.OPERATIONS, path)


async def _last_submit(storage: Storage, connection: str) -> str | None:
    known, _ = await _read(storage, _connection_path(connection), LastSubmit)
    return known.operation_id if known else None


async def _failed(operation: str, store: OperationStore) -> bool:
    finished = await store.finished(operation)
    return finished is not None and finished.status == "Failed"


async def _remember(path: str, seen: FirstSeen, etag: str | None, storage: Storage) -> FirstSeen:
    """Remember a body anew, unless somebody else just did."""
    try:
        await storage.write(Container.OPERATIONS, path, seen.to_json(), etag=etag)
    except Conflict:
        theirs, _ = await _read(storage, path, FirstSeen)
        return theirs or seen
    return seen


async def _read[T: StoredDocument](storage: Storage, path: str, kind: type[T]) -> tuple[T | None, str | None]:
    """Return a document and its ETag; one that is damaged is named, and may be written over: what it knew is lost."""
    stored = await storage.read(Container.OPERATIONS, path)
    if stored is None:
        return None, None
    try:
        return kind.from_json(stored.data), stored.etag
    except DamagedDocument as fault:
        note_unusable(f"{Container.OPERATIONS}/{path}", fault)
        return None, stored.etag


def _path(digest: str) -> str:
    return f"remembered/{digest}.json"


def _connection_path(connection: str) -> str:
    return f"connections/{fingerprint(connection)[:40]}.json"


def _key(digest: str, seen: FirstSeen) -> str:
    return f"body:{digest}:{seen.since.isoformat()}"

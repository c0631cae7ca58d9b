"""Documents in Blob Storage, read with their ETag, created once, or changed with a retry when others change them."""

from collections.abc import Callable
from dataclasses import dataclass

from shared.azure.storage import Container, Storage
from shared.document import Document
from shared.errors import REPAIR, Conflict, StoredFault

_RESTORE = f"Make an earlier version of this blob current again. {REPAIR}"


@dataclass(frozen=True, slots=True)
class Versioned[T]:
    """A value and the ETag under which it was read; ``None`` while it is not stored."""

    value: T
    etag: str | None


async def read_document[T: Document](
    storage: Storage, container: Container, path: str, kind: type[T]
) -> Versioned[T] | None:
    """Return the document at ``path``, or ``None`` when there is none.

    Raises:
        DamagedDocument: What is stored there is not such a document.
        NewerDocument: A newer version of the app wrote it.
    """
    stored = await storage.read(container, path)
    if stored is None:
        return None
    try:
        return Versioned(kind.from_json(stored.data), stored.etag)
    except StoredFault as fault:
        raise type(fault)(f"{container}/{path}: {fault}", remedy=fault.remedy or _RESTORE) from fault


async def create_document[T: Document](storage: Storage, container: Container, path: str, document: T) -> T:
    """Write a document unless there is one, and return the one that stands: that of the first writer."""
    try:
        await storage.write(container, path, document.to_json(), etag=None)
    except Conflict:
        standing = await read_document(storage, container, path, type(document))
        return standing.value if standing else document
    return document


async def update[T: Document](
    storage: Storage, container: Container, path: str, kind: type[T], change: Callable[[T | None], T | None]
) -> T | None:
    """Read a document, change it and write it, again and again until nobody else has changed it meanwhile.

    Args:
        change: Takes what is stored, or ``None``; returns what shall be stored, or ``None`` to leave it as it is.

    Returns:
        The document that stands.
    """
    while True:
        stored = await read_document(storage, container, path, kind)
        standing, etag = (stored.value, stored.etag) if stored else (None, None)
        changed = change(standing)
        if changed is None or changed == standing:
            return standing
        try:
            await storage.write(container, path, changed.to_json(), etag=etag)
        except Conflict:
            continue
        return changed

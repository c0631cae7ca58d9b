"""Which operation an idempotency key belongs to: an index over kind and key, created once.

A key belongs to the app, not to its caller: it names the same operation after a change of sign-in, place or version.
The id is what the first release makes of caller, kind and key, for both may be at work at once.
"""

from shared.azure.documents import create_document, read_document
from shared.azure.storage import Container
from shared.document import StoredDocument
from shared.opus.intake.identity import fingerprint, operation_id
from shared.opus.ledger.documents import OperationKind
from shared.opus.ledger.store import OperationStore


class KeyEntry(StoredDocument):
    """The operation of a key."""

    operation_id: str


def key_path(kind: OperationKind, key: str) -> str:
    """Return where the index names the operation of a key."""
    return f"keys/{fingerprint([kind, key])[:40]}.json"


async def find_by_key(store: OperationStore, caller: str, kind: OperationKind, key: str) -> str:
    """Return the id of the operation of a key: what the index names, or the id that it would get from this caller."""
    entry = await read_document(store.storage, Container.OPERATIONS, key_path(kind, key), KeyEntry)
    return entry.value.operation_id if entry else operation_id(caller, kind, f"key:{key}")


async def claim_key(store: OperationStore, kind: OperationKind, key: str, operation: str) -> str:
    """Name an operation in the index, unless another caller did so first; return the one that stands there."""
    path = key_path(kind, key)
    return (
        await create_document(store.storage, Container.OPERATIONS, path, KeyEntry(operation_id=operation))
    ).operation_id

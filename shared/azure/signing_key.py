"""The key of the links that this app gives out, created once in storage, so that no secret of AvePoint ends a link.

``links/key.json`` in the container ``opus-operations``. Whoever can read it can write to that container, too.
"""

import base64
import binascii
import secrets

from shared.azure.documents import create_document, read_document
from shared.azure.per_storage import PerStorage
from shared.azure.storage import Container, Storage
from shared.document import StoredDocument
from shared.errors import DamagedDocument
from shared.telemetry.redaction import register_secrets

_PATH = "links/key.json"
_BYTES = 32

_known = PerStorage[list[bytes]](list)


class StoredKey(StoredDocument):
    """A key, as text."""

    key: str

    @property
    def key_material(self) -> bytes:
        """The key.

        Raises:
            DamagedDocument: It is not one.
        """
        try:
            key_material = base64.b64decode(self.key, validate=True)
        except binascii.Error:
            key_material = b""
        if len(key_material) != _BYTES:
            raise DamagedDocument(f"{_PATH} does not hold a key", remedy="Delete it: old links then end.")
        return key_material


async def signing_key(storage: Storage) -> bytes:
    """Return the key, created by whoever needs it first; raises what ``Storage`` raises."""
    known = _known.of(storage)
    if not known:
        there = await read_document(storage, Container.OPERATIONS, _PATH, StoredKey)
        mine = StoredKey(key=base64.b64encode(secrets.token_bytes(_BYTES)).decode())
        stored = there.value if there else await create_document(storage, Container.OPERATIONS, _PATH, mine)
        known.append(stored.key_material)
        register_secrets(stored.key_material)
    return known[0]

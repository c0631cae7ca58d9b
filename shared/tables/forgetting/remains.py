"""Where a person stands outside the tables: raw parts, manifests and their lists, states, operations, evidence."""

from collections.abc import AsyncIterator
from datetime import date
from functools import partial
from typing import Final

from shared.azure.bounded_map import bounded_map
from shared.azure.storage import Container, Listed, Storage
from shared.document import Document
from shared.errors import ArchivedDocument, DamagedDocument, MissingDocument
from shared.harvest.plan import paths
from shared.harvest.snapshots.reading import PartReader
from shared.tables.forgetting.matching import PersonText
from shared.tables.forgetting.retention import Retention, stay_of
from shared.tables.verifying.checking import Say

SEARCHED: Final = (Container.INVENTORY, Container.HARVEST_STATE, Container.OPERATIONS, Container.EVIDENCE)
_AT_ONCE: Final = 4
_BATCH: Final = 64


class Remain(Document):
    """A blob that names the person.

    Attributes:
        until: The day on which it goes; of evidence, the day before which nobody can delete it.
        unread: Why it could not be looked through, so that nobody knows.
    """

    container: str
    path: str
    until: date | None
    how: str
    unread: str | None = None


async def find_remains(storage: Storage, text: PersonText, kept: Retention, say: Say) -> list[Remain]:
    """Look through every blob of the containers that are not tables, some at a time."""
    found: list[Remain] = []
    for container in SEARCHED:
        number = 0
        async for batch in _batches(storage, container):
            number += len(batch)
            say(f"{container}: {number:,} blobs")
            looked = await bounded_map(partial(_look, storage, container, text, kept), batch, at_once=_AT_ONCE)
            found += [one for one in looked if one is not None]
    return found


async def _batches(storage: Storage, container: Container) -> AsyncIterator[list[Listed]]:
    batch: list[Listed] = []
    async for one in storage.list_details(container, ""):
        batch.append(one)
        if len(batch) == _BATCH:
            yield batch
            batch = []
    yield batch


async def _look(
    storage: Storage, container: Container, text: PersonText, kept: Retention, one: Listed
) -> Remain | None:
    unread = None
    try:
        if not (text.is_in(one.path) or await _stands_in(storage, container, text, one.path)):
            return None
    except MissingDocument:  # deleted since it was listed
        return None
    except (ArchivedDocument, DamagedDocument) as error:
        unread = str(error)
    stay = stay_of(container, one.path, one.modified, kept)
    return Remain(container=container, path=one.path, until=stay.until, how=stay.how, unread=unread)


async def _stands_in(storage: Storage, container: Container, text: PersonText, path: str) -> bool:
    if container is Container.HARVEST_STATE and paths.is_keys(path):  # hashes name nobody
        return False
    if not path.endswith(".gz"):
        stored = await storage.read(container, path)
        return stored is not None and text.is_in(stored.data.decode("utf-8", "replace"))
    reader = PartReader(path)
    async for piece in storage.stream(container, path):
        for lines in reader.lines(piece):
            if text.is_in(b"\n".join(lines).decode("utf-8", "replace")):
                return True
    reader.check_whole()
    return False

from sandbox.memory_storage import MemoryStorage
from shared.azure.documents import create_document, read_document, update
from shared.azure.storage import Container, Stored
from shared.clock import utc_now
from shared.document import Document

STATE = Container.HARVEST_STATE


class Count(Document):
    value: int


async def test_of_two_creators_the_first_one_stands() -> None:
    storage = MemoryStorage(utc_now)
    assert await create_document(storage, STATE, "count", Count(value=1)) == Count(value=1)
    assert await create_document(storage, STATE, "count", Count(value=2)) == Count(value=1)


async def test_a_change_is_made_again_when_somebody_else_was_faster() -> None:
    storage = MemoryStorage(utc_now)
    raced = False

    def increased(standing: Count | None) -> Count:
        nonlocal raced
        if not raced:
            raced = True
            storage.blobs[STATE]["count"] = Stored(Count(value=10).to_json(), "of somebody else")
        return Count(value=(standing.value if standing else 0) + 1)

    assert await update(storage, STATE, "count", Count, increased) == Count(value=11)


async def test_a_change_that_changes_nothing_writes_nothing() -> None:
    storage = MemoryStorage(utc_now)
    await create_document(storage, STATE, "count", Count(value=1))
    written = storage.transactions["write"]

    assert await update(storage, STATE, "count", Count, lambda standing: standing) == Count(value=1)
    assert await update(storage, STATE, "count", Count, lambda _: None) == Count(value=1)
    assert storage.transactions["write"] == written


async def test_what_is_not_there() -> None:
    storage = MemoryStorage(utc_now)
    assert await read_document(storage, STATE, "count", Count) is None
    assert await update(storage, STATE, "count", Count, lambda _: None) is None

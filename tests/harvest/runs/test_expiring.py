"""Nothing that a snapshot says of people outlives its lines, and nothing goes that is not over."""

from datetime import timedelta

import pytest

from sandbox.memory_storage import MemoryStorage
from shared.azure.damage import unusable
from shared.azure.storage import Container
from shared.harvest.plan import paths
from shared.harvest.runs.expiring import delete_expired
from tests.conftest import Clock
from tests.tables.nights import Nights

PARENT = {"customerId": "c", "tenantId": "t", "userId": "ann@contoso.com"}


@pytest.fixture
async def nights(clock: Clock) -> Nights:
    found = Nights.of(MemoryStorage(clock), clock, "elements/v3-um-user")
    for _ in range(4):
        await found.publish([{"_parent": PARENT, "id": "ann@contoso.com"}], asked=[PARENT])
        path = f"manifests/elements/v3-um-user/{found.runs[-1]}.odd.ndjson"
        await found.storage.write(Container.INVENTORY, path, b"ann@contoso.com\n", etag=None)
    return found


def expire(nights: Nights, *numbers: int) -> None:
    """Delete the parts of some snapshots, as the lifecycle rule does."""
    stored = nights.storage.blobs[Container.INVENTORY]
    for number in numbers:
        for path in [path for path in stored if f"/run={nights.runs[number]}/" in path]:
            del stored[path]


def left(nights: Nights) -> list[int]:
    """The snapshots of which anything is left beside their parts."""
    stored = nights.storage.blobs[Container.INVENTORY]
    beside = [path for path in stored if path.startswith("manifests/")]
    return [number for number, run in enumerate(nights.runs) if any(run in path for path in beside)]


async def test_manifests_and_their_lists_go_with_the_lines(nights: Nights, clock: Clock) -> None:
    await delete_expired(nights.storage, now=clock())
    assert left(nights) == [0, 1, 2, 3]
    expire(nights, 0, 1)
    clock.advance(hours=23)
    await delete_expired(nights.storage, now=clock())
    assert left(nights) == [0, 1, 2, 3]
    clock.advance(hours=1)
    await delete_expired(nights.storage, now=clock())
    assert left(nights) == [2, 3]
    assert all(nights.runs[0] not in path for path in nights.storage.blobs[Container.INVENTORY])


async def test_a_damaged_note_of_the_last_look_does_not_stop_it(nights: Nights, clock: Clock) -> None:
    expire(nights, 0, 1)
    await nights.storage.write(Container.HARVEST_STATE, "expired.json", b"{", etag=None)

    await delete_expired(nights.storage, now=clock())

    assert "expired.json" in unusable()
    await delete_expired(nights.storage, now=clock())
    assert left(nights) == [2, 3]
    assert "expired.json" not in unusable()


async def test_what_latest_names_and_what_is_damaged_stay(nights: Nights, clock: Clock) -> None:
    expire(nights, 1, 3)
    await delete_expired(nights.storage, now=clock())
    assert left(nights) == [0, 1, 2, 3]
    expire(nights, 0, 2)
    await delete_expired(nights.storage, now=clock() + timedelta(days=1))
    assert left(nights) == [3]


async def test_a_pointer_that_cannot_be_read_keeps_its_dataset(nights: Nights, clock: Clock) -> None:
    pointer = nights.storage.blobs[Container.INVENTORY]["latest/elements/v3-um-user.json"]
    await nights.storage.write(Container.INVENTORY, "latest/elements/v3-um-user.json", b"{", etag=pointer.etag)
    expire(nights, 0)
    await delete_expired(nights.storage, now=clock())
    assert left(nights) == [0, 1, 2, 3]


async def test_lists_whose_manifest_was_lost_go_with_the_lines(nights: Nights) -> None:
    begun = paths.started_at(nights.runs[0])
    await nights.storage.delete(Container.INVENTORY, paths.manifest(nights.runs[0], "elements", "v3-um-user"))
    await delete_expired(nights.storage, now=begun + timedelta(days=31))
    assert left(nights) == [0, 1, 2, 3]
    expire(nights, 0)
    await delete_expired(nights.storage, now=begun + timedelta(days=32))
    assert left(nights) == [1, 2, 3]


async def test_lists_whose_manifest_may_still_be_written_stay(nights: Nights) -> None:
    begun = paths.started_at(nights.runs[0])
    await nights.storage.delete(Container.INVENTORY, paths.manifest(nights.runs[0], "elements", "v3-um-user"))
    expire(nights, 0)
    await delete_expired(nights.storage, now=begun + timedelta(days=29))
    assert left(nights) == [0, 1, 2, 3]

import pytest

from shared.errors import Conflict, Misconfigured
from shared.settings import load_settings
from shared.storage import Container, Storage, open_storage
from shared.tls import client_context

STATE = Container.HARVEST_STATE


class TestConditionalWrites:
    """Whoever is first wins, and everybody else notices."""

    async def test_what_is_there_is_not_created_again(self, storage: Storage) -> None:
        await storage.create(STATE, "a", b"one")
        with pytest.raises(Conflict, match="a was written by somebody else"):
            await storage.create(STATE, "a", b"two")
        assert await content(storage, "a") == b"one"

    async def test_what_has_changed_is_not_replaced(self, storage: Storage) -> None:
        etag = await storage.create(STATE, "a", b"one")
        await storage.replace(STATE, "a", b"two", etag=etag)
        with pytest.raises(Conflict):
            await storage.replace(STATE, "a", b"three", etag=etag)
        assert await content(storage, "a") == b"two"

    async def test_what_is_gone_is_not_replaced(self, storage: Storage) -> None:
        etag = await storage.create(STATE, "a", b"one")
        await storage.delete(STATE, "a")
        with pytest.raises(Conflict):
            await storage.replace(STATE, "a", b"two", etag=etag)

    async def test_a_write_whose_answer_was_lost_is_known_again(self, storage: Storage) -> None:
        """The SDK repeats the write, which then meets itself."""
        first = await storage.create(STATE, "a", b"one")
        assert await storage.create(STATE, "a", b"one") == first
        second = await storage.replace(STATE, "a", b"two", etag=first)
        assert await storage.replace(STATE, "a", b"two", etag=first) == second


async def content(storage: Storage, path: str) -> bytes | None:
    stored = await storage.read(STATE, path)
    return stored.data if stored else None


async def test_what_is_not_there(storage: Storage) -> None:
    assert await storage.read(STATE, "nothing") is None
    await storage.delete(STATE, "nothing")


async def test_listings(storage: Storage) -> None:
    for path in ("runs/b/run.json", "runs/a/run.json", "runs/a/deep/x.json", "other/c.json"):
        await storage.create(STATE, path, b"{}")
    assert [path async for path in storage.list(STATE, "runs/a/")] == ["runs/a/deep/x.json", "runs/a/run.json"]
    assert [name async for name in storage.list_folders(STATE, "runs/")] == ["a", "b"]


async def test_a_blob_is_there_once_it_is_committed(storage: Storage) -> None:
    for block in (0, 1):
        await storage.stage(Container.INVENTORY, "part", block, b"%d" % block)
    assert await storage.read(Container.INVENTORY, "part") is None
    await storage.commit(Container.INVENTORY, "part", 2)
    stored = await storage.read(Container.INVENTORY, "part")
    assert stored is not None
    assert stored.data == b"01"


async def test_a_connection_string_that_is_none_is_named(environ: dict[str, str]) -> None:
    settings = load_settings(environ | {"INVENTORY_STORAGE": "nonsense"})
    with pytest.raises(Misconfigured, match="INVENTORY_STORAGE: is no connection string"):
        open_storage(settings, None, client_context(None))


async def test_a_key_that_is_refused_is_named(environ: dict[str, str]) -> None:
    wrong = environ["INVENTORY_STORAGE"].replace("AccountKey=E", "AccountKey=A")
    storage = open_storage(load_settings(environ | {"INVENTORY_STORAGE": wrong}), None, client_context(None))
    with pytest.raises(Misconfigured, match=r"INVENTORY_STORAGE: Azure Storage refuses access to some/path"):
        await storage.read(STATE, "some/path")
    await storage.close()

import pytest
from azure.core.exceptions import ResourceExistsError
from azure.storage.blob.aio import BlobClient

from shared.azure.storage import Container, Storage, open_storage
from shared.errors import Conflict, Misconfigured, StorageUnavailable
from shared.http.tls import client_context
from shared.settings import load_settings

STATE = Container.HARVEST_STATE


class TestConditionalWrites:
    """Whoever is first wins, and everybody else notices."""

    async def test_what_is_there_is_not_created_again(self, storage: Storage) -> None:
        await storage.write(STATE, "a", b"one", etag=None)
        with pytest.raises(Conflict, match="a was changed by another writer"):
            await storage.write(STATE, "a", b"two", etag=None)
        assert await content(storage, "a") == b"one"

    async def test_what_has_changed_is_not_replaced(self, storage: Storage) -> None:
        etag = await storage.write(STATE, "a", b"one", etag=None)
        await storage.write(STATE, "a", b"two", etag=etag)
        with pytest.raises(Conflict):
            await storage.write(STATE, "a", b"three", etag=etag)
        assert await content(storage, "a") == b"two"

    async def test_what_is_gone_is_not_replaced(self, storage: Storage) -> None:
        etag = await storage.write(STATE, "a", b"one", etag=None)
        await storage.delete(STATE, "a")
        with pytest.raises(Conflict):
            await storage.write(STATE, "a", b"two", etag=etag)

    async def test_a_write_whose_answer_was_lost_is_known_again(self, storage: Storage) -> None:
        """The SDK repeats the write, which then meets itself."""
        first = await storage.write(STATE, "a", b"one", etag=None)
        assert await storage.write(STATE, "a", b"one", etag=None) == first
        second = await storage.write(STATE, "a", b"two", etag=first)
        assert await storage.write(STATE, "a", b"two", etag=first) == second


async def content(storage: Storage, path: str) -> bytes | None:
    stored = await storage.read(STATE, path)
    return stored.data if stored else None


async def test_what_is_not_there(storage: Storage) -> None:
    assert await storage.read(STATE, "nothing") is None
    await storage.delete(STATE, "nothing")


async def test_listings(storage: Storage) -> None:
    for path in ("runs/b/run.json", "runs/a/run.json", "runs/a/deep/x.json", "other/c.json"):
        await storage.write(STATE, path, b"{}", etag=None)
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


@pytest.mark.parametrize(
    "text",
    [
        "nonsense",
        "AccountName=a",
        "AccountName=a;AccountKey=abc;EndpointSuffix=core.windows.net",
        "AccountName=a;AccountKey=;EndpointSuffix=core.windows.net",
        "AccountName=;AccountKey=YQ==;EndpointSuffix=core.windows.net",
        "AccountName=a;AccountKey=<key>;BlobEndpoint=https://a.example;QueueEndpoint=https://b.example",
    ],
)
async def test_a_connection_string_that_is_none_is_named(environ: dict[str, str], text: str) -> None:
    settings = load_settings(environ | {"INVENTORY_STORAGE": text})
    with pytest.raises(Misconfigured, match="INVENTORY_STORAGE: is not a connection string"):
        open_storage(settings, None, client_context(None))


async def test_a_key_that_is_refused_is_named(environ: dict[str, str]) -> None:
    wrong = environ["INVENTORY_STORAGE"].replace("AccountKey=E", "AccountKey=A")
    storage = open_storage(load_settings(environ | {"INVENTORY_STORAGE": wrong}), None, client_context(None))
    with pytest.raises(Misconfigured, match=r"INVENTORY_STORAGE: Azure Storage refuses access to some/path"):
        await storage.read(STATE, "some/path")
    await storage.close()


async def test_a_piece_of_a_blob_is_read(storage: Storage) -> None:
    await storage.write(Container.TABLES, "a", b"0123456789", etag=None)
    assert await storage.read_range(Container.TABLES, "a", 3, 4) == b"3456"


async def test_folders_of_a_hierarchical_namespace_are_no_blobs(storage: Storage) -> None:
    """Such an account lists each folder as an empty blob that says so in its metadata."""
    await storage._blob(Container.TABLES, "t/f").upload_blob(b"", metadata={"hdi_isfolder": "true"})  # noqa: SLF001 - the app makes none
    await storage.write(Container.TABLES, "t/f/a", b"1", etag=None)
    assert [path async for path in storage.list(Container.TABLES, "t/")] == ["t/f/a"]
    assert [(one.path, one.size) async for one in storage.list_details(Container.TABLES, "t/")] == [("t/f/a", 1)]


@pytest.mark.parametrize("code", ["BlobImmutableDueToPolicy", "ContainerBeingDeleted"])
async def test_what_is_refused_for_another_reason_was_changed_by_nobody(
    storage: Storage, monkeypatch: pytest.MonkeyPatch, code: str
) -> None:
    """Azure answers 409, too, and who takes it for another writer reads and writes again without end."""
    etag = await storage.write(STATE, "a", b"one", etag=None)

    async def refuse(*_: object, **__: object) -> None:
        raise ResourceExistsError(code)

    monkeypatch.setattr(BlobClient, "upload_blob", refuse)
    for path, known in (("a", etag), ("b", None)):
        with pytest.raises(StorageUnavailable, match=f"for {path}"):
            await storage.write(STATE, path, b"two", etag=known)
    with pytest.raises(Conflict):
        await storage.write(STATE, "a", b"two", etag="0x0")

"""Blob Storage and queues: the one place that knows the Azure Storage SDK.

Documents are changed by conditional writes only: the first writer wins, and every other one notices.
"""

import base64
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from enum import StrEnum
from functools import partial
from math import ceil
from typing import TYPE_CHECKING, Any

from shared.azure.storage_errors import named_blob, storage_errors
from shared.errors import Conflict, Misconfigured, Problem

if TYPE_CHECKING:
    from ssl import SSLContext
    from xml.etree.ElementTree import Element

    from azure.core.credentials_async import AsyncTokenCredential
    from azure.storage.blob.aio import BlobClient, BlobServiceClient
    from azure.storage.queue.aio import QueueClient, QueueServiceClient

    from shared.settings import StorageSettings

_RETRIES: dict[str, Any] = {"initial_backoff": 1, "increment_base": 2}
"""Seconds: three retries within some ten, where the SDK would take a minute, which is longer than a claim can spare."""

_READS: dict[str, Any] = {"max_single_get_size": 4 * 2**20}
"""Bytes: a blob is streamed in pieces of this size from the first one on, which the SDK would let have 32 MiB."""

_NO_SKEW = timedelta(seconds=30)
"""What is within the precision of a header, the time an answer takes, and what clocks usually differ."""


class Container(StrEnum):
    """The containers of the app."""

    INVENTORY = "inventory"
    HARVEST_STATE = "harvest-state"
    OPERATIONS = "opus-operations"
    EVIDENCE = "opus-evidence"
    TABLES = "tables"


class Queue(StrEnum):
    """The queues of the app; messages on them wake a worker up and carry no progress."""

    SLICES = "harvest-slices"
    OPERATIONS = "opus-operations"
    TABLES = "table-builds"


@dataclass(frozen=True, slots=True)
class Listed:
    """A blob as a listing shows it."""

    path: str
    size: int
    modified: datetime
    archived: bool = False


@dataclass(frozen=True, slots=True)
class Stored:
    """The content of a blob and the ETag under which it was read."""

    data: bytes
    etag: str


class Storage:
    """Containers and queues of one storage account.

    Every method raises ``StorageUnavailable`` when Azure Storage does not do what was asked, and ``Misconfigured``
    when it refuses us.
    """

    _skew = timedelta(0)

    def __init__(
        self,
        blobs: "BlobServiceClient",
        queues: "QueueServiceClient | None",
        *,
        containers: Iterable[Container] = tuple(Container),
    ) -> None:
        """Use these clients.

        Args:
            queues: ``None`` for an account without queues.
            containers: Those that lie in this account.
        """
        self._blobs = blobs
        self._queues = queues
        self._containers = tuple(containers)

    @property
    def skew(self) -> timedelta:
        """How far the clock of the account is ahead of this machine's, as its last write showed; nothing below 30 s."""
        return self._skew if abs(self._skew) > _NO_SKEW else timedelta(0)

    async def prepare(self) -> None:
        """Create the containers and queues that are missing; where that is not allowed, they have to be there."""
        from azure.core.exceptions import ClientAuthenticationError, HttpResponseError, ResourceExistsError

        creations: list[Callable[[], Awaitable[object]]] = [
            *(self._blobs.get_container_client(name).create_container for name in self._containers),
            *(self._queues.get_queue_client(name).create_queue for name in Queue if self._queues),
        ]
        with storage_errors("the containers and queues"):
            for create in creations:
                try:
                    await create()
                except (ResourceExistsError, ClientAuthenticationError):
                    continue
                except HttpResponseError as error:
                    if error.status_code != 403:  # noqa: PLR2004 - forbidden
                        raise

    async def read(self, container: Container, path: str) -> Stored | None:
        """Return the blob at ``path``, or ``None`` when there is none."""
        from azure.core.exceptions import ResourceNotFoundError

        with storage_errors(path):
            try:
                download = await self._blob(container, path).download_blob()
                return Stored(await download.readall(), download.properties.etag)
            except ResourceNotFoundError:
                return None

    async def stream(self, container: Container, path: str) -> AsyncIterator[bytes]:
        """Yield the content of the blob at ``path``, in pieces of a few megabytes.

        Raises:
            MissingDocument: There is none: whoever asks has read its name somewhere.
            ArchivedDocument: It is in the archive tier.
        """
        with storage_errors(path), named_blob(container, path):
            download = await self._blob(container, path).download_blob()
            async for piece in download.chunks():
                yield piece

    async def read_range(self, container: Container, path: str, offset: int, length: int) -> bytes:
        """Return a piece of the blob at ``path``; raises what ``stream`` raises."""
        with storage_errors(path), named_blob(container, path):
            download = await self._blob(container, path).download_blob(offset=offset, length=length)
            return await download.readall()

    async def write(self, container: Container, path: str, data: bytes, *, etag: str | None) -> str:
        """Write the blob that was read under ``etag``, or with ``None`` one that is not there yet; return its new ETag.

        Raises:
            Conflict: It has changed since, or is there with another content.
        """
        from azure.core import MatchConditions
        from azure.core.exceptions import ResourceExistsError, ResourceModifiedError
        from azure.storage.blob import ContentSettings

        content = ContentSettings(content_type="application/json")
        upload = partial(self._blob(container, path).upload_blob, data, length=len(data), content_settings=content)
        with storage_errors(path):
            try:
                if etag is None:
                    answer = await upload(overwrite=False)
                else:
                    answer = await upload(overwrite=True, etag=etag, match_condition=MatchConditions.IfNotModified)
            except (ResourceExistsError, ResourceModifiedError) as error:
                # The SDK repeats a write whose answer was lost and then meets itself: equal bytes are our own write.
                there = await self.read(container, path)
                if there is not None and there.data == data:
                    return there.etag
                if (there.etag if there else None) == etag:
                    raise  # not the condition: a policy forbids it, or the container is being deleted
                raise Conflict(f"{container}/{path} was changed by another writer") from error
        self._skew = answer["last_modified"] - datetime.now(UTC)
        return str(answer["etag"])

    async def delete(self, container: Container, path: str) -> None:
        """Delete the blob at ``path``; it may be gone already."""
        from azure.core.exceptions import ResourceNotFoundError

        with storage_errors(path):
            try:
                await self._blob(container, path).delete_blob()
            except ResourceNotFoundError:
                return

    async def list(self, container: Container, prefix: str) -> AsyncIterator[str]:
        """Yield the paths of all blobs that begin with ``prefix``, in order of path."""
        async for listed in self.list_details(container, prefix):
            yield listed.path

    async def list_details(self, container: Container, prefix: str) -> AsyncIterator[Listed]:
        """Yield all blobs whose path begins with ``prefix``, in order of path.

        An account with hierarchical namespace lists folders as empty blobs; they are left out.
        """
        async for page in self._pages(container, prefix, include=["metadata"]):
            for blob in page.iterfind("Blobs/Blob"):
                if blob.findtext("Metadata/hdi_isfolder") != "true":
                    yield _listed(blob)

    async def list_folders(self, container: Container, prefix: str) -> AsyncIterator[str]:
        """Yield the names of the folders directly below ``prefix`` (which ends in a slash), in order."""
        async for page in self._pages(container, prefix, params={"delimiter": "/"}):
            for folder in page.iterfind("Blobs/BlobPrefix"):
                yield folder.findtext("Name", "").removeprefix(prefix).rstrip("/")

    async def _pages(self, container: Container, prefix: str, **options: Any) -> AsyncIterator["Element"]:  # noqa: ANN401 - of the SDK
        """Yield listings as the XML that Azure Storage sends.

        The SDK makes an object of sixty fields of every blob, which takes ten times as long as reading the few that are
        needed; so it is asked for names, which it reads off the XML, too.
        """
        client = self._blobs.get_container_client(container)
        pages: Any = client.list_blob_names(name_starts_with=prefix, **options).by_page()
        with storage_errors(prefix):
            async for _ in pages:
                yield pages._response  # noqa: SLF001 - the SDK has no other way

    async def stage(self, container: Container, path: str, block: int, data: bytes) -> None:
        """Upload block number ``block`` of a blob that ``commit`` will make."""
        with storage_errors(path):
            await self._blob(container, path).stage_block(_block_id(block), data, length=len(data))

    async def commit(self, container: Container, path: str, blocks: int) -> None:
        """Make a blob of the blocks 0 to ``blocks`` - 1, replacing an unfinished attempt of the same writer."""
        from azure.storage.blob import BlobBlock, ContentSettings

        with storage_errors(path):
            await self._blob(container, path).commit_block_list(
                [BlobBlock(_block_id(block)) for block in range(blocks)],
                content_settings=ContentSettings(content_type=_content_type(path)),
            )

    async def enqueue(self, queue: Queue, message: str, *, delay: timedelta = timedelta(0)) -> None:
        """Put a message on a queue that nobody sees before ``delay`` (at most 7 days) has passed."""
        encoded = base64.b64encode(message.encode()).decode()
        with storage_errors(queue):
            await self._queue(queue).send_message(
                encoded, visibility_timeout=max(0, ceil(delay.total_seconds())), time_to_live=-1
            )

    async def depth(self, queue: str) -> int | None:
        """About how many messages are on a queue, hidden ones included; ``None`` where there is no such queue."""
        from azure.core.exceptions import ResourceNotFoundError

        with storage_errors(queue):
            try:
                properties = await self._queue(queue).get_queue_properties()
            except ResourceNotFoundError:
                return None
        return int(properties.approximate_message_count or 0)

    async def rehearse(self, queue: Queue) -> None:
        """Put a message on a queue and take it back before anybody sees it; a lost one ends by itself."""
        client = self._queue(queue)
        with storage_errors(queue):
            message = await client.send_message("", visibility_timeout=10, time_to_live=11)
            await client.delete_message(message)

    async def close(self) -> None:
        """Close the connections."""
        await self._blobs.close()
        if self._queues is not None:
            await self._queues.close()

    def _queue(self, name: str) -> "QueueClient":
        if self._queues is None:
            raise AssertionError("this storage account has no queues")
        return self._queues.get_queue_client(name)

    def _blob(self, container: Container, path: str) -> "BlobClient":
        return self._blobs.get_blob_client(container, path)


def open_storage(settings: "StorageSettings", credential: "AsyncTokenCredential | None", tls: "SSLContext") -> Storage:
    """Return the storage account of the settings; ``credential`` is used when they name addresses instead of keys."""
    from azure.storage.blob.aio import BlobServiceClient
    from azure.storage.queue.aio import QueueServiceClient

    from shared.azure.identity import azure_transport

    containers = [one for one in Container if one != Container.TABLES or not settings.has_tables_account]
    if settings.storage_connection_string is not None:
        try:
            connection = _checked(settings.storage_connection_string.get_secret_value())
            return Storage(
                BlobServiceClient.from_connection_string(
                    connection, transport=azure_transport(tls), **_RETRIES, **_READS
                ),
                QueueServiceClient.from_connection_string(connection, transport=azure_transport(tls), **_RETRIES),
                containers=containers,
            )
        except ValueError as error:
            problem = Problem(
                "INVENTORY_STORAGE", "is not a connection string", "Copy the connection string of the storage account."
            )
            raise Misconfigured([problem]) from error
    blob_url, queue_url = settings.storage_blob_url, settings.storage_queue_url
    if blob_url is None:
        raise AssertionError("validated settings name a storage account")
    blobs = BlobServiceClient(blob_url, credential, transport=azure_transport(tls), **_RETRIES, **_READS)
    if queue_url is None:
        return Storage(blobs, None)
    return Storage(blobs, QueueServiceClient(queue_url, credential, transport=azure_transport(tls), **_RETRIES))


def open_tables_storage(
    settings: "StorageSettings", inventory: Storage, credential: "AsyncTokenCredential | None", tls: "SSLContext"
) -> Storage:
    """Return the storage account of the tables: that of the inventory, unless the settings name another one."""
    from azure.storage.blob.aio import BlobServiceClient

    from shared.azure.identity import azure_transport

    only = (Container.TABLES,)
    if settings.tables_connection_string is not None:
        try:
            connection = _checked(settings.tables_connection_string.get_secret_value())
            client = BlobServiceClient.from_connection_string(
                connection, transport=azure_transport(tls), **_RETRIES, **_READS
            )
        except ValueError as error:
            problem = Problem(
                "TABLES_STORAGE", "is not a connection string", "Copy the connection string of the storage account."
            )
            raise Misconfigured([problem]) from error
        return Storage(client, None, containers=only)
    if settings.tables_blob_url is not None:
        client = BlobServiceClient(
            settings.tables_blob_url, credential, transport=azure_transport(tls), **_RETRIES, **_READS
        )
        return Storage(client, None, containers=only)
    return inventory


def _listed(blob: "Element") -> Listed:
    size, modified = blob.findtext("Properties/Content-Length", "0"), blob.findtext("Properties/Last-Modified", "")
    is_archived = blob.findtext("Properties/AccessTier") == "Archive"
    return Listed(blob.findtext("Name", ""), int(size), parsedate_to_datetime(modified), is_archived)


def _checked(connection: str) -> str:
    """Return a connection string, unless nothing can be signed with it, which the SDK finds out with each request.

    Raises:
        ValueError: Its account has no name, or its key is not base64.
    """
    parts = {name.strip().lower(): value for name, _, value in (part.partition("=") for part in connection.split(";"))}
    if not parts.get("accountname", "named otherwise"):
        raise ValueError("the account has no name")
    if not base64.b64decode(parts.get("accountkey", "none"), validate=True):
        raise ValueError("the key is empty")
    return connection


def _content_type(path: str) -> str:
    return "application/gzip" if path.endswith(".gz") else "application/octet-stream"


def _block_id(block: int) -> str:
    return f"{block:06d}"

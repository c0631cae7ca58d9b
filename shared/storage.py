"""Blob Storage and queues: the one place that knows the Azure Storage SDK.

Documents are changed by conditional writes only, so that whoever was first wins and everybody else notices.
A write whose answer was lost is told apart from a lost race by reading back: equal bytes are our own write.
"""

import base64
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING, Any

from shared.errors import Conflict, Misconfigured, Problem, StorageUnavailable

if TYPE_CHECKING:
    from ssl import SSLContext

    from azure.core.credentials_async import AsyncTokenCredential
    from azure.core.exceptions import HttpResponseError
    from azure.storage.blob.aio import BlobClient, BlobServiceClient
    from azure.storage.queue.aio import QueueServiceClient

    from shared.settings import Settings

_RETRIES: dict[str, Any] = {"initial_backoff": 1, "increment_base": 2}
"""Seconds: three retries within some ten, where the SDK would take a minute, which is longer than a claim can spare."""

_NO_ROLE = "Give the app the roles Storage Blob Data Contributor and Storage Queue Data Contributor."
_REMEDIES = {
    "AuthenticationFailed": "Check the key in INVENTORY_STORAGE, and the clock of this machine.",
    "AuthorizationFailure": "Let the network of the app through the firewall of the account; check the key, if any.",
    "KeyBasedAuthenticationNotPermitted": "Set INVENTORY_STORAGE__blobServiceUri and __queueServiceUri, not a key.",
}


class Container(StrEnum):
    """The containers of the app."""

    INVENTORY = "inventory"
    HARVEST_STATE = "harvest-state"
    OPERATIONS = "opus-operations"
    EVIDENCE = "opus-evidence"


class Queue(StrEnum):
    """The queues of the app; messages on them are pokes and carry no progress."""

    SLICES = "harvest-slices"
    OPERATIONS = "opus-operations"


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

    def __init__(self, blobs: "BlobServiceClient", queues: "QueueServiceClient") -> None:
        self._blobs = blobs
        self._queues = queues

    async def prepare(self) -> None:
        """Create the containers and queues that are missing; where that is not allowed, they have to be there."""
        from azure.core.exceptions import ClientAuthenticationError, HttpResponseError, ResourceExistsError

        creations: list[Callable[[], Awaitable[object]]] = [
            *(self._blobs.get_container_client(name).create_container for name in Container),
            *(self._queues.get_queue_client(name).create_queue for name in Queue),
        ]
        with _translated("the containers and queues"):
            for create in creations:
                try:
                    await create()
                except (ResourceExistsError, ClientAuthenticationError):
                    continue
                except HttpResponseError as error:
                    if error.status_code != 403:  # noqa: PLR2004 - forbidden
                        raise

    async def read(self, container: Container, path: str) -> Stored | None:
        """The blob at ``path``, or ``None`` when there is none."""
        from azure.core.exceptions import ResourceNotFoundError

        with _translated(path):
            try:
                download = await self._blob(container, path).download_blob()
                return Stored(await download.readall(), download.properties.etag)
            except ResourceNotFoundError:
                return None

    async def stream(self, container: Container, path: str) -> AsyncIterator[bytes]:
        """The content of the blob at ``path``, which is there, in pieces of a few megabytes."""
        with _translated(path):
            download = await self._blob(container, path).download_blob()
            async for piece in download.chunks():
                yield piece

    async def create(self, container: Container, path: str, data: bytes) -> str:
        """Write a blob that must not be there yet, and return its ETag.

        Raises:
            Conflict: It is there, with another content.
        """
        return await self._write(container, path, data, etag=None)

    async def replace(self, container: Container, path: str, data: bytes, *, etag: str) -> str:
        """Overwrite the blob that was read under ``etag``, and return its new ETag.

        Raises:
            Conflict: It has changed since.
        """
        return await self._write(container, path, data, etag=etag)

    async def delete(self, container: Container, path: str) -> None:
        """Delete the blob at ``path``; it may be gone already."""
        from azure.core.exceptions import ResourceNotFoundError

        with _translated(path):
            try:
                await self._blob(container, path).delete_blob()
            except ResourceNotFoundError:
                return

    async def list(self, container: Container, prefix: str) -> AsyncIterator[str]:
        """The paths of all blobs that begin with ``prefix``, in order of path."""
        client = self._blobs.get_container_client(container)
        with _translated(prefix):
            async for blob in client.list_blobs(name_starts_with=prefix):
                yield blob.name

    async def list_folders(self, container: Container, prefix: str) -> AsyncIterator[str]:
        """The names of the folders directly below ``prefix`` (which ends in a slash), in order."""
        client = self._blobs.get_container_client(container)
        with _translated(prefix):
            async for entry in client.walk_blobs(name_starts_with=prefix, delimiter="/"):
                if entry.name.endswith("/"):
                    yield entry.name.removeprefix(prefix).rstrip("/")

    async def stage(self, container: Container, path: str, block: int, data: bytes) -> None:
        """Upload block number ``block`` of a blob that ``commit`` will make."""
        with _translated(path):
            await self._blob(container, path).stage_block(_block_id(block), data, length=len(data))

    async def commit(self, container: Container, path: str, blocks: int) -> None:
        """Make a blob of the blocks 0 to ``blocks`` - 1, replacing an unfinished attempt of the same writer."""
        from azure.storage.blob import BlobBlock, ContentSettings

        with _translated(path):
            await self._blob(container, path).commit_block_list(
                [BlobBlock(_block_id(block)) for block in range(blocks)],
                content_settings=ContentSettings(content_type="application/gzip"),
            )

    async def poke(self, queue: Queue, message: str, *, delay: timedelta = timedelta(0)) -> None:
        """Put a message on a queue that nobody sees before ``delay`` (at most 7 days) has passed."""
        encoded = base64.b64encode(message.encode()).decode()
        with _translated(queue):
            await self._queues.get_queue_client(queue).send_message(
                encoded, visibility_timeout=max(0, round(delay.total_seconds())), time_to_live=-1
            )

    async def depth(self, queue: str) -> int | None:
        """About how many messages are on a queue, hidden ones included; ``None`` where there is no such queue."""
        from azure.core.exceptions import ResourceNotFoundError

        with _translated(queue):
            try:
                properties = await self._queues.get_queue_client(queue).get_queue_properties()
            except ResourceNotFoundError:
                return None
        return int(properties.approximate_message_count or 0)

    async def rehearse(self, queue: Queue) -> None:
        """Put a message on a queue and take it back before anybody sees it; a lost one ends by itself."""
        client = self._queues.get_queue_client(queue)
        with _translated(queue):
            message = await client.send_message("", visibility_timeout=10, time_to_live=11)
            await client.delete_message(message)

    async def close(self) -> None:
        """Close the connections."""
        await self._blobs.close()
        await self._queues.close()

    def _blob(self, container: Container, path: str) -> "BlobClient":
        return self._blobs.get_blob_client(container, path)

    async def _write(self, container: Container, path: str, data: bytes, *, etag: str | None) -> str:
        """Write over what was read under ``etag``, or over nothing."""
        from azure.core import MatchConditions
        from azure.core.exceptions import ResourceExistsError, ResourceModifiedError
        from azure.storage.blob import ContentSettings

        content = ContentSettings(content_type="application/json")
        upload = partial(self._blob(container, path).upload_blob, data, length=len(data), content_settings=content)
        with _translated(path):
            try:
                if etag is None:
                    answer = await upload(overwrite=False)
                else:
                    answer = await upload(overwrite=True, etag=etag, match_condition=MatchConditions.IfNotModified)
            except (ResourceExistsError, ResourceModifiedError) as error:
                there = await self.read(container, path)
                if there is None or there.data != data:
                    raise Conflict(f"{container}/{path} was written by somebody else") from error
                return there.etag
        return str(answer["etag"])


def open_storage(settings: "Settings", credential: "AsyncTokenCredential | None", tls: "SSLContext") -> Storage:
    """The storage account of the settings; ``credential`` is used when they name addresses instead of keys."""
    from azure.storage.blob.aio import BlobServiceClient
    from azure.storage.queue.aio import QueueServiceClient

    from shared.azure import azure_transport

    if settings.storage_connection_string is not None:
        connection = settings.storage_connection_string.get_secret_value()
        try:
            return Storage(
                BlobServiceClient.from_connection_string(connection, transport=azure_transport(tls), **_RETRIES),
                QueueServiceClient.from_connection_string(connection, transport=azure_transport(tls), **_RETRIES),
            )
        except ValueError as error:
            problem = Problem(
                "INVENTORY_STORAGE", "is no connection string", "Copy the connection string of the storage account."
            )
            raise Misconfigured([problem]) from error
    blob_url, queue_url = settings.storage_blob_url, settings.storage_queue_url
    if blob_url is None or queue_url is None:
        raise AssertionError("validated settings name a storage account")
    return Storage(
        BlobServiceClient(blob_url, credential, transport=azure_transport(tls), **_RETRIES),
        QueueServiceClient(queue_url, credential, transport=azure_transport(tls), **_RETRIES),
    )


def _block_id(block: int) -> str:
    return f"{block:06d}"


@contextmanager
def _translated(what: str) -> Iterator[None]:
    """Turn the SDK's errors into ours."""
    from azure.core.exceptions import AzureError, HttpResponseError

    try:
        yield
    except HttpResponseError as error:
        if error.status_code in {401, 403}:
            raise Misconfigured([_refusal(what, error)]) from error
        raise StorageUnavailable(f"Azure Storage answered {error.status_code} for {what}") from error
    except AzureError as error:
        raise StorageUnavailable(f"Azure Storage cannot be reached for {what}: {type(error).__name__}") from error


def _refusal(what: str, error: "HttpResponseError") -> Problem:
    code = getattr(error, "error_code", None)
    code = str(getattr(code, "value", code or error.status_code))
    message = f"Azure Storage refuses access to {what} ({code})"
    return Problem("INVENTORY_STORAGE", message, _REMEDIES.get(code, _NO_ROLE))

"""What the host itself keeps in storage: the status and the lock of each timer, in ``AzureWebJobsStorage``."""

import json
import logging
from collections.abc import Mapping
from contextlib import suppress
from typing import Final

from azure.core.exceptions import ResourceExistsError, ResourceNotFoundError
from azure.storage.blob.aio import BlobServiceClient, ContainerClient

from sandbox.host.queues.storage import RETRIES
from sandbox.host.settings import DEFAULT_CONNECTION
from sandbox.host.timers.singleton import Lease
from sandbox.host.timers.status import Status

CONTAINER: Final = "azure-webjobs-hosts"

logger = logging.getLogger(__name__)


class HostStorage:
    """The container of the host; without a connection string, each host keeps its timers to itself.

    Args:
        environ: the app settings.
        host_id: what all hosts of one app have in common.
    """

    def __init__(self, environ: Mapping[str, str], host_id: str) -> None:
        self._host_id = host_id
        self._service = _connect(environ.get(DEFAULT_CONNECTION, ""))

    async def close(self) -> None:
        if self._service is not None:
            await self._service.close()

    def status_of(self, function: str) -> "StatusBlob | StatusInMemory":
        """Return where the status of a timer is kept."""
        if self._service is None:
            return StatusInMemory()
        return StatusBlob(self._service.get_container_client(CONTAINER), f"timers/{self._host_id}/{function}/status")

    def lock_of(self, function: str) -> "BlobLock | NoLock":
        """Return the lock of a timer."""
        if self._service is None:
            return NoLock()
        return BlobLock(self._service.get_container_client(CONTAINER), f"locks/{self._host_id}/{function}.Listener")


class StatusBlob:
    """The status of a timer in a blob; every call raises AzureError if it fails."""

    def __init__(self, container: ContainerClient, path: str) -> None:
        self._container = container
        self._path = path

    async def read(self) -> Status | None:
        """Return what is stored; ``None`` if there is nothing, or nothing that can be read."""
        try:
            download = await self._container.download_blob(self._path)
            return Status.from_json(await download.readall())
        except ResourceNotFoundError:
            return None
        except ValueError as error:
            logger.warning("%s is not read: %s", self._path, error)
            return None

    async def write(self, status: Status) -> None:
        await _upload(self._container, self._path, json.dumps(status.document()))


class StatusInMemory:
    """The status of a timer that ends with the host."""

    def __init__(self) -> None:
        self._status: Status | None = None

    async def read(self) -> Status | None:
        return self._status

    async def write(self, status: Status) -> None:
        self._status = status


class BlobLock:
    """The lease of a blob; it raises AzureError if it cannot be asked for."""

    def __init__(self, container: ContainerClient, path: str) -> None:
        self._container = container
        self._path = path

    async def acquire(self, seconds: int) -> Lease | None:
        blob = self._container.get_blob_client(self._path)
        try:
            return await blob.acquire_lease(seconds)
        except ResourceExistsError:  # 409: another host has it
            return None
        except ResourceNotFoundError:
            await _upload(self._container, self._path, "")
        return await blob.acquire_lease(seconds)


class NoLock:
    """The lock of a host that is alone."""

    async def acquire(self, _: int) -> "NoLock":
        return self

    async def renew(self) -> None: ...

    async def release(self) -> None: ...


async def _upload(container: ContainerClient, path: str, text: str) -> None:
    """Write a blob; create the container when it is missing."""
    try:
        await container.upload_blob(path, text, overwrite=True)
    except ResourceNotFoundError:
        with suppress(ResourceExistsError):
            await container.create_container()
        await container.upload_blob(path, text, overwrite=True)


def _connect(connection_string: str) -> BlobServiceClient | None:
    try:
        return BlobServiceClient.from_connection_string(connection_string, **RETRIES)
    except ValueError:
        logger.warning("%s is not a connection string: what timers miss is not caught up", DEFAULT_CONNECTION)
        return None

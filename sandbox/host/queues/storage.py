"""The queues that bindings name, through the real clients."""

from collections.abc import Mapping
from contextlib import AsyncExitStack, suppress
from typing import Any, Final

from azure.core.exceptions import ResourceExistsError, ResourceNotFoundError
from azure.identity.aio import DefaultAzureCredential
from azure.storage.queue.aio import QueueClient, QueueServiceClient

from sandbox.host.errors import StartError
from sandbox.host.runtime import Binding, Function
from sandbox.host.settings import DEFAULT_CONNECTION, Connection, connection, resolve

# Short ones: the storage is on this machine, and a drain waits for the call under way.
RETRIES: Final[dict[str, Any]] = {"retry_total": 2, "initial_backoff": 1, "increment_base": 1, "random_jitter_range": 0}
POISON: Final = "-poison"


class Queues:
    """Queue clients by binding; one service client for each connection."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self._services: dict[Connection, QueueServiceClient] = {}
        self._open = AsyncExitStack()

    async def close(self) -> None:
        await self._open.aclose()

    def of(self, function: Function, binding: Binding) -> QueueClient:
        """Return the queue of a binding.

        Raises:
            StartError: its connection or a setting in its name is missing.
        """
        name = resolve(binding["queueName"], self._environ, function.name)
        return self._service(function, binding).get_queue_client(name)

    def poison_of(self, function: Function) -> QueueClient | None:
        """Where the spent messages of a queue function go; those of a poison queue go nowhere."""
        name = self.of(function, function.trigger).queue_name
        if name.endswith(POISON):
            return None
        return self._service(function, function.trigger).get_queue_client(name + POISON)

    def _service(self, function: Function, binding: Binding) -> QueueServiceClient:
        at = connection(binding.get("connection", ""), self._environ, function.name)
        if at not in self._services:
            try:
                self._services[at] = service = self._connect(at)
            except ValueError as error:
                setting = binding.get("connection") or DEFAULT_CONNECTION
                raise StartError(f"function {function.name}: setting {setting} is no connection: {error}") from error
            self._open.push_async_callback(service.close)
        return self._services[at]

    def _connect(self, at: Connection) -> QueueServiceClient:
        if at.connection_string:
            return QueueServiceClient.from_connection_string(at.connection_string, **RETRIES)
        if not at.queue_service_uri.startswith("https:"):  # tokens travel over TLS only
            return QueueServiceClient(at.queue_service_uri, **RETRIES)
        credential = DefaultAzureCredential(managed_identity_client_id=at.client_id or None)
        self._open.push_async_callback(credential.close)
        return QueueServiceClient(at.queue_service_uri, credential, **RETRIES)


async def send(queue: QueueClient, content: str) -> None:
    """Send a message as it is; create the queue when it is missing."""
    try:
        await queue.send_message(content)
    except ResourceNotFoundError:
        with suppress(ResourceExistsError):
            await queue.create_queue()
        await queue.send_message(content)

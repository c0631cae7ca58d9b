"""Queue triggers: polling, visibility, dequeue count and poison queues, as ``QueueListener`` of .NET has it."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from azure.core.exceptions import AzureError, ResourceNotFoundError
from azure.functions.meta import Datum
from azure.storage.queue import QueueMessage
from azure.storage.queue.aio import QueueClient

from sandbox.host.queues.messages import decode, metadata
from sandbox.host.queues.storage import send
from sandbox.host.runtime import Function, Invoke
from sandbox.host.settings import QueueOptions
from sandbox.host.waiting import wait

QUEUE_TRIGGER: Final = "queueTrigger"
# How long an idle queue is left alone: on Azure as recorded, then maxPollingInterval; here a poll costs nothing.
AZURE_PAUSES: Final = (0.1, 0.2, 0.3, 0.55, 0.9, 1.6, 3.5)
PAUSES: Final = (0.05, 0.1, 0.2, 0.4, 0.8)
LONGEST_PAUSE: Final = 1.0

logger = logging.getLogger(__name__)


class QueueListener:
    """Runs one queue function for the messages of its queue.

    Args:
        function: the function.
        queue: the queue it listens to, which need not exist yet.
        poison: where messages go whose attempts are spent; None on a poison queue itself, whose messages stay.
        options: from host.json.
        invisibility_seconds: how long a dequeued message is hidden; renewed at half time while its function runs.
        azure_pace: whether an idle queue is asked as seldom as on Azure.
        invoke: runs the function.
    """

    def __init__(
        self,
        function: Function,
        queue: QueueClient,
        poison: QueueClient | None,
        *,
        options: QueueOptions,
        invisibility_seconds: int,
        azure_pace: bool,
        invoke: Invoke,
    ) -> None:
        self.function = function
        self._queue = queue
        self._poison = poison
        self._options = options
        self._invisibility = invisibility_seconds
        self._pauses = pauses(options.max_polling_interval.total_seconds(), azure_pace=azure_pace)
        self._invoke = invoke
        self._running: set[asyncio.Task[None]] = set()

    async def run(self, stop: asyncio.Event) -> None:
        """Poll until ``stop`` is set, then wait for the messages that are being worked on."""
        idle = 0
        async with asyncio.TaskGroup() as group:
            while not await wait(stop, self._pauses[min(idle, len(self._pauses) - 1)]):
                await self._room()
                batch = [] if stop.is_set() else await self._receive()
                for message in batch:
                    self._start(group, message)
                idle = 0 if batch else idle + 1

    async def trigger(self, text: str) -> None:
        """Run the function with this text as message, without a queue."""
        await self._invoke(self.function, Datum(text, "string"), {})

    async def _room(self) -> None:
        while len(self._running) > self._options.new_batch_threshold:
            await asyncio.wait(self._running, return_when=asyncio.FIRST_COMPLETED)

    async def _receive(self) -> list[QueueMessage]:
        size = self._options.batch_size
        pages = self._queue.receive_messages(
            messages_per_page=size, max_messages=size, visibility_timeout=self._invisibility
        )
        try:
            return [message async for message in pages]
        except ResourceNotFoundError:
            return []
        except AzureError as error:
            logger.warning("queue %s cannot be read: %s", self._queue.queue_name, error)
            return []

    def _start(self, group: asyncio.TaskGroup, message: QueueMessage) -> None:
        task = group.create_task(self._process(message))
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def _process(self, message: QueueMessage) -> None:
        try:
            await self._handle(message, attempts=message.dequeue_count or 1)
        except AzureError as error:
            # The message appears again by itself: every trigger is at least once.
            logger.warning("message %s of %s was not settled: %s", message.id, self._queue.queue_name, error)

    async def _handle(self, message: QueueMessage, attempts: int) -> None:
        try:
            body = decode(message.content, self._options.message_encoding)
        except ValueError:
            logger.warning("message %s of %s is not base64", message.id, self._queue.queue_name)
            await self._bury(message)
            return
        if self._poison and attempts > self._options.max_dequeue_count:
            await self._bury(message)
        elif await self._attempt(message, body):
            await self._queue.delete_message(message)
        elif attempts >= self._options.max_dequeue_count:
            await self._bury(message)
        elif self._poison:
            delay = int(self._options.visibility_timeout.total_seconds())
            await self._queue.update_message(message, visibility_timeout=delay)

    async def _attempt(self, message: QueueMessage, body: bytes) -> bool:
        """Run the function, unless its input cannot be made: that is a failed attempt, too."""
        try:
            text = body.decode()
        except UnicodeDecodeError as error:
            logger.warning("message %s of %s is not UTF-8: %s", message.id, self._queue.queue_name, error.reason)
            return False
        async with self._hidden(message):
            outcome = await self._invoke(self.function, Datum(text, "string"), metadata(message))
        return outcome.succeeded

    async def _bury(self, message: QueueMessage) -> None:
        """Move a message to the poison queue; on a poison queue it comes again when its invisibility ends."""
        if self._poison:
            logger.warning("message %s goes to %s", message.id, self._poison.queue_name)
            await send(self._poison, message.content)
            await self._queue.delete_message(message)

    @asynccontextmanager
    async def _hidden(self, message: QueueMessage) -> AsyncIterator[None]:
        """Keep the message hidden meanwhile; its pop receipt follows each renewal."""
        done = asyncio.Event()
        renewal = asyncio.create_task(self._renew(message, done))
        try:
            yield
        finally:
            done.set()
            await renewal

    async def _renew(self, message: QueueMessage, done: asyncio.Event) -> None:
        while not await wait(done, self._invisibility / 2):
            try:
                renewed = await self._queue.update_message(message, visibility_timeout=self._invisibility)
            except AzureError as error:
                logger.warning("message %s of %s is not kept hidden: %s", message.id, self._queue.queue_name, error)
                return
            message.pop_receipt = renewed.pop_receipt


def pauses(longest: float, *, azure_pace: bool) -> tuple[float, ...]:
    """Return how long to wait after each look at a queue that holds nothing; the last one stays."""
    known, last = (AZURE_PAUSES, longest) if azure_pace else (PAUSES, min(longest, LONGEST_PAUSE))
    return (*(pause for pause in known if pause < last), last)

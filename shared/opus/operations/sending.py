"""Sends the batches of an operation, and writes down what came of each."""

import asyncio
import logging
from typing import TYPE_CHECKING

from shared.credentials.secrets import VaultUnavailable
from shared.errors import Misconfigured, StorageUnavailable
from shared.opus.client.verdicts import CallVerdict, Unknown
from shared.opus.operations.rules import RESTORED, Work
from shared.telemetry.events import log_event, log_failure

if TYPE_CHECKING:
    from shared.opus.operations.execution import Execution

OURS = (Misconfigured, StorageUnavailable, VaultUnavailable)
"""What is in the way before anything is sent, and is ours to put right."""

log = logging.getLogger(__name__)


class Sender:
    """Sends what is pending, a few batches at once."""

    def __init__(self, execution: "Execution") -> None:
        self._execution = execution
        self._order = execution.order
        self._tools = execution.tools
        self._slots = asyncio.Semaphore(self._tools.at_once(self._order))
        self._stopped = False

    async def send_pending(self) -> None:
        """Send what is pending until something says stop; what is in flight then ends, whatever happens here."""
        under_way: set[asyncio.Task[None]] = set()
        try:
            while self._may_start() and (numbers := await self._execution.next_numbers()):
                started = [self._launch(number, under_way) for number in numbers]
                await started[len(numbers) // 2].wait()  # the next are marked while the rest of these are sent
                await _until_left(under_way, self._tools.backlog(self._order))
            await _until_left(under_way, 0)
        except Exception:  # whatever it was, what is in flight ends before it goes on: its answer is the only proof
            self._stopped = True
            if under_way:
                await asyncio.wait(under_way)
            raise

    def _may_start(self) -> bool:
        return not self._stopped and self._execution.may_start()

    def _launch(self, number: int, under_way: set[asyncio.Task[None]]) -> asyncio.Event:
        """Send a batch as soon as there is room; the event says when that is."""
        started = asyncio.Event()
        under_way.add(asyncio.create_task(self._carry_out(number, started)))
        return started

    async def _carry_out(self, number: int, started: asyncio.Event) -> None:
        work = self._execution.work(number)
        fields = {"operation": self._order.operation_id, "batch": number, "items": len(work.items)}
        async with self._slots:
            started.set()
            if not self._may_start():
                self._execution.unmark(number)
                return
            log_event(log, "operation.batch_sent", **fields)
            verdict = await self._verdict(work)
        if verdict is None:
            await self._execution.take_back(number)
            return
        await asyncio.sleep(0)  # whoever waits for the slot sends first
        log_event(log, "operation.batch_answered", verdict=type(verdict).__name__, **fields)
        await self._execution.follow(number, self._execution.work(number).apply(verdict), verdict)

    async def _verdict(self, work: Work) -> CallVerdict | None:
        """Return what sending a batch proves; ``None`` when a fault of ours kept it from being sent."""
        try:
            async with asyncio.timeout(self._execution.seconds_left()):
                return await self._call(work) if await self._execution.claim(work.number) else RESTORED
        except TimeoutError:
            return Unknown("AvePoint did not answer in time.")
        except OURS as error:
            self._execution.failure = error
            return None
        except Exception:  # noqa: BLE001 - the call may be out: whatever went wrong, it proves nothing
            log_failure(log, "operation.batch_broken", operation=self._order.operation_id)
            return Unknown("The answer could not be read.")

    async def _call(self, work: Work) -> CallVerdict:
        if self._order.kind == "destroy":
            return await self._tools.opus.destroy(work.keys)
        if self._order.connection is None or self._order.conflict_option is None:
            raise AssertionError("a submit names a connection and a conflict option")
        records = [self._order.records[index] for index, _ in work.items]
        return await self._tools.opus.submit(self._order.connection, self._order.conflict_option, records)


async def _until_left(tasks: set[asyncio.Task[None]], most: int) -> None:
    """Wait until at most ``most`` tasks are left, and raise what one of them raised."""
    while True:
        done = {task for task in tasks if task.done()}
        tasks -= done
        for task in done:
            task.result()
        if len(tasks) <= most:
            return
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)

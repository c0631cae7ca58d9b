"""One invocation from start to end: log lines, time limit, output bindings."""

import asyncio
import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final, Protocol
from uuid import uuid4

from azure.core.exceptions import AzureError
from azure.functions.meta import Datum

from sandbox.host.runtime import Function, Outcome, Runtime

FAILED: Final = Outcome(succeeded=False)
LINGER_SECONDS: Final = 15.0  # longer than the pause between two tries: the next one meets the old one at work

logger = logging.getLogger(__name__)


class Outputs(Protocol):
    async def send(self, function: Function, outcome: Outcome) -> None:
        """Deliver what the function gave its output bindings; AzureError when that fails."""


@dataclass(eq=False)
class Worker:
    """The process that runs functions on Azure: all of its invocations are lost when it is replaced."""

    running: set[asyncio.Task[Outcome]] = field(default_factory=set)
    lost: asyncio.Event = field(default_factory=asyncio.Event)

    def end(self) -> None:
        for task in self.running:
            task.cancel()


class Invoker:
    """Runs functions; one whose output cannot be delivered has failed.

    A function that outlives ``timeout`` has failed, and with it all that run beside it, since the host replaces their
    worker. What they run goes on for a while, as the old process may.
    """

    def __init__(self, runtime: Runtime, outputs: Outputs, timeout: timedelta | None) -> None:
        self._runtime = runtime
        self._outputs = outputs
        self._timeout = timeout.total_seconds() if timeout else None
        self._worker = Worker()

    async def __call__(self, function: Function, trigger: Datum, metadata: Mapping[str, Datum]) -> Outcome:
        invocation_id = str(uuid4())
        began = time.monotonic()
        logger.info("Executing 'Functions.%s' (Id=%s)", function.name, invocation_id)
        outcome = FAILED
        try:
            outcome = await self._run(function, invocation_id, trigger, metadata)
        finally:
            logger.info(
                "Executed 'Functions.%s' (%s, Id=%s, Duration=%.0fms)",
                function.name,
                "Succeeded" if outcome.succeeded else "Failed",
                invocation_id,
                (time.monotonic() - began) * 1000,
            )
        return outcome

    async def _run(
        self, function: Function, invocation_id: str, trigger: Datum, metadata: Mapping[str, Datum]
    ) -> Outcome:
        outcome = await self._in_worker(function, invocation_id, trigger, metadata)
        try:
            if outcome.succeeded:
                await self._outputs.send(function, outcome)
        except AzureError:
            logger.exception("'Functions.%s' (Id=%s): an output was not delivered", function.name, invocation_id)
            return FAILED
        return outcome

    async def _in_worker(
        self, function: Function, invocation_id: str, trigger: Datum, metadata: Mapping[str, Datum]
    ) -> Outcome:
        worker = self._worker
        task = asyncio.create_task(self._runtime.invoke(function, invocation_id, trigger, metadata))
        worker.running.add(task)
        task.add_done_callback(worker.running.discard)
        lost = asyncio.create_task(worker.lost.wait())
        try:
            await asyncio.wait({task, lost}, timeout=self._timeout, return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            task.cancel()
            raise
        finally:
            lost.cancel()
        if task.done():
            return task.result()
        if worker.lost.is_set():
            logger.error("'Functions.%s' (Id=%s) is lost with its worker", function.name, invocation_id)
        else:
            logger.error("'Functions.%s' (Id=%s) ran longer than functionTimeout", function.name, invocation_id)
            self._replace(worker)
        return FAILED

    def _replace(self, worker: Worker) -> None:
        worker.lost.set()
        self._worker = Worker()
        asyncio.get_running_loop().call_later(LINGER_SECONDS, worker.end)

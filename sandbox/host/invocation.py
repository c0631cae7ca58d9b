"""One invocation from start to end: log lines, time limit, output bindings."""

import asyncio
import logging
import time
from collections.abc import Mapping
from datetime import timedelta
from typing import Final, Protocol
from uuid import uuid4

from azure.core.exceptions import AzureError
from azure.functions.meta import Datum

from sandbox.host.runtime import Function, Outcome, Runtime

FAILED: Final = Outcome(succeeded=False)

logger = logging.getLogger(__name__)


class Outputs(Protocol):
    async def send(self, function: Function, outcome: Outcome) -> None:
        """Deliver what the function gave its output bindings; AzureError when that fails."""


class Invoker:
    """Runs functions; a function that outlives ``timeout`` or whose output cannot be delivered has failed."""

    def __init__(self, runtime: Runtime, outputs: Outputs, timeout: timedelta | None) -> None:
        self._runtime = runtime
        self._outputs = outputs
        self._timeout = timeout.total_seconds() if timeout else None

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
        try:
            async with asyncio.timeout(self._timeout):
                outcome = await self._runtime.invoke(function, invocation_id, trigger, metadata)
            if outcome.succeeded:
                await self._outputs.send(function, outcome)
        except TimeoutError:
            logger.exception("'Functions.%s' (Id=%s) ran longer than functionTimeout", function.name, invocation_id)
            return FAILED
        except AzureError:
            logger.exception("'Functions.%s' (Id=%s): an output was not delivered", function.name, invocation_id)
            return FAILED
        return outcome

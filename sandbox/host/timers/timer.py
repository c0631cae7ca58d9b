"""Timer triggers, as ``TimerListener`` of the .NET host runs them."""

import asyncio
import json
import logging
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Final, Protocol

from azure.core.exceptions import AzureError
from azure.functions.meta import Datum

from sandbox.host.errors import StartError
from sandbox.host.runtime import Function, Invoke
from sandbox.host.settings import PLACEHOLDER, resolve
from sandbox.host.timers.singleton import Lock, run_alone
from sandbox.host.timers.status import Status, is_frequent
from sandbox.host.waiting import wait
from shared.schedule import Schedule

type Clock = Callable[[], datetime]

TIMER_TRIGGER: Final = "timerTrigger"
LONGEST_SLEEP: Final = 60.0  # seconds; a laptop that slept is up to date again after that
RETRY_SECONDS: Final = 5.0

logger = logging.getLogger(__name__)


class Statuses(Protocol):
    """Where the status of a timer is kept; each call raises AzureError if it fails."""

    async def read(self) -> Status | None: ...

    async def write(self, status: Status, /) -> None: ...


def utc_now() -> datetime:
    return datetime.now(UTC)


class Timer:
    """One timer function and its schedule.

    Args:
        function: the function.
        environ: the app settings.
        invoke: runs the function.
        statuses: where its status is kept.
        lock: what one host of several holds to run it.
        now: the clock.

    Raises:
        StartError: the schedule is missing or wrong; the message names the setting.
    """

    def __init__(
        self,
        function: Function,
        environ: Mapping[str, str],
        invoke: Invoke,
        *,
        statuses: Statuses,
        lock: Lock,
        now: Clock = utc_now,
    ) -> None:
        self.function = function
        self._schedule = _schedule(function, environ)
        self._invoke = invoke
        self._statuses = statuses
        self._lock = lock
        self._now = now
        self._monitored = function.trigger.get("useMonitor", True) and not is_frequent(self._schedule, now())

    async def run(self, stop: asyncio.Event) -> None:
        """Fire on schedule until ``stop`` is set, while no other host does; what was missed comes once, past due."""
        await run_alone(self._lock, stop, self._listen)

    async def trigger(self, _: str) -> None:
        """Run the function now, out of turn, with the status as it is stored; any input is ignored."""
        try:
            status = await self._statuses.read() if self._monitored else None
        except AzureError as error:
            logger.warning("timer %s is not run: its status cannot be read: %s", self.function.name, error)
        else:
            await self._call(status)

    async def _listen(self, stop: asyncio.Event) -> None:
        status = await self._begin(stop)
        if stop.is_set():
            return
        if self._monitored and self._now() > status.next:
            status = await self._fire(status, past_due=True)
        elif self.function.trigger.get("runOnStartup"):
            status = await self._fire(status, at_start=True)
        while await self._due(status, stop):
            status = await self._fire(status)

    async def _begin(self, stop: asyncio.Event) -> Status:
        """Return the status to go on from; it is stored before anything is called, so that no tick can be missed."""
        stored = await self._stored(stop) if self._monitored else None
        now = self._now()
        status = stored.at_start(self._schedule, now) if stored else Status.first(self._schedule, now)
        if status != stored and not stop.is_set():
            await self._write(status)
        return status

    async def _stored(self, stop: asyncio.Event) -> Status | None:
        """Return what is stored, asking again until storage answers: it may name a tick that was missed."""
        while not stop.is_set():
            try:
                return await self._statuses.read()
            except AzureError as error:
                logger.warning("the status of timer %s cannot be read: %s", self.function.name, error)
                await wait(stop, RETRY_SECONDS)
        return None

    async def _due(self, status: Status, stop: asyncio.Event) -> bool:
        """Wait for the next occurrence; False when the host stops first."""
        while (left := (status.next - self._now()).total_seconds()) > 0:
            if await wait(stop, min(left, LONGEST_SLEEP)):
                return False
        return not stop.is_set()

    async def _fire(self, status: Status, *, past_due: bool = False, at_start: bool = False) -> Status:
        began = self._now()
        await self._call(status if self._monitored else None, past_due=past_due)
        if not past_due and not at_start:
            began = max(began, status.next)  # a timer that fires early would be given the same tick twice
        status = Status.ran(self._schedule, began)
        await self._write(status)
        return status

    async def _call(self, status: Status | None, *, past_due: bool = False) -> None:
        info = {
            "Schedule": {"AdjustForDST": True},
            "ScheduleStatus": status.document() if status else None,
            "IsPastDue": past_due,
        }
        await self._invoke(self.function, Datum(json.dumps(info), "json"), {})

    async def _write(self, status: Status) -> None:
        if not self._monitored:
            return
        try:
            await self._statuses.write(status)
        except AzureError as error:
            logger.warning("the status of timer %s cannot be written: %s", self.function.name, error)


def _schedule(function: Function, environ: Mapping[str, str]) -> Schedule:
    written = function.trigger["schedule"]
    try:
        return Schedule.parse(resolve(written, environ, function.name))
    except ValueError as error:
        settings = "".join(f" setting {name}:" for name in PLACEHOLDER.findall(written))
        raise StartError(f"function {function.name}:{settings} {error}") from error

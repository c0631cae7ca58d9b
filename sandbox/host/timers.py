"""Timer triggers, as ``TimerListener`` of the .NET host runs them.

Unlike it, a timer that fires more than once a minute keeps its schedule status: that is how timers are tried out here.
"""

import asyncio
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from azure.functions.meta import Datum

from sandbox.host.errors import StartError
from sandbox.host.runtime import Function, Invoke
from sandbox.host.schedule import Schedule
from sandbox.host.settings import resolve
from sandbox.host.waiting import wait

type Clock = Callable[[], datetime]

TRIGGER: Final = "timerTrigger"
LONGEST_SLEEP: Final = 60.0  # seconds; a laptop that slept is up to date again after that
NEVER: Final = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Status:
    """The schedule status that a timer is given: when it last ran and when it runs next."""

    last: datetime
    next: datetime
    updated: datetime

    def document(self) -> dict[str, str]:
        return {
            "Last": self.last.isoformat(),
            "Next": self.next.isoformat(),
            "LastUpdated": self.updated.isoformat(),
        }


def utc_now() -> datetime:
    return datetime.now(UTC)


class Timer:
    """One timer function, its schedule and its status.

    Raises:
        StartError: the schedule is missing or wrong.
    """

    def __init__(self, function: Function, environ: Mapping[str, str], invoke: Invoke, now: Clock = utc_now) -> None:
        self.function = function
        self._schedule = _schedule(function, environ)
        self._invoke = invoke
        self._now = now
        self._status = Status(last=NEVER, next=self._schedule.next(now()), updated=NEVER)

    async def run(self, stop: asyncio.Event) -> None:
        """Fire on schedule until ``stop`` is set; an occurrence missed while the function ran comes right after."""
        if self.function.trigger.get("runOnStartup"):
            await self._fire()
        while await self._due(stop):
            await self._fire()

    async def trigger(self, _: str) -> None:
        """Run the function now, out of turn; its status stays as it is, and any input is ignored."""
        await self._invoke(self.function, self._input(), {})

    async def _due(self, stop: asyncio.Event) -> bool:
        """Wait for the next occurrence; False when the host stops first."""
        while (left := (self._status.next - self._now()).total_seconds()) > 0:
            if await wait(stop, min(left, LONGEST_SLEEP)):
                return False
        return not stop.is_set()

    async def _fire(self) -> None:
        began = self._now()
        await self._invoke(self.function, self._input(), {})
        self._status = Status(last=began, next=self._schedule.next(began), updated=began)

    def _input(self) -> Datum:
        monitored = self.function.trigger.get("useMonitor", True)
        info = {
            "Schedule": {"AdjustForDST": True},
            "ScheduleStatus": self._status.document() if monitored else None,
            "IsPastDue": False,
        }
        return Datum(json.dumps(info), "json")


def _schedule(function: Function, environ: Mapping[str, str]) -> Schedule:
    try:
        return Schedule.parse(resolve(function.trigger["schedule"], environ, function.name))
    except ValueError as error:
        raise StartError(f"function {function.name}: {error}") from error

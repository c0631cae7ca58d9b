"""The status of a timer, and what a host makes of it when it starts, as ``ScheduleMonitor`` of .NET does. Pure."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, Self

from shared.schedule import Schedule

MINUTE: Final = timedelta(minutes=1)
NEVER: Final = datetime.min.replace(tzinfo=UTC)
END_OF_TIME: Final = datetime.max.replace(tzinfo=UTC)  # when a schedule that never comes is due on Azure, too


def tick_after(schedule: Schedule, moment: datetime) -> datetime:
    """Return the next tick of any schedule."""
    return schedule.next(moment) or END_OF_TIME


def is_frequent(schedule: Schedule, now: datetime) -> bool:
    """Return whether two ticks come within a minute: the host keeps no status of such a timer."""
    return tick_after(schedule, tick_after(schedule, now)) <= now + MINUTE


@dataclass(frozen=True, slots=True)
class Status:
    """When a timer last ran, when it runs next, and the moment that the next tick was counted from."""

    last: datetime
    next: datetime
    updated: datetime

    @classmethod
    def first(cls, schedule: Schedule, now: datetime) -> Self:
        """Return the status of a timer that has not run yet, or whose schedule is new."""
        return cls(NEVER, tick_after(schedule, now), now)

    @classmethod
    def ran(cls, schedule: Schedule, at: datetime) -> Self:
        """Return the status after a call."""
        return cls(at, tick_after(schedule, at), at)

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        """Read the blob of a status.

        Raises:
            ValueError: It is not one.
        """
        fields = json.loads(text)
        try:
            return cls(*(_moment(fields[name]) for name in ("Last", "Next", "LastUpdated")))
        except (KeyError, TypeError) as error:
            raise ValueError(f"this is not the status of a timer: {error}") from error

    def document(self) -> dict[str, str]:
        return {
            "Last": self.last.isoformat(),
            "Next": self.next.isoformat(),
            "LastUpdated": self.updated.isoformat(),
        }

    def at_start(self, schedule: Schedule, now: datetime) -> "Status":
        """Return the status to begin with: this one, unless the schedule has changed, which is not caught up."""
        counted_from = next((moment for moment in (self.updated, self.last) if moment != NEVER), now)
        expected = tick_after(schedule, counted_from)
        if self.next == expected:
            return self
        return Status.first(schedule, counted_from if now <= expected else now)


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)

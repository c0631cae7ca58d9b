"""Six-field NCRONTAB schedules, in UTC. Pure."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Self

from croniter import croniter
from croniter.croniter import CroniterError

# seconds, minutes, hours, day, month, day of week (0 = Sunday); croniter alone takes more than Azure does
FIELDS: Final = (r"\d+", r"\d+", r"\d+", r"\d+", r"\d+|[A-Za-z]{3}", r"[0-6]|[A-Za-z]{3}")
GRAMMAR: Final = tuple(rf"(?:\*|(?:{value})(?:-(?:{value}))?)(?:/\d+)?" for value in FIELDS)


@dataclass(frozen=True, slots=True)
class Schedule:
    """A schedule such as ``0 30 2 * * *``: every day at 02:30:00 UTC."""

    expression: str

    @classmethod
    def parse(cls, expression: str) -> Self:
        """Read an expression.

        Raises:
            ValueError: it is no six-field NCRONTAB expression, or names no moment that ever comes.
        """
        fields = expression.split()
        if len(fields) != len(FIELDS) or not all(map(_fits, GRAMMAR, fields)):
            raise ValueError(f"{expression!r} is no six-field NCRONTAB expression")
        schedule = cls(" ".join(fields))
        try:
            schedule.next(datetime.now(UTC))
        except CroniterError as error:
            raise ValueError(f"{expression!r} is no schedule: {error}") from error
        return schedule

    def next(self, after: datetime) -> datetime:
        """The first occurrence strictly after this moment, in UTC."""
        ticks = croniter(self.expression, after.astimezone(UTC), second_at_beginning=True, day_or=False)
        tick: datetime = ticks.get_next(datetime)
        return tick


def _fits(grammar: str, field: str) -> bool:
    return all(re.fullmatch(grammar, part) for part in field.split(","))

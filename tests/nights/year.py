"""An organisation and its app for a year, on storage in memory and a clock of its own: ``python -m tests.nights.year``.

The account begins as the first release left it. On the way AvePoint is away or refuses, hosts are killed, versions
change, storage is away, restored and damaged, secrets end and are renewed, old files are deleted by their rules,
evidence is locked and pruned, and all moves to another account (``happenings``). Every day, the alerts that fire are
those that should. In the end every promise is checked over everything that is stored (``checks``).
"""

import argparse
import asyncio
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial

from shared.avepoint.platform import SOURCES
from shared.doctor.verifying.sweep import LOOKED_AGAIN
from shared.harvest.runs.starting import start_scheduled
from tests.nights.calling import sweep
from tests.nights.checks import Checks
from tests.nights.happenings import MONTH, Happenings
from tests.nights.organisation import DAY, Organisation

LISTS = ("/smp/", "/aos/", "/backup/", "/api/", "/partner/")


@dataclass
class Year:
    """Nights of one organisation."""

    days: int
    here: Organisation = field(default_factory=Organisation)
    requests: int = 0

    def __post_init__(self) -> None:
        self.happenings = Happenings(self.here)
        self.checks = Checks(self.here, self.happenings)

    async def live(self) -> None:
        """Live through all days."""
        with self.here.alerts.telemetry.listening():
            await self.here.begin()
            await self.checks.look()
            while self.here.day < self.days:
                await self._day()
                if self.here.day == MONTH:
                    await self.checks.check_growth()
            await self.checks.check()
            if self.here.day > MONTH:
                await self.checks.check_growth()

    async def _day(self) -> None:
        here = self.here
        here.next_day()
        await self.happenings.befall()
        await self._night()
        await self.happenings.by_day()
        await self.checks.look()
        self.checks.expire()
        here.alerts.check(here.day, here.began, here.began + DAY)

    async def _night(self) -> None:
        here = self.here
        host = here.host()
        await host.insist(sweep)
        for source in SOURCES:
            await host.insist(partial(start_scheduled, source=source, due=here.began))
        await host.settle(steps=2000)
        await here.build()
        await host.insist(sweep)
        await self.happenings.after_harvest()
        here.clock.now += LOOKED_AGAIN
        await host.insist(sweep)
        await host.close()
        here.count(host, sweeps=3, starts=len(SOURCES))
        self.requests += sum(entry.path.startswith(LISTS) for entry in here.avepoint.log.entries("*"))
        here.avepoint.log.clear()
        here.avepoint.faults.clear()


async def live(days: int) -> Year:
    """Live through so many days, and return what is left of them."""
    year = Year(days)
    await year.live()
    return year


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; its exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.nights.year", description="Live through a year.")
    parser.add_argument("--days", type=int, default=365, help="how many nights (default: 365)")
    days, began = parser.parse_args(arguments).days, time.monotonic()
    try:
        year = asyncio.run(live(days))
    except AssertionError as error:
        print(f"BROKEN: {error}", file=sys.stderr)  # noqa: T201 - a command prints
        return 1
    took, snapshots = time.monotonic() - began, len(year.checks.seen)
    print(f"{days} nights, {snapshots} snapshots, every promise kept ({took:.0f} s)")  # noqa: T201 - a command prints
    return 0


if __name__ == "__main__":
    sys.exit(main())

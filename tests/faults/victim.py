"""A process of the app that is killed in the middle of its work, and what goes on in its place."""

import asyncio
import logging
import multiprocessing
import os
import signal
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Literal

from shared.azure.storage import open_storage
from shared.clock import utc_now
from shared.errors import AppError
from shared.harvest.plan.run import Address
from shared.harvest.runs.control import cancel, resume
from shared.harvest.runs.starting import start_scheduled
from shared.harvest.runs.sweep import sweep
from shared.harvest.slices.worker import work
from shared.http.client import HttpClient
from shared.http.tls import client_context
from shared.settings import load_settings
from tests.faults.points import DeathAt, Killed, Point
from tests.faults.process import Errand, Process

FAILED = 3
"""Exit status of a victim that lived, and whose errand failed for a reason that the app knows."""

LOADED_AT_FIRST_USE = ("azure.storage.blob.aio", "azure.storage.queue.aio", "shared.azure.identity")

type Kind = Literal["start", "work", "sweep", "cancel", "resume"]


@dataclass(frozen=True, slots=True)
class Order:
    """What a victim is to do.

    Attributes:
        argument: An instant for ``start``, an address for ``work``, a run id for ``cancel`` and ``resume``.
        ahead: How far its clock is ahead.
        death: The point at which it kills itself.
    """

    environ: Mapping[str, str]
    kind: Kind
    argument: str = ""
    ahead: timedelta = timedelta(0)
    death: int | None = None

    @property
    def errand(self) -> Errand[object]:
        """What a process has to do for it."""
        match self.kind:
            case "start":
                return partial(start_scheduled, source="graph", due=datetime.fromisoformat(self.argument))
            case "work":
                return partial(work, address=Address.from_json(self.argument.encode()))
            case "sweep":
                return sweep
            case "cancel":
                return partial(cancel, run_id=self.argument)
            case "resume":
                return partial(resume, run_id=self.argument)


@dataclass
class Sigkill(DeathAt):
    """Kills the whole process where ``DeathAt`` only says so."""

    async def __call__(self, point: Point) -> None:
        try:
            await super().__call__(point)
        except Killed:
            os.kill(os.getpid(), signal.SIGKILL)


def live(order: Order) -> None:
    """Be a victim; the process ends with this."""
    logging.disable()
    try:
        asyncio.run(_live(order))
    except AppError:
        os._exit(FAILED)


async def _live(order: Order) -> None:
    settings = load_settings(order.environ)
    tls = client_context(None)
    storage, http = open_storage(settings, None, tls), HttpClient(tls)

    def clock() -> datetime:
        return utc_now() + order.ahead

    process = Process(settings, storage, http, clock=clock, sleep=asyncio.sleep, fate=Sigkill(order.death))
    try:
        await process.run(order.errand)
    finally:
        await process.close()
        await http.close()
        await storage.close()


@dataclass
class Yard:
    """Where victims live and die, each in a process of its own, forked from one that has loaded everything.

    Args:
        loaded: Modules that it loads besides, such as what the main module imports, which every process looks at.
    """

    environ: Mapping[str, str]
    loaded: tuple[str, ...] = ()
    ahead: timedelta = timedelta(0)
    lives: int = 0
    kills: int = 0

    def __post_init__(self) -> None:
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload([__name__, *LOADED_AT_FIRST_USE, *self.loaded])

    def clock(self) -> datetime:
        """The present of the victims."""
        return utc_now() + self.ahead

    async def send(
        self, kind: Kind, argument: str = "", *, death: int | None = None, within: float | None = None
    ) -> bool:
        """Let a victim live, until it kills itself at a point, or is killed after so many seconds; whether it was.

        Raises:
            AssertionError: It ended in a way that nobody has planned.
        """
        order = replace(Order(self.environ, kind, argument), ahead=self.ahead, death=death)
        child = self._context.Process(target=live, args=(order,))
        child.start()
        if within is not None:
            await asyncio.to_thread(child.join, within)
            child.kill()
        await asyncio.to_thread(child.join)
        if child.exitcode not in {0, FAILED, -signal.SIGKILL}:
            raise AssertionError(f"the victim that should {kind} {argument} ended with status {child.exitcode}")
        killed = child.exitcode == -signal.SIGKILL
        child.close()
        self.kills += killed
        self.lives += 1
        return killed

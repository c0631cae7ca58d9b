"""Writing the checkpoint of a slice: while it works, and at its end, however it ends."""

import logging
from datetime import datetime, timedelta
from typing import Literal

from shared.azure.lease import LASTS, Lease
from shared.errors import AppError, StorageUnavailable, Wait
from shared.harvest.plan.messages import enqueue
from shared.harvest.plan.run import Address, Run
from shared.harvest.slices.checkpoint import Checkpoint
from shared.harvest.slices.open_part import OpenPart
from shared.harvest.slices.outages import pause_after
from shared.harvest.slices.page_trail import PageTrail
from shared.harvest.slices.progress import Progress
from shared.services import Services
from shared.telemetry.events import log_event

_RUN_AGAIN = "Run it again. If it fails again, ask AvePoint support: AvePoint's answer is not as documented."

log = logging.getLogger(__name__)

type SliceEnding = Literal["finished", "handed over"]


class CheckpointWriter:
    """Saves how far a slice has come, its part first. Every save raises ``Conflict`` once the lease is lost."""

    def __init__(
        self,
        services: Services,
        run: Run,
        address: Address,
        lease: Lease[Checkpoint],
        *,
        trail: PageTrail,
        part: OpenPart,
    ) -> None:
        self._storage = services.storage
        self._clock = services.clock
        self._run = run
        self._address = address
        self._lease = lease
        self._trail = trail
        self._part = part

    @property
    def _progress(self) -> Progress:
        return self._trail.progress

    async def close_part(self) -> None:
        """Count the open part in, if there is one."""
        self._trail.progress = await self._part.close(self._progress)

    async def save(self) -> None:
        """Save the progress as it stands."""
        before = self._lease.document.progress
        await self._lease.save(self._lease.document.advanced(self._progress, now=self._clock()))
        self._log_saved(before)

    async def save_part(self) -> None:
        """Count the open part in, and save the progress."""
        await self.close_part()
        await self.save()

    async def finish(self) -> SliceEnding:
        """End the partition; one without items has one part all the same."""
        if not self._part.is_open and not self._progress.parts:
            self._part.open(self._progress)
        await self.close_part()
        now = self._clock()
        await self._leave(self._lease.document.advanced(self._progress, now=now).ended("done", now=now))
        self._log("partition.finished")
        return "finished"

    async def sit_out(self, error: AppError) -> SliceEnding:
        """Wait for something that may pass: longer each time, and until the run comes to its deadline."""
        outages = self._outages() + 1
        until = min(self._clock() + pause_after(outages), self._run.deadline)
        return await self.hand_over(resume_at=until, waits_for=error, outages=outages)

    async def wait(self, error: Wait) -> SliceEnding:
        """Wait as long as we are told to."""
        return await self.hand_over(resume_at=error.until, waits_for=error, outages=self._outages())

    async def hand_over(
        self, *, resume_at: datetime | None = None, waits_for: AppError | None = None, outages: int = 0
    ) -> SliceEnding:
        """Save what there is, and leave the rest to another slice, which begins at ``resume_at``."""
        await self.close_part()
        now = self._clock()
        wait = max((resume_at or now) - now, timedelta(0))
        reason = str(waits_for) if waits_for else None
        checkpoint = self._lease.document.advanced(self._progress.waited(wait), now=now)
        await self._leave(checkpoint.waiting(now=now, until=resume_at, what=reason, outages=outages))
        await enqueue(self._storage, self._address, delay=wait, guards=checkpoint.epoch)
        self._log("slice.handed_over", wait=wait.total_seconds(), waits_for=reason)
        return "handed over"

    async def restart(self) -> SliceEnding:
        """Begin again, and forget what was written: the server does not know the stored link any more."""
        now = self._clock()
        restarted = self._lease.document.restarted(now=now)
        await enqueue(self._storage, self._address, delay=LASTS, guards=restarted.epoch)  # should this worker die here
        await self._leave(restarted)
        await enqueue(self._storage, self._address, guards=restarted.epoch)
        self._log("partition.restarted", restarts=self._lease.document.restarts)
        return "handed over"

    async def fail(self, error: AppError) -> SliceEnding:
        """Keep what came for inspection, and say what happened and what can be done."""
        await self.close_part()
        now = self._clock()
        advanced = self._lease.document.advanced(self._progress, now=now)
        await self._leave(advanced.ended("failed", now=now, reason=str(error), remedy=error.remedy or _RUN_AGAIN))
        self._log("partition.failed", reason=str(error))
        return "finished"

    async def give_back(self, error: StorageUnavailable) -> None:
        """Let the next attempt begin where the checkpoint stands, without waiting for the lease to end."""
        try:
            await self._leave(self._lease.document.waiting(now=self._clock(), until=None, what=str(error)))
        except StorageUnavailable:
            return  # it is away altogether; the lease ends by itself

    def _log(self, event: str, **fields: object) -> None:
        progress = {"pages": self._progress.pages, "items": self._progress.items}
        log_event(log, event, **self._address.fields(), **progress, epoch=self._lease.document.epoch, **fields)

    def _outages(self) -> int:
        """Return how many failures in a row there were before: a page that came since begins a new row."""
        moved_on = self._progress.pages > self._lease.document.progress.pages
        return 0 if moved_on else self._lease.document.outages

    async def _leave(self, checkpoint: Checkpoint) -> None:
        """Save the checkpoint, and give the lease back."""
        before = self._lease.document.progress
        await self._lease.give_back(lambda _: checkpoint)
        self._log_saved(before)

    def _log_saved(self, before: Progress) -> None:
        harvested = self._lease.document.progress.since(before)
        if any(harvested.values()):
            log_event(log, "slice.saved", **self._address.fields(), epoch=self._lease.document.epoch, **harvested)

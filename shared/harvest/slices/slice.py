"""One bounded unit of work on one partition: page, write parts, and decide about what stands in the way.

While a page is compressed and uploaded, the next one is already asked for. Whatever happens between two saves of the
checkpoint is as if it had not happened: parts that no checkpoint names do not exist.
"""

import asyncio
import logging
from datetime import timedelta

from shared.avepoint.catalog import Dataset
from shared.avepoint.page import Page
from shared.avepoint.request import Request
from shared.azure.lease import Lease
from shared.clock import is_recent
from shared.errors import (
    AppError,
    Conflict,
    GiveUp,
    Gone,
    Rejected,
    StorageUnavailable,
    Wait,
)
from shared.harvest.plan import paths
from shared.harvest.plan.run import Address, Run, read_run
from shared.harvest.slices.chains import page_chains, whole_window
from shared.harvest.slices.checkpoint import DEATHS, Checkpoint, checkpoints_of
from shared.harvest.slices.checkpoint_writer import CheckpointWriter, SliceEnding
from shared.harvest.slices.fetching import Fetched, PageFetcher
from shared.harvest.slices.open_part import OpenPart
from shared.harvest.slices.outages import may_pass
from shared.harvest.slices.page_trail import PageTrail
from shared.harvest.slices.parents.ledger import read_known_hashes
from shared.harvest.slices.parents.outcomes import IN_A_ROW, PATIENCE
from shared.harvest.slices.parents.selection import selected_parents_of
from shared.harvest.slices.progress import Progress
from shared.harvest.snapshots.neighbours import gather_neighbours
from shared.harvest.snapshots.sorted_hashes import read_hashes
from shared.services import Services
from shared.telemetry.events import log_event

SLICE_MARGIN = timedelta(minutes=1)
"""How long a lease may outlast the time budget: a page that is on its way then still counts."""

FAILED_BEFORE_GIVING_UP = 100
"""So many parents that all fail for good, and none that answers: the dataset fails."""

RESTARTS = 2
DEAD_LINK = frozenset({400, 404, 410})

log = logging.getLogger(__name__)


class Slice:
    """A worker on a partition whose lease it has. Every save raises ``Conflict`` once somebody else has taken it."""

    def __init__(
        self, services: Services, run: Run, dataset: Dataset, address: Address, lease: Lease[Checkpoint]
    ) -> None:
        self._storage = services.storage
        self._settings = services.settings
        self._clock = services.clock
        self._run = run
        self._dataset = dataset
        self._address = address
        self._lease = lease
        self._planned = run.planned(dataset.name)
        self._window = self._planned.window
        self._trail = PageTrail(
            dataset, lease.document.progress, page_size=services.settings.page_size, tenant=run.tenant(address)
        )
        self._part = OpenPart(services, run, dataset, address, epoch=lease.document.epoch)
        self._writer = CheckpointWriter(services, run, address, lease, trail=self._trail, part=self._part)
        self._ends = self._clock() + services.settings.slice_budget
        self._fetcher = PageFetcher(services.transport, dataset, clock=self._clock, ends=self._ends + SLICE_MARGIN / 2)

    @property
    def _progress(self) -> Progress:
        return self._trail.progress

    async def work(self) -> SliceEnding:
        """Harvest until the chain or the time budget ends, or something stands in the way."""
        self._log("slice.claimed")
        stored_link = self._progress.next is not None
        try:
            return await self._follow_chains()
        except Conflict:
            raise
        except StorageUnavailable as error:
            await self._writer.give_back(error)
            raise
        except AppError as error:
            if may_pass(error):
                return await self._writer.sit_out(error)
            if isinstance(error, Wait):
                return await self._writer.wait(error)
            if self._link_has_died(error, stored_link=stored_link):
                return await self._writer.restart()
            return await self._writer.fail(error)
        finally:
            await self._part.abandon()

    def _link_has_died(self, error: AppError, *, stored_link: bool) -> bool:
        """Whether an answer in the middle of a chain says that its link has grown too old."""
        may_have = (stored_link or self._dataset.parent is not None) and self._progress.guard.pages > 0
        is_dead = isinstance(error, Gone | Rejected) and error.status in DEAD_LINK
        return may_have and is_dead and self._lease.document.restarts < RESTARTS

    async def _follow_chains(self) -> SliceEnding:
        self._check_stop(self._run)
        if self._lease.document.deaths >= DEATHS:
            raise GiveUp(
                f"the worker stopped unexpectedly {DEATHS} times in a row",
                remedy="Check the memory and the time-outs of the app, then resume the run.",
            )
        self._trail.base_url = self._settings.base_url(self._dataset.source)
        await self._find_chains()
        await self._remember()
        request = self._trail.where_to_go_on()
        if request is None:
            return await self._writer.finish()
        fetching = self._fetch(request)
        try:
            while True:
                before = self._progress
                page, following = await self._next_page(request, fetching)
                is_over = self._clock() >= self._ends
                if following is not None and not is_over:
                    fetching = self._fetch(following)
                if page is not None:
                    await self._write(page, before)
                if self._progress.chain > before.chain:
                    await self._seal_span()
                self._check_stop(await read_run(self._storage, self._run.run_id))
                if following is None:
                    return await self._writer.finish()
                if is_over:
                    return await self._writer.hand_over()
                if self._part.is_full:
                    await self._writer.save_part()
                request = following
        finally:
            fetching.cancel()
            await asyncio.gather(fetching, return_exceptions=True)

    async def _find_chains(self) -> None:
        chosen = (
            None
            if self._planned.parents is None
            else await selected_parents_of(self._storage, self._run, self._dataset)
        )
        self._trail.chains = page_chains(self._dataset, self._planned, chosen, self._run.share(self._address))
        self._window = whole_window(self._planned, chosen)

    async def _remember(self) -> None:
        """Read which lines came in the last window, in earlier spans of this one, and in snapshots that it meets."""
        if self._window is None:
            return
        if self._part.published is None:
            self._part.published = await gather_neighbours(self._storage, self._run, self._dataset, self._window)
        last = self._planned.remembered
        if self._dataset.parent is not None:
            self._part.seen = await read_known_hashes(self._storage, last)
            return
        earlier = self._progress.parts[: self._progress.earlier_parts]
        stored = [*([last] if last else []), *(paths.keys(self._run.run_id, part.path) for part in earlier)]
        self._part.seen = await read_hashes(self._storage, stored)

    def _fetch(self, request: Request) -> asyncio.Task[Fetched]:
        return asyncio.create_task(self._fetcher.fetch(request, self._trail.chains[self._trail.chain].parent))

    async def _next_page(self, request: Request, fetching: asyncio.Task[Fetched]) -> tuple[Page | None, Request | None]:
        """Return the page that was asked for and the request that follows; a parent that fails is passed over."""
        try:
            return self._trail.take(request, await self._fetched(fetching))
        except Wait:
            raise
        except AppError as error:
            if self._dataset.parent is None or self._link_has_died(error, stored_link=True):
                raise
            return None, await self._pass_over(error)

    async def _pass_over(self, error: AppError) -> Request | None:
        """Put a parent that fails off until the others have ended, or leave it out; return the request that follows.

        Raises:
            AppError: The parent is not to blame, or it is the only one left: the error itself.
        """
        number, outcomes = self._trail.chain, self._progress.outcomes
        now = self._clock()
        if not may_pass(error):
            if not outcomes.answered and len(outcomes.failed) >= FAILED_BEFORE_GIVING_UP:
                raise error
            return await self._leave_out(number, error)
        since = outcomes.failing_since(number)
        is_patient = since is None or is_recent(since, within=PATIENCE, now=now)
        if not is_patient and await self._others_succeed():
            return await self._leave_out(number, error)
        is_retried = number != self._progress.chain
        if not is_retried and outcomes.in_a_row >= IN_A_ROW:
            raise error
        await self._drop_pages()
        self._trail.progress = self._progress.with_chain_deferred(number, now=now)
        if is_retried or self._progress.chain >= len(self._trail.chains):
            raise error
        return self._trail.where_to_go_on()

    async def _leave_out(self, number: int, error: AppError) -> Request | None:
        await self._drop_pages()
        self._trail.progress = self._progress.with_chain_left_out(number, error.text)
        self._log("parent.left_out", chain=number, reason=str(error))
        return self._trail.where_to_go_on()

    async def _drop_pages(self) -> None:
        """Forget the pages of the chain under way: it has parts of its own, unless it has none."""
        if self._progress.chain_parts is not None:
            await self._part.abandon()

    async def _others_succeed(self) -> bool:
        """Whether other parents, in this partition or another one, do well: the service is there."""
        if self._progress.outcomes.answered:
            return True
        siblings = await checkpoints_of(self._storage, self._run.addresses(self._dataset.name))
        return any(one.progress.outcomes.answered for one in siblings)

    async def _fetched(self, fetching: asyncio.Task[Fetched]) -> Fetched:
        """Return a page, or none when the parent it was asked for is gone, or the list ends behind a dead link."""
        try:
            return await fetching
        except (Gone, Rejected) as error:
            if error.status in DEAD_LINK and self._progress.has_everything:
                return Fetched(None, list_has_ended=True)
            if isinstance(error, Rejected) or self._dataset.parent is None or self._progress.guard.pages > 0:
                raise
            return Fetched(None)

    async def _write(self, page: Page, before: Progress) -> None:
        """Take a page into the open part; a chain of a parent that has several pages begins a part of its own."""
        begins = before.guard.pages == 0 and self._progress.guard.pages == 1
        if self._dataset.parent is not None and begins:
            closed = await self._part.close(before)
            self._trail.progress = self._progress.with_parts_of(closed).with_chain_apart()
        await self._part.add(page, self._progress)

    async def _seal_span(self) -> None:
        """End the part with the span, so that what the next span gives again is known."""
        if self._dataset.window is None or self._dataset.parent is not None:
            return
        await self._writer.close_part()
        self._trail.progress = self._progress.sealed()
        await self._remember()
        await self._writer.save()

    def _check_stop(self, run: Run | None) -> None:
        """Notice that the run was cancelled, or is over its deadline."""
        if run is None:
            raise GiveUp("the run was deleted", remedy="Start a new run.")
        if stopped := run.stopped_because(self._clock()):
            raise stopped

    def _log(self, event: str, **fields: object) -> None:
        progress = {"pages": self._progress.pages, "items": self._progress.items}
        log_event(log, event, **self._address.fields(), **progress, epoch=self._lease.document.epoch, **fields)

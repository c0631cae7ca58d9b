"""One bounded unit of work on one partition: claim it, page, write parts, save the checkpoint, hand over.

While a page is compressed and uploaded, the next one is already asked for. Whatever happens between two saves of the
checkpoint is as if it had not happened: parts that no checkpoint names do not exist.
"""

import asyncio
import contextlib
import logging
import uuid
from array import array
from collections.abc import Mapping
from datetime import datetime, timedelta
from itertools import chain
from math import prod
from typing import Literal

from shared.avepoint.catalog import Dataset, catalog
from shared.avepoint.links import same_origin
from shared.avepoint.paging import Page, first_request, next_request, read_page
from shared.avepoint.request import Request
from shared.errors import (
    AppError,
    BrokenChain,
    Conflict,
    GiveUp,
    Gone,
    Interrupted,
    Rejected,
    Retry,
    Skip,
    StorageUnavailable,
    Wait,
)
from shared.events import log_event
from shared.harvest import paths
from shared.harvest.chains import Chain, chains_of
from shared.harvest.checkpoint import ENDED, Checkpoint, Progress, read_checkpoint, write_checkpoint
from shared.harvest.choosing import known_parents, parents_of
from shared.harvest.duplicates import KeyReader, SeenLines, line_hashes, packed
from shared.harvest.parents import encoded, hashes_by_parent, write_by_parent
from shared.harvest.part import PartWriter
from shared.harvest.publishing import publish_if_complete
from shared.harvest.runs import Address, Run, poke, read_run
from shared.harvest.watermark import read_hashes
from shared.services import Services
from shared.storage import Container
from shared.telemetry import span
from shared.transport import Reply

CLAIM_MARGIN = timedelta(minutes=1)
RESTARTS = 2
RETRY_DELAY = timedelta(seconds=30)
DEAD_LINK = frozenset({400, 404, 410})

log = logging.getLogger(__name__)

type Ending = Literal["finished", "handed over", "ended before", "held by another", "lost", "no such partition"]


async def work(services: Services, address: Address) -> Ending:
    """Do one slice of the partition at ``address``; safe to call any number of times, by anybody, at any moment.

    Raises:
        Retry: Nothing could be done, for a reason that may pass; the same message should be tried again.
        Misconfigured: Nothing could be done before an app setting is corrected.
    """
    run = await read_run(services.storage, address.run_id)
    dataset = catalog().get((address.source, address.dataset))
    if run is None or dataset is None or address not in run.addresses():
        log_event(log, "slice.no_such_partition", logging.WARNING, **address.fields())
        return "no such partition"
    checkpoint, etag = await read_checkpoint(services.storage, address)
    if checkpoint.state in ENDED:
        await publish_if_complete(services.storage, run, dataset)
        return "ended before"
    now = services.clock()
    if checkpoint.claim is not None and checkpoint.held_by_another(now):
        await poke(services.storage, address, delay=checkpoint.claim.until - now)
        return "held by another"
    with span("harvest.slice", run.run_id, **address.fields(), epoch=checkpoint.epoch + 1) as current:
        ending = await _Slice(services, run, dataset, address).work(checkpoint, etag)
        current.set_attribute("outcome", ending)
        if ending == "finished":
            await publish_if_complete(services.storage, run, dataset)
    return ending


class _Slice:
    """A worker on a partition it has claimed. Every save raises ``Conflict`` once somebody else has claimed it."""

    def __init__(self, services: Services, run: Run, dataset: Dataset, address: Address) -> None:
        self._services = services
        self._storage = services.storage
        self._settings = services.settings
        self._clock = services.clock
        self._run = run
        self._dataset = dataset
        self._address = address
        self._base_url = services.settings.base_url(dataset.source)
        self._keys = line_hashes if dataset.window else KeyReader(dataset).hashes
        self._planned = run.planned(dataset.name)
        self._choices = prod(map(len, dataset.choices.values()))
        self._chains: list[Chain] = []
        self._seen: SeenLines | None = None
        self._checkpoint = Checkpoint()
        self._etag: str | None = None
        self._progress = self._checkpoint.progress
        self._part: PartWriter | None = None
        self._part_ends = self._ends = self._clock() + services.settings.slice_budget

    async def work(self, checkpoint: Checkpoint, etag: str | None) -> Ending:
        """Claim the partition whose checkpoint was read under ``etag``, and harvest until something ends it."""
        try:
            await self.claim(checkpoint, etag)
            return await self.harvest()
        except Conflict:
            log_event(log, "slice.lost", **self._address.fields())
            return "lost"

    async def claim(self, checkpoint: Checkpoint, etag: str | None) -> None:
        """Claim the partition whose checkpoint was read under ``etag``.

        Raises:
            Conflict: Somebody else was first.
        """
        lasts = self._settings.slice_budget + CLAIM_MARGIN
        self._checkpoint, self._etag = checkpoint, etag
        await self._save(checkpoint.claimed(uuid.uuid4().hex, now=self._clock(), lasts=lasts))
        self._progress = self._checkpoint.progress
        self._log("slice.claimed")

    async def harvest(self) -> Ending:
        """Work until the chain or the time budget ends, or something stands in the way."""
        stored_link = self._progress.next is not None
        try:
            return await self._follow_chains()
        except Conflict:
            raise
        except StorageUnavailable as error:
            await self._give_back(error)
            raise
        except Wait as error:
            return await self._hand_over(resume_at=error.until)
        except Retry as error:
            if self._progress == self._checkpoint.progress:
                await self._give_back(error)
                raise
            return await self._hand_over(resume_at=self._clock() + RETRY_DELAY)
        except (Gone, Rejected) as error:
            if (stored_link or self._dataset.parent is not None) and self._may_restart(error.status):
                return await self._restart()
            return await self._fail(error)
        except (GiveUp, Skip) as error:
            return await self._fail(error)
        finally:
            if self._part is not None:
                await self._part.abandon()

    def _may_restart(self, status: int | None) -> bool:
        """Whether an answer in the middle of a chain says that its link has died."""
        in_the_middle = self._progress.guard.pages > 0
        return in_the_middle and status in DEAD_LINK and self._checkpoint.restarts < RESTARTS

    async def _follow_chains(self) -> Ending:
        await self._find_chains()
        await self._remember()
        request = self._where_to_go_on()
        if request is None:
            return await self._finish()
        fetching = self._fetch(request)
        try:
            while True:
                before = self._progress
                page, following = self._take(request, await self._answered(fetching))
                is_over = self._clock() >= self._ends
                if following is not None and not is_over:
                    fetching = self._fetch(following)
                if page is not None:
                    await self._write(page, before)
                if self._progress.chain > before.chain:
                    await self._seal_span()
                await self._check_stop()
                if following is None:
                    return await self._finish()
                if is_over:
                    return await self._hand_over()
                if self._part_is_full():
                    await self._save_part()
                request = following
        finally:
            fetching.cancel()
            await asyncio.gather(fetching, return_exceptions=True)

    async def _find_chains(self) -> None:
        chosen = None if self._planned.parents is None else await parents_of(self._storage, self._run, self._dataset)
        self._chains = chains_of(self._dataset, self._planned, chosen, self._run.share(self._address))

    def _where_to_go_on(self) -> Request | None:
        """Where the checkpoint says, or the first page of the next chain, or ``None`` when there is no other one."""
        if self._progress.next is not None:
            request = self._progress.next.request(self._dataset)
            if not same_origin(request.url, self._base_url):
                raise BrokenChain(
                    "the stored next link lies on another origin than the base URL",
                    remedy="The base URL was changed during the run: start a new run.",
                )
            return request
        return self._first_request() if self._progress.chain < len(self._chains) else None

    def _first_request(self) -> Request:
        chain = self._chains[self._progress.chain]
        return first_request(
            self._dataset,
            self._base_url,
            page_size=self._settings.page_size,
            tenant=self._run.tenant(self._address),
            between=chain.between,
            parent=chain.parent,
        )

    async def _remember(self) -> None:
        """Read which lines came in the last window, and in earlier spans of this one."""
        if self._dataset.window is None:
            return
        if self._dataset.parent is not None:
            ledger = await known_parents(self._storage, self._planned.remembered)
            self._seen = SeenLines([known.hashes for known in ledger.values()])
            return
        last = self._planned.remembered
        earlier = self._progress.parts[: self._progress.earlier_parts]
        stored = [*([last] if last else []), *(paths.keys(self._run.run_id, part.path) for part in earlier)]
        self._seen = SeenLines(await read_hashes(self._storage, stored))

    def _fetch(self, request: Request) -> asyncio.Task[Reply]:
        return asyncio.create_task(self._bounded(request))

    async def _bounded(self, request: Request) -> Reply:
        """Ask for a page, but for no longer than the claim lasts."""
        left = self._ends + CLAIM_MARGIN / 2 - self._clock()
        try:
            async with asyncio.timeout(left.total_seconds()):
                return await self._services.transport.send(request)
        except TimeoutError as error:
            raise Interrupted(f"{self._dataset.name}: no page came before the slice was over") from error

    async def _answered(self, fetching: asyncio.Task[Reply]) -> Reply | None:
        """The answer, or ``None`` when the parent it was asked for is gone."""
        try:
            return await fetching
        except Gone:
            if self._dataset.parent is None or self._progress.guard.pages > 0:
                raise
            return None

    def _take(self, request: Request, reply: Reply | None) -> tuple[Page | None, Request | None]:
        """Read a page and count it in; the request that follows may be the first of another chain."""
        if reply is None:
            return None, self._enter_next_chain(self._progress.without_parent())
        parent = self._chains[self._progress.chain].parent
        page = read_page(self._dataset, reply.answer.body, parent=encoded(parent) if parent else b"")
        guard = self._progress.guard.after(self._dataset, request, page)
        following = next_request(self._dataset, self._base_url, request, page, seen=guard.items)
        self._progress = self._progress.after(
            page, guard=guard, following=following, retries=reply.retries, waited=reply.waited
        )
        return page, following or self._enter_next_chain(self._progress.in_next_chain())

    def _enter_next_chain(self, progress: Progress) -> Request | None:
        """Count the end of a chain in, and give the first request of the next one."""
        begins_parent = progress.chain % self._choices == 0
        self._progress = progress.with_next_parent(choices=self._choices) if begins_parent else progress
        return self._where_to_go_on()

    async def _write(self, page: Page, before: Progress) -> None:
        part = self._part or self._open_part()
        try:
            await part.add(page)
        except AppError:
            self._progress = before
            raise

    def _open_part(self) -> PartWriter:
        path = paths.part(
            self._run.run_id,
            self._dataset.source,
            self._dataset.name,
            self._address.partition,
            epoch=self._checkpoint.epoch,
            number=len(self._progress.parts),
        )
        self._part = PartWriter(
            self._storage, path=path, partition=self._address.partition, keys=self._keys, seen=self._seen
        )
        self._part_ends = self._clock() + timedelta(seconds=self._settings.part_seconds)
        return self._part

    async def _seal_span(self) -> None:
        """End the part with the span, so that what the next span gives again is known."""
        if self._dataset.window is None or self._dataset.parent is not None:
            return
        await self._close_part()
        self._progress = self._progress.sealed()
        await self._remember()
        await self._save(self._checkpoint.advanced(self._progress, now=self._clock()))

    def _part_is_full(self) -> bool:
        return self._part is not None and (
            self._part.size >= self._settings.part_bytes or self._clock() >= self._part_ends
        )

    async def _check_stop(self) -> None:
        """Notice within a page that the run was cancelled, or is over its deadline."""
        run = await read_run(self._storage, self._run.run_id)
        reason = run.stopped_because(self._clock()) if run else "the run was deleted"
        if reason is not None:
            raise GiveUp(reason, remedy="Start a new run.")

    async def _close_part(self) -> None:
        """Make the part a blob, and count it in."""
        if self._part is None:
            return
        part = await self._part.finish()
        if self._dataset.key or self._dataset.window:
            path = paths.keys(self._run.run_id, part.path)
            hashes = await asyncio.to_thread(self._packed, self._part.key_hashes)
            await self._storage.create(Container.HARVEST_STATE, path, hashes)
        dropped = self._progress.dropped + self._part.dropped
        self._progress = self._progress.model_copy(update={"parts": (*self._progress.parts, part), "dropped": dropped})
        self._part = None

    def _packed(self, hashes: Mapping[bytes, array[int]]) -> bytes:
        if self._dataset.parent is not None and self._dataset.window is not None:
            return write_by_parent(hashes_by_parent(hashes, self._dataset.parent))
        return packed(chain.from_iterable(hashes.values()))

    async def _save(self, checkpoint: Checkpoint) -> None:
        self._etag = await write_checkpoint(self._storage, self._address, checkpoint, etag=self._etag)
        harvested = checkpoint.progress.since(self._checkpoint.progress)
        self._checkpoint = checkpoint
        if any(harvested.values()):
            log_event(log, "slice.saved", **self._address.fields(), epoch=checkpoint.epoch, **harvested)

    async def _save_part(self) -> None:
        await self._close_part()
        await self._save(self._checkpoint.advanced(self._progress, now=self._clock()))

    async def _finish(self) -> Ending:
        if self._part is None and not self._progress.parts:
            self._open_part()
        await self._close_part()
        now = self._clock()
        await self._save(self._checkpoint.advanced(self._progress, now=now).ended("done", now=now))
        self._log("partition.finished")
        return "finished"

    async def _hand_over(self, *, resume_at: datetime | None = None) -> Ending:
        """Save what there is, and leave the rest to another slice, which begins at ``resume_at``."""
        await self._close_part()
        now = self._clock()
        wait = max((resume_at or now) - now, timedelta(0))
        progress = self._progress.waited(wait)
        await self._save(self._checkpoint.advanced(progress, now=now).released(now=now, resume_at=resume_at))
        await poke(self._storage, self._address, delay=wait)
        self._log("slice.handed_over", wait=wait.total_seconds())
        return "handed over"

    async def _restart(self) -> Ending:
        """The server has forgotten the stored link: begin again, and forget what was written."""
        now = self._clock()
        await self._save(self._checkpoint.restarted(now=now).released(now=now))
        await poke(self._storage, self._address)
        self._log("partition.restarted", restarts=self._checkpoint.restarts)
        return "handed over"

    async def _fail(self, error: AppError) -> Ending:
        """Keep what came for inspection, and say what happened and what can be done."""
        await self._close_part()
        now = self._clock()
        failed = self._checkpoint.advanced(self._progress, now=now).ended(
            "failed", now=now, reason=str(error), remedy=error.remedy
        )
        await self._save(failed)
        self._log("partition.failed", reason=str(error))
        return "finished"

    async def _give_back(self, error: Retry) -> None:
        """Let the next attempt begin where the checkpoint stands, without waiting for the claim to run out."""
        with contextlib.suppress(AppError):
            await self._save(self._checkpoint.released(now=self._clock(), reason=str(error)))

    def _log(self, event: str, **fields: object) -> None:
        progress = {"pages": self._progress.pages, "items": self._progress.items, "epoch": self._checkpoint.epoch}
        log_event(log, event, **self._address.fields(), **progress, **fields)

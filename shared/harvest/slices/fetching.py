"""Asking for one page of a list, and reading what comes."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from shared.avepoint.catalog import Dataset, Value
from shared.avepoint.page import Page, read_page
from shared.avepoint.paging import check_parent
from shared.avepoint.request import Request
from shared.clock import Clock
from shared.errors import BadResponse, Interrupted
from shared.harvest.slices.parents.selector import encoded
from shared.transport.transport import CallResult, Transport

READINGS = 3
"""How often a page is asked for before a response that cannot be read is believed."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """A page, and what it took to get it; no page where its parent is gone, or where the list has ended."""

    page: Page | None
    retries: int = 0
    waited: timedelta = timedelta(0)
    list_has_ended: bool = False


class PageFetcher:
    """Fetches the pages of one dataset, none of them for longer than until ``ends``."""

    def __init__(self, transport: Transport, dataset: Dataset, *, clock: Clock, ends: datetime) -> None:
        self._transport = transport
        self._dataset = dataset
        self._clock = clock
        self._ends = ends

    async def fetch(self, request: Request, parent: Mapping[str, Value]) -> Fetched:
        """Ask for a page, and at once again when the response cannot be read: one broken page proves nothing.

        Raises:
            Interrupted: No page came in time.
            BadResponse: No response could be read. ``Transport.send`` raises what else can go wrong.
            BrokenChain: The parent cannot be asked for.
        """
        check_parent(self._dataset, parent)
        retries, waited = 0, timedelta(0)
        for reading in range(1, READINGS + 1):
            reply = await self._bounded(request)
            retries, waited = retries + reply.retries, waited + reply.waited
            try:
                page = read_page(self._dataset, reply.response.body, parent=encoded(parent) if parent else b"")
            except BadResponse:
                if reading == READINGS:
                    raise
                retries += 1
            else:
                break
        return Fetched(page, retries, waited)

    async def _bounded(self, request: Request) -> CallResult:
        left = self._ends - self._clock()
        try:
            async with asyncio.timeout(left.total_seconds()):
                return await self._transport.send(request)
        except TimeoutError as error:
            raise Interrupted(f"{self._dataset.name}: no page came before the slice was over") from error

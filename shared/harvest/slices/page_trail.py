"""Which page of which chain comes next, as the pages of a partition come in. Pure."""

from collections.abc import Sequence

from shared.avepoint.catalog import Dataset
from shared.avepoint.links import same_origin
from shared.avepoint.page import Page
from shared.avepoint.paging import first_request, next_request
from shared.avepoint.request import Request
from shared.errors import BrokenChain, RepeatedPage
from shared.harvest.slices.chains import PageChain
from shared.harvest.slices.fetching import Fetched
from shared.harvest.slices.progress import Progress


class PageTrail:
    """The way of a partition through the pages of its chains.

    Attributes:
        progress: How far it has come.
        chains: All chains of the partition, in their order.
        base_url: Where they begin.
    """

    chains: Sequence[PageChain] = ()
    base_url = ""

    def __init__(self, dataset: Dataset, progress: Progress, *, page_size: int | None, tenant: str | None) -> None:
        self._dataset = dataset
        self._page_size = page_size
        self._tenant = tenant
        self.progress = progress

    @property
    def chain(self) -> int:
        """The number of the chain under way."""
        number = self.progress.chain_of(len(self.chains))
        if number is None:
            raise AssertionError("no chain is left")
        return number

    def where_to_go_on(self) -> Request | None:
        """Return what the checkpoint says, or the first page of the next chain, or ``None`` when no other is left."""
        if self.progress.next is not None:
            request = self.progress.next.request(self._dataset)
            if not same_origin(request.url, self.base_url):
                raise BrokenChain(
                    "the stored next link lies on another origin than the base URL",
                    remedy="The base URL was changed during the run: start a new run.",
                )
            return request
        number = self.progress.chain_of(len(self.chains))
        return None if number is None else self._first_request(self.chains[number])

    def take(self, request: Request, fetched: Fetched) -> tuple[Page | None, Request | None]:
        """Count a page in; the request that follows may be the first of another chain."""
        page, chain = fetched.page, self.chain
        if page is None and not fetched.list_has_ended:
            self.progress = self.progress.with_chain_refused(chain)
            return None, self.where_to_go_on()
        if page is None or self._is_repeated(request, page):
            return None, self._end_chain(chain)
        guard = self.progress.guard.observe(self._dataset, request, page)
        self.progress = self.progress.with_page(page, guard=guard, retries=fetched.retries, waited=fetched.waited)
        following = self._following(request, page)
        self.progress = self.progress.at(following)
        return page, following or self._end_chain(chain)

    def _first_request(self, chain: PageChain) -> Request:
        return first_request(
            self._dataset,
            self.base_url,
            page_size=self._page_size,
            tenant=self._tenant,
            between=chain.between,
            parent=chain.parent,
        )

    def _is_repeated(self, request: Request, page: Page) -> bool:
        """Whether a page comes again after everything has come: some lists end like that."""
        try:
            self.progress.guard.observe(self._dataset, request, page)
        except RepeatedPage:
            return self.progress.has_everything
        return False

    def _end_chain(self, chain: int) -> Request | None:
        self.progress = self.progress.with_chain_ended(chain)
        return self.where_to_go_on()

    def _following(self, request: Request, page: Page) -> Request | None:
        """Return the request for the page after ``page``; a link that leads nowhere ends a list that is whole."""
        try:
            total = self.progress.total.max if self.progress.total else None
            return next_request(
                self._dataset, self.base_url, request, page, seen=self.progress.guard.items, total=total
            )
        except BrokenChain:
            if not self.progress.has_everything:
                raise
            return None

"""How far the chains of pages of a partition have come. Pure."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Self

from pydantic import Field

from shared.avepoint.catalog import Dataset
from shared.avepoint.page import Page
from shared.avepoint.paging import LoopGuard
from shared.avepoint.request import Method, Request
from shared.document import StoredValue
from shared.harvest.slices.parents.outcomes import REASON_LENGTH, Outcomes
from shared.harvest.snapshots.manifest import Part, Total, added

ODD_NAMED = 100
"""How many odd items are named; all are counted."""

FIELDS_NAMED = 500
NAME_LENGTH = 200


class Continuation(StoredValue):
    """The request for the next page. It may hold a continuation token, which belongs nowhere but here."""

    method: Method
    url: str
    body: str | None = None

    @classmethod
    def of(cls, request: Request) -> Self:
        """Return what to keep of ``request``."""
        return cls(method=request.method, url=request.url, body=request.body.decode() if request.body else None)

    def request(self, dataset: Dataset) -> Request:
        """Return the request again."""
        body = self.body.encode() if self.body else None
        return Request(self.method, self.url, dataset.scope, dataset.registration, body)


class OddLine(StoredValue):
    """An item that could not be read as documented: on which page of which parent it stood, and why."""

    page: int
    position: int
    parent: str | None
    reason: str
    stored: bool


class Progress(StoredValue):
    """How far the chains of pages of a partition have come, up to the end of its last part.

    ``next``, ``guard`` and the totals are those of the chain under way; what is ``earlier`` is of the chains before it.
    """

    next: Continuation | None = None
    guard: LoopGuard = LoopGuard()
    total: Total | None = None
    newest_total: int | None = None
    """What the server said last of the chain under way."""
    chain: int = 0
    earlier_parts: int = 0
    earlier_pages: int = 0
    earlier_total: Total | None = None
    """The totals of all chains that gave one, added up."""
    untotalled: bool = False
    """A chain gave no total."""
    short: bool = False
    """A chain gave fewer items than every total it named."""
    surplus: bool = False
    """A chain gave more items than any total it named."""
    outcomes: Outcomes = Outcomes()
    """What became of the parents."""
    chain_parts: int | None = None
    """How many parts there were before the chain under way, where it has parts of its own."""
    dropped: int = 0
    """Lines left out because they came in an earlier window or span."""
    requests: int = 0
    retries: int = 0
    wait_seconds: float = 0
    fields: tuple[str, ...] = ()
    odd_items: int = 0
    """Items that could not be read as documented; those that could not be stored either are among them."""
    unstored: int = 0
    odd: tuple[OddLine, ...] = ()
    """The first of them."""
    parts: tuple[Part, ...] = ()
    open_by_part: tuple[int, ...] = ()
    """How many items of each part had not ended, where items end."""
    open_since: Mapping[str, int] = Field(default_factory=dict)
    """When the oldest of them started, in seconds, by the hash of its parent; without parents, under no name."""
    span_ends: tuple[int, ...] = ()
    """How many parts there were at the end of each span of a window."""

    @property
    def items(self) -> int:
        """Items in all parts."""
        return sum(part.items for part in self.parts)

    @property
    def pages(self) -> int:
        """Pages in all chains."""
        return self.earlier_pages + self.guard.pages

    @property
    def server_total(self) -> Total | None:
        """What the server said of all chains together; ``None`` as soon as it said nothing of one."""
        return None if self.untotalled else added([self.earlier_total, self.total])

    def since(self, earlier: "Progress") -> dict[str, float]:
        """Return what has been harvested since ``earlier``, as fields of a log event.

        What a chain harvests again, having begun again, is counted again.
        """
        size = sum(part.bytes for part in self.parts) - sum(part.bytes for part in earlier.parts)
        return {
            "items": max(0, self.items - earlier.items),
            "pages": max(0, self.pages - earlier.pages),
            "bytes": max(0, size),
            "requests": self.requests - earlier.requests,
            "retries": self.retries - earlier.retries,
            "waited": self.wait_seconds - earlier.wait_seconds,
        }

    @property
    def has_everything(self) -> bool:
        """Whether as many items have come as the server says there are; where its total moves, as it said last."""
        if self.newest_total is not None:
            return self.guard.items == self.newest_total
        return self.total is not None and self.total.min <= self.guard.items <= self.total.max

    def at(self, following: Request | None) -> Self:
        """Return the progress before the next request of the same chain."""
        return self.model_copy(update={"next": Continuation.of(following) if following else None})

    def with_page(self, page: Page, *, guard: LoopGuard, retries: int, waited: timedelta) -> Self:
        """Return the progress with one more page."""
        total = self.total
        if page.total is not None:
            total = Total(min=page.total, max=page.total) if total is None else total.including(page.total)
        names = (name[:NAME_LENGTH] for name in page.field_names())
        return self.model_copy(
            update={
                "guard": guard,
                "total": total,
                "newest_total": self.newest_total if page.total is None else page.total,
                "requests": self.requests + 1 + retries,
                "retries": self.retries + retries,
                "wait_seconds": self.wait_seconds + waited.total_seconds(),
                "fields": tuple(dict.fromkeys((*self.fields, *names)))[:FIELDS_NAMED],
                **self._with_odd(page),
            }
        )

    def _with_odd(self, page: Page) -> dict[str, object]:
        parent = page.parent.decode() or None
        lines = tuple(
            OddLine(
                page=self.pages + 1,
                position=one.position,
                parent=parent,
                reason=one.reason[:REASON_LENGTH],
                stored=one.line is not None,
            )
            for one in page.odd
        )
        return {
            "odd_items": self.odd_items + len(page.odd),
            "unstored": self.unstored + page.served - len(page.items),
            "odd": (*self.odd, *lines)[:ODD_NAMED],
        }

    def chain_of(self, count: int) -> int | None:
        """Return the number of the chain under way, of so many: those that were deferred come last."""
        if self.chain < count:
            return self.chain
        return self.outcomes.deferred[0].chain if self.outcomes.deferred else None

    def with_chain_ended(self, chain: int) -> Self:
        """Return the progress once a chain has ended by itself."""
        total, items = self.total, self.guard.items
        return self._moved_on(
            chain,
            outcomes=self.outcomes.with_answer(chain),
            earlier_total=added([self.earlier_total, total]),
            untotalled=self.untotalled or total is None,
            short=self.short or (total is not None and items < total.min),
            surplus=self.surplus or (total is not None and items > total.max),
        )

    def with_chain_refused(self, chain: int) -> Self:
        """Return the progress once a parent was not there for its first page."""
        outcomes = self.outcomes.with_refusal(chain)
        return self._moved_on(chain, outcomes=outcomes, requests=self.requests + 1)

    def with_chain_left_out(self, chain: int, reason: str) -> Self:
        """Return the progress without a chain that keeps failing."""
        return self._moved_on(chain, **self._dropped(), outcomes=self.outcomes.with_failure(chain, reason))

    def with_chain_deferred(self, chain: int, *, now: datetime) -> Self:
        """Return the progress with a chain put off until the others have ended."""
        outcomes = self.outcomes.with_deferral(chain, now=now)
        return self._moved_on(chain, **self._dropped(), outcomes=outcomes)

    def retried(self, *, now: datetime) -> Self:
        """Return the progress with the parents that were left out to be tried again."""
        return self.model_copy(update={"outcomes": self.outcomes.retried(now=now)})

    def with_parts_of(self, other: "Progress") -> Self:
        """Return the progress with the parts of another one, and what is known of them."""
        names = ("parts", "dropped", "open_by_part", "open_since")
        return self.model_copy(update={name: getattr(other, name) for name in names})

    def with_chain_apart(self) -> Self:
        """Return the progress of a chain of several pages, which gets parts of its own: it may have to be dropped."""
        return self.model_copy(update={"chain_parts": len(self.parts)})

    def _dropped(self) -> dict[str, object]:
        """Return what changes when the pages of the chain under way are dropped."""
        if self.chain_parts is None:
            return {}
        return {
            "parts": self.parts[: self.chain_parts],
            "open_by_part": self.open_by_part[: self.chain_parts],
        }

    def with_open(self, count: int, oldest: Mapping[str, int]) -> Self:
        """Return the progress once a part holds so many items that have not ended."""
        since = {name: min(second, self.open_since.get(name, second)) for name, second in oldest.items()}
        changes = {"open_by_part": (*self.open_by_part, count), "open_since": {**self.open_since, **since}}
        return self.model_copy(update=changes)

    def of_spans(self, count: int) -> Self:
        """Return the progress at the end of so many spans, as if nothing had come after them."""
        end = self.span_ends[count - 1]
        changes = {
            "parts": self.parts[:end],
            "open_by_part": self.open_by_part[:end],
            "guard": LoopGuard(),
            "total": None,
            "newest_total": None,
            "earlier_pages": self.pages,
            "untotalled": self.untotalled or len(self.span_ends) > count,
        }
        return self.model_copy(update=changes)

    def _moved_on(self, chain: int, **changes: object) -> Self:
        moved = {
            "chain": self.chain + (chain == self.chain),
            "next": None,
            "guard": LoopGuard(),
            "total": None,
            "newest_total": None,
            "chain_parts": None,
            "earlier_pages": self.pages,
        }
        return self.model_copy(update=moved | changes)

    def sealed(self) -> Self:
        """With all parts so far belonging to chains that have ended."""
        count = len(self.parts)
        return self.model_copy(update={"earlier_parts": count, "span_ends": (*self.span_ends, count)})

    def waited(self, wait: timedelta) -> Self:
        """With a wait that was handed back to the queue."""
        return self.model_copy(update={"wait_seconds": self.wait_seconds + wait.total_seconds()})

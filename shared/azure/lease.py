"""The lease of a worker: for about a minute at a time, it alone may change a stored document.

A worker that lives renews its lease; the work of one that was killed is free a minute later. A worker that has lost
its lease notices at its next write, because every write is conditional on the ETag of the one before.
"""

import asyncio
import logging
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from datetime import datetime, timedelta
from typing import Self

from pydantic import Field

from shared.azure.documents import Versioned
from shared.azure.storage import Container, Storage
from shared.clock import Clock, Sleep, credible, rfc3339
from shared.document import StoredDocument, StoredValue
from shared.errors import Conflict, StorageUnavailable
from shared.telemetry.events import log_event

LASTS = timedelta(minutes=1)
RENEWED_AFTER = timedelta(seconds=20)
LONGEST_LEASE = timedelta(minutes=10)
"""No version takes a lease for longer: the first release took it for its time budget and a minute."""

ATTEMPTS = 5
"""How often work may end by an error that nobody foresaw, before it counts as fatal."""

log = logging.getLogger(__name__)


class Hold(StoredValue):
    """Who may change a document, and until when nobody else may take it.

    Attributes:
        guarded: A message looks after the work when the lease ends; the first release sent none.
    """

    owner: str
    until: datetime
    guarded: bool = False


class LeasedDocument(StoredDocument):
    """A document that one worker at a time may change.

    Attributes:
        hold: The lease; ``claim`` in JSON, as the first release wrote it.
        attempts: How many workers in a row ended by an error that nobody foresaw.
    """

    hold: Hold | None = Field(default=None, alias="claim")
    attempts: int = 0

    def held_until(self, now: datetime) -> datetime | None:
        """Return the end of the lease, or ``None`` when the document is free.

        A lease that ends later than any can is none: the clock of whoever took it was wrong.
        """
        ends = credible(self.hold.until if self.hold else None, now=now, ahead=LONGEST_LEASE)
        return next((end for end in ends if end > now), None)

    def with_hold(self, hold: Hold | None) -> Self:
        """Return the document under another lease, or free."""
        return self.model_copy(update={"hold": hold})

    def after_attempt(self, error: Exception, now: datetime) -> Self:  # noqa: ARG002 - subclasses tell of it
        """Return the document after a worker has ended by an error that nobody foresaw."""
        return self.model_copy(update={"attempts": self.attempts + 1})


class Lease[T: LeasedDocument]:
    """The lease of one worker on one document; every method raises ``Conflict`` once somebody else holds it.

    Args:
        standing: The document as it was read.
        ends: When the lease ends for good: a worker that hangs keeps nothing longer.
        owner: Who holds it, where the document was first written under a lease of that owner.
    """

    def __init__(
        self,
        storage: Storage,
        container: Container,
        path: str,
        standing: Versioned[T],
        *,
        clock: Clock,
        ends: datetime,
        owner: str | None = None,
    ) -> None:
        self._storage = storage
        self._container = container
        self._path = path
        self._standing = standing
        self._clock = clock
        self._ends = ends
        self._owner = owner or uuid.uuid4().hex
        self._turn = asyncio.Lock()

    @property
    def document(self) -> T:
        """The document as it stands."""
        return self._standing.value

    @property
    def owner(self) -> str:
        """Who holds it."""
        return self._owner

    @property
    def ends(self) -> datetime:
        """When it ends for good."""
        return self._ends

    @property
    def hold(self) -> Hold:
        """The lease from now on."""
        return Hold(owner=self._owner, until=min(self._clock() + LASTS, self._ends), guarded=True)

    async def save(self, document: T) -> None:
        """Write the document, and renew the lease with it; the first time, this takes the lease."""
        self._tell_of_wrong_clock()
        async with self._turn:
            await self._write(document.with_hold(self.hold))

    async def renew(self) -> None:
        """Renew the lease."""
        await self.save_changed(lambda document: document)

    async def save_changed(self, change: Callable[[T], T]) -> None:
        """Change the document as it stands, and renew the lease with it."""
        async with self._turn:
            await self._write(change(self.document).with_hold(self.hold))

    async def give_back(self, change: Callable[[T], T]) -> None:
        """Change the document as it stands, and let the next worker have it."""
        async with self._turn:
            await self._write(change(self.document).with_hold(None))

    @asynccontextmanager
    async def kept(self, *, sleep: Sleep = asyncio.sleep) -> AsyncIterator[None]:
        """Renew the lease while the body works; give it back, and count an attempt, when an error leaves the body.

        A body that handles its errors gives the lease back itself.
        """
        keeper = asyncio.create_task(self._keep(sleep))
        try:
            yield
        except Conflict:
            raise
        except asyncio.CancelledError:
            await self._give_up(lambda document: document)
            raise
        except Exception as error:  # whatever it was, it counts as an attempt, and goes on
            log_event(log, "lease.attempt_failed", logging.ERROR, path=self._path, error=type(error).__name__)
            now, unforeseen = self._clock(), error
            await self._give_up(lambda document: document.after_attempt(unforeseen, now))
            raise
        finally:
            keeper.cancel()
            await asyncio.gather(keeper, return_exceptions=True)

    async def _give_up(self, change: Callable[[T], T]) -> None:
        """Give the lease back, unless it is lost or storage is away: then it ends by itself."""
        with suppress(Conflict, StorageUnavailable):
            if self.document.hold is not None:
                await self.give_back(change)

    async def _keep(self, sleep: Sleep) -> None:
        while self._clock() < self._ends:
            await sleep(RENEWED_AFTER.total_seconds())
            try:
                await self.renew()
            except Conflict:
                return  # the worker notices at its next write
            except StorageUnavailable as error:
                log_event(log, "lease.not_renewed", logging.WARNING, path=self._path, error=error)

    def _tell_of_wrong_clock(self) -> None:
        hold, now = self.document.hold, self._clock()
        if hold is not None and hold.until > now and self.document.held_until(now) is None:
            log_event(log, "lease.ahead_of_time", logging.WARNING, path=self._path, until=rfc3339(hold.until))

    async def _write(self, document: T) -> None:
        etag = await self._storage.write(self._container, self._path, document.to_json(), etag=self._standing.etag)
        self._standing = Versioned(document, etag)

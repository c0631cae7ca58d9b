"""The request budget that all instances share: one window per app registration and origin, in Blob Storage.

To send requests, an instance takes a grant of some from the shared window, with one conditional write, and uses
it within half a minute. What is left of it goes back with the next grant, which one request takes while the others
still use the last of this one, so that no more than one waits for storage. The window also says before when nobody may
ask, so that the patience AvePoint asks of one instance is kept by all.

AvePoint documents 15,000 requests for the EnPower Web API and no window; windows here are fixed and begin at multiples
of their length.
"""

import asyncio
import logging
import uuid
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from math import ceil
from typing import Literal, Protocol

from shared.avepoint.platform import Registration
from shared.azure.storage import Container, Stored
from shared.clock import LONGEST_WAIT, Clock, Sleep, awaited, credible, rfc3339
from shared.document import StoredDocument
from shared.errors import AppError, Conflict, DamagedDocument, NewerDocument, StorageUnavailable, Throttled
from shared.telemetry.events import log_event

type Caller = Literal["harvest", "http"]
"""Who asks: a harvest, which has time, or somebody waiting in a flow, for whom a share is reserved."""

GRANT_LIFE = timedelta(seconds=30)
"""How soon everybody sees what the shared window says."""

AWAY = timedelta(seconds=30)
"""How long the shared window is left alone when it cannot be read or written."""

_BATCH: dict[Caller, int] = {"harvest": 50, "http": 20}
_LAST = 10
"""How many requests are left when the next grant is taken: enough for those that ask until it is there."""

_FRACTION = 10
_INSTANCES = 10
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TRIES = 12
_STORAGE_SECONDS = 5
_SOON = timedelta(seconds=1)

log = logging.getLogger(__name__)


class UsedUp(Throttled):
    """Nothing is left of the budget in this window."""


class BudgetWindow(StoredDocument):
    """What all instances together have taken in one window.

    Attributes:
        window: When the window began.
        not_before: Nobody may ask before this instant.
        writer: Unlike in every other write, so that a write whose answer was lost is never taken for another's.
    """

    window: datetime
    taken: int = 0
    not_before: datetime = _EPOCH
    writer: str = ""


@dataclass(slots=True)
class Grant:
    """Requests that may be sent until ``expires``."""

    window: datetime
    left: int
    expires: datetime


@dataclass(frozen=True, slots=True)
class Terms:
    """On what terms grants are given: at most ``batch`` at once, until ``most`` are taken in a window."""

    window: timedelta
    most: int
    batch: int


@dataclass(frozen=True, slots=True)
class Limits:
    """The budget: so many requests in a window, some percent of them for people waiting in flows only."""

    requests: int
    window: timedelta
    reserved_percent: float

    def terms(self, caller: Caller) -> Terms:
        """Return what ``caller`` may take from the shared window."""
        open_to_all = max(1, self.requests - self._reserved)
        return Terms(self.window, open_to_all if caller == "harvest" else self.requests, _BATCH[caller])

    @property
    def terms_without_storage(self) -> Terms:
        """What people waiting in flows may take from their instance: as if ten shared what is reserved for them."""
        return Terms(self.window, max(1, self._reserved // _INSTANCES), batch=1)

    @property
    def _reserved(self) -> int:
        return ceil(self.requests * self.reserved_percent / 100)


def take(
    usage: BudgetWindow | None, terms: Terms, *, now: datetime, unused: Grant | None, writer: str
) -> tuple[BudgetWindow, Grant]:
    """Take a grant: the shared window that has to be written for it, and the grant it then is.

    Grants get smaller towards the end, so that everybody gets some of the last requests. A window never moves back
    while clocks are no further apart than they may be; one from further ahead is over.

    Args:
        usage: What is stored; ``None`` for nothing.
        unused: An earlier grant that will not be spent any more.

    Raises:
        UsedUp: Nothing is left in this window.
        Throttled: AvePoint wants to be left alone.
    """
    usage = _current(usage, terms.window, now)
    if until := awaited(usage.not_before, now=now):
        raise Throttled(f"AvePoint accepts no request before {rfc3339(until)}", until=until)
    taken = usage.taken - (unused.left if unused and unused.window == usage.window else 0)
    left = terms.most - taken
    ends = usage.window + terms.window
    if left <= 0:
        raise UsedUp(
            f"the budget of {terms.most} requests is used up until {rfc3339(ends)}",
            until=min(ends, now + LONGEST_WAIT),  # a queue hides no message as long as a window may last
            remedy="If AvePoint allows more, raise THROTTLE_REQUESTS.",
        )
    size = min(terms.batch, max(1, left // _FRACTION))
    changed = usage.model_copy(update={"taken": taken + size, "writer": writer})
    return changed, Grant(usage.window, size, expires=min(ends, now + GRANT_LIFE))


def postponed(
    usage: BudgetWindow | None, until: datetime, *, window: timedelta, now: datetime, writer: str
) -> BudgetWindow:
    """Return the shared window that lets nobody ask before ``until``."""
    usage = _current(usage, window, now)
    not_before = max(until, awaited(usage.not_before, now=now) or until)
    return usage.model_copy(update={"not_before": not_before, "writer": writer})


def _current(usage: BudgetWindow | None, length: timedelta, now: datetime) -> BudgetWindow:
    window = _window_of(now, length)
    if usage is not None and usage.window >= window:
        if credible(usage.window, now=now):
            return usage
        log_event(log, "budget.window_ahead_of_time", logging.WARNING, window=rfc3339(usage.window))
    return (usage or BudgetWindow(window=window)).model_copy(update={"window": window, "taken": 0})


def _window_of(now: datetime, length: timedelta) -> datetime:
    return _EPOCH + (now - _EPOCH) // length * length


class Store(Protocol):
    """Where windows are kept; ``shared.azure.storage.Storage`` is one."""

    async def read(self, container: Container, path: str) -> Stored | None:
        """Return the blob at ``path``."""

    async def write(self, container: Container, path: str, data: bytes, *, etag: str | None) -> str:
        """Write the blob that was read under ``etag``, or with ``None`` one that is not there yet."""


@dataclass(slots=True)
class _Account:
    """What this process holds of one budget."""

    path: str
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    grants: dict[Caller, Grant] = field(default_factory=dict)
    closed: dict[Caller, Throttled] = field(default_factory=dict)
    postponed: datetime = _EPOCH
    away_until: datetime = _EPOCH
    without_storage: BudgetWindow | None = None


type _Change[T] = Callable[[BudgetWindow | None], tuple[BudgetWindow, T]]


class Budget:
    """Consumes requests from the shared budget.

    Args:
        client_id: The client id that a registration stands for: registrations that share one share a budget.
        random: Gives 0 to 1; spreads those who collide.
    """

    def __init__(
        self,
        store: Store,
        limits: Limits,
        *,
        client_id: Callable[[Registration], str],
        clock: Clock,
        sleep: Sleep,
        random: Callable[[], float],
    ) -> None:
        self._store = store
        self._limits = limits
        self._client_id = client_id
        self._clock = clock
        self._sleep = sleep
        self._random = random
        self._accounts: dict[str, _Account] = {}

    async def consume(self, registration: Registration, origin: str, caller: Caller) -> None:
        """Consume one request, which has to be sent right away.

        Raises:
            Throttled: There is none for ``caller``: the budget is used up, AvePoint wants to be left alone, or the
                shared window cannot be reached and ``caller`` has time.
        """
        account = self._account(registration, origin)
        async with account.lock:
            grant = account.grants.get(caller)
            while grant is None or not grant.left or grant.expires <= self._clock():
                grant = await self._renew(account, caller)
            grant.left -= 1
        if grant.left == _LAST:
            with suppress(Throttled, StorageUnavailable):  # whoever finds nothing left finds out why
                await self._granted(account, caller, unused=None)

    async def postpone(self, registration: Registration, origin: str, until: datetime) -> None:
        """Tell everybody that AvePoint wants no request before ``until``; when that fails, they find out themselves."""
        account = self._account(registration, origin)
        if until <= account.postponed + _SOON or self._clock() < account.away_until:
            return
        account.postponed = until
        try:
            await self._change(account, lambda usage: (self._postponed(usage, until), None))
        except AppError as error:
            log_event(log, "budget.not_postponed", logging.WARNING, origin=origin, error=error)

    def _account(self, registration: Registration, origin: str) -> _Account:
        key = sha256(f"{self._client_id(registration)}\n{origin}".encode()).hexdigest()[:32]
        if key not in self._accounts:
            self._accounts[key] = _Account(f"budget/{key}.json")
        return self._accounts[key]

    async def _renew(self, account: _Account, caller: Caller) -> Grant:
        """Return a new grant for ``caller``, from the shared window or, for somebody in a flow, without it."""
        if (closed := account.closed.get(caller)) and closed.until > self._clock():
            raise _copy(closed)
        if self._clock() >= account.away_until:
            try:
                return await self._granted(account, caller, unused=account.grants.pop(caller, None))
            except Throttled as error:
                account.closed[caller] = _copy(error)
                if isinstance(error, UsedUp):
                    log_event(log, "budget.used_up", logging.WARNING, caller=caller, until=rfc3339(error.until))
                raise
            except StorageUnavailable as error:
                account.away_until = self._clock() + AWAY
                log_event(log, "budget.storage_away", logging.WARNING, path=account.path, error=error)
        if caller == "harvest":
            raise Throttled("the shared window of the request budget cannot be reached", until=account.away_until)
        return self._granted_without_storage(account)

    async def _granted(self, account: _Account, caller: Caller, *, unused: Grant | None) -> Grant:
        """Return a grant from the shared window, with what is there; ``unused`` is offered once, never twice."""
        terms = self._limits.terms(caller)
        offers = iter([unused])

        def change(usage: BudgetWindow | None) -> tuple[BudgetWindow, Grant]:
            return take(usage, terms, now=self._clock(), unused=next(offers, None), writer=uuid.uuid4().hex)

        grant = await self._change(account, change)
        there = account.grants.get(caller)
        if there and there.window == grant.window:
            grant.left += there.left
        account.grants[caller] = grant
        return grant

    def _granted_without_storage(self, account: _Account) -> Grant:
        account.without_storage, grant = take(
            account.without_storage, self._limits.terms_without_storage, now=self._clock(), unused=None, writer=""
        )
        return grant

    def _postponed(self, usage: BudgetWindow | None, until: datetime) -> BudgetWindow:
        return postponed(usage, until, window=self._limits.window, now=self._clock(), writer=uuid.uuid4().hex)

    async def _change[T](self, account: _Account, change: _Change[T]) -> T:
        """Apply ``change`` to the shared window as it is when nobody else writes in between.

        Raises:
            StorageUnavailable: It could not be written, or not in time.
        """
        try:
            async with asyncio.timeout(_STORAGE_SECONDS):
                for attempt in range(_TRIES):
                    stored = await self._store.read(Container.HARVEST_STATE, account.path)
                    usage, result = change(_parsed(stored))
                    try:
                        await self._store.write(
                            Container.HARVEST_STATE,
                            account.path,
                            usage.to_json(),
                            etag=stored.etag if stored else None,
                        )
                    except Conflict:
                        await self._sleep(self._random() * min(0.02 * 2**attempt, 1))
                    else:
                        return result
        except TimeoutError:
            raise StorageUnavailable(f"{account.path} was not written within {_STORAGE_SECONDS} s") from None
        raise StorageUnavailable(f"{account.path} was written by others {_TRIES} times in a row")


def _parsed(stored: Stored | None) -> BudgetWindow | None:
    """Return the stored window; one that is damaged counts as none and is written over.

    Raises:
        StorageUnavailable: A newer version of the app keeps it in a form of its own.
    """
    try:
        return BudgetWindow.from_json(stored.data) if stored else None
    except DamagedDocument as error:
        log_event(log, "budget.window_unreadable", logging.WARNING, error=error)
        return None
    except NewerDocument as error:
        raise StorageUnavailable(str(error), remedy=error.remedy) from error


def _copy(error: Throttled) -> Throttled:
    """Return the same without its traceback, which would keep alive whoever asked first."""
    return Throttled(str(error), until=error.until, remedy=error.remedy)

"""The request budget that all instances share: one ledger per app registration and origin, in Blob Storage.

Whoever wants to ask AvePoint takes a grant of some requests from the ledger, with one conditional write, and spends
it within half a minute. What is left of it goes back with the next grant. The ledger also says before when nobody may
ask, so that the patience AvePoint asks of one instance is kept by all.

AvePoint documents 15,000 requests for the EnPower Web API and no window; windows here are fixed and begin at multiples
of their length.
"""

import asyncio
import logging
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from math import ceil
from typing import Literal, Protocol

from shared.avepoint.platform import Registration
from shared.clock import Clock, Sleep, rfc3339
from shared.document import Document
from shared.errors import AppError, BadAnswer, Conflict, StorageUnavailable, Throttled
from shared.events import log_event
from shared.storage import Container, Stored

type Caller = Literal["harvest", "http"]
"""Who asks: a harvest, which has time, or somebody waiting in a flow, for whom a share is reserved."""

GRANT_LIFE = timedelta(seconds=30)
"""How soon everybody sees what the ledger says."""

AWAY = timedelta(seconds=30)
"""How long the ledger is left alone when it cannot be read or written."""

_BATCH: dict[Caller, int] = {"harvest": 50, "http": 20}
_FRACTION = 10
_INSTANCES = 10
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TRIES = 12
_LEDGER_SECONDS = 5
_SOON = timedelta(seconds=1)

log = logging.getLogger(__name__)


class UsedUp(Throttled):
    """Nothing is left of the budget in this window."""


class Ledger(Document):
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
        """What ``caller`` may take from the ledger."""
        open_to_all = max(1, self.requests - self._reserved)
        return Terms(self.window, open_to_all if caller == "harvest" else self.requests, _BATCH[caller])

    @property
    def terms_without_ledger(self) -> Terms:
        """What people waiting in flows may take from their instance: as if ten shared what is reserved for them."""
        return Terms(self.window, max(1, self._reserved // _INSTANCES), batch=1)

    @property
    def _reserved(self) -> int:
        return ceil(self.requests * self.reserved_percent / 100)


def take(
    ledger: Ledger | None, terms: Terms, *, now: datetime, unused: Grant | None, writer: str
) -> tuple[Ledger, Grant]:
    """Take a grant: the ledger that has to be written for it, and the grant it then is.

    Grants get smaller towards the end, so that everybody gets some of the last requests. A window never moves back,
    whatever the clocks of the instances say.

    Args:
        ledger: What is stored; ``None`` for nothing.
        unused: An earlier grant that will not be spent any more.

    Raises:
        UsedUp: Nothing is left in this window.
        Throttled: AvePoint wants to be left alone.
    """
    ledger = _current(ledger, _window_of(now, terms.window))
    if ledger.not_before > now:
        raise Throttled(f"AvePoint wants no request before {rfc3339(ledger.not_before)}", until=ledger.not_before)
    taken = ledger.taken - (unused.left if unused and unused.window == ledger.window else 0)
    left = terms.most - taken
    ends = ledger.window + terms.window
    if left <= 0:
        raise UsedUp(
            f"the budget of {terms.most} requests is used up until {rfc3339(ends)}",
            until=ends,
            remedy="If AvePoint allows more, raise THROTTLE_REQUESTS.",
        )
    size = min(terms.batch, max(1, left // _FRACTION))
    changed = ledger.model_copy(update={"taken": taken + size, "writer": writer})
    return changed, Grant(ledger.window, size, expires=min(ends, now + GRANT_LIFE))


def postponed(ledger: Ledger | None, until: datetime, *, window: timedelta, now: datetime, writer: str) -> Ledger:
    """The ledger that lets nobody ask before ``until``."""
    ledger = _current(ledger, _window_of(now, window))
    return ledger.model_copy(update={"not_before": max(until, ledger.not_before), "writer": writer})


def _current(ledger: Ledger | None, window: datetime) -> Ledger:
    if ledger is not None and ledger.window >= window:
        return ledger
    return Ledger(window=window, not_before=ledger.not_before if ledger else _EPOCH)


def _window_of(now: datetime, length: timedelta) -> datetime:
    return _EPOCH + (now - _EPOCH) // length * length


class Store(Protocol):
    """Where ledgers are kept; ``shared.storage.Storage`` is one."""

    async def read(self, container: Container, path: str) -> Stored | None:
        """The blob at ``path``."""

    async def create(self, container: Container, path: str, data: bytes) -> str:
        """Write a blob that must not be there yet."""

    async def replace(self, container: Container, path: str, data: bytes, *, etag: str) -> str:
        """Overwrite the blob that was read under ``etag``."""


@dataclass(slots=True)
class _Account:
    """What this process holds of one budget."""

    path: str
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    grants: dict[Caller, Grant] = field(default_factory=dict)
    closed: dict[Caller, Throttled] = field(default_factory=dict)
    postponed: datetime = _EPOCH
    away_until: datetime = _EPOCH
    without_ledger: Ledger | None = None


type Change[T] = Callable[[Ledger | None], tuple[Ledger, T]]


class Budget:
    """Spends requests from the shared budget.

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

    async def spend(self, registration: Registration, origin: str, caller: Caller) -> None:
        """Spend one request, which has to be sent right away.

        Raises:
            Throttled: There is none for ``caller``: the budget is used up, AvePoint wants to be left alone, or the
                ledger cannot be reached and ``caller`` has time.
        """
        account = self._account(registration, origin)
        async with account.lock:
            grant = account.grants.get(caller)
            while grant is None or not grant.left or grant.expires <= self._clock():
                grant = await self._renew(account, caller)
            grant.left -= 1

    async def postpone(self, registration: Registration, origin: str, until: datetime) -> None:
        """Tell everybody that AvePoint wants no request before ``until``; when that fails, they find out themselves."""
        account = self._account(registration, origin)
        if until <= account.postponed + _SOON or self._clock() < account.away_until:
            return
        account.postponed = until
        try:
            await self._change(account, lambda ledger: (self._postponed(ledger, until), None))
        except AppError as error:
            log_event(log, "budget.not_postponed", logging.WARNING, origin=origin, error=error)

    def _account(self, registration: Registration, origin: str) -> _Account:
        key = sha256(f"{self._client_id(registration)}\n{origin}".encode()).hexdigest()[:32]
        if key not in self._accounts:
            self._accounts[key] = _Account(f"budget/{key}.json")
        return self._accounts[key]

    async def _renew(self, account: _Account, caller: Caller) -> Grant:
        """A new grant for ``caller``, from the ledger or, for somebody in a flow, without it."""
        if (closed := account.closed.get(caller)) and closed.until > self._clock():
            raise _copy(closed)
        if self._clock() >= account.away_until:
            try:
                return await self._granted(account, caller)
            except Throttled as error:
                account.closed[caller] = _copy(error)
                if isinstance(error, UsedUp):
                    log_event(log, "budget.used_up", logging.WARNING, caller=caller, until=rfc3339(error.until))
                raise
            except StorageUnavailable as error:
                account.away_until = self._clock() + AWAY
                log_event(log, "budget.ledger_away", logging.WARNING, path=account.path, error=error)
        if caller == "harvest":
            raise Throttled("the ledger of the request budget cannot be reached", until=account.away_until)
        return self._granted_without_ledger(account)

    async def _granted(self, account: _Account, caller: Caller) -> Grant:
        """A grant from the ledger; what is unused of the last one is offered once: it must not go back twice."""
        terms = self._limits.terms(caller)
        offers = iter([account.grants.pop(caller, None)])

        def change(ledger: Ledger | None) -> tuple[Ledger, Grant]:
            return take(ledger, terms, now=self._clock(), unused=next(offers, None), writer=uuid.uuid4().hex)

        grant = account.grants[caller] = await self._change(account, change)
        return grant

    def _granted_without_ledger(self, account: _Account) -> Grant:
        account.without_ledger, grant = take(
            account.without_ledger, self._limits.terms_without_ledger, now=self._clock(), unused=None, writer=""
        )
        return grant

    def _postponed(self, ledger: Ledger | None, until: datetime) -> Ledger:
        return postponed(ledger, until, window=self._limits.window, now=self._clock(), writer=uuid.uuid4().hex)

    async def _change[T](self, account: _Account, change: Change[T]) -> T:
        """Apply ``change`` to the ledger as it is when nobody else writes in between.

        Raises:
            StorageUnavailable: It could not be written, or not in time.
        """
        try:
            async with asyncio.timeout(_LEDGER_SECONDS):
                for attempt in range(_TRIES):
                    stored = await self._store.read(Container.HARVEST_STATE, account.path)
                    ledger, result = change(_parsed(stored))
                    try:
                        await self._write(account.path, ledger, stored)
                    except Conflict:
                        await self._sleep(self._random() * min(0.02 * 2**attempt, 1))
                    else:
                        return result
        except TimeoutError:
            raise StorageUnavailable(f"{account.path} was not written within {_LEDGER_SECONDS} s") from None
        raise StorageUnavailable(f"{account.path} was written by others {_TRIES} times in a row")

    async def _write(self, path: str, ledger: Ledger, stored: Stored | None) -> None:
        if stored is None:
            await self._store.create(Container.HARVEST_STATE, path, ledger.to_json())
        else:
            await self._store.replace(Container.HARVEST_STATE, path, ledger.to_json(), etag=stored.etag)


def _parsed(stored: Stored | None) -> Ledger | None:
    """The stored ledger; one that cannot be read counts as none and is written over."""
    try:
        return Ledger.from_json(stored.data) if stored else None
    except BadAnswer as error:
        log_event(log, "budget.ledger_unreadable", logging.WARNING, error=error)
        return None


def _copy(error: Throttled) -> Throttled:
    """The same without its traceback, which would keep alive whoever asked first."""
    return Throttled(str(error), until=error.until, remedy=error.remedy)

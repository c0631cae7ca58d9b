"""Secrets by name, as Key Vault holds them: kept ten minutes, renewed ahead of that, and outliving an outage of it.

While the vault is away the last value it gave is served for six hours at most: longer than its outages have been, and
short enough that a secret somebody took out of use does not live on for a day. A vault that answers and refuses us is
not away: what it refuses is served for no longer than its ten minutes.
"""

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from shared.clock import Clock
from shared.errors import AppError, Retry
from shared.events import log_event
from shared.refreshing import PAUSE, Held, Refreshing

TIME_TO_LIVE = timedelta(minutes=10)
RENEWED_AFTER = timedelta(minutes=8)
KEPT = timedelta(hours=6)

log = logging.getLogger(__name__)


class VaultUnavailable(Retry):
    """Key Vault did not answer, and there is no earlier value to go on with."""

    def __init__(self, message: str) -> None:
        super().__init__(message, remedy="Look at the vault and at its firewall, and check KEY_VAULT_URL.")


@dataclass(frozen=True, slots=True)
class Secret:
    """One version of a secret.

    Attributes:
        expires: When it is meant to be replaced, where the vault was told; the vault goes on serving it.
    """

    name: str
    value: str = field(repr=False)
    version: str
    expires: datetime | None = None


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of a secret without asking, and without its value.

    Attributes:
        read_at: When the vault gave it; ``None`` when it never did.
        away_since: Since when the value is served from memory because the vault is away.
        failure: Why the vault does not give it.
    """

    name: str
    read_at: datetime | None = None
    expires: datetime | None = None
    away_since: datetime | None = None
    failure: AppError | None = None


@dataclass(frozen=True, slots=True)
class _Outage:
    since: datetime
    error: VaultUnavailable


@dataclass(frozen=True, slots=True)
class _Read:
    secret: Secret
    at: datetime


class Secrets:
    """A cache of secrets, one read per name at a time.

    Args:
        read: Reads the newest version of a secret; raises ``VaultUnavailable`` when the vault is away.
    """

    def __init__(self, read: Callable[[str], Awaitable[Secret]], *, clock: Clock) -> None:
        self._read = read
        self._clock = clock
        self._cache = Refreshing(self._fetch, clock=clock)
        self._last: dict[str, _Read] = {}
        self._outages: dict[str, _Outage] = {}

    async def get(self, name: str) -> Secret:
        """The secret ``name``, at most ten minutes old unless the vault is away.

        Raises:
            Misconfigured: The vault has no such secret, or refuses us.
            VaultUnavailable: The vault cannot be reached, and has not been for six hours.
        """
        return await self._cache.get(name)

    async def another(self, refused: Secret) -> Secret | None:
        """The version that took the place of one that was refused, read past the cache; ``None`` where none did."""
        self._cache.forget(refused.name, refused)
        secret = await self._cache.get(refused.name)
        return secret if secret.value != refused.value else None

    def known(self) -> list[Known]:
        """What is known of every secret that was asked for."""
        names = dict.fromkeys([*self._last, *self._cache.failures])
        return [self._known(name) for name in names]

    def retry_failed(self, *, older_than: timedelta) -> None:
        """Ask again, in the background, for whatever failed that long ago."""
        self._cache.retry_failed(older_than=older_than)

    async def close(self) -> None:
        """End the reads under way."""
        await self._cache.close()

    async def _fetch(self, name: str) -> Held[Secret]:
        try:
            secret = await self._read(name)
        except VaultUnavailable as error:
            return self._from_memory(name, error)
        now = self._clock()
        if self._outages.pop(name, None):
            log_event(log, "vault.back", entry=name)
        self._last[name] = _Read(secret, now)
        return Held(secret, now + RENEWED_AFTER, now + TIME_TO_LIVE)

    def _from_memory(self, name: str, error: VaultUnavailable) -> Held[Secret]:
        now = self._clock()
        last = self._last.get(name)
        if last is None or now >= last.at + KEPT:
            raise error
        outage = self._outages.setdefault(name, _Outage(now, error))
        log_event(log, "vault.away", logging.WARNING, entry=name, since=outage.since, error=error)
        return Held(last.secret, now + PAUSE, last.at + KEPT)

    def _known(self, name: str) -> Known:
        last, outage, failure = self._last.get(name), self._outages.get(name), self._cache.failures.get(name)
        return Known(
            name,
            read_at=last.at if last else None,
            expires=last.secret.expires if last else None,
            away_since=outage.since if outage and not failure else None,
            failure=failure.error if failure else outage.error if outage else None,
        )

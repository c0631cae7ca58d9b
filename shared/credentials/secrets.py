"""Secrets by name, as Key Vault holds them: kept ten minutes, renewed ahead of that, and outliving an outage of it.

While the vault is away the last value it gave is served for six hours at most: longer than its outages have been, and
short enough that a secret somebody took out of use does not live on for a day. A vault that answers and refuses us is
not away: what it refuses is gone at once, and does not come back while the vault is away later.
"""

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from shared.clock import Clock, rfc3339
from shared.credentials.cache import PAUSE, CachedValue, RefreshingCache
from shared.errors import AppError, Misconfigured, Retry
from shared.telemetry.events import log_event
from shared.telemetry.redaction import register_secrets

TIME_TO_LIVE = timedelta(minutes=10)
_RENEWED_AFTER = timedelta(minutes=8)
SERVED_WHILE_AWAY = timedelta(hours=6)
EXPIRY_WARNING = timedelta(days=30)
"""How long before its end a secret or certificate is told about."""

log = logging.getLogger(__name__)


class VaultUnavailable(Retry):
    """Key Vault did not answer, and there is no earlier value to go on with."""

    def __init__(self, message: str) -> None:
        super().__init__(message, remedy="Check the vault, its firewall, and KEY_VAULT_URL.")


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
class SecretState:
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
        self._cache = RefreshingCache(self._fetch, clock=clock)
        self._last: dict[str, _Read] = {}
        self._outages: dict[str, _Outage] = {}

    async def get(self, name: str) -> Secret:
        """Return the secret ``name``, at most ten minutes old unless the vault is away.

        Raises:
            Misconfigured: The vault has no such secret, or refuses us.
            VaultUnavailable: The vault cannot be reached, and has not been for six hours.
        """
        return await self._cache.get(name)

    async def refreshed(self, refused: Secret) -> Secret | None:
        """Return the version that replaced a refused one, read past the cache; ``None`` where there is none."""
        self._cache.forget(refused.name, refused)
        secret = await self._cache.get(refused.name)
        return secret if secret.value != refused.value else None

    def states(self) -> list[SecretState]:
        """Return what is known of every secret that was asked for."""
        names = dict.fromkeys([*self._last, *self._cache.failures])
        return [self._state(name) for name in names]

    def retry_failed(self, *, older_than: timedelta) -> None:
        """Ask again, in the background, for whatever failed that long ago."""
        self._cache.retry_failed(older_than=older_than)

    async def close(self) -> None:
        """End the reads under way."""
        await self._cache.close()

    async def _fetch(self, name: str) -> CachedValue[Secret]:
        try:
            secret = await self._read(name)
            register_secrets(secret.value)
        except VaultUnavailable as error:
            return self._from_memory(name, error)
        except Misconfigured:
            self._cache.drop(name)
            self._last.pop(name, None)
            self._outages.pop(name, None)
            raise
        now = self._clock()
        if self._outages.pop(name, None):
            log_event(log, "vault.back", entry=name)
        self._last[name] = _Read(secret, now)
        if secret.expires and secret.expires - now < EXPIRY_WARNING:
            log_event(log, "secret.expiring", logging.WARNING, entry=name, expires=rfc3339(secret.expires))
        return CachedValue(secret, now + _RENEWED_AFTER, now + TIME_TO_LIVE)

    def _from_memory(self, name: str, error: VaultUnavailable) -> CachedValue[Secret]:
        now = self._clock()
        last = self._last.get(name)
        if last is None or now >= last.at + SERVED_WHILE_AWAY:
            raise error
        outage = self._outages.setdefault(name, _Outage(now, error))
        log_event(log, "vault.away", logging.WARNING, entry=name, since=outage.since, error=error)
        return CachedValue(last.secret, now + PAUSE, last.at + SERVED_WHILE_AWAY)

    def _state(self, name: str) -> SecretState:
        last, outage, failure = self._last.get(name), self._outages.get(name), self._cache.failures.get(name)
        return SecretState(
            name,
            read_at=last.at if last else None,
            expires=last.secret.expires if last else None,
            away_since=outage.since if outage and not failure else None,
            failure=failure.error if failure else outage.error if outage else None,
        )

"""The proofs of our identity: from Key Vault, or from the environment where there is no vault."""

import asyncio
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from shared.clock import Clock
from shared.errors import Misconfigured, Problem, Retry
from shared.settings import Credential, Settings

if TYPE_CHECKING:
    from azure.core.credentials_async import AsyncTokenCredential
    from azure.keyvault.secrets.aio import SecretClient

TIME_TO_LIVE = timedelta(minutes=10)


class VaultUnavailable(Retry):
    """Key Vault did not answer, and there is no earlier value to go on with."""


@dataclass(frozen=True, slots=True)
class _Cached:
    value: str
    read_at: datetime


class Secrets:
    """Reads secrets by name, remembers each for ten minutes, and asks once however many wait."""

    def __init__(self, client: "SecretClient", *, clock: Clock) -> None:
        self._client = client
        self._clock = clock
        self._cache: dict[str, _Cached] = {}
        self._lock = asyncio.Lock()

    async def get(self, name: str) -> str:
        """The newest value of the secret ``name``.

        Raises:
            Misconfigured: The vault has no such secret, or refuses us.
            VaultUnavailable: The vault cannot be reached.
        """
        async with self._lock:
            cached = self._cache.get(name)
            if cached is None or self._clock() - cached.read_at > TIME_TO_LIVE:
                cached = self._cache[name] = _Cached(await self._read(name), self._clock())
            return cached.value

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()

    async def _read(self, name: str) -> str:
        from azure.core.exceptions import AzureError, ClientAuthenticationError, HttpResponseError

        try:
            return (await self._client.get_secret(name)).value or ""
        except ClientAuthenticationError as error:
            raise _refused(name, "the identity of the app is not accepted") from error
        except HttpResponseError as error:
            if error.status_code == 404:  # noqa: PLR2004 - not found
                raise _refused(name, "there is no such secret") from error
            if error.status_code == 403:  # noqa: PLR2004 - forbidden
                raise _refused(name, "the app may not read it") from error
            raise VaultUnavailable(f"Key Vault answered {error.status_code} for the secret {name}") from error
        except AzureError as error:
            raise VaultUnavailable(f"Key Vault cannot be reached: {type(error).__name__}") from error


def open_secrets(settings: Settings, credential: "AsyncTokenCredential", *, clock: Clock) -> Secrets | None:
    """The vault of the settings, or ``None`` where the environment holds the secrets."""
    from azure.keyvault.secrets.aio import SecretClient

    return Secrets(SecretClient(settings.key_vault_url, credential), clock=clock) if settings.key_vault_url else None


async def client_secret(credential: Credential, secrets: Secrets | None) -> str:
    """The client secret of an app registration.

    Raises:
        Misconfigured: There is none.
        VaultUnavailable: The vault cannot be reached.
    """
    if secrets is not None and credential.secret_name is not None:
        return await secrets.get(credential.secret_name)
    if credential.secret is not None:
        return credential.secret.get_secret_value()
    raise AssertionError("validated settings name a secret")


def _refused(name: str, reason: str) -> Misconfigured:
    remedy = f"Check that the vault holds the secret {name} and that the app has the role Key Vault Secrets User."
    return Misconfigured([Problem("KEY_VAULT_URL", f"cannot read the secret {name}: {reason}", remedy)])

"""Key Vault: the one place that knows azure-keyvault-secrets, and how its refusals read.

Import it at first use: the SDK takes half a second to load.
"""

import asyncio
import ssl
from datetime import datetime
from json import JSONDecodeError

from azure.core.credentials_async import AsyncTokenCredential
from azure.core.exceptions import AzureError, HttpResponseError
from azure.keyvault.secrets.aio import SecretClient

from shared.azure.identity import QUICK, azure_transport
from shared.credentials.secrets import Secret, VaultUnavailable
from shared.errors import Misconfigured, Problem
from shared.settings import is_loopback
from shared.telemetry.redaction import redacted

READ_SECONDS = 15.0
"""The longest a read may take, with its retries and whatever wait the vault asks for."""

_NO_IDENTITY = "Give the app a managed identity; on your own computer, run 'az login'."
_REASONS = {
    "SecretDisabled": ("it is disabled", "Enable the secret {name} in the vault, or add a new version."),
    "ForbiddenByFirewall": (
        "the firewall of the vault does not let the app in",
        "Allow the network of the app in the firewall of the vault.",
    ),
}
_FORBIDDEN = ("the app may not read it", "Give the identity of the app the role Key Vault Secrets User on the vault.")


class Vault:
    """The secrets of one Key Vault."""

    def __init__(self, client: SecretClient) -> None:
        self._client = client

    async def read(self, name: str) -> Secret:
        """Return the newest version of the secret ``name``; a certificate is the secret of the same name.

        Raises:
            Misconfigured: The vault has no such secret, or refuses us.
            VaultUnavailable: Vault or identity endpoint cannot be reached, fail, or ask for patience.
        """
        try:
            async with asyncio.timeout(READ_SECONDS):
                found = await self._client.get_secret(name)
        except TimeoutError as error:
            raise VaultUnavailable(f"Key Vault did not give the secret {name} in {READ_SECONDS:g} s") from error
        except HttpResponseError as error:
            raise _refusal(name, error) from error
        except AzureError as error:
            raise VaultUnavailable(f"Key Vault cannot be reached: {redacted(str(error))}") from error
        except (JSONDecodeError, AttributeError, TypeError) as error:  # the SDK reads whatever comes with 200
            raise VaultUnavailable(f"Key Vault gave an answer for the secret {name} that cannot be read") from error
        except ValueError as error:
            raise _problem(name, str(error), "Check KEY_VAULT_URL.") from error
        if not (found.value or "").strip():
            raise _problem(name, "it is empty", f"Put a new version of the secret {name} into the vault.")
        expires: object = found.properties.expires_on
        ends = expires if isinstance(expires, datetime) else None  # the SDK leaves what it cannot read as it is
        return Secret(name, found.value or "", found.properties.version or "", ends)

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()


def open_vault(url: str, identity: AsyncTokenCredential, tls: ssl.SSLContext) -> Vault:
    """Return the vault at ``url``; except on loopback, its challenge has to be for a Key Vault of this domain."""
    client = SecretClient(
        url,
        identity,
        verify_challenge_resource=not is_loopback(url),
        transport=azure_transport(tls),
        **QUICK,
    )
    return Vault(client)


def _refusal(name: str, error: HttpResponseError) -> Misconfigured | VaultUnavailable:
    """Return what a status means; those of the identity endpoint come the same way."""
    match error.status_code:
        case None | 400 | 401:
            return _problem(name, "the identity of the app is not accepted", _NO_IDENTITY)
        case 403:
            reason, remedy = _REASONS.get(_inner_code(error), _FORBIDDEN)
            return _problem(name, reason, remedy.format(name=name))
        case 404:
            return _problem(name, "there is no such secret", f"Put the secret {name} into the vault.")
        case status:
            return VaultUnavailable(f"Key Vault, or the identity of the app, answered {status} for the secret {name}")


def _inner_code(error: HttpResponseError) -> str:
    """Return the code inside the code of Key Vault's error body, which alone tells why something is forbidden."""
    inner = error.error.innererror if error.error else None
    return str(inner.get("code", "")) if inner else ""


def _problem(name: str, reason: str, remedy: str) -> Misconfigured:
    return Misconfigured([Problem("KEY_VAULT_URL", f"cannot read the secret {name}: {reason}", remedy)])

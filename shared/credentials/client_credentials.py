"""How each app registration authenticates to AvePoint's identity service: with a secret or with a certificate."""

import asyncio
import logging
import uuid
from collections.abc import Mapping
from dataclasses import dataclass

from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from shared.avepoint.platform import Registration
from shared.clock import Clock, rfc3339
from shared.credentials.assertions import ASSERTION_TYPE, Certificate, client_assertion, load_certificate
from shared.credentials.secrets import EXPIRY_WARNING, Secret, Secrets
from shared.credentials.tokens import ClientCredential, token_url
from shared.settings import Credential, Settings
from shared.telemetry.events import log_event

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Loaded:
    secret: Secret
    certificate: Certificate


class ClientCredentials:
    """Makes client credentials from what the vault holds or, without a vault, from the settings."""

    def __init__(self, settings: Settings, secrets: Secrets | None, *, clock: Clock) -> None:
        self._settings = settings
        self._secrets = secrets
        self._clock = clock
        self._loaded: dict[str, _Loaded] = {}

    async def get(self, registration: Registration) -> ClientCredential:
        """Return a fresh client credential.

        Raises:
            Misconfigured: The secret cannot be read, or the certificate not be used.
            VaultUnavailable: The vault cannot be reached, and there is no earlier value.
        """
        registered = self._settings.credential(registration)
        name = registered.certificate_name or registered.secret_name
        if self._secrets is None or name is None:
            return _from_settings(registered, self._prefix(registration))
        return await self._made_of(await self._secrets.get(name), registered, registration)

    async def refreshed(self, registration: Registration, refused: ClientCredential) -> ClientCredential | None:
        """Return a credential from a newer version of what made the refused one; ``None`` where the vault has none."""
        if self._secrets is None or refused.source is None:
            return None
        secret = await self._secrets.refreshed(refused.source)
        return await self._made_of(secret, self._settings.credential(registration), registration) if secret else None

    async def key_material(self, registration: Registration) -> bytes:
        """Return what only this registration knows, to derive keys from: client secret, or private key in PKCS#8.

        Raises:
            Misconfigured, VaultUnavailable: As ``get`` does.
        """
        registered = self._settings.credential(registration)
        name = registered.certificate_name or registered.secret_name
        if self._secrets is None or name is None:
            return _secret_of(registered).encode()
        secret = await self._secrets.get(name)
        if registered.certificate_name is None:
            return secret.value.encode()
        certificate = await self._certificate(f"{self._prefix(registration)}_CERTIFICATE_NAME", secret)
        return certificate.key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())

    @property
    def certificates(self) -> Mapping[str, Certificate]:
        """The certificates in use, by the setting that names each."""
        return {setting: loaded.certificate for setting, loaded in self._loaded.items()}

    async def _made_of(self, secret: Secret, registered: Credential, registration: Registration) -> ClientCredential:
        fields = {"client_id": registered.client_id}
        if registered.certificate_name is None:
            return ClientCredential(
                {**fields, "client_secret": secret.value}, f"the secret {secret.name} in the vault", secret
            )
        certificate = await self._certificate(f"{self._prefix(registration)}_CERTIFICATE_NAME", secret)
        assertion = client_assertion(
            certificate,
            client_id=registered.client_id,
            audience=token_url(self._settings.identity_url),
            jti=str(uuid.uuid4()),
            now=self._clock(),
        )
        fields |= {"client_assertion_type": ASSERTION_TYPE, "client_assertion": assertion}
        return ClientCredential(fields, _described(secret.name, certificate), secret)

    async def _certificate(self, setting: str, secret: Secret) -> Certificate:
        """Return the certificate in ``secret``, loaded once for each version and away from the event loop."""
        loaded = self._loaded.get(setting)
        if loaded is None or loaded.secret != secret:
            certificate = await asyncio.to_thread(load_certificate, secret.value, setting=setting)
            loaded = self._loaded[setting] = _Loaded(secret, certificate)
        if loaded.certificate.expires - self._clock() < EXPIRY_WARNING:
            expires = rfc3339(loaded.certificate.expires)
            log_event(log, "certificate.expiring", logging.WARNING, entry=secret.name, expires=expires)
        return loaded.certificate

    def _prefix(self, registration: Registration) -> str:
        """Return what the settings of the registration in force begin with."""
        own = {"opus": self._settings.opus_client_id, "elements": self._settings.elements_client_id}
        return registration.upper() if own.get(registration) else "AVEPOINT"


def _secret_of(registered: Credential) -> str:
    if registered.secret is None:
        raise AssertionError("validated settings hold a secret where they name none")
    return registered.secret.get_secret_value()


def _from_settings(registered: Credential, prefix: str) -> ClientCredential:
    fields = {"client_id": registered.client_id, "client_secret": _secret_of(registered)}
    return ClientCredential(fields, f"{prefix}_CLIENT_SECRET", None)


def _described(name: str, certificate: Certificate) -> str:
    thumbprint = certificate.thumbprint.hex().upper()
    return f"the certificate {name} in the vault (thumbprint {thumbprint}, expires {rfc3339(certificate.expires)})"

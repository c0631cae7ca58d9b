"""How each app registration proves itself to AvePoint's identity service: with a secret or with a certificate."""

import asyncio
import logging
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from shared.assertions import ASSERTION_TYPE, Certificate, client_assertion, load_certificate
from shared.avepoint.platform import Registration
from shared.clock import Clock, rfc3339
from shared.events import log_event
from shared.secrets import Secret, Secrets
from shared.settings import Credential, Settings
from shared.tokens import Proof, token_url

EXPIRY_WARNING = timedelta(days=30)

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Loaded:
    secret: Secret
    certificate: Certificate


class Proofs:
    """Makes proofs from what the vault holds or, without a vault, from the settings."""

    def __init__(self, settings: Settings, secrets: Secrets | None, *, clock: Clock) -> None:
        self._settings = settings
        self._secrets = secrets
        self._clock = clock
        self._loaded: dict[str, _Loaded] = {}

    async def proof(self, registration: Registration) -> Proof:
        """A fresh proof.

        Raises:
            Misconfigured: The secret cannot be read, or the certificate not be used.
            VaultUnavailable: The vault cannot be reached, and there is no earlier value.
        """
        credential = self._settings.credential(registration)
        name = credential.certificate_name or credential.secret_name
        if self._secrets is None or name is None:
            return _by_setting(credential, self._prefix(registration))
        return await self._by(await self._secrets.get(name), credential, registration)

    async def another(self, registration: Registration, refused: Proof) -> Proof | None:
        """A proof from a newer version of what made the refused one; ``None`` where the vault holds no newer one."""
        if self._secrets is None or refused.source is None:
            return None
        secret = await self._secrets.another(refused.source)
        return await self._by(secret, self._settings.credential(registration), registration) if secret else None

    async def material(self, registration: Registration) -> bytes:
        """What only this registration knows, to derive keys from: its client secret, or its private key in PKCS#8.

        Raises:
            Misconfigured, VaultUnavailable: As ``proof`` does.
        """
        credential = self._settings.credential(registration)
        name = credential.certificate_name or credential.secret_name
        if self._secrets is None or name is None:
            return _secret_of(credential).encode()
        secret = await self._secrets.get(name)
        if credential.certificate_name is None:
            return secret.value.encode()
        certificate = await self._certificate(f"{self._prefix(registration)}_CERTIFICATE_NAME", secret)
        return certificate.key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())

    @property
    def certificates(self) -> Mapping[str, Certificate]:
        """The certificates in use, by the setting that names each."""
        return {setting: loaded.certificate for setting, loaded in self._loaded.items()}

    async def _by(self, secret: Secret, credential: Credential, registration: Registration) -> Proof:
        fields = {"client_id": credential.client_id}
        if credential.certificate_name is None:
            return Proof({**fields, "client_secret": secret.value}, f"the secret {secret.name} in the vault", secret)
        certificate = await self._certificate(f"{self._prefix(registration)}_CERTIFICATE_NAME", secret)
        assertion = client_assertion(
            certificate,
            client_id=credential.client_id,
            audience=token_url(self._settings.identity_url),
            jti=str(uuid.uuid4()),
            now=self._clock(),
        )
        fields |= {"client_assertion_type": ASSERTION_TYPE, "client_assertion": assertion}
        return Proof(fields, _described(secret.name, certificate), secret)

    async def _certificate(self, setting: str, secret: Secret) -> Certificate:
        """The certificate in ``secret``, loaded once for each version and away from the event loop."""
        loaded = self._loaded.get(setting)
        if loaded is None or loaded.secret != secret:
            certificate = await asyncio.to_thread(load_certificate, secret.value, setting=setting)
            loaded = self._loaded[setting] = _Loaded(secret, certificate)
        if loaded.certificate.expires - self._clock() < EXPIRY_WARNING:
            expires = rfc3339(loaded.certificate.expires)
            log_event(log, "certificate.expiring", logging.WARNING, entry=secret.name, expires=expires)
        return loaded.certificate

    def _prefix(self, registration: Registration) -> str:
        """What the settings of the registration in force begin with."""
        own = {"opus": self._settings.opus_client_id, "elements": self._settings.elements_client_id}
        return registration.upper() if own.get(registration) else "AVEPOINT"


def _secret_of(credential: Credential) -> str:
    if credential.secret is None:
        raise AssertionError("validated settings hold a secret where they name none")
    return credential.secret.get_secret_value()


def _by_setting(credential: Credential, prefix: str) -> Proof:
    fields = {"client_id": credential.client_id, "client_secret": _secret_of(credential)}
    return Proof(fields, f"{prefix}_CLIENT_SECRET", None)


def _described(name: str, certificate: Certificate) -> str:
    thumbprint = certificate.thumbprint.hex().upper()
    return f"the certificate {name} in the vault (thumbprint {thumbprint}, expires {rfc3339(certificate.expires)})"

"""Proof by certificate: what Key Vault keeps behind a certificate, and the signed assertion made with it.

The assertion is the ``private_key_jwt`` of RFC 7523 as AvePoint's samples send it (AvePoint/cloud-api,
``docs/docs/register-app.md``): RS256, issuer and subject the client id, audience the token endpoint.
"""

import base64
import hashlib
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import jwt
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key
from cryptography.hazmat.primitives.serialization.pkcs12 import load_pkcs12

from shared.errors import Misconfigured, Problem

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

SKEW = timedelta(minutes=5)
"""How far AvePoint's clock may be from ours, either way: an assertion is good from so long ago until so far ahead."""


@dataclass(frozen=True, slots=True)
class Certificate:
    """A certificate that can sign assertions.

    Attributes:
        thumbprint: SHA-1 of its DER form: the name under which AvePoint knows it.
        expires: The end of its validity (UTC).
    """

    key: RSAPrivateKey = field(repr=False)
    thumbprint: bytes
    expires: datetime


def load_certificate(stored: str, *, setting: str) -> Certificate:
    """Return the certificate in the secret behind a vault certificate: PKCS#12 in base64 without a password, or PEM.

    Args:
        setting: The app setting that names the certificate, for the error.

    Raises:
        Misconfigured: It cannot be read, is not RSA, or may not be used for digital signatures.
    """
    try:
        key, certificate = _pem(stored) if "-----BEGIN" in stored else _pkcs12(stored)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise _unusable(setting, f"holds no certificate with its private key ({error})") from error
    if not isinstance(key, RSAPrivateKey):
        raise _unusable(setting, "has no RSA key, which RS256 needs")
    if not _may_sign(certificate):
        raise _unusable(setting, "lacks digital signature in its Key Usage, which AvePoint demands")
    thumbprint = hashlib.sha1(certificate.public_bytes(Encoding.DER), usedforsecurity=False).digest()
    return Certificate(key, thumbprint, certificate.not_valid_after_utc)


def client_assertion(certificate: Certificate, *, client_id: str, audience: str, jti: str, now: datetime) -> str:
    """Return the signed statement that we are ``client_id``, good for one request to ``audience`` within ten minutes.

    Args:
        audience: The token endpoint.
        jti: Never the same twice.
    """
    since, until = int((now - SKEW).timestamp()), int((now + SKEW).timestamp())
    claims = {"iss": client_id, "sub": client_id, "aud": audience, "jti": jti, "iat": since, "nbf": since, "exp": until}
    x5t = base64.urlsafe_b64encode(certificate.thumbprint).rstrip(b"=").decode()
    headers = {"kid": certificate.thumbprint.hex().upper(), "x5t": x5t}
    return jwt.encode(claims, certificate.key, algorithm="RS256", headers=headers)


def _pkcs12(stored: str) -> tuple[PrivateKeyTypes, x509.Certificate]:
    bundle = load_pkcs12(base64.b64decode(stored, validate=True), None)
    if bundle.key is None or bundle.cert is None:
        raise ValueError("one of the two is missing")
    return bundle.key, bundle.cert.certificate


def _pem(stored: str) -> tuple[PrivateKeyTypes, x509.Certificate]:
    pem = stored.encode()
    key = load_pem_private_key(pem, None)
    for certificate in x509.load_pem_x509_certificates(pem):
        if certificate.public_key() == key.public_key():
            return key, certificate
    raise ValueError("no certificate belongs to the key")


def _may_sign(certificate: x509.Certificate) -> bool:
    """Whether digital signature is set in the Key Usage; AvePoint wants it set, so a missing extension will not do."""
    try:
        return certificate.extensions.get_extension_for_class(x509.KeyUsage).value.digital_signature
    except x509.ExtensionNotFound:
        return False


def _unusable(setting: str, reason: str) -> Misconfigured:
    remedy = f"Name a certificate in {setting} that has an exportable RSA key and the key usage digital signature."
    return Misconfigured([Problem(setting, f"the certificate {reason}", remedy)])

import base64
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.hazmat.primitives.serialization.pkcs12 import serialize_key_and_certificates

type _Key = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey

_STARTED_BEFORE = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class ClientCertificate:
    """A self-signed certificate with its private key.

    Attributes:
        pkcs12: Both as Key Vault stores them behind a certificate: PKCS#12 in base64, without a password.
        pem: Both as Key Vault stores them when asked for PEM.
        public: The certificate alone as PEM, as it is registered with AvePoint.
    """

    pkcs12: str = field(repr=False)
    pem: str = field(repr=False)
    public: str
    expires: datetime


def client_certificate(
    *,
    digital_signature: bool = True,
    key_usage: bool = True,
    elliptic: bool = False,
    lifetime: timedelta = timedelta(days=365),
    now: datetime | None = None,
) -> ClientCertificate:
    """Make a certificate that is good from a day ago until `now + lifetime`.

    Args:
        digital_signature: Whether the Key Usage extension allows digital signatures.
        key_usage: Whether there is a Key Usage extension.
        elliptic: An elliptic-curve key in place of an RSA key.
    """
    now = (now or datetime.now(UTC)).replace(microsecond=0)
    key: _Key = ec.generate_private_key(ec.SECP256R1()) if elliptic else rsa.generate_private_key(65537, 2048)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "avepoint-functions")])
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(min(now, now + lifetime) - _STARTED_BEFORE)
        .not_valid_after(now + lifetime)
    )
    if key_usage:
        builder = builder.add_extension(_usage(digital_signature=digital_signature), critical=True)
    certificate = builder.sign(key, hashes.SHA256())
    return _stored(key, certificate)


def _usage(*, digital_signature: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=digital_signature,
        content_commitment=False,
        key_encipherment=True,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )


def _stored(key: _Key, certificate: x509.Certificate) -> ClientCertificate:
    public = certificate.public_bytes(Encoding.PEM).decode()
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    pkcs12 = serialize_key_and_certificates(None, key, certificate, None, NoEncryption())
    return ClientCertificate(
        base64.b64encode(pkcs12).decode(), private + public, public, certificate.not_valid_after_utc
    )

"""Certificates as the vault stores them, and the assertions signed with them."""

import base64
from collections.abc import Mapping

import jwt
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption
from cryptography.hazmat.primitives.serialization.pkcs12 import load_pkcs12, serialize_key_and_certificates

from sandbox.vault import ClientCertificate, client_certificate
from shared.credentials.assertions import client_assertion, load_certificate
from shared.errors import Misconfigured
from tests.conftest import Clock

SETTING = "AVEPOINT_CERTIFICATE_NAME"
TOKEN_URL = "https://identity.example/connect/token"


def public_key(certificate: ClientCertificate) -> RSAPublicKey:
    key = x509.load_pem_x509_certificate(certificate.public.encode()).public_key()
    assert isinstance(key, RSAPublicKey)
    return key


def thumbprint(certificate: ClientCertificate) -> bytes:
    registered = x509.load_pem_x509_certificate(certificate.public.encode())
    return registered.fingerprint(hashes.SHA1())  # noqa: S303 - a name, by which AvePoint knows it


def assertion(certificate: ClientCertificate, clock: Clock) -> str:
    loaded = load_certificate(certificate.pkcs12, setting=SETTING)
    return client_assertion(loaded, client_id="me", audience=TOKEN_URL, jti="once", now=clock.now)


@pytest.mark.parametrize("form", ["pkcs12", "pem"])
def test_a_certificate_is_read_in_either_form_of_the_vault(certificate: ClientCertificate, form: str) -> None:
    loaded = load_certificate(getattr(certificate, form), setting=SETTING)

    registered = x509.load_pem_x509_certificate(certificate.public.encode())
    assert loaded.thumbprint == thumbprint(certificate)
    assert loaded.expires == certificate.expires
    assert loaded.key.public_key() == registered.public_key()


def test_the_leaf_is_found_among_the_certificates_of_a_chain(
    certificate: ClientCertificate, other_certificate: ClientCertificate
) -> None:
    chain = certificate.pem.replace(certificate.public, other_certificate.public + certificate.public)
    assert load_certificate(chain, setting=SETTING).expires == certificate.expires


def locked(certificate: ClientCertificate) -> str:
    bundle = load_pkcs12(base64.b64decode(certificate.pkcs12), None)
    assert bundle.cert is not None
    data = serialize_key_and_certificates(
        None,
        bundle.key,  # type: ignore[arg-type]  # an RSA key
        bundle.cert.certificate,
        None,
        BestAvailableEncryption(b"locked"),
    )
    return base64.b64encode(data).decode()


@pytest.mark.parametrize(
    ("usage", "complaint"),
    [
        ({"digital_signature": False}, "lacks digital signature in its Key Usage"),
        ({"key_usage": False}, "lacks digital signature in its Key Usage"),
        ({"elliptic": True}, "no RSA key"),
    ],
)
def test_a_certificate_that_cannot_prove_anything_is_refused_by_the_name_of_its_setting(
    usage: Mapping[str, bool], complaint: str
) -> None:
    unusable = client_certificate(**usage)  # type: ignore[arg-type]  # only flags are given

    for setting in (SETTING, "OPUS_CERTIFICATE_NAME", "ELEMENTS_CERTIFICATE_NAME"):
        with pytest.raises(Misconfigured, match=complaint) as caught:
            load_certificate(unusable.pkcs12, setting=setting)
        assert [problem.setting for problem in caught.value.problems] == [setting]
        assert setting in caught.value.remedy


def test_what_is_no_certificate_with_its_key_is_refused(
    certificate: ClientCertificate, other_certificate: ClientCertificate
) -> None:
    key_of_another = other_certificate.pem.replace(other_certificate.public, certificate.public)
    for stored in ("", "a password", certificate.public, locked(certificate), key_of_another, certificate.pkcs12[:-40]):
        with pytest.raises(Misconfigured, match="no certificate with its private key") as caught:
            load_certificate(stored, setting=SETTING)
        assert "PRIVATE KEY" not in str(caught.value)


def test_an_assertion_says_who_asks_whom_and_until_when(certificate: ClientCertificate, clock: Clock) -> None:
    signed = assertion(certificate, clock)

    claims = jwt.decode(signed, public_key(certificate), algorithms=["RS256"], audience=TOKEN_URL)
    assert (claims["iss"], claims["sub"], claims["aud"], claims["jti"]) == ("me", "me", TOKEN_URL, "once")
    now = clock.now.timestamp()
    assert claims["nbf"] == claims["iat"] == pytest.approx(now - 300, abs=1)
    assert now < claims["exp"] <= now + 600
    assert claims["exp"] - claims["iat"] == pytest.approx(600, abs=1)


def test_an_assertion_names_its_certificate_in_both_ways(certificate: ClientCertificate, clock: Clock) -> None:
    header = jwt.get_unverified_header(assertion(certificate, clock))

    assert header["kid"] == thumbprint(certificate).hex().upper()
    assert base64.urlsafe_b64decode(header["x5t"] + "=") == thumbprint(certificate)
    assert header["alg"] == "RS256"


def test_the_private_key_is_in_no_repr(certificate: ClientCertificate) -> None:
    loaded = load_certificate(certificate.pkcs12, setting=SETTING)
    assert "key" not in repr(loaded)

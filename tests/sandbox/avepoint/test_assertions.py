"""Client assertions: the simulated identity service believes a good one, once, and nothing else."""

import base64
from collections.abc import Mapping
from types import MappingProxyType
from uuid import uuid4

import httpx
import jwt
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes

from sandbox.vault import ClientCertificate, client_certificate

from .conftest import Clock, Service

TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

type Changes = Mapping[str, object]
"""Fields to set in the header, the claims or the form; ``None`` takes a field away."""

_NONE: Changes = MappingProxyType({})


@pytest.fixture(scope="session")
def certificate() -> ClientCertificate:
    return client_certificate()


@pytest.fixture(scope="session")
def stranger() -> ClientCertificate:
    return client_certificate()


@pytest.fixture(autouse=True)
def _registered(service: Service, certificate: ClientCertificate) -> None:
    service.avepoint.identity.assertions.unregister("me")
    service.avepoint.identity.assertions.register("me", certificate.public)


def thumbprint(certificate: ClientCertificate) -> bytes:
    registered = x509.load_pem_x509_certificate(certificate.public.encode())
    return registered.fingerprint(hashes.SHA1())  # noqa: S303 - a name, by which AvePoint knows it


def changed(fields: Changes, changes: Changes) -> dict[str, object]:
    return {name: value for name, value in {**fields, **changes}.items() if value is not None}


class Client:
    """Signs assertions and asks for tokens with them."""

    def __init__(self, service: Service, certificate: ClientCertificate) -> None:
        self.service = service
        self.certificate = certificate
        self.key = certificate

    async def ask(self, header: Changes = _NONE, claims: Changes = _NONE, form: Changes = _NONE) -> httpx.Response:
        return await self.post(self.sign(header, claims), form)

    async def post(self, assertion: str, form: Changes = _NONE) -> httpx.Response:
        fields = {
            "grant_type": "client_credentials",
            "client_assertion_type": TYPE,
            "client_assertion": assertion,
            "scope": "enpower.data.read.all",
        }
        return await self.service.client.post("/connect/token", data=changed(fields, form))

    def sign(self, header: Changes = _NONE, claims: Changes = _NONE) -> str:
        key = self.key.pem.split("-----BEGIN CERTIFICATE")[0]
        return jwt.encode(self.claims(claims), key, algorithm="RS256", headers=changed(self.names(), header))

    def names(self) -> dict[str, str]:
        name = thumbprint(self.certificate)
        return {"kid": name.hex().upper(), "x5t": base64.urlsafe_b64encode(name).decode().rstrip("=")}

    def claims(self, changes: Changes = _NONE) -> dict[str, object]:
        audience = str(self.service.client.base_url.join("/connect/token"))
        since, until = Clock.now - 10, Clock.now + 300
        fields = {"iss": "me", "sub": "me", "aud": audience, "jti": str(uuid4()), "nbf": since, "exp": until}
        return changed(fields, changes)


@pytest.fixture
def client(service: Service, certificate: ClientCertificate) -> Client:
    return Client(service, certificate)


@pytest.mark.parametrize(
    ("header", "claims", "form"),
    [
        ({}, {}, {}),
        ({"kid": None}, {}, {}),
        ({"x5t": None}, {}, {}),
        ({}, {"exp": Clock.now + 3600}, {}),
        ({}, {}, {"client_id": "me"}),
    ],
)
async def test_a_good_assertion_gets_a_token(client: Client, header: Changes, claims: Changes, form: Changes) -> None:
    answer = await client.ask(header, claims, form)
    assert (answer.status_code, answer.json()["token_type"]) == (200, "Bearer")


async def test_a_thumbprint_may_be_in_lower_case(client: Client) -> None:
    assert (await client.ask({"kid": thumbprint(client.certificate).hex()})).status_code == 200


@pytest.mark.parametrize("header", [{"kid": None, "x5t": None}, {"kid": "00"}, {"x5t": "AA"}])
async def test_a_header_that_names_no_certificate_is_refused(client: Client, header: Changes) -> None:
    refused(await client.ask(header))


@pytest.mark.parametrize(
    "claims",
    [
        {"aud": "https://identity.example/connect/token"},
        {"exp": Clock.now},
        {"exp": Clock.now + 3601},
        {"exp": "later"},
        {"nbf": Clock.now + 1},
        {"iss": "another"},
        {"iss": "another", "sub": "another"},
        {"jti": ""},
        *({name: None} for name in ("iss", "sub", "aud", "jti", "nbf", "exp")),
    ],
)
async def test_a_claim_that_is_wrong_or_missing_is_refused(client: Client, claims: Changes) -> None:
    refused(await client.ask(claims=claims))


@pytest.mark.parametrize(
    "form",
    [
        {"client_assertion_type": "password"},
        {"client_assertion_type": None},
        {"client_id": "another"},
        {"client_assertion": "no.jwt.atall"},
        {"client_assertion": ""},
    ],
)
async def test_the_form_around_it_has_to_fit(client: Client, form: Changes) -> None:
    refused(await client.ask(form=form))


async def test_a_key_that_is_not_registered_is_refused(client: Client, stranger: ClientCertificate) -> None:
    client.key = stranger
    refused(await client.ask())
    client.certificate = stranger
    refused(await client.ask())


async def test_an_assertion_is_good_once(client: Client) -> None:
    assertion = client.sign()
    assert (await client.post(assertion)).status_code == 200
    refused(await client.post(assertion))


async def test_an_unsigned_assertion_is_refused(client: Client) -> None:
    refused(await client.post(jwt.encode(client.claims(), "", "none", client.names())))


def refused(answer: httpx.Response) -> None:
    assert (answer.status_code, answer.json()) == (400, {"error": "invalid_client"})

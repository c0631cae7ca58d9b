"""Tokens in links: signed, expiring, for one purpose, and gone with the credential they come from."""

from datetime import UTC, datetime, timedelta

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from sandbox.vault.certificates import client_certificate
from shared.clock import utc_now
from shared.opus.links import Links
from shared.proofs import Proofs
from shared.redaction import redacted
from shared.secrets import Secret, Secrets
from shared.services import Services
from shared.settings import Settings
from shared.signing import BadStatement, Signer
from tests.opus.conftest import Bench

NOW = datetime(2026, 1, 15, 8, 30, tzinfo=UTC)
SOON = NOW + timedelta(minutes=1)
SIGNER = Signer.for_purpose("a test", material=b"a client secret")


def test_what_was_signed_is_read() -> None:
    claims = SIGNER.read(SIGNER.sign({"operation": "a", "skip": 3}, expires=SOON), now=NOW)

    assert (claims["operation"], claims["skip"]) == ("a", 3)


def test_what_has_expired_is_refused() -> None:
    token = SIGNER.sign({}, expires=SOON)

    with pytest.raises(BadStatement, match="expired"):
        SIGNER.read(token, now=SOON)


@pytest.mark.parametrize(
    "signer",
    [
        Signer.for_purpose("another", material=b"a client secret"),
        Signer.for_purpose("a test", material=b"another client secret"),
    ],
)
def test_another_purpose_and_another_secret_have_other_keys(signer: Signer) -> None:
    with pytest.raises(BadStatement, match="none of this app"):
        signer.read(SIGNER.sign({}, expires=SOON), now=NOW)


@pytest.mark.parametrize(
    "token",
    [
        jwt.encode({"exp": SOON}, "", "none"),
        jwt.encode({}, SIGNER.key, "HS256"),
        jwt.encode({"exp": "soon"}, SIGNER.key, "HS256"),
        jwt.encode({"exp": SOON}, SIGNER.key + SIGNER.key, "HS512"),
    ],
)
def test_other_tokens_are_refused(token: str) -> None:
    with pytest.raises(BadStatement):
        SIGNER.read(token, now=NOW)


@given(position=st.integers(0, 10_000), character=st.characters())
def test_a_token_that_was_changed_anywhere_is_refused(position: int, character: str) -> None:
    token = SIGNER.sign({"operation": "a"}, expires=SOON)
    position %= len(token) - 1  # the last character has bits that stand for nothing
    changed = token[:position] + character + token[position + 1 :]
    if changed != token:
        with pytest.raises(BadStatement):
            SIGNER.read(changed, now=NOW)


@given(st.text())
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(BadStatement):
        SIGNER.read(text, now=NOW)


def test_no_key_is_shown() -> None:
    assert SIGNER.key.hex() not in repr(SIGNER)
    assert str(SIGNER.key) not in repr(SIGNER)


async def test_no_token_is_logged(bench: Bench) -> None:
    token = await Links(bench.services.proofs, clock=bench.clock).poll_token("0" * 32)

    for text in (f"GET https://app.example/api/operations/0/poll?token={token}", f"token={token}", token):
        assert token not in redacted(text)
        assert token.rpartition(".")[2] not in redacted(text)


async def test_all_instances_agree_and_a_new_secret_ends_what_is_out(services: Services, settings: Settings) -> None:
    token = await Links(services.proofs, clock=utc_now).poll_token("a")
    changed = settings.model_copy(update={"client_secret": SecretStr("another")})

    await Links(Proofs(settings, None, clock=utc_now), clock=utc_now).check_poll(token, "a")
    with pytest.raises(BadStatement):
        await Links(Proofs(changed, None, clock=utc_now), clock=utc_now).check_poll(token, "a")


async def test_the_key_of_a_certificate_does_as_well_and_however_it_is_stored(settings: Settings) -> None:
    made, other = client_certificate(), client_certificate()
    named = settings.model_copy(update={"key_vault_url": "https://vault.example", "certificate_name": "avepoint"})

    def links(stored: str) -> Links:
        async def read(name: str) -> Secret:
            return Secret(name, stored, version="1")

        return Links(Proofs(named, Secrets(read, clock=utc_now), clock=utc_now), clock=utc_now)

    token = await links(made.pkcs12).poll_token("a")

    await links(made.pem).check_poll(token, "a")
    with pytest.raises(BadStatement):
        await links(other.pkcs12).check_poll(token, "a")

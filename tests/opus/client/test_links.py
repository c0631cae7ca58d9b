"""Tokens in links: signed, expiring, for one purpose, and good whatever becomes of the secret of AvePoint."""

import asyncio
from datetime import UTC, datetime, timedelta

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from shared.azure.storage import Container
from shared.clock import utc_now
from shared.credentials.client_credentials import ClientCredentials
from shared.credentials.signing import BadStatement, Signer
from shared.errors import BadResponse
from shared.opus.client.due_list import Cursor, PageGuard
from shared.opus.client.links import DueList, Links
from shared.opus.operations.assembly import links_of
from shared.services import open_services
from shared.telemetry.redaction import redacted
from tests.opus.conftest import CONNECTION, Bench, Reopen

NOW = datetime(2026, 1, 15, 8, 30, tzinfo=UTC)
SOON = NOW + timedelta(minutes=1)
SIGNER = Signer.for_purpose("a test", key_material=b"a client secret")


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
        Signer.for_purpose("another", key_material=b"a client secret"),
        Signer.for_purpose("a test", key_material=b"another client secret"),
    ],
)
def test_another_purpose_and_another_secret_have_other_keys(signer: Signer) -> None:
    with pytest.raises(BadStatement, match="not from this app"):
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
    position %= len(token)
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
    token = await links_of(bench.services).poll_token("0" * 32)

    for text in (f"GET https://app.example/api/operations/0/poll?token={token}", f"token={token}", token):
        assert token not in redacted(text)
        assert token.rpartition(".")[2] not in redacted(text)


@pytest.mark.parametrize("secret", ["another", ""])
async def test_all_instances_agree_and_a_new_secret_ends_nothing(bench: Bench, secret: str) -> None:
    token = await links_of(bench.services).poll_token("a")
    changed = bench.services.settings.model_copy(update={"client_secret": SecretStr(secret)})

    other = Links(bench.services.storage, ClientCredentials(changed, None, clock=utc_now), clock=bench.clock)

    await other.check_poll(token, "a")


async def test_instances_that_learn_of_a_new_secret_apart_agree(bench: Bench) -> None:
    await bench.services.storage.delete(Container.OPERATIONS, "links/key.json")
    renewed = bench.services.settings.model_copy(update={"client_secret": SecretStr("renewed")})
    instances = [await open_services(settings) for settings in (bench.services.settings, renewed)]
    mine, other = map(links_of, instances)
    due = DueList(CONNECTION, SOON, 100)

    polls = await asyncio.gather(mine.poll_token("a"), other.poll_token("a"))
    lists = await asyncio.gather(mine.list_token(due, Cursor()), other.list_token(due, Cursor()))

    for links in (mine, other):
        for token in polls:
            await links.check_poll(token, "a")
        assert [await links.cursor(token, due) for token in lists] == [Cursor(), Cursor()]
    for services in instances:
        await services.close()


async def test_what_the_version_before_signed_is_good_to_its_end(bench: Bench) -> None:
    key_material = await bench.services.credentials.key_material("opus")
    end = bench.clock() + timedelta(hours=48)
    earlier = Signer.for_purpose("opus poll", key_material=key_material).sign({"operation": "a"}, expires=end)
    links = links_of(bench.services)

    await links.check_poll(earlier, "a")
    bench.clock.advance(hours=48)
    with pytest.raises(BadStatement):
        await links.check_poll(earlier, "a")


async def test_an_empty_secret_forges_no_link(reopen: Reopen) -> None:
    bench = reopen(client_secret=SecretStr(""))
    forged = Signer.for_purpose("opus poll", key_material=b"").sign(
        {"operation": "a"}, expires=SOON + timedelta(days=9999)
    )
    links = Links(
        bench.services.storage, ClientCredentials(bench.services.settings, None, clock=bench.clock), clock=bench.clock
    )

    with pytest.raises(BadStatement):
        await links.check_poll(forged, "a")


async def test_a_start_index_that_fits_no_link_is_an_answer_that_cannot_be_used(bench: Bench) -> None:
    with pytest.raises(BadResponse, match="start index of 4000 characters") as caught:
        await links_of(bench.services).list_token(DueList(CONNECTION, NOW, 10), Cursor("x" * 4000))

    assert "top" in caught.value.remedy


async def test_a_list_goes_on_where_it_stopped(bench: Bench) -> None:
    links, due = links_of(bench.services), DueList(CONNECTION, NOW, 10)
    cursor = Cursor("7", 3, PageGuard(5, "0" * 16))

    token = await links.list_token(due, cursor)

    assert await links.cursor(token, due) == cursor
    with pytest.raises(BadStatement, match="another list"):
        await links.cursor(token, DueList(CONNECTION, NOW, 11))

"""Next links of lists: what they carry comes back whole, and nothing of it can be changed (promise 11)."""

import random
import string
from datetime import UTC, datetime, timedelta
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.credentials.signing import BadStatement, Signer
from shared.document import Document
from shared.tables.queries.page_tokens import issue_page_token, read_page_token

NOW = datetime(2026, 3, 1, tzinfo=UTC)
LATER = NOW + timedelta(days=1)
SIGNER = Signer.for_purpose("rows", key_material=b"secret")
UNRESERVED = string.ascii_letters + string.digits + "-._~!$'()*,;:@/?"
"""What may stand in a query as it is (RFC 3986, 3.4), but for what separates parameters."""


class Query(Document):
    text: str
    version: int = 7


def issued(query: Query) -> str:
    return issue_page_token(query, SIGNER, expires=LATER)


@given(st.text(), st.integers())
def test_what_a_token_carries_comes_back(text: str, version: int) -> None:
    query = Query(text=text.encode(errors="replace").decode(), version=version)
    assert read_page_token(issued(query), Query, SIGNER, now=NOW) == query


def test_no_letter_of_a_token_can_be_changed() -> None:
    token = issued(Query(text="size gt 5"))
    for place, letter in enumerate(token):
        for other in {"A", "B", "z", "-", "."} - {letter}:
            with pytest.raises(BadStatement):
                read_page_token(token[:place] + other + token[place + 1 :], Query, SIGNER, now=NOW)


@pytest.mark.parametrize("token", ["", ".", "...", "a.b.c.d", "ü.ü.ü.ü", "é" * 50])
def test_anything_else_is_no_token(token: str) -> None:
    with pytest.raises(BadStatement):
        read_page_token(token, Query, SIGNER, now=NOW)


def test_a_token_of_another_list_or_app_is_refused() -> None:
    token = issued(Query(text="x"))
    for signer in (
        Signer.for_purpose("changes", key_material=b"secret"),
        Signer.for_purpose("rows", key_material=b"other"),
    ):
        with pytest.raises(BadStatement):
            read_page_token(token, Query, signer, now=NOW)


def test_a_token_ends() -> None:
    with pytest.raises(BadStatement, match="expired"):
        read_page_token(issued(Query(text="x")), Query, SIGNER, now=LATER)


def test_the_longest_query_fits_into_a_link() -> None:
    """3,000 bytes of which nothing repeats, and 600 left for the address of the app."""
    chance = random.Random(1)  # noqa: S311 - the same letters in every run
    for alphabet in (UNRESERVED, string.printable, "äöü漢字😀'"):
        text = "".join(chance.choices(alphabet, k=3_000))
        while len(quote(text, safe=UNRESERVED)) > 3_000:
            text = text[:-1]
        assert len(issued(Query(text=text))) < 4_096 - 600

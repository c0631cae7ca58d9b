"""Whatever shape a next link has, it is followed on the origin of the base URL or not at all."""

import json
import string
from urllib.parse import parse_qsl, quote, urlsplit

import httpx
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from shared.avepoint.links import LINK_CEILING, follow
from shared.errors import BrokenChain

BASE = "https://graph-us.avepoint.example/smp"
CURRENT = f"{BASE}/powerplatform/powerapps?top=100&skipToken=before"
SAME_LIST = ("https", "graph-us.avepoint.example", "/smp/powerplatform/powerapps")

TOKEN = "AAE+//8=?&#%41 ü"
SEALED = quote(TOKEN, safe="")


def followed(link: str, *, base_url: str = BASE, current: str = CURRENT, parameter: str | None = "skipToken") -> str:
    return follow(link, current, base_url=base_url, token_parameter=parameter)


NEXT = f"top=100&skipToken={SEALED}"


@pytest.mark.parametrize(
    "link",
    [
        pytest.param(f"{BASE}/powerplatform/powerapps?{NEXT}", id="absolute"),
        pytest.param(f"HTTPS://GRAPH-US.AvePoint.example/smp/powerplatform/powerapps?{NEXT}", id="in upper case"),
        pytest.param(f"https://graph-us.avepoint.example:443/smp/powerplatform/powerapps?{NEXT}", id="with its port"),
        pytest.param(f"//graph-us.avepoint.example/smp/powerplatform/powerapps?{NEXT}", id="without scheme"),
        pytest.param(f"/smp/powerplatform/powerapps?{NEXT}", id="root-relative"),
        pytest.param(f"/powerplatform/powerapps?{NEXT}", id="without the prefix of the service"),
        pytest.param(f"powerapps?{NEXT}", id="relative"),
        pytest.param(f"?{NEXT}", id="query alone"),
        pytest.param(f"/smp/powerplatform/powerapps?{NEXT}#fragment", id="with a fragment"),
        pytest.param(SEALED, id="token, URL-encoded already"),
        pytest.param(json.dumps(f"/smp/powerplatform/powerapps?{NEXT}"), id="string in a string"),
        pytest.param(json.dumps(SEALED), id="token in a string in a string"),
    ],
)
def test_every_shape_leads_to_the_next_page_of_the_same_list(link: str) -> None:
    parts = urlsplit(followed(link))

    assert (parts.scheme, parts.netloc, parts.path) == SAME_LIST
    assert sorted(parse_qsl(parts.query)) == [("skipToken", TOKEN), ("top", "100")]


@pytest.mark.parametrize("document", ['{"token":"AAE+//8=","range":"next"}', '{"token": "a b?c/d%41", "range": "ü"}'])
@pytest.mark.parametrize("nested", [False, True])
def test_a_json_document_goes_back_as_it_came(document: str, *, nested: bool) -> None:
    parts = urlsplit(followed(json.dumps(document, ensure_ascii=False) if nested else document))

    assert (parts.scheme, parts.netloc, parts.path) == SAME_LIST
    assert dict(parse_qsl(parts.query)) == {"top": "100", "skipToken": document}


@pytest.mark.parametrize(("token", "meant"), [("AAE+/8==", "AAE+/8=="), ("100%", "100%"), ("a&top=1#x", "a&top=1#x")])
def test_a_token_that_is_not_encoded_stays_what_it_is(token: str, meant: str) -> None:
    assert dict(parse_qsl(urlsplit(followed(token)).query)) == {"top": "100", "skipToken": meant}


def test_a_link_with_an_address_in_its_query_is_no_absolute_one() -> None:
    url = followed("/powerplatform/powerapps?site=https://elsewhere.example/")

    assert url == f"{BASE}/powerplatform/powerapps?site=https://elsewhere.example/"


@pytest.mark.parametrize(
    ("link", "query"),
    [
        ("/smp/powerplatform/powerapps?name=a b&top=1", "name=a%20b&top=1"),
        ("https://graph-us.avepoint.example/smp/powerplatform/powerapps?name=ü%20\u2028", "name=%C3%BC%20%E2%80%A8"),
        ("?name=😀", "name=%F0%9F%98%80"),
        ("a ü%", "top=100&skipToken=a%20%C3%BC%25"),
    ],
)
def test_what_a_server_has_not_encoded_is_encoded(link: str, query: str) -> None:
    assert followed(link) == f"{BASE}/powerplatform/powerapps?{query}"


def test_a_token_without_a_parameter_ends_the_chain() -> None:
    with pytest.raises(BrokenChain, match="no parameter"):
        followed(SEALED, parameter=None)


@pytest.mark.parametrize(
    "link",
    [
        "https://elsewhere.example/smp/powerplatform/powerapps?top=1",
        "http://graph-us.avepoint.example/smp/powerplatform/powerapps?top=1",
        "https://graph-us.avepoint.example:8443/smp?top=1",
        "https://graph-us.avepoint.example:0/smp?top=1",
        "https://graph-us.avepoint.example:99999/smp?top=1",
        "https://graph-us.avepoint.example:x/smp?top=1",
        "https://graph-us.avepoint.example@elsewhere.example/smp?top=1",
        "https://user:password@graph-us.avepoint.example/smp?top=1",
        "https://graph-us.avepoint.example.elsewhere.example/smp?top=1",
        "https://graph-us.avepoint.example\\@elsewhere.example/smp?top=1",
        "https://elsewhere.example\\.graph-us.avepoint.example/smp?top=1",
        "https:\\\\elsewhere.example/smp?top=1",
        "/\\elsewhere.example/smp?top=1",
        "//elsewhere.example/smp?top=1",
        "https://elsewhere.example#@graph-us.avepoint.example/?top=1",
        "https://graph-us%2eavepoint.example/smp?top=1",
        "https://\u0261raph-us.avepoint.example/smp?top=1",
        "https://graph-us.avepoint。example/smp?top=1",
        "https://graph-us.avepoint.example\u200b/smp?top=1",
        "https://[::1]/smp?top=1",
        "https://[graph-us.avepoint.example/smp?top=1",
        "javascript:fetch?top=1",
        "file:///etc/passwd?top=1",
        "https://graph-us.avepoint.example/smp?top=1\r\nX-Injected: yes",
        "/smp/power\tplatform?top=1",
        "\x00/smp?top=1",
        '"https://elsewhere.example/smp?top=1"',
        '{"token":"\\ud800' + "\ud800" + '"}',
        "/smp?" + "a" * LINK_CEILING,
        "{" + "a" * LINK_CEILING,
    ],
)
def test_hostile_links_end_the_chain(link: str) -> None:
    with pytest.raises(BrokenChain):
        followed(link)


HOSTS = st.sampled_from(
    [
        "graph-us.avepoint.example",
        "GRAPH-US.avepoint.example",
        "graph-us.avepoint.example.",
        "graph-us.avepoint.example:443",
        "graph-us.avepoint.example:80",
        "graph-us.avepoint.example:",
        "graph-us.avepoint.example%00",
        "elsewhere.example",
        "x@graph-us.avepoint.example",
        "graph-us.avepoint.example@elsewhere.example",
        "graph-us.avepoint.example\\elsewhere.example",
        "[::1]",
        "127.0.0.1",
        "",
    ]
)
PIECES = st.sampled_from(
    [
        *"/\\?#@:%&=.;{}\"'[] \t\r\n\u200b\u2028。",
        *("//", "..", "%2e%2e", "%2f", "%5c", "%0d%0a", "%", "https:", "http://", "\u0261", "ü"),
        *("smp", "powerapps", "skipToken=", "elsewhere.example", "@elsewhere.example", "graph-us.avepoint.example"),
    ]
)
HOSTILE = st.one_of(
    st.text(max_size=60),
    st.text(alphabet=string.printable, max_size=60),
    st.lists(PIECES, max_size=12).map("".join),
    st.builds(
        lambda scheme, host, rest: scheme + host + "".join(rest),
        st.sampled_from(["https://", "HTTPS://", "http://", "//", "///", "https:/", "https:\\\\", "ftp://", "https:"]),
        HOSTS,
        st.lists(PIECES, max_size=8),
    ),
)


@given(link=st.one_of(HOSTILE, HOSTILE.map(json.dumps)), parameter=st.sampled_from(["skipToken", None]))
@example(link="https://graph-us.avepoint.example//elsewhere.example/", parameter=None)
@example(link="/..//elsewhere.example/?x", parameter=None)
@example(link='"\\ud800?"', parameter=None)
def test_no_link_leads_off_the_origin(link: str, parameter: str | None) -> None:
    try:
        url = followed(link, parameter=parameter)
    except BrokenChain:
        return
    seen = httpx.URL(url)
    assert url.startswith("https://graph-us.avepoint.example/")
    assert (seen.scheme, seen.host, seen.port, seen.userinfo) == ("https", "graph-us.avepoint.example", None, b"")
    assert url.isascii()
    assert url.isprintable()
    assert not {" ", "\\"} & set(url)


@given(link=HOSTILE, port=st.integers(1, 65535))
def test_the_port_belongs_to_the_origin(link: str, port: int) -> None:
    base = f"http://127.0.0.1:{port}/smp"
    try:
        url = followed(link, base_url=base, current=f"{base}/list")
    except BrokenChain:
        return
    seen = httpx.URL(url)
    assert (seen.scheme, seen.host, seen.port or 80) == ("http", "127.0.0.1", port)


@given(token=st.text(alphabet=string.ascii_letters + string.digits + "-._~%+=&#:;,", min_size=1))
def test_a_token_never_changes_the_other_parameters(token: str) -> None:
    names = [name for name, _ in parse_qsl(urlsplit(followed(token)).query, keep_blank_values=True)]

    assert names == ["top", "skipToken"]

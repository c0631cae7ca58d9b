"""Which proxy of the environment is taken for which address."""

import pytest

from shared.http.proxies import Proxies

HTTPS = {"https_proxy": "http://user:word@proxy.example:3128"}


@pytest.mark.parametrize(
    ("environ", "url", "proxy"),
    [
        ({}, "https://graph.example/list", None),
        (HTTPS, "https://graph.example/list", "http://user:word@proxy.example:3128"),
        (HTTPS, "http://graph.example/list", None),
        ({"all_proxy": "http://proxy.example"}, "http://graph.example/list", "http://proxy.example"),
        (HTTPS | {"all_proxy": "http://other.example"}, "https://graph.example/", HTTPS["https_proxy"]),
        ({"http_proxy": "proxy.example:8080"}, "http://graph.example/list", "http://proxy.example:8080"),
        (HTTPS | {"no_proxy": "localhost,.example"}, "https://graph.example:8443/list", None),
        (HTTPS | {"no_proxy": "*"}, "https://graph.example/list", None),
        (HTTPS | {"no_proxy": "elsewhere.test"}, "https://graph.example/list", HTTPS["https_proxy"]),
        (HTTPS, "no address at all", None),
    ],
)
def test_the_proxy_for_an_address(
    monkeypatch: pytest.MonkeyPatch, environ: dict[str, str], url: str, proxy: str | None
) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)

    assert Proxies().proxy_for(url) == proxy

"""What stands between the parts of the sandbox: no proxy, whatever the environment says."""

import pytest

from sandbox.__main__ import spare_loopback


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ({}, "127.0.0.1,localhost"),
        ({"NO_PROXY": ".contoso.example"}, ".contoso.example,127.0.0.1,localhost"),
        ({"NO_PROXY": "a", "no_proxy": "b,localhost"}, "b,localhost,127.0.0.1"),
        ({"NO_PROXY": "*"}, "*"),
    ],
)
def test_loopback_is_spared_and_the_rest_stays(given: dict[str, str], wanted: str) -> None:
    for _ in range(2):  # as those do who are started by one that did
        spare_loopback(given)
    assert given["NO_PROXY"] == wanted

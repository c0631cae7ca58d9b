"""Commands that ask a deployed app: what they show, and where the key may go."""

import httpx
import pytest
import respx

from shared.doctor.check import Check, Report
from tools.commands.__main__ import main

APP = "https://app.example"


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("APP_KEY", "the-key")
    return "the-key"


def test_the_doctor_of_an_app_says_what_it_says_there(
    respx_mock: respx.MockRouter, capsys: pytest.CaptureFixture[str], key: str
) -> None:
    wrong = [Check(name=name, status="error", message="no", remedy="Do it.") for name in ("token/a", "token/b")]
    report = Report.of([Check.passed("settings", "well"), *wrong])
    route = respx_mock.get(f"{APP}/api/health/details").respond(content=report.to_json())
    assert main(["doctor", "--url", f"{APP}/"]) == 1
    assert capsys.readouterr().out.splitlines()[:5] == [
        "ok       settings  well",
        "error    token/a   no",
        "         -> Do it.",
        "error    token/b   no",
        "         -> as for token/a",
    ]
    assert route.calls.last.request.headers["x-functions-key"] == key


@pytest.mark.parametrize(
    ("status", "remedy"),
    [(401, "Put a function key"), (404, "Is this the address"), (302, "Is this the address"), (503, "Wait a minute")],
)
def test_an_answer_that_is_none_of_the_app_is_named(
    respx_mock: respx.MockRouter, capsys: pytest.CaptureFixture[str], status: int, remedy: str
) -> None:
    """A redirect above all is not followed: the key would go with it."""
    respx_mock.get(f"{APP}/api/runs").respond(status, headers={"Location": "https://elsewhere.example"})
    assert main(["runs", "--url", APP]) == 2
    said = capsys.readouterr().err
    assert f"answered {status}" in said
    assert remedy in said


@pytest.mark.parametrize("content", [b"<html>", b"{}"])
def test_a_page_for_people_is_no_report(
    respx_mock: respx.MockRouter, capsys: pytest.CaptureFixture[str], content: bytes
) -> None:
    respx_mock.get(f"{APP}/api/health/details").respond(content=content)
    assert main(["doctor", "--url", APP]) == 2
    assert f"{APP}/api/health/details did not answer as this app does" in capsys.readouterr().err


def test_no_network_is_said(respx_mock: respx.MockRouter, capsys: pytest.CaptureFixture[str]) -> None:
    respx_mock.get(f"{APP}/api/datasets").mock(side_effect=httpx.ConnectError("Name or service not known"))
    assert main(["datasets", "--url", APP]) == 2
    assert "does not answer: Name or service not known. Check address" in capsys.readouterr().err


def test_a_token_goes_in_place_of_a_key(
    respx_mock: respx.MockRouter, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As ``AUTH_MODE=entra`` wants it; a line end from another system's command line is not part of it."""
    monkeypatch.delenv("APP_KEY")
    monkeypatch.setenv("APP_TOKEN", "the.token\r\n")
    route = respx_mock.get(f"{APP}/api/runs").respond(json={"value": []})
    assert main(["runs", "--url", APP]) == 0
    assert capsys.readouterr().out == "no runs yet\n"
    sent = route.calls.last.request.headers
    assert sent["authorization"] == "Bearer the.token"
    assert "x-functions-key" not in sent


def test_why_the_app_refuses_a_call_is_said(respx_mock: respx.MockRouter, capsys: pytest.CaptureFixture[str]) -> None:
    error = {"code": "Forbidden", "message": "this call needs the app role X. Assign it.", "target": None}
    respx_mock.get(f"{APP}/api/runs").respond(403, json={"error": error})
    assert main(["runs", "--url", APP]) == 2
    assert "answered 403: this call needs the app role X. Assign it. docs/access.md says" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("key", "token", "said"),
    [
        ("", "", "neither APP_KEY nor APP_TOKEN is set"),
        ("key", "token", "both APP_KEY and APP_TOKEN are set"),
        ("sec ret", "", "APP_KEY holds characters"),
        ("", "sec\nret", "APP_TOKEN holds characters"),
        ("sécret", "", "APP_KEY holds characters"),
    ],
)
def test_what_lets_nobody_in_is_named_and_never_shown(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], key: str, token: str, said: str
) -> None:
    monkeypatch.setenv("APP_KEY", key)
    monkeypatch.setenv("APP_TOKEN", token)
    assert main(["runs", "--url", APP]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert "ret" not in error


@pytest.mark.parametrize("url", ["http://app.example", "app.example", "https://app.example/api/health", "ftp://x"])
def test_a_key_goes_to_no_doubtful_address(capsys: pytest.CaptureFixture[str], url: str) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["runs", "--url", url])
    assert "argument --url: " in capsys.readouterr().err


def test_the_zone_of_the_next_harvest_is_named(
    respx_mock: respx.MockRouter, capsys: pytest.CaptureFixture[str]
) -> None:
    dataset: dict[str, object] = {"source": "graph", "name": "aos-jobs", "kind": "full", "enabled": True}
    dataset |= {"latestRun": None, "verdict": None, "ageSeconds": None, "items": None}
    dataset |= {"nextTick": "2026-12-01T02:00:00Z"}
    respx_mock.get(f"{APP}/api/datasets").respond(json={"value": [dataset]})
    assert main(["datasets", "--url", APP]) == 0
    head, row = capsys.readouterr().out.splitlines()
    assert (head.split("  ")[-1].strip(), row.split("  ")[-1]) == ("next (UTC)", "2026-12-01 02:00")

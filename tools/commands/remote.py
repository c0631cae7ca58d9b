"""Asking a deployed app: its key, or a token, comes from the environment and goes to no other address."""

import json
import re
from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final
from urllib.parse import urlsplit

import httpx

from shared.doctor.check import Report
from shared.doctor.report import report_lines
from shared.document import Document
from shared.errors import AppError, GiveUp, Unreachable
from shared.harvest.runs.state import RunView
from shared.harvest.snapshots.inventory import Entry
from tools.commands.listing import COMMANDS, PROGRAM

KEY: Final = "APP_KEY"
TOKEN: Final = "APP_TOKEN"
_SECONDS: Final = 60.0  # the details of health ask everything the app depends on
_LOOPBACK: Final = ("127.0.0.1", "localhost", "::1")
_WAYS_IN: Final = (
    "Put a function key of the app into APP_KEY or, if its AUTH_MODE is entra, a fresh token into APP_TOKEN."
)
_REMEDIES: Final[Mapping[int, str]] = {
    httpx.codes.UNAUTHORIZED: _WAYS_IN,
    httpx.codes.FORBIDDEN: "docs/access.md says who may call what; ALLOWED_IP_RANGES of the app says from where.",
    httpx.codes.NOT_FOUND: "Is this the address of the app, without anything behind the name of the host?",
    httpx.codes.SERVICE_UNAVAILABLE: "Wait a minute and ask again; the log of the app says why.",
}


class DatasetList(Document):
    """What ``GET /api/datasets`` answers."""

    value: tuple[Entry, ...]


class RunList(Document):
    """What ``GET /api/runs`` answers."""

    value: tuple[RunView, ...]


class _Error(Document):
    message: str


class ErrorAnswer(Document):
    """What the app answers instead, where a call failed."""

    error: _Error


def ask_app(name: str, argv: Sequence[str], environ: Mapping[str, str]) -> int:
    """Ask a deployed app instead of looking from here.

    Returns:
        The exit status.

    Raises:
        AppError: It does not answer, or not as the app does.
    """
    parser = ArgumentParser(prog=f"{PROGRAM} {name}", description=COMMANDS[name].about.capitalize(), allow_abbrev=False)
    parser.add_argument(
        "--url",
        type=origin,
        required=True,
        help=f"the address of the app; {KEY} in the environment holds a function key, or {TOKEN} an access token",
    )
    parser.add_argument("--json", action="store_true", help="print what the app answers")
    args = parser.parse_args(argv)
    url = f"{args.url}/api/{COMMANDS[name].route}"
    answer = _get(url, _sign_in(environ))
    try:
        lines, status = READERS[name](answer)
    except AppError as error:
        remedy = "Is this the address of the app, and does the app have the version of this command?"
        raise GiveUp(f"{url} did not answer as this app does: {error}", remedy=remedy) from None
    print(json.dumps(json.loads(answer), indent=2) if args.json else "\n".join(lines))
    return status


def origin(text: str) -> str:
    """Return the address of an app as it is asked.

    Raises:
        ArgumentTypeError: It is not one, or a key would go there for everybody to read.
    """
    parts = urlsplit(text)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.path.strip("/") or parts.query:
        raise ArgumentTypeError(f"{text!r} is not the address of an app, such as https://APP.azurewebsites.net")
    if parts.scheme == "http" and parts.hostname not in _LOOPBACK:
        raise ArgumentTypeError("the key would be sent unencrypted: write https://")
    return f"{parts.scheme}://{parts.netloc}"


def _sign_in(environ: Mapping[str, str]) -> Mapping[str, str]:
    """Return the header that lets the caller in: the app knows only one of the two, which ``AUTH_MODE`` says."""
    match _word(environ, KEY), _word(environ, TOKEN):
        case "", "":
            raise GiveUp("neither APP_KEY nor APP_TOKEN is set", remedy=_WAYS_IN)
        case key, "":
            return {"x-functions-key": key}
        case "", token:
            return {"Authorization": f"Bearer {token}"}
    raise GiveUp("both APP_KEY and APP_TOKEN are set", remedy="Unset the one that the app does not take.")


def _word(environ: Mapping[str, str], name: str) -> str:
    """Return the value of a variable, which could not be sent, or would show in an error, if it were anything else."""
    value = environ.get(name, "").strip()
    if not re.fullmatch(r"[!-~]*", value):
        raise GiveUp(f"{name} holds characters that are in no key and no token", remedy="Copy it once more.")
    return value


def _get(url: str, headers: Mapping[str, str]) -> bytes:
    try:
        answer = httpx.get(
            url, headers=headers, timeout=_SECONDS, follow_redirects=False, trust_env=url.startswith("https:")
        )
    except (httpx.HTTPError, UnicodeError) as error:
        reason = str(error) or type(error).__name__
        raise Unreachable(f"{url} does not answer: {reason}", remedy="Check address, network and proxy.") from None
    if answer.status_code != httpx.codes.OK:
        raise GiveUp(
            f"{url} answered {answer.status_code}{_reason(answer.content)}",
            remedy=_REMEDIES.get(answer.status_code, "Is this the address of the app?"),
        )
    return answer.content


def _reason(answer: bytes) -> str:
    """Return why the app refused a call, in its own words; nothing where another answered."""
    try:
        return f": {ErrorAnswer.from_json(answer).error.message}"
    except AppError:
        return ""


def _report(answer: bytes) -> tuple[list[str], int]:
    report = Report.from_json(answer)
    return list(report_lines(report)), 0 if report.status == "ok" else 1


def _datasets(answer: bytes) -> tuple[list[str], int]:
    harvested = [one for one in DatasetList.from_json(answer).value if one.enabled]
    rows = [("dataset", "verdict", "items", "age", "next (UTC)")]
    rows += [
        (
            f"{one.source}/{one.name}",
            one.verdict or "none yet",
            "" if one.items is None else f"{one.items:,}",
            "" if one.age_seconds is None else f"{one.age_seconds / 3600:.1f} h",
            f"{one.next_tick:%Y-%m-%d %H:%M}" if one.next_tick else "",
        )
        for one in harvested
    ]
    return list(_aligned(rows)), 0


def _runs(answer: bytes) -> tuple[list[str], int]:
    runs = RunList.from_json(answer).value
    return [line for run in runs for line in _run(run)] or ["no runs yet"], 0


def _run(run: RunView) -> Iterator[str]:
    done = sum(one.state == "done" for one in run.datasets)
    yield f"{run.state:<9}  {run.run_id}  {done} of {len(run.datasets)} datasets done"
    for one in run.datasets:
        if one.reason:
            yield f"           {one.dataset}: {one.reason}"
        if one.remedy:
            yield f"           -> {one.remedy}"


def _aligned(rows: Sequence[tuple[str, ...]]) -> Iterator[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


READERS: Final[Mapping[str, Callable[[bytes], tuple[list[str], int]]]] = {
    "doctor": _report,
    "datasets": _datasets,
    "runs": _runs,
}

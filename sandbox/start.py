"""``python -m sandbox start``: everything on this machine, until Ctrl-C."""

import asyncio
import json
import os
import sys
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final
from urllib.request import getproxies

from sandbox.arguments import count, port
from sandbox.host.server import PORT
from sandbox.processes import ProcessError
from sandbox.serving import HOST, refuse_taken
from sandbox.stack import Stack, running_stack
from sandbox.stopping import StoppedError, until_stopped

CONNECTION = "b4bbdbbd-cf2d-5c44-939b-be86bc688035"
RECORD = """{"rowKey": "r1", "leafName": "Contract 1",
       "timeCreated": "2026-01-15T08:30:00Z", "createdBy": "user01",
       "timeModified": "2026-01-15T08:30:00Z", "modifiedBy": "user01"}"""
RUN_ID: Final = r"""sed 's/.*"runId": *"\([^"]*\)".*/\1/'"""
PATIENT: Final = "-f --retry 30 --retry-delay 1 --retry-all-errors"
SHOWN: Final = r" -w '\n'"
WIDTH: Final = 80


def add_arguments(parser: ArgumentParser) -> None:
    parser.epilog = "exit status: 0 Ctrl-C, 1 it cannot start"
    parser.add_argument("--port", type=port, default=PORT, help=f"where the app listens (default: {PORT})")
    parser.add_argument("--items", type=count, default=1000, help="items in every list (default: 1000)")
    parser.add_argument("--latency-ms", type=count, default=20, help="delay of every AvePoint answer (default: 20)")


def run(args: Namespace) -> int:
    """Serve until SIGTERM or SIGINT.

    Returns:
        0, or 1 where it cannot start.
    """
    try:
        refuse_taken(args.port, target="start")
        asyncio.run(until_stopped(_serve(args)))
    except StoppedError:
        print("Ended. The stored data is deleted.")
    except ProcessError as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    return 0


async def _serve(args: Namespace) -> None:
    began = time.monotonic()
    with TemporaryDirectory(prefix="avepoint-functions-") as name:  # of its own: other starts have theirs
        folder = Path(name)
        async with running_stack(
            folder, items=args.items, latency_ms=args.latency_ms, port=args.port, say=_say
        ) as stack:
            settings = folder / "local.settings.json"
            settings.write_text(json.dumps({"IsEncrypted": False, "Values": dict(stack.environ)}, indent=2))
            print(f"Ready in {time.monotonic() - began:.0f} s.\n")
            print("\n".join(introduction(stack, settings)), flush=True)
            await asyncio.Event().wait()


def _say(text: str) -> None:
    print(f"Starting: {text} …", flush=True)


def introduction(stack: Stack, settings: Path) -> Iterator[str]:
    """Yield lines that can be pasted in their order; comments say what they do."""
    yield from (
        f"# Status page: {stack.host.url}/api/status",
        f"# The page asks for the key: {stack.host.key}",
        "",
        "# Paste this first, in a second terminal, in the folder of the project:",
        f"export APP={stack.host.url} KEY={stack.host.key}",
        f"export SETTINGS={settings}",
        *_spared(),
        "",
    )
    for title, command in _calls():
        yield from (f"# {title}", command, "")
    yield from (
        "# Check everything that the app depends on; all commands take SETTINGS",
        './avepoint doctor --settings "$SETTINGS"',
        "# The newest runs, from the running app; this also works for a deployed app",
        'APP_KEY=$KEY ./avepoint runs --url "$APP"',
        "# The status page as one file",
        './avepoint page --settings "$SETTINGS" --out status.html',
        "# All commands",
        "./avepoint --help",
        "",
        "# The requests that AvePoint received; to make it fail: docs/simulator.md",
        f'curl -s "{stack.avepoint_url}/_sandbox/log"',
        "",
        "# Every route: docs/openapi.json. Logs of all parts:",
        f"# {settings.parent}",
        "# Ctrl-C here ends the app and deletes its data.",
    )


def _spared() -> Iterator[str]:
    """Yield what curl needs where the environment has a proxy, which would not reach this machine."""
    if {"http", "all"} & getproxies().keys():
        spared = os.environ.get("NO_PROXY", HOST)
        yield f"export NO_PROXY={spared} no_proxy={spared}"


def _calls() -> Iterator[tuple[str, str]]:
    harvest = _curl("harvests", '{"source": "graph", "datasets": ["enpower-powerapps"]}', shown=False)
    table = "datasets/graph/enpower-powerapps"
    yield "Is the app well?", _curl("health/details")
    yield "Start a harvest, and remember its run", f"RUN=$({harvest} \\\n  | {RUN_ID})"
    yield "How far is it?", _curl("runs/$RUN")
    yield "All datasets, with their newest snapshot", _curl("datasets")
    yield "The newest snapshot of one, as soon as there is one", _curl(f"{table}/latest", patient=True)
    yield "Its rows, as soon as its table is built", _curl(f"{table}/items?top=3", patient=True)
    yield "A report", _curl("reports/shared-widely")
    yield (
        "Submit a record to Opus",
        _curl(
            f"opus/connections/{CONNECTION}/records",
            f'{{"conflictOption": "Overwrite", "records": [\n      {RECORD}]}}',
        ),
    )
    yield "The records that are due for disposal", _curl(f"opus/connections/{CONNECTION}/records/due")
    yield (
        "Destroy it: in the simulated Opus only",
        _curl("opus/records/destroy", '{"ids": ["r1"]}', key="mine-1"),
    )
    yield "What was done with records today", _curl("operations")


def _curl(path: str, body: str = "", *, key: str = "", shown: bool = True, patient: bool = False) -> str:
    """Return a command line that calls a route, on several lines where one would be too wide."""
    words = [f'curl -s{SHOWN if shown else ""} -H "x-functions-key: $KEY"']
    words += [PATIENT] if patient else []
    words += [f'"$APP/api/{path}"']
    words += [f"-H 'Idempotency-Key: {key}'"] if key else []
    words += [f"-d '{body}'"] if body else []
    line = " ".join(words)
    return line if len(line) <= WIDTH else " \\\n  ".join(words)

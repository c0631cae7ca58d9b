"""``python -m sandbox start``: everything on this machine, until Ctrl-C."""

import asyncio
import signal
from argparse import ArgumentParser, Namespace
from pathlib import Path
from tempfile import gettempdir

from rich.console import Console

from sandbox.host.server import PORT
from sandbox.processes import ProcessError
from sandbox.stack import Stack, running_stack

CONNECTION = "b4bbdbbd-cf2d-5c44-939b-be86bc688035"
RECORD = (
    '{"rowKey": "r1", "leafName": "Contract 1", "timeCreated": "2026-01-15T08:30:00Z", '
    '"timeModified": "2026-01-15T08:30:00Z", "createdBy": "user01", "modifiedBy": "user01"}'
)
ROUTES = (
    ("start a harvest", "POST", "harvests", '{"source": "graph", "datasets": ["enpower-powerapps"]}'),
    ("what a harvest would do", "POST", "harvests?dryRun=true", '{"source": "enpower"}'),
    ("the newest runs", "GET", "runs", ""),
    ("one run", "GET", "runs/RUN_ID", ""),
    ("try again what failed", "POST", "runs/RUN_ID/resume", ""),
    ("cancel a run", "POST", "runs/RUN_ID/cancel", ""),
    ("all datasets", "GET", "datasets", ""),
    ("the newest snapshot", "GET", "datasets/graph/enpower-powerapps/latest", ""),
    (
        "submit records",
        "POST",
        f"opus/connections/{CONNECTION}/records",
        f'{{"conflictOption": "Overwrite", "records": [{RECORD}]}}',
    ),
    ("records due", "GET", f"opus/connections/{CONNECTION}/records/due?top=10", ""),
    ("destroy records", "POST", "opus/records/destroy", '{"ids": ["r1"]}'),
    ("operations of today", "GET", "operations", ""),
    ("operations with uncertain items", "GET", "operations?uncertain=true", ""),
    ("one operation", "GET", "operations/OPERATION_ID", ""),
    (
        "say what became of uncertain items",
        "POST",
        "operations/OPERATION_ID/resolve",
        '{"outcome": "Succeeded", "note": "Gone from Opus.", "checkedBy": "Jane"}',
    ),
    ("health", "GET", "health", ""),
    ("health in detail", "GET", "health/details", ""),
)


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--port", type=int, default=PORT, help=f"where the host listens (default: {PORT})")
    parser.add_argument("--items", type=int, default=1000, help="items in every list (default: 1000)")
    parser.add_argument("--latency-ms", type=int, default=20, help="delay of every AvePoint answer (default: 20)")


def run(args: Namespace) -> int:
    """Serve until SIGTERM or SIGINT."""
    try:
        asyncio.run(_serve_until_stopped(args))
    except ProcessError as error:
        Console(stderr=True).print(f"error: {error}", markup=False)
        return 1
    return 0


async def _serve_until_stopped(args: Namespace) -> None:
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    logs = Path(gettempdir()) / "avepoint-functions"
    async with running_stack(logs, items=args.items, latency_ms=args.latency_ms, port=args.port) as stack:
        print(_introduction(stack, logs), flush=True)
        await stopped.wait()


def _introduction(stack: Stack, logs: Path) -> str:
    lines = [
        f"Functions   {stack.host.url}/api",
        f"Key         {stack.host.key}",
        f"AvePoint    {stack.avepoint_url} (simulated; what it was asked: /_sandbox/log)",
        f"Blobs       {stack.azurite.blob_url}",
        f"Storage     {stack.azurite.connection_string}",
        f"Logs        {logs}",
        "",
    ]
    for title, method, path, body in ROUTES:
        lines += [f"# {title}", curl(method, f"{stack.host.url}/api/{path}", key=stack.host.key, body=body), ""]
    return "\n".join([*lines, "Ctrl-C ends it."])


def curl(method: str, url: str, *, key: str, body: str) -> str:
    """A command line that calls a route."""
    idempotency = " -H 'Idempotency-Key: any-name-of-yours'" if url.endswith("/destroy") else ""
    data = f" -H 'Content-Type: application/json' -d '{body}'" if body else ""
    return f"curl -s -X {method} '{url}' -H 'x-functions-key: {key}'{idempotency}{data}"

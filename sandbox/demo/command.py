"""``python -m sandbox demo``: two nights of harvests, what changed between them, one Opus round, and what stays."""

import asyncio
import signal
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory, mkdtemp
from typing import Final

import httpx
from rich.console import Console

from sandbox.arguments import count
from sandbox.demo.api import DemoError, ok
from sandbox.demo.harvest import TABLED, harvest_night
from sandbox.demo.keeping import empty_folder, keep_containers, whole_or_gone, write_page
from sandbox.demo.opus import RECORDS, REFUSED, opus_rounds
from sandbox.demo.showing import change_table, opus_table, snapshot_table, verdict_lines
from sandbox.demo.snapshots import Changed, compared, read_back, what_changed
from sandbox.processes import ProcessError
from sandbox.readback import Snapshot
from sandbox.stack import Stack, running_stack
from sandbox.stopping import StoppedError, until_stopped

INTERRUPTED: Final = 128 + signal.SIGINT
SECONDS: Final = 40
WHERE: Final = "inventory/raw/SOURCE/DATASET/date=.../run=.../part-00000.ndjson.gz"


def add_arguments(parser: ArgumentParser) -> None:
    parser.epilog = "exit status: 0 all is well, 1 something is not, 130 Ctrl-C"
    parser.add_argument("--items", type=count, default=1000, help="items in every list (default: 1000)")
    parser.add_argument("--latency-ms", type=count, default=20, help="delay of every AvePoint answer (default: 20)")
    parser.add_argument("--keep", type=empty_folder, metavar="FOLDER", help="where to keep all that was stored")


def run(args: Namespace) -> int:
    """Run the demo.

    Returns:
        0, 1 when anything is off, or 130 when it was interrupted.
    """
    console = Console(highlight=False, emoji=False, markup=False)
    try:
        return asyncio.run(until_stopped(_demo(args, console)))
    except StoppedError:
        console.print("Interrupted: everything that was started has ended.")
        return INTERRUPTED
    except TimeoutError:
        console.print("error: a night took too long", style="red")
    except (ProcessError, DemoError, httpx.HTTPError, OSError) as error:
        console.print(f"error: {error}", style="red")
    return 1


async def _demo(args: Namespace, console: Console) -> int:
    began = time.monotonic()
    with TemporaryDirectory(prefix="avepoint-demo-logs-") as logs:
        async with (
            running_stack(
                Path(logs),
                items=args.items,
                latency_ms=args.latency_ms,
                settings={"TABLES_DATASETS": ",".join(TABLED)},
                say=lambda text: console.print(f"Starting: {text}"),
            ) as stack,
            httpx.AsyncClient(
                base_url=f"{stack.host.url}/api/", headers={"x-functions-key": stack.host.key}, timeout=SECONDS
            ) as client,
        ):
            first, faults = await _first_night(client, stack, console)
            faults += await _second_night(client, stack, console, first)
            faults += await _opus(client, stack, console)
            await _keep(stack, args.keep, Path(logs), console)
    for fault in faults:
        console.print(fault, style="red")
    console.print(f"\n{len(faults)} faults, in {time.monotonic() - began:.0f} s.")
    return 1 if faults else 0


async def _first_night(client: httpx.AsyncClient, stack: Stack, console: Console) -> tuple[list[Snapshot], list[str]]:
    _headline(console, "The first night: every list that AvePoint gives by default, and one by parent")
    runs = await harvest_night(client, console, child=True)
    snapshots = [await compared(client, stack.avepoint_url, one) for one in await read_back(stack, runs)]
    console.print("\nRead from storage, and compared with the manifests and with AvePoint:\n")
    console.print(snapshot_table(snapshots))
    console.print("\nThe verdict of a snapshot says how sure it is that nothing is missing:")
    for line in verdict_lines(snapshots):
        console.print(f"  {line}")
    console.print(f"The lines are here, byte for byte as AvePoint sent them:\n  {WHERE}")
    return snapshots, _named(snapshots)


async def _second_night(
    client: httpx.AsyncClient, stack: Stack, console: Console, before: Sequence[Snapshot]
) -> list[str]:
    _headline(console, "The second night: people joined and left, apps got new owners")
    await ok(client.post(f"{stack.avepoint_url}/_sandbox/faults", json={"night": 1}))
    runs = await harvest_night(client, console, child=False)
    after = await read_back(stack, runs)
    changes = await what_changed(client, before, after)
    console.print("\nWhat changed between the two nights, from the tables:\n")
    console.print(change_table(changes))
    console.print("\nOnly these datasets have tables in the demo (TABLES_DATASETS).")
    return _named(after) + _named(changes)


async def _opus(client: httpx.AsyncClient, stack: Stack, console: Console) -> list[str]:
    _headline(console, f"Opus: {RECORDS} records, from submit to destroy")
    console.print(f"Opus refuses one record, {REFUSED}, on purpose. It accepts the others, and the")
    console.print("answer names the failed record. A destroy that is sent twice is executed once.\n")
    rounds = await opus_rounds(client, stack)
    console.print(opus_table(rounds))
    return [f"{one.step}: {one.outcome}" for one in rounds if not one.well]


async def _keep(stack: Stack, folder: Path | None, logs: Path, console: Console) -> None:
    _headline(console, "What to do next")
    kept = folder or Path(mkdtemp(prefix="avepoint-demo-"))
    with whole_or_gone(kept):
        await write_page(stack, kept / "status.html", log=logs / "page.log")
        if folder:
            await keep_containers(stack, folder)
    console.print("Open the status page in a browser (./avepoint page writes it):")
    console.print(f"  {kept / 'status.html'}", soft_wrap=True)
    if folder:
        console.print("docs/tables.md says how to read the stored data, which is in")
        console.print(f"  {folder}", soft_wrap=True)
    else:
        console.print("The storage is gone now. To keep it in a new folder:\n  make demo KEEP=folder")
    console.print("To have everything running, with lines to paste:\n  make start")


def _headline(console: Console, text: str) -> None:
    console.print(f"\n{text}\n", style="bold")


def _named(found: Sequence[Snapshot | Changed]) -> list[str]:
    return [f"{one.name}: {fault}" for one in found for fault in one.faults]

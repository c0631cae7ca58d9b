"""``python -m sandbox demo``: one harvest of every source and one Opus round, then what is in storage and in Opus."""

import asyncio
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import httpx
from azure.storage.blob.aio import ContainerClient
from pydantic import BaseModel
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

from sandbox.processes import ProcessError
from sandbox.readback import Snapshot, read_snapshot
from sandbox.stack import Stack, running_stack

SOURCES: Final = ("enpower", "graph", "elements")
RESOURCES: Final = {"enpower": "legacy-enpower-", "graph": "", "elements": "elements-"}
"""How the simulated AvePoint names the datasets of a source."""

CHILD: Final = ("graph", "enpower-agent-activities")
"""A list of one agent at a time: harvested after the agents, whose snapshot it needs."""

CONNECTION: Final = "b4bbdbbd-cf2d-5c44-939b-be86bc688035"
RECORDS: Final = 40
POLL_SECONDS: Final = 0.3
PIPED_WIDTH: Final = 240
HARVEST_SECONDS: Final = 50


class DemoError(Exception):
    """Something in the demo was not as it should be."""


@dataclass(frozen=True, slots=True)
class OpusRound:
    """What Opus was asked, and what became of it."""

    step: str
    outcome: str
    detail: str
    well: bool


class _Dataset(BaseModel):
    dataset: str
    state: str
    items: int
    reason: str | None = None


class _Run(BaseModel):
    source: str
    state: str
    datasets: list[_Dataset]


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--items", type=int, default=1000, help="items in every list (default: 1000)")
    parser.add_argument("--latency-ms", type=int, default=20, help="delay of every AvePoint answer (default: 20)")


def run(args: Namespace) -> int:
    """Run the demo.

    Returns:
        0, or 1 when anything is off.
    """
    console = Console()
    if not console.is_terminal:
        console = Console(width=PIPED_WIDTH)
    try:
        return asyncio.run(_demo(args, console))
    except (ProcessError, DemoError, httpx.HTTPError) as error:
        console.print(f"error: {error}", markup=False, style="red")
        return 1


async def _demo(args: Namespace, console: Console) -> int:
    began = time.monotonic()
    with TemporaryDirectory() as logs:
        console.print("Starting Azurite, a vault, a simulated AvePoint and the Functions host …")
        async with (
            running_stack(Path(logs), items=args.items, latency_ms=args.latency_ms) as stack,
            httpx.AsyncClient(
                base_url=f"{stack.host.url}/api/", headers={"x-functions-key": stack.host.key}, timeout=40
            ) as client,
        ):
            runs = await _harvest(client, console)
            snapshots = await _read_back(client, stack, runs)
            rounds = await _opus_rounds(client, stack)
    console.print(_snapshot_table(snapshots), _opus_table(rounds))
    faults = [f"{snapshot.name}: {fault}" for snapshot in snapshots for fault in snapshot.faults]
    faults += [f"{one.step}: {one.outcome}" for one in rounds if not one.well]
    for fault in faults:
        console.print(fault, markup=False, style="red")
    items, size = sum(one.items for one in snapshots), sum(one.bytes for one in snapshots)
    seconds = time.monotonic() - began
    console.print(f"{len(snapshots)} datasets, {items:,} items, {size:,} bytes in storage, in {seconds:.0f} s")
    return 1 if faults else 0


async def _harvest(client: httpx.AsyncClient, console: Console) -> list[_Run]:
    """Harvest every source, then a child dataset, and show how far it is."""
    columns = (TextColumn("{task.description:68}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console) as progress:
        runs = await asyncio.gather(*(_watch(client, progress, source=source) for source in SOURCES))
        source, dataset = CHILD
        return [*runs, await _watch(client, progress, source=source, datasets=[dataset])]


async def _watch(client: httpx.AsyncClient, progress: Progress, **wanted: object) -> _Run:
    plan = (await _ok(client.post("harvests", params={"dryRun": "true"}, json=wanted))).json()
    source, parents = plan["source"], sum(one["parents"] or 0 for one in plan["datasets"])
    of_parents = f"{parents} parents, " if parents else ""
    title = f"{source}: {of_parents}{plan['leastRequests']} requests, {plan['leastSeconds']} s at least"
    bar = progress.add_task(title, total=len(plan["datasets"]))
    answer = await _ok(client.post("harvests", json=wanted))
    async with asyncio.timeout(HARVEST_SECONDS):
        while answer.status_code == httpx.codes.ACCEPTED:
            _show(progress, bar, title, _Run.model_validate_json(answer.content))
            await asyncio.sleep(POLL_SECONDS)
            answer = await _ok(client.get(answer.headers["Location"]))
    ended = _Run.model_validate_json(answer.content)
    _show(progress, bar, title, ended)
    return ended


def _show(progress: Progress, bar: TaskID, title: str, run: _Run) -> None:
    done = sum(dataset.state not in {"waiting", "running"} for dataset in run.datasets)
    items = sum(dataset.items for dataset in run.datasets)
    progress.update(bar, completed=done, description=f"{title}, {items:,} items so far")


async def _read_back(client: httpx.AsyncClient, stack: Stack, runs: Sequence[_Run]) -> list[Snapshot]:
    """Every snapshot, read from storage and compared with what AvePoint holds."""
    async with ContainerClient.from_connection_string(stack.azurite.connection_string, "inventory") as inventory:
        return [
            await _compared(client, stack, await read_snapshot(inventory, run.source, dataset.dataset))
            for run in runs
            for dataset in run.datasets
        ]


async def _compared(client: httpx.AsyncClient, stack: Stack, snapshot: Snapshot) -> Snapshot:
    if snapshot.parents is not None:
        return snapshot  # no total of AvePoint's is known beforehand: its verdict says whether each parent gave all
    since, until = snapshot.window or (None, None)
    url = f"{stack.avepoint_url}/_sandbox/items/{RESOURCES[snapshot.source]}{snapshot.dataset}"
    query = {"since": since, "until": until} if snapshot.window else None
    held = len((await _ok(client.get(url, params=query))).json())
    if snapshot.items == held:
        return snapshot
    return replace(snapshot, faults=(*snapshot.faults, f"{snapshot.items} items, AvePoint holds {held}"))


async def _opus_rounds(client: httpx.AsyncClient, stack: Stack) -> list[OpusRound]:
    """Submit records, see which are due, destroy them, and deliver the destroy a second time."""
    fault = {"method": "POST", "path": "/records/connector/records", "failRowKeys": "demo-0007", "times": None}
    await _ok(client.post(f"{stack.avepoint_url}/_sandbox/faults", json=[fault]))
    body = {"conflictOption": "Overwrite", "records": [_record(number) for number in range(RECORDS)]}
    submitted = (await _ok(client.post(f"opus/connections/{CONNECTION}/records", json=body))).json()
    due = (await _ok(client.get(f"opus/connections/{CONNECTION}/records/due", params={"top": "1000"}))).json()["value"]
    ids = [record["rowKey"] for record in due]
    key = {"Idempotency-Key": "demo"}
    destroyed = (await _ok(client.post("opus/records/destroy", json={"ids": ids}, headers=key))).json()
    again = (await _ok(client.post("opus/records/destroy", json={"ids": ids}, headers=key))).json()
    left = (await _ok(client.get(f"opus/connections/{CONNECTION}/records/due"))).json()["value"]
    failures = ", ".join(f"{one['id']}: {one['message']}" for one in submitted["failed"])
    good = RECORDS - 1
    return [
        OpusRound(
            "submit", f"{submitted['succeeded']} of {RECORDS} submitted", failures, submitted["succeeded"] == good
        ),
        OpusRound("due", f"{len(ids)} due", f"{ids[0]} … {ids[-1]}" if ids else "", len(ids) == good),
        OpusRound(
            "destroy", f"{destroyed['succeeded']} destroyed", destroyed["operationId"], destroyed["succeeded"] == good
        ),
        OpusRound(
            "destroy, delivered twice", "the same answer, nothing sent", again["operationId"], again == destroyed
        ),
        OpusRound("due", f"{len(left)} due", "", not left),
    ]


def _record(number: int) -> dict[str, str]:
    day = f"2026-01-{number % 28 + 1:02d}T08:30:00Z"
    people = {"createdBy": "user01@contoso.example", "modifiedBy": "user01@contoso.example"}
    times = {"timeCreated": day, "timeModified": day}
    return {"rowKey": f"demo-{number:04d}", "leafName": f"Contract {number}", **times, **people}


async def _ok(answering: Awaitable[httpx.Response]) -> httpx.Response:
    answer = await answering
    if answer.is_error:
        raise DemoError(
            f"{answer.request.method} {answer.request.url.path} answered {answer.status_code}: {answer.text}"
        )
    return answer


def _snapshot_table(snapshots: Sequence[Snapshot]) -> Table:
    table = Table(title="Snapshots, read back from storage")
    table.add_column("dataset", no_wrap=True)
    for figure in ("items", "pages", "bytes"):
        table.add_column(figure, justify="right", no_wrap=True)
    table.add_column("verdict", no_wrap=True)
    table.add_column("blob", overflow="fold")
    for one in snapshots:
        style = "red" if one.faults else None
        figures = (f"{one.items:,}", f"{one.pages:,}", f"{one.bytes:,}")
        table.add_row(one.name, *figures, one.verdict, one.path, style=style)
    return table


def _opus_table(rounds: Sequence[OpusRound]) -> Table:
    table = Table("step", "outcome", "detail", title="Opus")
    for one in rounds:
        table.add_row(one.step, one.outcome, one.detail, style=None if one.well else "red")
    return table

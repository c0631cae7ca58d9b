"""One night: every source is harvested, and every table is built."""

import asyncio
from typing import Final

import httpx
from pydantic import BaseModel
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from sandbox.demo.api import ok

SOURCES: Final = ("enpower", "graph", "elements")
CHILD: Final = ("graph", "enpower-agent-activities")
"""A list of one agent at a time: harvested after the agents, whose snapshot it needs."""

TABLED: Final = (
    "elements/customers",
    "graph/enpower-environments",
    "graph/enpower-connections",
    "graph/enpower-powerapps",
    "graph/enpower-cloudflows",
    "graph/enpower-agents",
    "graph/enpower-mailboxes",
)
"""The datasets that become tables here: those that people ask about first, so that the demo stays short."""

POLL_SECONDS: Final = 0.3
WIDE: Final = 80
NIGHT_SECONDS: Final = 300


class DatasetOfRun(BaseModel):
    """How far a run is with one dataset."""

    dataset: str
    state: str
    items: int


class Run(BaseModel):
    """A run, as ``GET /api/runs/{runId}`` answers it."""

    source: str
    state: str
    datasets: list[DatasetOfRun]


class _Table(BaseModel):
    state: str


class _Listed(BaseModel):
    source: str
    name: str
    table: _Table


class _Datasets(BaseModel):
    value: list[_Listed]


def night_progress(console: Console) -> Progress:
    """Return bars that say how far a night is; a narrow terminal gets the figures alone."""
    wide = console.width >= WIDE
    columns = (
        TextColumn("{task.description:<18}" if wide else "{task.description}"),
        *((BarColumn(bar_width=18),) if wide else ()),
        MofNCompleteColumn(),
        TextColumn("{task.fields[note]:<24}" if wide else "{task.fields[note]}"),
        *((TimeElapsedColumn(),) if wide else ()),
    )
    return Progress(*columns, console=console)


async def harvest_night(client: httpx.AsyncClient, console: Console, *, child: bool) -> list[Run]:
    """Harvest every source, wait for the tables, and show how far it is.

    Args:
        child: whether the activities of each agent are harvested, too.
    """
    async with asyncio.timeout(NIGHT_SECONDS):
        with night_progress(console) as progress:
            runs = await asyncio.gather(*(_watch(client, progress, source=source) for source in SOURCES))
            if child:
                source, dataset = CHILD
                runs.append(await _watch(client, progress, source=source, datasets=[dataset]))
            await _tables(client, progress)
    return runs


async def _watch(client: httpx.AsyncClient, progress: Progress, **wanted: object) -> Run:
    plan = (await ok(client.post("harvests", params={"dryRun": "true"}, json=wanted))).json()
    parents = sum(one["parents"] or 0 for one in plan["datasets"])
    title = f"{parents} agents" if parents else plan["source"]
    bar = progress.add_task(title, total=len(plan["datasets"]), note="")
    answer = await ok(client.post("harvests", json=wanted))
    while answer.status_code == httpx.codes.ACCEPTED:
        _show(progress, bar, Run.model_validate_json(answer.content))
        await asyncio.sleep(POLL_SECONDS)
        answer = await ok(client.get(answer.headers["Location"]))
    ended = Run.model_validate_json(answer.content)
    _show(progress, bar, ended)
    return ended


def _show(progress: Progress, bar: TaskID, run: Run) -> None:
    done = sum(dataset.state not in {"waiting", "running"} for dataset in run.datasets)
    items = sum(dataset.items for dataset in run.datasets)
    progress.update(bar, completed=done, note=f"{items:,} items")


async def _tables(client: httpx.AsyncClient, progress: Progress) -> None:
    """Wait until the tables hold what was harvested, or could not be built."""
    bar, done = progress.add_task("tables", total=len(TABLED), note=""), 0
    while done < len(TABLED):
        listed = _Datasets.model_validate_json((await ok(client.get("datasets"))).content).value
        tables = [one.table for one in listed if f"{one.source}/{one.name}" in TABLED]
        done = sum(table.state in {"current", "failed"} for table in tables)
        progress.update(bar, completed=done)
        await asyncio.sleep(POLL_SECONDS)

"""Answers of the local Functions host, one after the other: rows of a large table, and health beside the worst work."""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import httpx

from benchmarks.inmemory import environ_for
from benchmarks.nights import DATASET, SOURCE, publish, write_night
from benchmarks.results import Served
from benchmarks.scenarios import HEALTH, LISTED, ROWS
from sandbox.azurite import azurite
from sandbox.host.process import running_host
from shared.harvest.snapshots.table_builds import TableAddress, enqueue_build
from shared.services import Services, open_services
from shared.settings import load_settings
from shared.tables.build.builder import advance_table

BESIDE_BODY, BESIDE_LIST, BESIDE_BUILD = (
    f"{HEALTH} beside {work}" for work in ("the worst body", "the longest page of rows", "a table build")
)

_TABLE: Final = f"datasets/{SOURCE}/{DATASET}"
_EXPECTED: Final = frozenset({httpx.codes.OK, httpx.codes.BAD_REQUEST, httpx.codes.REQUEST_ENTITY_TOO_LARGE})
_WARM: Final = 10
_PAUSE_SECONDS: Final = 0.1
_WORST_BODY: Final = b'{"ids": [' + b"0," * 1_000_000 + b"0]}"


async def served(origin: str, folder: Path, *, rows: int, calls: int) -> list[Served]:
    """Build a table of so many rows in Azurite, start the host on it, and time its answers.

    Args:
        origin: The server of the benchmark, which stands in for AvePoint.
        calls: How often each thing is asked.

    Raises:
        AssertionError: The table was not built, or an answer was not what it should be.
    """
    async with azurite(folder / "azurite.log") as storage:
        environ = environ_for(origin, storage.connection_string) | {"SANDBOX_AZURE_PACE": "true"}
        services = await open_services(load_settings(environ))
        try:
            await _build(services, write_night(folder, 0, rows))
            async with running_host(log=folder / "host.log", env={**os.environ, **environ}) as host:
                headers = {"x-functions-key": host.key}
                async with httpx.AsyncClient(base_url=f"{host.url}/api/", headers=headers, timeout=300) as client:
                    return await _timed(client, services, write_night(folder, 1, rows), calls=calls)
        finally:
            await services.close()


async def _build(services: Services, parts: list[Path]) -> None:
    await publish(services.storage, 0, parts)
    ending = await advance_table(services, TableAddress(source=SOURCE, dataset=DATASET))
    if ending != "finished":
        raise AssertionError(f"the build ended with {ending!r}")


async def _timed(client: httpx.AsyncClient, services: Services, second: list[Path], *, calls: int) -> list[Served]:
    """Time rows beside the list of datasets, and health beside each kind of work."""
    listed, rows = await _in_turn(client, ("datasets", f"{_TABLE}/items?top=100"), calls=calls)
    found = [Served.of(LISTED, listed), Served.of(ROWS, rows)]
    found.append(Served.of(HEALTH, *await _in_turn(client, ("health",), calls=calls)))
    async with _again_and_again(lambda: client.post("opus/records/destroy", content=_WORST_BODY)):
        found.append(Served.of(BESIDE_BODY, await _health(client, calls=calls)))
    async with _again_and_again(lambda: client.get(f"{_TABLE}/items?top=1000")):
        found.append(Served.of(BESIDE_LIST, await _health(client, calls=calls)))
    latest = await publish(services.storage, 1, second)
    await enqueue_build(services.storage, SOURCE, DATASET)
    found.append(Served.of(BESIDE_BUILD, await _until_built(client, latest.run_id)))
    return found


async def _in_turn(client: httpx.AsyncClient, paths: tuple[str, ...], *, calls: int) -> list[list[float]]:
    """Ask for each path in turn; return the seconds of each, without those of the first few calls."""
    seconds: list[list[float]] = [[] for _ in paths]
    for _ in range(_WARM + calls):
        for path, taken in zip(paths, seconds, strict=True):
            taken.append(await _seconds(client, path))
    return [taken[_WARM:] for taken in seconds]


async def _health(client: httpx.AsyncClient, *, calls: int) -> list[float]:
    """Ask for health at a probe's leisure."""
    seconds = []
    for _ in range(calls):
        seconds.append(await _seconds(client, "health"))
        await asyncio.sleep(_PAUSE_SECONDS)
    return seconds


async def _until_built(client: httpx.AsyncClient, run_id: str) -> list[float]:
    """Ask for health until the table is that of a run."""
    seconds: list[float] = []
    while True:
        seconds += await _health(client, calls=_WARM)
        answer = await client.get("datasets")
        tables = {one["name"]: one["table"] for one in answer.raise_for_status().json()["value"]}
        if tables[DATASET]["runId"] == run_id:
            return seconds


async def _seconds(client: httpx.AsyncClient, path: str) -> float:
    began = time.perf_counter()
    answer = await client.get(path)
    taken = time.perf_counter() - began
    answer.raise_for_status()
    return taken


@asynccontextmanager
async def _again_and_again(call: Callable[[], Awaitable[httpx.Response]]) -> AsyncIterator[None]:
    """Make a call in the background, and again as soon as it is answered."""

    async def calling() -> None:
        while True:
            answer = await call()
            if answer.status_code not in _EXPECTED:
                raise AssertionError(f"{answer.status_code}: {answer.text[:200]}")

    async with asyncio.TaskGroup() as group:
        background = group.create_task(calling())
        yield
        background.cancel()

"""Harvests through the local Functions host and Azurite, from the call that starts one to the published snapshot."""

import asyncio
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Final

import httpx

from benchmarks.contenders.work import base_url
from benchmarks.data import RESOURCE, WINDOWED
from benchmarks.inmemory import environ_for
from benchmarks.results import EndToEnd
from benchmarks.server import TENANTS
from benchmarks.usage import used_by
from sandbox.azurite import azurite
from sandbox.host.process import RunningHost, running_host
from shared.clock import utc_now
from shared.harvest.snapshots.manifest import Manifest

_POLL_SECONDS: Final = 0.5
_PATIENCE_SECONDS: Final = 1800


async def end_to_end(origin: str, logs: Path, *, items: int, milliseconds: int, chains: int) -> EndToEnd:
    """Start Azurite and the host, harvest once, and say what the host took.

    Raises:
        AssertionError: The harvest was not published, or not whole.
    """
    url = base_url(origin, items=items, milliseconds=milliseconds)
    changes = {"HARVEST_TENANTS": ",".join(TENANTS[:chains])} if chains > 1 else {}
    async with _host(url, logs, changes) as host:
        before = used_by(host.process.pid)
        manifest = await _harvest(host, RESOURCE)
        after = used_by(host.process.pid)
    if (manifest.verdict, manifest.items) != ("complete", items):
        raise AssertionError(f"{manifest.items} items came, and the verdict is {manifest.verdict}")
    return EndToEnd(
        items=items,
        chains=chains,
        milliseconds=milliseconds,
        bytes=manifest.bytes,
        parts=len(manifest.parts),
        seconds=_seconds(manifest),
        cpu=after.cpu - before.cpu,
        peak_bytes=after.peak_bytes,
    )


async def two_windows(origin: str, logs: Path, *, items: int) -> EndToEnd:
    """Start Azurite and the host, and harvest a windowed list twice, which gives the same lines both times.

    Raises:
        AssertionError: A harvest was not published, or the second one did not know all lines of the first.
    """
    url = base_url(origin, items=items, milliseconds=0)
    async with _host(url, logs, {"HARVEST_WINDOW_DAYS": "7"}) as host:
        before = used_by(host.process.pid)
        first = await _harvest(host, WINDOWED)
        left = first.started_at + timedelta(seconds=1) - utc_now()
        await asyncio.sleep(max(0.0, left.total_seconds()))  # of two runs of one second, any may be the newer
        second = await _harvest(host, WINDOWED)
        after = used_by(host.process.pid)
    if (first.items, second.items, second.duplicates) != (items, 0, items):
        raise AssertionError(f"{first.items} items came, then {second.items}, and {second.duplicates} were known")
    return EndToEnd(
        items=items,
        windowed=True,
        chains=1,
        milliseconds=0,
        bytes=first.bytes,
        parts=len(first.parts),
        seconds=_seconds(second),
        cpu=after.cpu - before.cpu,
        peak_bytes=after.peak_bytes,
    )


def _seconds(manifest: Manifest) -> float:
    return (manifest.finished_at - manifest.started_at).total_seconds()


@asynccontextmanager
async def _host(url: str, logs: Path, changes: Mapping[str, str]) -> AsyncIterator[RunningHost]:
    """Provide a host, with its storage, that asks the AvePoint at a URL."""
    async with azurite(logs / "azurite.log") as storage:
        environ = environ_for(url, storage.connection_string)
        environ |= {"SANDBOX_AZURE_PACE": "true", "TABLES_DATASETS": "none", **changes}
        async with running_host(log=logs / "host.log", env={**os.environ, **environ}) as host:
            yield host


async def _harvest(host: RunningHost, dataset: str) -> Manifest:
    headers = {"x-functions-key": host.key}
    async with httpx.AsyncClient(base_url=f"{host.url}/api/", headers=headers, timeout=60) as client:
        answer = await client.post("harvests", json={"source": "graph", "datasets": [dataset]})
        async with asyncio.timeout(_PATIENCE_SECONDS):
            while answer.raise_for_status().status_code == httpx.codes.ACCEPTED:
                await asyncio.sleep(_POLL_SECONDS)
                answer = await client.get(answer.headers["Location"])
        latest = await client.get(f"datasets/graph/{dataset}/latest")
        return Manifest.from_json(latest.raise_for_status().content)

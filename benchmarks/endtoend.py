"""A harvest through the local Functions host and Azurite, from the call that starts it to the published snapshot."""

import asyncio
import os
from pathlib import Path
from typing import Final

import httpx

from benchmarks.contenders.work import base_url
from benchmarks.data import RESOURCE
from benchmarks.results import EndToEnd
from benchmarks.server import TENANTS
from benchmarks.usage import used_by
from sandbox.azurite import azurite
from sandbox.host.process import RunningHost, running_host
from sandbox.stack import app_settings
from shared.harvest.snapshot import Manifest

_POLL_SECONDS: Final = 0.5
_PATIENCE_SECONDS: Final = 300


async def end_to_end(origin: str, logs: Path, *, items: int, milliseconds: int, chains: int) -> EndToEnd:
    """Start Azurite and the host, harvest once, and say what the host took.

    Raises:
        AssertionError: The harvest was not published, or not whole.
    """
    async with azurite(logs / "azurite.log") as storage:
        environ = app_settings(
            avepoint_url=base_url(origin, items=items, milliseconds=milliseconds), storage=storage.connection_string
        )
        environ |= {"AVEPOINT_CLIENT_SECRET": "of the benchmark"}
        environ |= {"HARVEST_TENANTS": ",".join(TENANTS[:chains])} if chains > 1 else {}
        async with running_host(log=logs / "host.log", env={**os.environ, **environ}) as host:
            before = used_by(host.process.pid)
            manifest = await _harvest(host)
            after = used_by(host.process.pid)
    if (manifest.verdict, manifest.items) != ("complete", items):
        raise AssertionError(f"{manifest.items} items came, and the verdict is {manifest.verdict}")
    return EndToEnd(
        items=items,
        chains=chains,
        milliseconds=milliseconds,
        bytes=manifest.bytes,
        parts=len(manifest.parts),
        seconds=(manifest.finished_at - manifest.started_at).total_seconds(),
        cpu=after.cpu - before.cpu,
        peak_bytes=after.peak_bytes,
    )


async def _harvest(host: RunningHost) -> Manifest:
    headers = {"x-functions-key": host.key}
    async with httpx.AsyncClient(base_url=f"{host.url}/api/", headers=headers, timeout=60) as client:
        answer = await client.post("harvests", json={"source": "graph", "datasets": [RESOURCE]})
        async with asyncio.timeout(_PATIENCE_SECONDS):
            while answer.raise_for_status().status_code == httpx.codes.ACCEPTED:
                await asyncio.sleep(_POLL_SECONDS)
                answer = await client.get(answer.headers["Location"])
        latest = await client.get(f"datasets/graph/{RESOURCE}/latest")
        return Manifest.from_json(latest.raise_for_status().content)

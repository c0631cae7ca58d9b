"""The harvest core: a run is started, its partitions are worked on side by side, and it is published."""

import asyncio

from benchmarks.contenders.work import Work
from benchmarks.data import RESOURCE
from benchmarks.inmemory import ForgetfulStorage, app, settings_for
from benchmarks.server import TENANTS
from shared.harvest.plan.run import Address
from shared.harvest.runs.starting import start_requested
from shared.harvest.slices.worker import work
from shared.harvest.snapshots.manifest import read_latest
from shared.services import Services


def run(url: str, chains: int) -> Work:
    """Harvest the whole list; more than one chain makes a chain of each tenant."""
    return asyncio.run(_harvest(url, TENANTS[:chains] if chains > 1 else ()))


async def _harvest(url: str, tenants: tuple[str, ...]) -> Work:
    storage = ForgetfulStorage()
    async with app(settings_for(url, HARVEST_TENANTS=",".join(tenants)), storage) as services:
        run = await start_requested(services, "graph", [RESOURCE])
        await asyncio.gather(*(_finish(services, address) for address in run.addresses()))
        latest = await read_latest(storage, "graph", RESOURCE)
    if latest is None or latest.verdict != "complete":
        raise AssertionError(f"the harvest was not published: {latest}")
    return Work(latest.items, storage.block_bytes)


async def _finish(services: Services, address: Address) -> None:
    while await work(services, address) == "handed over":
        continue

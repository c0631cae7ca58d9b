"""``python -m tests.load``: mixed callers against ten thousand runs and operations; 1 when the service gives way."""

import argparse
import asyncio
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import httpx
import psutil

from sandbox.stack import Stack, running_stack
from shared.azure.storage import Storage, open_storage
from shared.harvest.plan.run import read_run
from shared.http.tls import client_context
from shared.settings import load_settings
from tests.load.callers import Tally, caller, calls
from tests.load.seeding import copy_many, of_operation, of_run, operation_names, run_names

MOST_MEGABYTES = 600
SLOWEST_HEALTH = 5.0


class Peak:
    """The largest memory of the host, looked at while it works, and the time of the processor that it takes."""

    def __init__(self, pid: int) -> None:
        self._process = psutil.Process(pid)
        self.megabytes = 0.0
        self._began = self._used()

    @property
    def cpu_seconds(self) -> float:
        """What the host has taken since the load began."""
        return self._used() - self._began

    async def watch(self) -> None:
        """Look again and again, until cancelled."""
        while True:
            self.megabytes = max(self.megabytes, self._process.memory_info().rss / 1024 / 1024)
            await asyncio.sleep(0.1)

    def _used(self) -> float:
        times = self._process.cpu_times()
        return times.user + times.system


async def _load(seconds: float, count: int, damaged: float) -> bool:
    with tempfile.TemporaryDirectory() as folder:
        async with (
            running_stack(Path(folder), items=200, settings={"SWEEP_SCHEDULE": "*/30 * * * * *"}) as stack,
            httpx.AsyncClient(
                base_url=f"{stack.host.url}/api/", headers={"x-functions-key": stack.host.key}, timeout=120
            ) as client,
        ):
            run_id, operation_id = await _seed(stack, client, count, damaged)
            tally, peak = Tally(), Peak(stack.host.process.pid)
            working = [asyncio.create_task(peak.watch())]
            working += [
                asyncio.create_task(caller(client, tally, *one), name=one[0]) for one in calls(run_id, operation_id)
            ]
            await asyncio.wait(working, timeout=seconds, return_when=asyncio.FIRST_EXCEPTION)
            for task in working:
                task.cancel()
            _say(f"processor time of the host: {peak.cpu_seconds:.1f} s in {seconds:.0f} s")
            ended = await asyncio.gather(*working, return_exceptions=True)
            broken = [error for error in ended if isinstance(error, Exception)]
    return _told(tally, peak, broken, damaged)


async def _seed(stack: Stack, client: httpx.AsyncClient, count: int, damaged: float) -> tuple[str, str]:
    """Make one real run and operation, and fill the storage with copies of them."""
    began = time.monotonic()
    started = await client.post("harvests", json={"source": "graph", "datasets": ["enpower-powerapps"]})
    run_id = str(started.json()["runId"])
    method, path, body = next(call for name, _, call in calls("", "") if name == "submit")(0)
    operation_id = str((await client.request(method, path, content=body)).json()["operationId"])
    storage: Storage = open_storage(load_settings(dict(stack.environ)), None, client_context(None))
    while (run := await read_run(storage, run_id)) is None or run.told is None:  # noqa: ASYNC110 - it is another process
        await asyncio.sleep(0.2)
    runs = {place: data async for place, data in of_run(storage, run_id)}
    operations = {place: data async for place, data in of_operation(storage, operation_id)}
    await copy_many(storage, runs, run_id, run_names("graph", count), damaged=damaged)
    await copy_many(storage, operations, operation_id, operation_names(count), damaged=damaged)
    await storage.close()
    _say(f"{count} runs and {count} operations, {damaged:.0%} damaged: {time.monotonic() - began:.0f} s")
    return run_id, operation_id


def _told(tally: Tally, peak: Peak, broken: list[Exception], damaged: float) -> bool:
    """Print what was seen; whether it was good."""
    for what, times in tally.seconds.items():
        worst = f"p50 {tally.percentile(what, 0.5):6.2f} s, p99 {tally.percentile(what, 0.99):6.2f} s"
        _say(f"{what:<16} {len(times):>5} calls, {worst}, at most {max(times):6.2f} s")
    _say(f"statuses: {dict(sorted(tally.statuses.items()))}")
    _say(f"memory of the host: at most {peak.megabytes:.0f} MB of {MOST_MEGABYTES}")
    for line in [*tally.wrong[:10], *(repr(error) for error in broken)]:
        _say(f"WRONG: {line}")
    good = not tally.wrong and not broken and peak.megabytes < MOST_MEGABYTES
    good = good and tally.percentile("health", 0.99) < SLOWEST_HEALTH
    _say(f"{'good' if good else 'NOT GOOD'} with {damaged:.0%} damaged")
    return good


def _say(text: str) -> None:
    print(text, flush=True)  # noqa: T201 - a command prints


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; its exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.load", description="Call the app in every way at once.")
    parser.add_argument("--seconds", type=float, default=60, help="how long the callers call (default: 60)")
    parser.add_argument("--count", type=int, default=10_000, help="how many runs and operations (default: 10000)")
    parser.add_argument("--damaged", type=float, nargs="*", default=[0.0, 0.05], help="shares of damaged blobs")
    asked = parser.parse_args(arguments)
    results = [asyncio.run(_load(asked.seconds, asked.count, damaged)) for damaged in asked.damaged]
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())

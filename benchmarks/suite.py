"""One run of the benchmark: every contender in every round, side by side, and then end to end."""

import asyncio
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from operator import attrgetter
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from benchmarks.contenders.work import base_url
from benchmarks.endtoend import end_to_end
from benchmarks.overhead import overheads
from benchmarks.results import DISTURBED, Machine, Results, Scenario, Took
from benchmarks.scenarios import Sizes, goals, scenarios
from sandbox.processes import ROOT, running

_PATIENCE_SECONDS: Final = 300

type Say = Callable[[str], object]


async def run(sizes: Sizes, say: Say) -> Results:
    """Measure everything.

    Args:
        say: Told what is being done.
    """
    with TemporaryDirectory() as directory:
        logs = Path(directory)
        async with serving(logs, pages=sizes.pages) as origin:
            measured = await _rounds(origin, sizes, say)
            say("overheads")
            added = await overheads(origin, requests=sizes.requests, rounds=sizes.rounds)
            say("end to end")
            hosted = [
                await end_to_end(origin, logs, items=items, milliseconds=milliseconds, chains=chains)
                for items, milliseconds, chains in sizes.end_to_end
            ]
    results = Results(
        machine=Machine.this(), rounds=sizes.rounds, scenarios=measured, overheads=added, end_to_end=tuple(hosted)
    )
    return results.model_copy(update={"goals": tuple(goals(results))})


@asynccontextmanager
async def serving(logs: Path, *, pages: int) -> AsyncIterator[str]:
    """The origin of a running server with so many different pages."""
    command = (sys.executable, "-m", "benchmarks.server", "--pages", str(pages))
    async with running(*command, log=logs / "server.log") as server:
        yield (await server.printed(r"^listening on (\S+)$"))[1]


async def _rounds(origin: str, sizes: Sizes, say: Say) -> tuple[Scenario, ...]:
    """Run every scenario once in every round, so that whatever slows the machine down slows all of them."""
    planned = scenarios(sizes)
    took: dict[str, list[Took]] = {scenario.name: [] for scenario in planned}
    for number in range(sizes.rounds):
        for scenario in planned:
            say(f"round {number + 1} of {sizes.rounds}: {scenario.name}")
            took[scenario.name].append(await _least_disturbed(origin, scenario, tries=sizes.tries))
    return tuple(scenario.model_copy(update={"runs": tuple(took[scenario.name])}) for scenario in planned)


async def _least_disturbed(origin: str, scenario: Scenario, *, tries: int) -> Took:
    """Run a scenario, and again as long as others disturb it; the least disturbed run counts."""
    runs = [await _one(origin, scenario)]
    while runs[-1].disturbance > DISTURBED and len(runs) < tries:
        runs.append(await _one(origin, scenario))
    return min(runs, key=attrgetter("disturbance"))


async def _one(origin: str, scenario: Scenario) -> Took:
    url = base_url(origin, items=scenario.items, milliseconds=scenario.milliseconds)
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "benchmarks.contenders", scenario.contender),
        *("--url", url, "--at-once", str(scenario.at_once)),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        output, _ = await asyncio.wait_for(child.communicate(), _PATIENCE_SECONDS)
    except TimeoutError:
        child.kill()
        raise
    if child.returncode:
        raise AssertionError(f"{scenario.name} ended with status {child.returncode}")
    took = Took.from_json(output)
    if took.items != scenario.items:
        raise AssertionError(f"{scenario.name}: {took.items} of {scenario.items} items came")
    return took

"""One run of the benchmark: every contender in every round, side by side, and then end to end."""

import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from operator import attrgetter
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from benchmarks.contenders.__main__ import NAMES
from benchmarks.contenders.work import base_url
from benchmarks.endtoend import end_to_end, two_windows
from benchmarks.overhead import overheads
from benchmarks.results import DISTURBED, Machine, Results, Scenario, Took
from benchmarks.scenarios import Sizes, goals, scenarios
from benchmarks.serving import served
from sandbox.processes import ROOT, running

PARTS: Final = ("overheads", "harvests", "answers")
"""What is measured beside the contenders: what the app adds, harvests end to end, answers of the host."""

EVERYTHING: Final = frozenset((*NAMES, *PARTS))

_PATIENCE_SECONDS: Final = 300

type Say = Callable[[str], object]


async def run(sizes: Sizes, say: Say, *, kept: Results | None = None, again: frozenset[str] = EVERYTHING) -> Results:
    """Measure everything, or some of it again.

    Args:
        say: Told what is being done.
        kept: What was measured before, of which everything else stays.
        again: Names of contenders, and of ``PARTS``.
    """
    with TemporaryDirectory() as directory:
        logs = Path(directory)
        async with serving(logs, pages=sizes.pages) as origin:
            planned = scenarios(sizes)
            measured = await _rounds(origin, [one for one in planned if one.contender in again], sizes, say)
            found = await _parts(origin, logs, sizes, say, again)
    stay = {one.name: one for one in kept.scenarios} if kept else {}
    stay |= {one.name: one for one in measured}
    results = Results.model_validate(
        {
            **(dict(kept) if kept else {}),
            **found,
            "machine": Machine.this(),
            "rounds": sizes.rounds,
            "scenarios": tuple(stay[one.name] for one in planned),
            "goals": (),
        }
    )
    return results.model_copy(update={"goals": tuple(goals(results))})


async def _parts(origin: str, logs: Path, sizes: Sizes, say: Say, again: frozenset[str]) -> dict[str, object]:
    """Measure what stands beside the contenders, as fields of the results."""
    found: dict[str, object] = {}
    if "overheads" in again:
        say("overheads")
        found["overheads"] = await overheads(origin, requests=sizes.requests, rounds=sizes.rounds)
    if "harvests" in again:
        say("end to end")
        hosted = [
            await end_to_end(origin, logs, items=items, milliseconds=milliseconds, chains=chains)
            for items, milliseconds, chains in sizes.end_to_end
        ]
        found["end_to_end"] = (*hosted, *[await two_windows(origin, logs, items=items) for items in sizes.windowed])
    if "answers" in again:
        say("answers")
        rows, calls = sizes.served
        found["served"] = tuple(await served(origin, logs, rows=rows, calls=calls))
    return found


@asynccontextmanager
async def serving(logs: Path, *, pages: int) -> AsyncIterator[str]:
    """Provide the origin of a running server with so many different pages."""
    command = (sys.executable, "-m", "benchmarks.server", "--pages", str(pages))
    async with running(*command, log=logs / "server.log") as server:
        yield (await server.printed(r"^listening on (\S+)$"))[1]


async def _rounds(origin: str, planned: Sequence[Scenario], sizes: Sizes, say: Say) -> tuple[Scenario, ...]:
    """Run every scenario once in every round, so that whatever slows the machine down slows all of them."""
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

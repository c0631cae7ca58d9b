"""Harvest after harvest whose processes are killed: in memory at every point, by chance, and for real.

For real means processes, SIGKILL, Azurite and the simulated AvePoint. After every death what ``latest`` names has to
be whole, and ``latest`` must not have moved back; after every run the snapshots hold exactly what was served, and
nothing else is left.
"""

import asyncio
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

from sandbox.avepoint import AvePoint, serve
from sandbox.avepoint.items import TENANTS
from sandbox.azurite import azurite
from sandbox.stack import app_settings
from shared.azure.lease import LASTS
from shared.azure.storage import Storage
from shared.harvest.plan import paths
from shared.harvest.plan.run import Run, read_run
from shared.harvest.runs.state import view
from shared.harvest.slices.checkpoint import ENDED, checkpoints_of
from shared.services import Services, open_services
from shared.settings import load_settings
from tests.faults.chaos import Chaos
from tests.faults.points import DeathAt, Side
from tests.faults.promises import Broken, check_whole, latest, require
from tests.faults.scenarios import SCENARIOS, check_published
from tests.faults.victim import Kind, Yard
from tests.faults.world import Simulation

DATASETS = ("enpower-powerapps", "aos-audit")
LONGEST_LIFE = 0.4
POINTS = 60
MORTALITY = 0.85
SETTINGS = {
    "HARVEST_GRAPH_DATASETS": ",".join(DATASETS),
    "HARVEST_TENANTS": ",".join(TENANTS),
    "HARVEST_PAGE_SIZE": "10",
    "HARVEST_PART_SECONDS": "0.000001",
    "HARVEST_SLICE_SECONDS": "0.05",
    "HARVEST_WINDOW_DAYS": "10",
    "AVEPOINT_CLIENT_SECRET": "sandbox-secret",
}


@dataclass
class Soak:
    """Runs one after the other, each lived through by victims."""

    services: Services
    avepoint: AvePoint
    yard: Yard
    random: Random
    runs: int = 0
    items: int = 0
    newest: dict[str, str] = field(default_factory=dict)

    @property
    def storage(self) -> Storage:
        """The storage that survives."""
        return self.services.storage

    async def run(self) -> None:
        """One run, from its tick to its end.

        Raises:
            AssertionError: A promise is broken.
        """
        self.yard.ahead += timedelta(days=1)
        due = self.yard.clock().replace(microsecond=0)
        self.avepoint.change({"items": self.random.randint(15, 90), "everyMinutes": 480, "now": due.isoformat()})
        run = await self._begun(paths.run_id("graph", due), due.isoformat())
        interrupted = self.random.random() < 0.3
        while (standing := await self._standing(run)).finished_at is None:
            await self._go_on(standing)
            if interrupted and self.random.random() < 0.2:
                interrupted = False
                await self._insist("cancel", run.run_id)
                await self._insist("resume", run.run_id)
        if (await view(self.storage, standing)).state == "cancelled":
            await self._insist("resume", run.run_id)
        while (standing := await self._standing(run)).finished_at is None:
            await self._go_on(standing)
        await check_published(self, standing, DATASETS)
        self.runs += 1
        self.items += sum(pointer.items for pointer in (await latest(self.storage)).values())

    async def _begun(self, run_id: str, due: str) -> Run:
        while True:
            await self._send("start", due)
            run = await read_run(self.storage, run_id)
            if run is not None:
                return run

    async def _standing(self, run: Run) -> Run:
        return await read_run(self.storage, run.run_id) or run

    async def _go_on(self, run: Run) -> None:
        """Let one or two victims work on a partition, or one sweep when all have ended."""
        checkpoints = await checkpoints_of(self.storage, run.addresses())
        states = zip(run.addresses(), checkpoints, strict=True)
        waiting = [address for address, checkpoint in states if checkpoint.state not in ENDED]
        if not waiting or self.random.random() < 0.1:
            await self._send("sweep")
            return
        address = self.random.choice(waiting).to_json().decode()
        workers = self.random.choice((1, 1, 2))
        await asyncio.gather(*(self._send("work", address) for _ in range(workers)))

    async def _insist(self, kind: Kind, argument: str) -> None:
        """As a person does who asks again when no answer comes."""
        while await self._send(kind, argument):
            pass

    async def _send(self, kind: Kind, argument: str = "") -> bool:
        """A victim that dies at a random point, or at a random moment, or not at all; and whether all is well then."""
        death, within = None, None
        if self.random.random() < MORTALITY:
            if self.random.random() < 0.5:
                death = self.random.randint(1, POINTS)
            else:
                within = self.random.uniform(0, LONGEST_LIFE)
        killed = await self.yard.send(kind, argument, death=death, within=within)
        if killed:
            self.yard.ahead += LASTS
        await self._check()
        return killed

    async def _check(self) -> None:
        await check_whole(self.storage)
        for path, pointer in (await latest(self.storage)).items():
            require(self.newest.get(path, "") <= pointer.run_id, f"{path} moved back to {pointer.run_id}")
            self.newest[path] = pointer.run_id


async def sigkills(kills: int, seed: int) -> str:
    """Kill so many processes; a summary."""
    async with AsyncExitStack() as stack:
        directory = stack.enter_context(TemporaryDirectory())
        storage = await stack.enter_async_context(azurite(Path(directory) / "azurite.log"))
        avepoint = AvePoint()
        url = await stack.enter_async_context(serve(avepoint))
        environ = app_settings(avepoint_url=url, storage=storage.connection_string) | SETTINGS
        services = await open_services(load_settings(environ))
        stack.push_async_callback(services.close)
        soak = Soak(services, avepoint, Yard(environ, (__name__,)), Random(seed))  # noqa: S311 - chance, no secret
        while soak.yard.kills < kills:
            await soak.run()
    return (
        f"{soak.yard.kills} of {soak.yard.lives} processes killed by SIGKILL in {soak.runs} runs; "
        f"{soak.items} items published, none lost, none twice"
    )


async def every_point() -> str:
    """Kill the process at every point of every scenario, before and after, with and without its message; a summary."""
    simulation, sides = Simulation.create(), frozenset[Side]({"before", "after"})
    deaths = 0
    for scenario in SCENARIOS:
        calm = DeathAt(sides=sides)
        await scenario.play(simulation, calm)
        for number in range(1, calm.reached + 1):
            for forgetful in (False, True):
                death = DeathAt(number, sides)
                try:
                    await scenario.play(simulation, death, forgetful=forgetful)
                except AssertionError as error:
                    raise Broken(f"{scenario.name}, {death.place}: {error}") from error
                deaths += 1
    return f"{deaths} deaths, one at every point of {len(SCENARIOS)} scenarios, twice"


async def turmoil(seeds: int) -> str:
    """Messages doubled, late, lost and out of order, workers side by side, and deaths, all by chance; a summary."""
    simulation = Simulation.create()
    calm = [scenario for scenario in SCENARIOS if not scenario.faults and scenario.story is SCENARIOS[0].story]
    deaths = 0
    for seed in range(seeds):
        for scenario in calm:
            chaos = Chaos(scenario, seed)
            try:
                await chaos.play(simulation)
            except AssertionError as error:
                raise Broken(f"{scenario.name}, seed {seed}: {error}") from error
            deaths += chaos.deaths
    return f"{deaths} deaths in {seeds * len(calm)} runs in turmoil"

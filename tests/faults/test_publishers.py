"""Two workers that publish one dataset at the same time lose nothing of what is known (promise 2)."""

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from functools import partial

from shared.avepoint.catalog import catalog
from shared.azure.storage import Container
from shared.harvest.plan.run import Run
from shared.harvest.runs.starting import start_requested
from shared.harvest.slices.parents.ledger import read_parent_states
from shared.harvest.slices.parents.selection import selected_parents_of
from shared.harvest.slices.parents.selector import SelectedParents
from shared.harvest.slices.publishing.publication import publish_if_complete
from shared.harvest.slices.worker import work
from shared.harvest.snapshots.manifest import Manifest
from shared.harvest.snapshots.watermark import read_watermark
from shared.services import Services
from tests.faults.points import Point
from tests.faults.promises import lines
from tests.faults.scenarios import Scenario
from tests.faults.world import Host, Simulation, World

LAUNCHES = "enpower-powerapp-launches"
CHILD = Scenario(
    "child",
    (LAUNCHES,),
    settings={"max_parents": 2},
    parents=("enpower-powerapps",),
    simulation={"items": {"enpower-powerapps": 6, LAUNCHES: 60}, "everyMinutes": 480},
)


@dataclass
class PauseBeforeLedger:
    """Stop a process before it reads what is known of the parents for a publication, until it is woken."""

    reached: asyncio.Event = field(default_factory=asyncio.Event)
    woken: asyncio.Event = field(default_factory=asyncio.Event)
    publishing: bool = False

    async def __call__(self, point: Point) -> None:
        self.publishing = self.publishing or (point.verb == "create" and "manifests/" in point.what)
        about_ledger = point.verb == "read" and "watermarks" in point.what and point.what.endswith(".bin")
        if point.side == "before" and self.publishing and about_ledger and not self.reached.is_set():
            self.reached.set()
            await self.woken.wait()


async def begin_night(world: World, host: Host) -> Run:
    world.clock.advance(days=1)
    world.avepoint.change({"now": world.clock.now.isoformat()})
    return await host.run(partial(start_requested, source="graph", names=[LAUNCHES]))


async def known(world: World) -> set[int]:
    watermark = await read_watermark(world.storage, "graph", LAUNCHES, now=world.clock.now)
    assert watermark is not None
    return set(await read_parent_states(world.storage, watermark.remembered))


async def published_twice(world: World) -> int:
    """How many lines stand in more than one place of all published snapshots."""
    seen = Counter[bytes]()
    for path, stored in world.storage.blobs[Container.INVENTORY].items():
        is_manifest = path.startswith(f"manifests/graph/{LAUNCHES}/") and path.endswith(".json")
        if is_manifest and (manifest := Manifest.from_json(stored.data)).published:
            seen.update(await lines(world.storage, manifest))
    return seen.total() - len(seen)


async def test_the_slower_of_two_publishers_keeps_the_parents_that_the_faster_one_knows() -> None:
    world = await CHILD.opened(Simulation.create())
    host = Host(world)
    for _ in range(2):
        await begin_night(world, host)
        await host.settle()
    before = await known(world)
    run = await begin_night(world, host)
    *others, last = run.addresses()
    for address in others:
        await host.run(partial(work, address=address))
    pause = PauseBeforeLedger()
    slow = asyncio.ensure_future(world.process(pause).run(partial(work, address=last)))
    await asyncio.wait({slow, reached := asyncio.ensure_future(pause.reached.wait())}, return_when="FIRST_COMPLETED")
    assert reached.done(), "the slow publisher never reads what is known"

    await host.run(
        lambda services: publish_if_complete(services.storage, run, catalog()["graph", LAUNCHES], now=services.clock())
    )
    pause.woken.set()
    await slow
    await host.settle()

    assert before <= await known(world)
    await begin_night(world, host)
    await host.settle()
    assert await published_twice(world) == 0


async def test_partitions_that_begin_at_the_same_time_choose_their_parents_once() -> None:
    world = await CHILD.opened(Simulation.create())
    host = Host(world)
    run = await begin_night(world, host)
    dataset = catalog()["graph", LAUNCHES]
    reads = Counter[str]()

    async def count(point: Point) -> None:
        reads[point.what] += point.side == "before" and point.what.startswith("raw/")

    async def choose(services: Services) -> list[SelectedParents]:
        return await asyncio.gather(*(selected_parents_of(services.storage, run, dataset) for _ in range(8)))

    chosen = await world.process(count).run(choose)
    assert all(one == chosen[0] for one in chosen)
    assert set(reads.values()) == {0, 1}

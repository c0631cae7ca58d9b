"""A law over every stored document of a harvest: any of them missing or older, nothing is published that says less.

Either the next night publishes all that is served, or it fails by name, what was known stays, and the doctor names it;
then what can be set right is, and the night after publishes everything.
"""

import asyncio

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared.avepoint.catalog import catalog
from shared.azure.storage import Container, Stored
from shared.harvest.snapshots.consistency import misfits_of
from shared.harvest.snapshots.manifest import read_latest, read_named_manifest
from tests.faults.promises import lines
from tests.faults.test_missing_documents import LAUNCHES, night, stands
from tests.faults.test_publishers import CHILD
from tests.faults.test_repairs import APP_LIST, APPS, AUDIT, WINDOWED, applied
from tests.faults.world import Host, Simulation, World

HARVEST = (Container.INVENTORY, Container.HARVEST_STATE)
SCENARIOS = {APPS: APP_LIST, AUDIT: WINDOWED, LAUNCHES: CHILD}

type Blobs = dict[Container, dict[str, Stored]]


async def published(world: World, name: str) -> set[bytes]:
    """The lines of the snapshot that ``latest`` names."""
    latest = await read_latest(world.storage, "graph", name)
    if latest is None:
        return set()
    return set(await lines(world.storage, await read_named_manifest(world.storage, latest.run_id, "graph", name)))


def damage(world: World, before: Blobs, chosen: list[tuple[Container, str]], *, older: bool) -> None:
    """Delete blobs, or make the version of the night before current."""
    for container, path in chosen:
        version = before[container].get(path) if older else None
        if version is not None:
            world.storage.blobs[container][path] = Stored(version.data, f"older {path}")
        else:
            del world.storage.blobs[container][path]


async def holds(name: str, pick: int, *, older: bool, newest: bool) -> None:
    world = await SCENARIOS[name].opened(Simulation.create())
    host = Host(world)
    await night(world, host, name)
    before: Blobs = {container: dict(world.storage.blobs[container]) for container in HARVEST}
    await night(world, host, name)
    world.clock.advance(hours=1)
    known = await published(world, name)
    there = [(container, path) for container in HARVEST for path in world.storage.blobs[container]]
    there.sort(key=lambda where: (world.storage._modified[where], where[1]), reverse=True)  # noqa: SLF001 - as Azure tells it
    chosen = there[: pick % 8 + 1] if newest else [there[pick % len(there)]]
    world.storage.changed = lambda *_: None  # somebody else moves ``latest`` here
    damage(world, before, chosen, older=older)

    told = [await misfits_of(world.storage, one, now=world.clock.now) for one in catalog().values()]
    seen = await stands(world, await night(world, host, name))

    assert seen.published or any(told), f"{chosen} is not named: {seen.reason}"
    if seen.published and name == APPS:
        assert len(await published(world, name)) == len(known)
    assert (await stands(world, await night(world, host, "enpower-cloudflows"))).published
    await applied(world)
    if name == LAUNCHES:  # whose parents may have to be harvested again
        await night(world, host, APPS)
    assert (await stands(world, await night(world, host, name))).published
    if name == APPS:
        assert len(await published(world, name)) == len(known)


LAW = {
    "name": st.sampled_from(sorted(SCENARIOS)),
    "pick": st.integers(0, 999),
    "older": st.booleans(),
    "newest": st.booleans(),
}


@settings(max_examples=4, deadline=None, suppress_health_check=list(HealthCheck))
@given(**LAW)
def test_any_document_may_be_missing_or_older(name: str, pick: int, *, older: bool, newest: bool) -> None:
    asyncio.run(holds(name, pick, older=older, newest=newest))


@pytest.mark.slow
@settings(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck))
@given(**LAW)
def test_any_document_may_be_missing_or_older_for_long(name: str, pick: int, *, older: bool, newest: bool) -> None:
    asyncio.run(holds(name, pick, older=older, newest=newest))

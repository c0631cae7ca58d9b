"""Every dataset of the catalogue through the real worker: what was served is what a snapshot holds, byte for byte."""

import gzip
import hashlib
from collections.abc import AsyncIterator, Iterator, Sequence
from datetime import UTC, datetime
from itertools import cycle

import pytest

from sandbox.avepoint.app import create_app
from sandbox.memory_storage import MemoryStorage
from shared.avepoint.catalog import Dataset
from shared.azure.storage import Container
from shared.harvest.snapshots.manifest import Manifest, read_manifest
from shared.services import Services
from tests.conftest import Clock, Simulator
from tests.faults.process import Process
from tests.faults.world import settings_with
from tests.harvest.conftest import Harvest, lines
from tests.harvest.every import EVERY, ancestors, name_of, resource_of, served
from tests.loopback import Loopback

PAGE = 4
"""Small, so that few items make many pages."""

LINKS = ("absolute", "root-relative", "prefixless", "relative")
CASES = ("documented", "lower", "upper", "camel", "pascal")
ENDS = ("empty", "null", "absent")


@pytest.fixture
def clock() -> Clock:
    return Clock(datetime(2026, 3, 20, 12, 30, tzinfo=UTC))


@pytest.fixture
async def services(simulator: Simulator, clock: Clock) -> AsyncIterator[Services]:
    """Without sockets and with storage in memory: thousands of pages are read, and thousands of blobs written."""
    http, changes = Loopback(create_app(simulator.avepoint)), {"page_size": PAGE}
    process = Process(settings_with(changes), MemoryStorage(clock), http, clock=clock, sleep=clock.sleep)
    yield process.services
    await process.close()


async def prepare(avepoint: Simulator, clock: Clock, harvest: Harvest, dataset: Dataset) -> None:
    """Publish the snapshots of the parents: two of the oldest, two of each of those, and so on."""
    hold(avepoint, dataset, 0)
    avepoint.avepoint.change({"now": clock.now.isoformat()})
    for ancestor in ancestors(dataset):
        await harvest(dataset.source, ancestor.name)


def hold(avepoint: Simulator, dataset: Dataset, items: int) -> None:
    """Let the list hold so many items, of each parent."""
    avepoint.avepoint.change(
        {"items": {resource_of(one): 2 for one in ancestors(dataset)} | {resource_of(dataset): items}}
    )


async def harvested(services: Services, clock: Clock, harvest: Harvest, dataset: Dataset) -> Manifest:
    """Harvest the whole list, as if it had never been harvested before."""
    for path in [path async for path in services.storage.list(Container.HARVEST_STATE, "")]:
        await services.storage.delete(Container.HARVEST_STATE, path)
    clock.advance(seconds=1)
    run = await harvest(dataset.source, dataset.name)
    manifest = await read_manifest(services.storage, run.run_id, dataset.source, dataset.name)
    assert manifest is not None
    return manifest


def test_everything_that_is_documented_is_a_dataset(avepoint: Simulator) -> None:
    assert {resource_of(dataset) for dataset in EVERY} == set(avepoint.avepoint.listings)


@pytest.mark.parametrize("dataset", EVERY, ids=name_of)
async def test_snapshot_holds_what_was_served(
    services: Services, clock: Clock, avepoint: Simulator, harvest: Harvest, dataset: Dataset
) -> None:
    """Promises 1 and 2, for nothing, one item, one full page, one more, and several pages (of each parent)."""
    await prepare(avepoint, clock, harvest, dataset)
    for items in (0, 1, PAGE, PAGE + 1, 3 * PAGE):
        hold(avepoint, dataset, items)
        manifest = await harvested(services, clock, harvest, dataset)
        await check(services, avepoint, dataset, manifest)
        await check_parts(services, manifest)


@pytest.mark.slow
@pytest.mark.parametrize("dataset", EVERY, ids=name_of)
async def test_what_the_documents_leave_open_makes_no_difference(
    services: Services, clock: Clock, avepoint: Simulator, harvest: Harvest, dataset: Dataset
) -> None:
    await prepare(avepoint, clock, harvest, dataset)
    hold(avepoint, dataset, 2 * PAGE + 1)
    for switches in quirks(dataset):
        avepoint.avepoint.change(switches)
        manifest = await harvested(services, clock, harvest, dataset)
        await check(services, avepoint, dataset, manifest)


def quirks(dataset: Dataset) -> Iterator[dict[str, str]]:
    """Every shape of a link, with the other switches in turn."""
    ends, totals, keys = cycle(ENDS), cycle(("number", "text")), cycle(("sample", "table"))
    for shape, case in zip(shapes(dataset), cycle(CASES), strict=False):
        yield {
            "linkShape": shape,
            "keyCase": case,
            "endMarker": next(ends),
            "totals": next(totals),
            "keySource": next(keys),
        }


def shapes(dataset: Dataset) -> Sequence[str]:
    """The shapes that a next link of the dataset can have; one for each case of the keys where there is no link."""
    if dataset.pages_in == "body":
        return ("token", "json") * 3
    if dataset.link is None:
        return ("absolute",) * len(CASES)
    return (*LINKS, "token", "json") if dataset.token else (*LINKS, "absolute")


async def check(services: Services, avepoint: Simulator, dataset: Dataset, manifest: Manifest) -> None:
    """What was served, nothing else, and a verdict that says so."""
    window = (manifest.window.from_, manifest.window.to) if manifest.window else (None, None)
    expected = served(avepoint, dataset.source, dataset.name, window)
    assert sorted(await lines(services, manifest)) == sorted(expected)
    assert (manifest.items, manifest.duplicates) == (len(expected), 0)
    assert manifest.verdict == ("complete_unverified" if manifest.server_total is None else "complete")
    if dataset.parent is not None:
        assert manifest.parents is not None
        assert (manifest.parents.gone, manifest.parents.left_out) == (0, 0)


async def check_parts(services: Services, manifest: Manifest) -> None:
    """Every figure of the manifest can be found again in the blobs."""
    assert manifest.parts
    for part in manifest.parts:
        blob = await services.storage.read(Container.INVENTORY, part.path)
        assert blob is not None
        content = gzip.decompress(blob.data)
        assert part.bytes == len(blob.data)
        assert part.sha256 == hashlib.sha256(blob.data).hexdigest()
        assert part.raw_bytes == len(content)
        assert part.items == len(content.splitlines())
    assert manifest.bytes == sum(part.bytes for part in manifest.parts)
    assert manifest.raw_bytes == sum(part.raw_bytes for part in manifest.parts)

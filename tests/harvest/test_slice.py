import gzip
import hashlib

import pytest

from shared.avepoint.catalog import catalog
from shared.avepoint.platform import Source
from shared.harvest.snapshot import Manifest
from shared.services import Services
from shared.storage import Container
from tests.conftest import Clock, Simulator
from tests.harvest.conftest import Harvest, latest_manifest, lines

RESOURCES = {"enpower": "legacy-enpower-", "graph": "", "elements": "elements-"}
DATASETS = [(source, name, f"{RESOURCES[source]}{name}") for (source, name), one in catalog().items() if not one.window]


@pytest.mark.parametrize(("source", "dataset", "resource"), DATASETS, ids=[f"{one[0]}/{one[1]}" for one in DATASETS])
async def test_snapshot_holds_what_was_served_byte_for_byte(
    services: Services, clock: Clock, avepoint: Simulator, harvest: Harvest, source: Source, dataset: str, resource: str
) -> None:
    """Promises 1 and 2, for nothing, one item, one full page, one more, and several pages."""
    for items in (0, 1, 100, 101, 1001):
        avepoint.avepoint.change({"items": items})
        await harvest(source, dataset)
        manifest = await latest_manifest(services, source, dataset)
        served = avepoint.served(resource)
        assert len(served) == (1 if catalog()[source, dataset].single else items)
        assert await lines(services, manifest) == served
        assert (manifest.items, manifest.duplicates) == (len(served), 0)
        assert manifest.verdict == ("complete_unverified" if manifest.server_total is None else "complete")
        await check_parts(services, manifest)
        clock.advance(seconds=1)


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

import gzip
import hashlib

import pytest

from shared.avepoint.platform import Source
from shared.services import Services
from shared.storage import Container
from tests.conftest import Simulator
from tests.harvest.conftest import Harvest, latest_manifest, lines

DATASETS: list[tuple[Source, str, str]] = [
    ("enpower", "powerapps", "legacy-enpower-powerapps"),
    ("enpower", "powerautomate", "legacy-enpower-powerautomate"),
    ("enpower", "connections", "legacy-enpower-connections"),
    ("enpower", "environments", "legacy-enpower-environments"),
    ("enpower", "powerbi-workspaces", "legacy-enpower-powerbi-workspaces"),
    ("enpower", "powerbi-artifacts", "legacy-enpower-powerbi-artifacts"),
    ("graph", "enpower-environments", "enpower-environments"),
    ("graph", "enpower-powerapps", "enpower-powerapps"),
    ("graph", "enpower-cloudflows", "enpower-cloudflows"),
    ("graph", "aos-jobs", "aos-jobs"),
    ("elements", "customers", "elements-customers"),
]


@pytest.mark.parametrize("items", [0, 1, 100, 101, 1001])
@pytest.mark.parametrize(("source", "dataset", "resource"), DATASETS)
async def test_snapshot_holds_what_was_served_byte_for_byte(
    services: Services, avepoint: Simulator, harvest: Harvest, source: Source, dataset: str, resource: str, items: int
) -> None:
    avepoint.avepoint.change({"items": items})
    await harvest(source, dataset)
    manifest = await latest_manifest(services, source, dataset)
    assert await lines(services, manifest) == avepoint.served(resource)
    assert manifest.items == items
    assert manifest.duplicates == 0
    for part in manifest.parts:
        blob = await services.storage.read(Container.INVENTORY, part.path)
        assert blob is not None
        assert (len(blob.data), hashlib.sha256(blob.data).hexdigest()) == (part.bytes, part.sha256)
        assert len(gzip.decompress(blob.data)) == part.raw_bytes

"""Promise 9: an unclean answer is never an honest empty one, in any list and whatever it looks like."""

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest

from sandbox.avepoint.app import create_app
from sandbox.memory_storage import MemoryStorage
from shared.avepoint.catalog import Dataset
from shared.azure.storage import Container
from shared.harvest.plan import paths
from shared.harvest.runs.starting import start_requested
from shared.harvest.runs.state import DatasetView, view
from shared.harvest.slices.worker import work
from shared.harvest.snapshots.manifest import Manifest, read_latest, read_manifest
from shared.harvest.snapshots.watermark import read_watermark
from shared.services import Services
from tests.conftest import Clock, Simulator
from tests.faults.process import Process
from tests.faults.world import settings_with
from tests.harvest.conftest import Harvest, lines
from tests.harvest.every import EVERY, ancestors, name_of, resource_of
from tests.loopback import Loopback

APPS = "/smp/powerplatform/powerapps"
PAGE = 10


@pytest.fixture
def clock() -> Clock:
    return Clock(datetime(2026, 3, 20, 12, 30, tzinfo=UTC))


@pytest.fixture
async def services(simulator: Simulator, clock: Clock) -> AsyncIterator[Services]:
    http = Loopback(create_app(simulator.avepoint))
    process = Process(settings_with({"page_size": PAGE}), MemoryStorage(clock), http, clock=clock, sleep=clock.sleep)
    yield process.services
    await process.close()


async def night(services: Services, dataset: Dataset) -> DatasetView:
    """Harvest a dataset with one slice for each partition, and return how it stands."""
    run = await start_requested(services, dataset.source, [dataset.name])
    for address in run.addresses():
        await work(services, address)
    return (await view(services.storage, run)).datasets[0]


FAILURES = [
    {"status": status, "list": listed, "message": "The service failed."}
    for status in (500, 403)
    for listed in ("null", "empty", "absent", "kept")
]


@pytest.mark.slow
@pytest.mark.parametrize("dataset", EVERY, ids=name_of)
async def test_a_failure_inside_a_good_answer_publishes_nothing(
    services: Services, clock: Clock, avepoint: Simulator, harvest: Harvest, dataset: Dataset
) -> None:
    """Try every list, whatever stands in place of it, with a failure that may pass and with one that may not."""
    avepoint.avepoint.change({"now": clock.now.isoformat()})
    for ancestor in ancestors(dataset):
        avepoint.avepoint.change({"items": {resource_of(ancestor): 2}})
        await harvest(dataset.source, ancestor.name)
    for failure in FAILURES:
        clock.advance(days=1)
        rule = f"*{dataset.path.split('{')[0]}*"
        avepoint.fault(path=rule, method=dataset.method, times=None, failure=failure)
        stands = await night(services, dataset)
        avepoint.avepoint.calm()
        avepoint.avepoint.change({"now": clock.now.isoformat()})
        assert not stands.published, failure
        told = stands.waiting.for_ if stands.waiting else stands.reason
        assert "The service failed." in (told or ""), (failure, stands)
        assert await read_latest(services.storage, dataset.source, dataset.name) is None
        assert await read_watermark(services.storage, dataset.source, dataset.name, now=clock.now) is None
        for path in [path async for path in services.storage.list(Container.HARVEST_STATE, paths.RUNS)]:
            await services.storage.delete(Container.HARVEST_STATE, path)


def named(source: str, name: str) -> Dataset:
    return next(one for one in EVERY if (one.source, one.name) == (source, name))


async def published(services: Services, dataset: Dataset) -> Manifest:
    latest = await read_latest(services.storage, dataset.source, dataset.name)
    assert latest is not None
    manifest = await read_manifest(services.storage, latest.run_id, dataset.source, dataset.name)
    assert manifest is not None
    return manifest


class TestOddItems:
    """One bad item never stops the rest: it is stored as it came and counted, or named where it cannot be."""

    async def test_each_kind(self, services: Services, avepoint: Simulator) -> None:
        kinds = ["surrogate", "newline", "nan", "huge", "deep", "null", "text"]
        avepoint.avepoint.change({"items": {"enpower-powerapps": 30}, "oddItems": {"enpower-powerapps": kinds}})
        dataset = named("graph", "enpower-powerapps")
        stands = await night(services, dataset)
        assert (stands.state, stands.published, stands.verdict) == ("done", True, "complete")
        manifest = await published(services, dataset)
        assert (manifest.items, manifest.distinct, manifest.duplicates) == (29, 29, 0)
        stored = await lines(services, manifest)
        assert any(rb"\ud83d" in line for line in stored)
        assert any(b"NaN" in line for line in stored)
        assert {b"null"} <= set(stored)
        path = paths.odd_items(manifest.run_id, "graph", "enpower-powerapps")
        blob = await services.storage.read(Container.INVENTORY, path)
        assert blob is not None
        odd = [json.loads(line) for line in blob.data.splitlines()]
        assert len(odd) == manifest.odd_items == 6  # what is too large for a number is still one line of JSON
        assert [one["position"] for one in odd if not one["stored"]] == [1]
        assert all(one["reason"] and one["page"] == 1 for one in odd)


class TestReasons:
    """What ends a list says what happened, and what the reader can do."""

    @pytest.mark.parametrize(
        "body",
        ["[]", '{"powerApps": {}}', '{"totalCount": 9, "powerApps": [{"id": 1}], "nextLink": "https://[x/"}'],
    )
    async def test_there_is_always_a_remedy(self, services: Services, avepoint: Simulator, body: str) -> None:
        avepoint.fault(path=APPS, times=None, body=body)
        stands = await night(services, named("graph", "enpower-powerapps"))
        assert (stands.state, stands.published) == ("failed", False)
        assert stands.reason
        assert stands.remedy


class TestEnds:
    """The end of a list is believed from its links, and from its total where the links say otherwise."""

    @pytest.mark.parametrize(
        "switches",
        [
            {"endMarker": "n/a"},
            {"endMarker": "false"},
            {"endMarker": "link", "beyondEnd": "missing"},
            {"endMarker": "link", "beyondEnd": "repeat"},
            {"emptyPages": 150},
        ],
        ids=str,
    )
    async def test_a_list_that_is_whole_is_complete(
        self, services: Services, avepoint: Simulator, switches: dict[str, object]
    ) -> None:
        avepoint.avepoint.change({"items": {"enpower-powerapps": 30}, **switches})
        stands = await night(services, named("graph", "enpower-powerapps"))
        assert (stands.state, stands.verdict, stands.items) == ("done", "complete", 30)

    @pytest.mark.parametrize("switches", [{"beyondEnd": "repeat"}, {"rowsPerPage": 130}], ids=str)
    async def test_a_numbered_list_whose_pages_repeat(
        self, services: Services, avepoint: Simulator, switches: dict[str, object]
    ) -> None:
        """A count that is a multiple of the page size, and a server that ignores the size."""
        avepoint.avepoint.change({"items": {"elements-v3-customers": 130}, **switches})
        stands = await night(services, named("elements", "v3-customers"))
        assert (stands.state, stands.verdict, stands.items) == ("done", "complete", 130)

    async def test_a_total_of_the_page_alone_ends_no_list_of_smaller_pages(
        self, services: Services, avepoint: Simulator
    ) -> None:
        """The server gives fewer rows than were asked for, and says so: the page is full, and is not the last one."""
        smaller = {"items": {"elements-v3-customers": 25}, "rowsPerPage": 7, "totals": "page"}
        avepoint.avepoint.change(smaller)
        stands = await night(services, named("elements", "v3-customers"))
        assert (stands.state, stands.verdict, stands.items) == ("done", "surplus", 25)

    @pytest.mark.parametrize("status", [400, 404, 410])
    async def test_a_refusal_behind_the_last_page(self, services: Services, avepoint: Simulator, status: int) -> None:
        """Whatever a server calls a page beyond the end: everything has come."""
        avepoint.avepoint.change({"items": {"elements-v3-customers": 3 * PAGE}})
        avepoint.fault(path="*/customers/batch", method="POST", status=status, skip=3, times=None)
        stands = await night(services, named("elements", "v3-customers"))
        assert (stands.state, stands.verdict, stands.items) == ("done", "complete", 3 * PAGE)

    async def test_a_link_that_dies_before_everything_has_come_is_an_error(
        self, services: Services, avepoint: Simulator
    ) -> None:
        avepoint.avepoint.change({"items": {"enpower-powerapps": 30}})
        avepoint.fault(path=APPS, status=404, skip=2, times=None)
        stands = await night(services, named("graph", "enpower-powerapps"))
        assert (stands.state, stands.published) == ("failed", False)

    @pytest.mark.parametrize("beyond", ["missing", "repeat"])
    @pytest.mark.parametrize(
        ("first", "then", "ends_well"), [(30, 40, False), (40, 30, True)], ids=["it grows", "it shrinks"]
    )
    async def test_a_total_that_moves_counts_as_it_was_told_last(
        self, services: Services, avepoint: Simulator, beyond: str, first: int, then: int, *, ends_well: bool
    ) -> None:
        avepoint.avepoint.change({"items": {"enpower-powerapps": 30}, "endMarker": "link", "beyondEnd": beyond})
        avepoint.fault(path=APPS, total=first, times=1)
        avepoint.fault(path=APPS, total=then, times=None, skip=1)
        stands = await night(services, named("graph", "enpower-powerapps"))
        assert stands.published is ends_well, (stands.state, stands.verdict, stands.reason)


class TestDistinctItems:
    """Verdicts compare distinct items with the totals: one that came twice stands for no other."""

    async def test_a_page_that_repeats_another_in_other_order(self, services: Services, avepoint: Simulator) -> None:
        avepoint.avepoint.change({"items": {"enpower-powerapps": 30}})
        avepoint.fault(path=APPS, skip=1, otherOrder=True)
        stands = await night(services, named("graph", "enpower-powerapps"))
        assert (stands.verdict, stands.published) == ("short", False)

    async def test_rows_that_shift_between_two_pages(self, services: Services, avepoint: Simulator) -> None:
        avepoint.avepoint.change({"items": {"enpower-powerapps": 30}, "rowShift": 1})
        stands = await night(services, named("graph", "enpower-powerapps"))
        assert stands.verdict == "short"

    @pytest.mark.parametrize("name", ["iaas-backup-jobs", "d365-backup-jobs", "m365-backup-jobs"])
    async def test_rows_that_shift_in_a_list_with_a_window(
        self, services: Services, clock: Clock, avepoint: Simulator, name: str
    ) -> None:
        avepoint.avepoint.change({"items": {name: 30}, "rowShift": 1, "now": clock.now.isoformat()})
        dataset = named("graph", name)
        stands = await night(services, dataset)
        assert (stands.verdict, stands.published) == ("short", False)
        assert await read_watermark(services.storage, "graph", name, now=clock.now) is None

    async def test_rows_that_shift_below_a_parent_with_a_window(
        self, services: Services, clock: Clock, avepoint: Simulator
    ) -> None:
        launches = "enpower-powerapp-launches"
        avepoint.avepoint.change({"items": {"enpower-powerapps": 2, launches: 25}, "now": clock.now.isoformat()})
        await night(services, named("graph", "enpower-powerapps"))
        avepoint.avepoint.change({"rowShift": 1, "everyMinutes": 60})
        stands = await night(services, named("graph", launches))
        assert (stands.verdict, stands.published) == ("short", False)

    @pytest.mark.parametrize("case", ["pascal", "upper"])
    async def test_keys_of_items_in_another_case_are_keys(
        self, services: Services, avepoint: Simulator, case: str
    ) -> None:
        avepoint.avepoint.change({"items": {"enpower-powerapps": 30}, "itemKeyCase": case})
        dataset = named("graph", "enpower-powerapps")
        await night(services, dataset)
        manifest = await published(services, dataset)
        assert (manifest.duplicates, manifest.distinct, manifest.verdict) == (0, 30, "complete")


class TestParents:
    """One parent never stops the others."""

    async def customers(self, services: Services, avepoint: Simulator, count: int) -> list[str]:
        avepoint.avepoint.change({"items": {"elements-customers": count, "elements-customer-jobs": 2}})
        await night(services, named("elements", "customers"))
        return [parent["id"] for parent in avepoint.avepoint.parents("elements-customer-jobs")]

    async def test_most_of_them_may_be_forbidden(self, services: Services, avepoint: Simulator) -> None:
        ids = await self.customers(services, avepoint, 100)
        for one in ids[:-8]:
            avepoint.fault(path=f"/partner/customers/{one}/jobs", status=403, times=None)
        dataset = named("elements", "customer-jobs")
        stands = await night(services, dataset)
        assert (stands.state, stands.verdict, stands.items) == ("done", "capped", 16)
        parents = (await published(services, dataset)).parents
        assert parents is not None
        assert {one.parent["id"] for one in parents.failed} == {*ids[:-8]}

    async def test_a_value_that_is_a_step_of_a_path_is_refused_by_name(
        self, services: Services, avepoint: Simulator
    ) -> None:
        avepoint.avepoint.change({"items": {"elements-customers": 2, "elements-customer-jobs": 2}})
        (good, *_) = avepoint.avepoint.parents("elements-customer-jobs")
        listed = [{"id": ".."}, {"id": good["id"]}, {"id": "."}]
        avepoint.fault(path="/partner/customers", status=200, body={"value": listed})
        await night(services, named("elements", "customers"))
        dataset = named("elements", "customer-jobs")
        stands = await night(services, dataset)
        assert (stands.verdict, stands.items) == ("capped", 2)
        parents = (await published(services, dataset)).parents
        assert parents is not None
        assert {str(one.parent["id"]): "leads to another path" in one.reason for one in parents.failed} == {
            "..": True,
            ".": True,
        }

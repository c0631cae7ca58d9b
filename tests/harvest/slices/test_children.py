"""Child datasets: every parent asked, each item with its parent, and nobody starved, lost or asked twice."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.memory_storage import MemoryStorage
from shared.avepoint.catalog import Parent, Value, catalog
from shared.avepoint.platform import Source
from shared.azure.storage import Container
from shared.harvest.plan.plan import UnknownDatasets, choose
from shared.harvest.runs.starting import plan_requested, start_requested
from shared.harvest.runs.state import view
from shared.harvest.slices.parents.selector import (
    ParentSelector,
    ParentState,
    SelectedParents,
    UnusableParent,
    parent_hash,
    values_of,
)
from shared.harvest.slices.worker import work
from shared.harvest.snapshots.manifest import Manifest, read_latest, read_manifest
from shared.services import Services
from tests.conftest import Clock, Simulator
from tests.harvest.conftest import Harvest, finish, latest_manifest, lines
from tests.harvest.every import served
from tests.harvest.slices.test_hand_over import hurried

LAUNCHES = "enpower-powerapp-launches"
USERS = "enpower-powerapp-launched-users"
PAGE = 3
"""Small, so that few items make many pages."""


@pytest.fixture
def services(services: Services, clock: Clock) -> Services:
    """With storage in memory: thousands of blobs are written here."""
    return replace(services, storage=MemoryStorage(clock))


@pytest.fixture
def clock() -> Clock:
    return Clock(datetime(2026, 3, 20, 12, 30, tzinfo=UTC))


@pytest.fixture
def environ(environ: dict[str, str]) -> dict[str, str]:
    return environ | {"HARVEST_PAGE_SIZE": str(PAGE)}


async def harvested(services: Services, harvest: Harvest, source: Source, name: str) -> Manifest:
    run = await harvest(source, name)
    manifest = await read_manifest(services.storage, run.run_id, source, name)
    assert manifest is not None, await view(services.storage, run)
    return manifest


async def three_apps(
    avepoint: Simulator, harvest: Harvest, clock: Clock, *, apps: int = 3, launches: int = 7, minutes: int = 60
) -> None:
    """A published list of apps, each with launches, one every so many minutes."""
    items = {"enpower-powerapps": apps, LAUNCHES: launches, USERS: launches}
    avepoint.avepoint.change({"items": items, "everyMinutes": minutes})
    pass_time(avepoint, clock, hours=0)
    await harvest("graph", "enpower-powerapps")


def pass_time(avepoint: Simulator, clock: Clock, **duration: float) -> None:
    """Let time pass, for the app and for AvePoint."""
    clock.advance(**duration)
    avepoint.avepoint.change({"now": clock.now.isoformat()})


def parent_counts(manifest: Manifest) -> tuple[int, int, int]:
    """How many parents were asked, are gone, and failed."""
    assert manifest.parents is not None
    return manifest.parents.asked, manifest.parents.gone, manifest.parents.failed_count


def failures(manifest: Manifest) -> list[tuple[dict[str, Value], str]]:
    assert manifest.parents is not None
    return [(one.parent, one.reason) for one in manifest.parents.failed]


async def test_a_parent_that_is_gone_is_counted_and_not_fatal(
    services: Services, clock: Clock, avepoint: Simulator, harvest: Harvest
) -> None:
    await three_apps(avepoint, harvest, clock)
    first = next(avepoint.avepoint.parents(USERS))["appId"]
    avepoint.avepoint.change({"goneParents": [first]})
    for times in ("first", "second", "third"):
        manifest = await harvested(services, harvest, "graph", USERS)
        assert (manifest.verdict, parent_counts(manifest)) == ("capped", (3, 0, 1))
        assert failures(manifest) == [
            ({"appId": first}, f"AvePoint answered 404 for it, in the {times} harvest in a row")
        ]
        clock.advance(days=1)
    manifest = await harvested(services, harvest, "graph", USERS)
    assert (manifest.verdict, parent_counts(manifest)) == ("complete", (3, 1, 0))
    read = await lines(services, manifest)
    assert sorted(read) == sorted(served(avepoint, "graph", USERS))
    assert len({json.loads(line)["_parent"]["appId"] for line in read}) == 2


async def test_nothing_where_no_parent_is_there_is_not_published(
    services: Services, clock: Clock, avepoint: Simulator, harvest: Harvest
) -> None:
    await three_apps(avepoint, harvest, clock)
    await harvest("graph", USERS)
    avepoint.avepoint.change({"goneShare": 1})
    clock.advance(days=1)
    manifest = await harvested(services, harvest, "graph", USERS)
    assert (manifest.verdict, manifest.items, manifest.published) == ("failed", 0, False)
    assert parent_counts(manifest) == (3, 0, 3)
    assert "every parent that was asked failed" in (manifest.reason or "")


async def test_a_choice_that_a_parent_has_not_is_no_parent_gone(
    services: Services, avepoint: Simulator, harvest: Harvest
) -> None:
    avepoint.avepoint.change({"items": 2})
    await harvest("graph", "insights-sites-overview")
    avepoint.fault(path="/insights/sharingLinks/summary", status=404, skip=1)
    manifest = await harvested(services, harvest, "graph", "insights-sharing-links-summary")
    assert parent_counts(manifest) == (2, 0, 0)
    parents = [json.loads(line)["_parent"] for line in await lines(services, manifest)]
    assert len({(parent["siteUrl"], parent["linkType"]) for parent in parents}) == 5


async def test_a_parent_that_is_an_odd_item_is_asked_too(
    services: Services, avepoint: Simulator, harvest: Harvest, clock: Clock
) -> None:
    avepoint.avepoint.change({"oddItems": {"enpower-powerapps": ["surrogate", "nan", "null"]}})
    await three_apps(avepoint, harvest, clock, apps=4)
    manifest = await harvested(services, harvest, "graph", USERS)
    assert (manifest.verdict, parent_counts(manifest)) == ("complete", (3, 0, 0)), manifest.reason


async def test_a_parent_whose_id_cannot_be_sent_is_left_out_by_name(
    services: Services, avepoint: Simulator, harvest: Harvest, clock: Clock
) -> None:
    await three_apps(avepoint, harvest, clock)
    first = next(avepoint.avepoint.parents(USERS))["appId"]
    apps = rf'{{"appId": "{first}"}}, {{"appId": "Expenses \ud83d"}}, {{"appId": 1e999}}'
    avepoint.fault(path="/smp/powerplatform/powerapps", body=f'{{"totalCount": 3, "powerApps": [{apps}]}}')
    clock.advance(days=1)
    await harvest("graph", "enpower-powerapps")
    manifest = await harvested(services, harvest, "graph", USERS)
    assert (manifest.verdict, manifest.published, parent_counts(manifest)) == ("capped", True, (1, 0, 2))
    assert [parent for parent, _ in failures(manifest)] == [{"appId": r"Expenses \ud83d"}, {"appId": "inf"}]
    assert failures(manifest)[0][1].startswith("line 2 of the snapshot of enpower-powerapps: it cannot be asked for")


async def test_a_parent_whose_line_cannot_be_read_is_left_out_by_its_place(
    services: Services, avepoint: Simulator, harvest: Harvest, clock: Clock
) -> None:
    avepoint.avepoint.change({"oddItems": {"enpower-powerapps": ["deep"]}})
    await three_apps(avepoint, harvest, clock)
    manifest = await harvested(services, harvest, "graph", USERS)
    assert (manifest.verdict, parent_counts(manifest)) == ("capped", (2, 0, 1))
    assert failures(manifest) == [({}, "line 1 of the snapshot of enpower-powerapps: it cannot be read")]


async def test_nothing_where_no_parent_can_be_asked_for_is_not_published(
    services: Services, avepoint: Simulator, harvest: Harvest, clock: Clock
) -> None:
    avepoint.avepoint.change({"oddItems": {"enpower-powerapps": ["deep"]}})
    await three_apps(avepoint, harvest, clock, apps=1)
    manifest = await harvested(services, harvest, "graph", USERS)
    assert (manifest.verdict, manifest.published, parent_counts(manifest)) == ("failed", False, (0, 0, 1))
    assert manifest.reason == (
        "no parent can be asked for; the first: line 1 of the snapshot of enpower-powerapps: it cannot be read"
    )


async def test_parents_without_an_id_are_counted(
    services: Services, avepoint: Simulator, harvest: Harvest, clock: Clock
) -> None:
    """Nothing is known of what belongs to them: a list without it is not complete, and an empty one is no answer."""
    await three_apps(avepoint, harvest, clock)
    first = next(avepoint.avepoint.parents(USERS))["appId"]
    without = '{"appId": "N/A"}, {"name": "Expenses"}'
    for apps, expected in (
        (f'{{"appId": "{first}"}}, {without}', ("capped", True, (1, 0, 2))),
        (without, ("failed", False, (0, 0, 2))),
    ):
        avepoint.fault(path="/smp/powerplatform/powerapps", body=f'{{"powerApps": [{apps}]}}')
        clock.advance(days=1)
        await harvest("graph", "enpower-powerapps")
        manifest = await harvested(services, harvest, "graph", USERS)
        assert (manifest.verdict, manifest.published, parent_counts(manifest)) == expected
        assert failures(manifest)[-1][1].endswith("of enpower-powerapps: it cannot be asked for: it has no appId")
    assert "no parent can be asked for" in (manifest.reason or "")


async def test_no_parents_is_complete(services: Services, avepoint: Simulator, harvest: Harvest, clock: Clock) -> None:
    await three_apps(avepoint, harvest, clock)
    await harvest("graph", USERS)
    clock.advance(days=1)
    await three_apps(avepoint, harvest, clock, apps=0)
    manifest = await harvested(services, harvest, "graph", USERS)
    assert (manifest.verdict, manifest.items, manifest.requests) == ("complete", 0, 0), manifest.reason
    assert [part.items for part in manifest.parts] == [0]


async def test_a_child_whose_parent_has_no_snapshot_is_skipped_and_says_so(services: Services) -> None:
    run = await start_requested(services, "graph", [LAUNCHES])
    seen = (await view(services.storage, run)).datasets[0]
    assert seen.state == "skipped"
    assert "enpower-powerapps" in (seen.reason or "")
    assert "enpower-powerapps" in (seen.remedy or "")


async def test_the_parents_are_those_of_the_snapshot_that_was_newest_when_the_run_began(
    services: Services, clock: Clock, avepoint: Simulator, harvest: Harvest
) -> None:
    await three_apps(avepoint, harvest, clock)
    run = await start_requested(services, "graph", [USERS])
    before = served(avepoint, "graph", USERS)
    await three_apps(avepoint, harvest, clock, apps=5)
    for address in run.addresses():
        await finish(services, address)
    assert sorted(await lines(services, await latest_manifest(services, "graph", USERS))) == sorted(before)


def limited(services: Services, most: int) -> Services:
    return replace(services, settings=services.settings.model_copy(update={"max_parents": most}))


async def nightly(services: Services, dataset: str) -> tuple[Manifest, list[bytes]]:
    run = await start_requested(services, "graph", [dataset])
    for address in run.addresses():
        await finish(services, address)
    manifest = await read_manifest(services.storage, run.run_id, "graph", dataset)
    assert manifest is not None
    return manifest, await lines(services, manifest)


async def test_runs_that_begin_in_one_second_take_turns(
    services: Services, clock: Clock, avepoint: Simulator, harvest: Harvest
) -> None:
    await three_apps(avepoint, harvest, clock)
    asked: list[str] = []
    for _ in range(3):
        clock.advance(milliseconds=100)
        manifest, _ = await nightly(limited(services, 1), USERS)
        assert manifest.parents is not None
        assert manifest.parents.path is not None
        blob = await services.storage.read(Container.INVENTORY, manifest.parents.path)
        assert blob is not None
        asked.append(json.loads(blob.data)["appId"])
    assert len(set(asked)) == 3


async def test_a_limit_takes_turns_and_loses_nothing(
    services: Services, clock: Clock, avepoint: Simulator, harvest: Harvest
) -> None:
    """Those harvested longest ago come first, each from where it was left, though not every night is its turn."""
    await three_apps(avepoint, harvest, clock, apps=5, launches=150, minutes=360)
    began = clock.now
    collected: list[bytes] = []
    asked: list[frozenset[str]] = []
    for most in (2, 2, 2, 2, 2, 5):
        manifest, read = await nightly(limited(services, most), LAUNCHES)
        assert parent_counts(manifest) == (most, 0, 0)
        assert manifest.parents is not None
        assert manifest.parents.left_out == 5 - most
        assert manifest.verdict == ("complete" if most == 5 else "capped")
        collected += read
        asked.append(frozenset(json.loads(line)["_parent"]["appId"] for line in read))
        pass_time(avepoint, clock, days=1)
    assert [len(asked[0] | asked[1]), len(asked[0] | asked[1] | asked[2])] == [4, 5]
    assert len(asked[2] & asked[0]) == 1
    assert len(collected) == len(set(collected))
    window = (began + timedelta(days=3 - 30), clock.now - timedelta(days=1, minutes=15))
    assert (
        set(served(avepoint, "graph", LAUNCHES, window)) <= set(collected) <= set(served(avepoint, "graph", LAUNCHES))
    )


async def test_only_what_is_new_comes_the_next_night(
    services: Services, clock: Clock, avepoint: Simulator, harvest: Harvest
) -> None:
    await three_apps(avepoint, harvest, clock, launches=200)
    first, _ = await nightly(services, LAUNCHES)
    pass_time(avepoint, clock, days=1)
    second, read = await nightly(services, LAUNCHES)
    assert first.window is not None
    assert second.window is not None
    assert first.window.to - first.window.from_ == timedelta(days=30)
    assert second.window.from_ == first.window.to.replace(microsecond=0) - timedelta(hours=1)
    assert (second.items, second.duplicates) == (3 * 24, 3)
    assert len(read) == 3 * 24


async def test_a_run_that_failed_leaves_its_parents_to_the_next_one(
    services: Services, clock: Clock, avepoint: Simulator, harvest: Harvest
) -> None:
    await three_apps(avepoint, harvest, clock, launches=100)
    avepoint.fault(path="/smp/powerplatform/powerapps/*/launches", status=403, times=None)
    failed, _ = await nightly(services, LAUNCHES)
    assert (failed.verdict, failed.published) == ("failed", False)
    avepoint.avepoint.faults.clear()
    pass_time(avepoint, clock, days=1)
    manifest, read = await nightly(services, LAUNCHES)
    assert manifest.window is not None
    window = (manifest.window.from_, manifest.window.to)
    assert sorted(read) == sorted(served(avepoint, "graph", LAUNCHES, window))


async def test_a_slice_for_every_page(services: Services, clock: Clock, avepoint: Simulator, harvest: Harvest) -> None:
    """Promise 2: a harvest of a hundred slices is as right as one of one, parents gone and choices among them."""
    await three_apps(avepoint, harvest, clock, apps=20)
    avepoint.avepoint.change({"goneShare": 0.2})
    manifest, read = await nightly(hurried(services, clock, slice_seconds=0.001), USERS)
    expected = served(avepoint, "graph", USERS)
    assert len(manifest.parts) > 30
    assert sorted(read) == sorted(expected)
    assert manifest.parents is not None
    assert manifest.parents.failed_count == 20 - len({json.loads(line)["_parent"]["appId"] for line in expected}) > 0


async def test_a_stored_link_that_died_begins_the_partition_again(
    services: Services, clock: Clock, avepoint: Simulator, harvest: Harvest
) -> None:
    """The link is stored in the middle of a parent: a 404 there is no parent gone."""
    await three_apps(avepoint, harvest, clock, apps=1)
    run = await start_requested(services, "graph", [USERS])
    (address,) = run.addresses()
    assert await work(hurried(services, clock, slice_seconds=0.001), address) == "handed over"
    avepoint.fault(path="/smp/powerplatform/powerapps/*/launched-users", status=404)
    await finish(services, address)
    manifest = await latest_manifest(services, "graph", USERS)
    assert (manifest.verdict, parent_counts(manifest)) == ("complete", (1, 0, 0))
    assert sorted(await lines(services, manifest)) == sorted(served(avepoint, "graph", USERS))


async def test_a_parent_that_vanishes_between_two_pages_begins_the_partition_again(
    services: Services, clock: Clock, avepoint: Simulator, harvest: Harvest
) -> None:
    await three_apps(avepoint, harvest, clock)
    avepoint.fault(path="/smp/powerplatform/powerapps/*/launched-users", status=404, skip=1, times=1)
    manifest = await harvested(services, harvest, "graph", USERS)
    assert (manifest.verdict, parent_counts(manifest)) == ("complete", (3, 0, 0))
    assert sorted(await lines(services, manifest)) == sorted(served(avepoint, "graph", USERS))


async def test_equal_keys_of_different_parents_are_no_duplicates(
    services: Services, avepoint: Simulator, harvest: Harvest
) -> None:
    avepoint.avepoint.change({"items": {"elements-customers": 2, "elements-customer-jobs": 4}})
    for dataset in ("customers", "customer-jobs"):
        await harvest("elements", dataset)
    manifest = await harvested(services, harvest, "elements", "customer-jobs-by-module")
    parents = [json.loads(line)["_parent"] for line in await lines(services, manifest)]
    assert manifest.duplicates == 0
    assert len({json.dumps(parent) for parent in parents}) == len(avepoint.requests("*/jobType/*"))


async def test_a_dry_run_counts_the_parents(
    services: Services, clock: Clock, avepoint: Simulator, harvest: Harvest
) -> None:
    await three_apps(avepoint, harvest, clock, apps=5)
    plan = await plan_requested(limited(services, 4), "graph", [USERS, "enpower-agent-activities"])
    users, activities = plan.datasets
    assert (users.parents, users.partitions, users.least_requests) == (4, 4, 4)
    assert (activities.parents, activities.least_requests) == (None, 0)
    assert "enpower-agents" in (activities.skipped or "")
    assert (plan.least_requests, plan.least_seconds, plan.bound_by) == (4, 1, "latency")


def test_globs_never_match_children() -> None:
    assert not any(dataset.parent for dataset in choose(catalog(), "graph", ["*"]))
    assert [dataset.name for dataset in choose(catalog(), "graph", [LAUNCHES, "!enpower-*"])] == [LAUNCHES]
    with pytest.raises(UnknownDatasets, match="named one by one"):
        choose(catalog(), "graph", ["*-launches"])


class TestValues:
    @pytest.mark.parametrize(
        ("fields", "item", "values"),
        [
            ("id", {"id": "a"}, ["a"]),
            ("id", {"Id": "a"}, ["a"]),
            ("id", {"id": 7}, [7]),
            ("value", {"value": "bare"}, ["bare"]),
            ("_parent.id", {"_parent": {"id": "a"}}, ["a"]),
            ("tenants[].id", {"tenants": [{"id": "a"}, {"id": "b"}]}, ["a", "b"]),
            ("tenants[].id", {"tenants": []}, []),
            ("tenants[].id", {"tenants": None}, []),
            (["email", "loginName"], {"email": "", "loginName": "b"}, ["b"]),
            (["email", "loginName"], {"email": "a", "loginName": "b"}, ["a"]),
        ],
    )
    def test_of_one_parameter(self, fields: object, item: object, values: list[Value]) -> None:
        parent = Parent.model_validate({"dataset": "customers", "parameters": {"id": fields}})
        assert list(values_of(json.dumps(item).encode(), parent)) == [(value,) for value in values]

    @pytest.mark.parametrize(
        ("fields", "item"),
        [
            ("id", {"id": ""}),
            ("id", {"id": "N/A"}),
            ("id", {"id": None}),
            ("id", {}),
            ("id", "bare"),
            ("tenants[].id", {}),
            ("tenants[].id", {"tenants": [{}]}),
            ("tenants[].id", {"tenants": [{"id": ""}]}),
            (["email", "loginName"], {"email": "", "loginName": None}),
        ],
    )
    def test_of_a_line_without_an_id_are_named_by_the_field(self, fields: str | list[str], item: object) -> None:
        parent = Parent.model_validate({"dataset": "customers", "parameters": {"id": fields}})
        field = fields if isinstance(fields, str) else fields[0]
        named = UnusableParent((), f"it cannot be asked for: it has no {field}")
        assert list(values_of(json.dumps(item).encode(), parent)) == [named]

    def test_of_one_of_several_without_an_id_leave_the_others(self) -> None:
        parent = Parent.model_validate({"dataset": "c", "parameters": {"id": "id", "tenant": "tenants[].id"}})
        first, second = values_of(b'{"id":"c","tenants":[{"id":"1"},{"name":"2"}]}', parent)
        assert first == ("c", "1")
        assert isinstance(second, UnusableParent)

    def test_of_several_parameters_is_every_combination(self) -> None:
        parent = Parent.model_validate({"dataset": "c", "parameters": {"id": "id", "tenant": "tenants[].id"}})
        line = b'{"id":"c","tenants":[{"id":"1"},{"id":"2"}]}'
        assert list(values_of(line, parent)) == [("c", "1"), ("c", "2")]

    @pytest.mark.parametrize(
        ("line", "values"),
        [
            (rb'{"id":"a","name":"\ud83d"}', [("a",)]),
            (b'{"id":"a","name":"\xff"}', [("a",)]),
            (b'{"id":7,"size":NaN}', [(7,)]),
            (b"null", []),
            (b"", []),
        ],
    )
    def test_of_an_odd_line_are_what_can_be_read(self, line: bytes, values: list[tuple[Value, ...]]) -> None:
        parent = Parent.model_validate({"dataset": "c", "parameters": {"id": "id"}})
        assert list(values_of(line, parent)) == values

    @pytest.mark.parametrize(
        ("line", "name"),
        [
            (rb'{"id":"a\ud83d"}', (r"a\ud83d",)),
            (b'{"id":"\xff"}', (r"\udcff",)),
            (b'{"id":1e999}', ("inf",)),
            (b'{"id":1' + b"0" * 30 + b',"size":NaN}', ("1" + "0" * 30,)),
            (b'{"id":{"x":1}}', ("an object",)),
            (b'{"id":' + b"[" * 5000 + b"]" * 5000 + b"}", ("a list",)),
            (b"[" * 100_000, ()),
        ],
    )
    def test_what_cannot_be_asked_for_is_named(self, line: bytes, name: tuple[Value, ...]) -> None:
        parent = Parent.model_validate({"dataset": "c", "parameters": {"id": "id"}})
        (unusable,) = values_of(line, parent)
        assert isinstance(unusable, UnusableParent)
        assert unusable.values == name
        assert unusable.reason

    def test_another_field_stands_in_for_what_cannot_be_asked_for(self) -> None:
        parent = Parent.model_validate({"dataset": "c", "parameters": {"id": ["email", "loginName"]}})
        assert list(values_of(rb'{"email":"\ud83d","loginName":"b"}', parent)) == [("b",)]

    def test_more_of_them_than_the_limit_are_counted(self) -> None:
        chooser = ParentSelector({}, most=2)
        for name in ("a", "b", "a", "c", "d", "c"):
            chooser.pass_over(UnusableParent((name,), "why"))
        chosen = chooser.chosen()
        assert [one.values for one in chosen.unusable] == [("a",), ("b",)]
        assert (chosen.parents, chosen.left_out) == ([], 2)
        assert SelectedParents.from_json(chosen.to_json()) == chosen


@given(
    offered=st.lists(st.integers(0, 12), max_size=40),
    known=st.dictionaries(st.integers(0, 12), st.integers(1, 5)),
    most=st.integers(1, 8),
)
def test_those_harvested_longest_ago_are_chosen(offered: list[int], known: dict[int, int], most: int) -> None:
    """New ones first, and in the order of the snapshot where nothing else tells."""
    chooser = ParentSelector({parent_hash((n,)): ParentState(until) for n, until in known.items()}, most=most)
    for n in offered:
        chooser.offer((n,))
    distinct = list(dict.fromkeys(offered))
    expected = sorted(distinct, key=lambda n: known.get(n, 0))[:most]
    chosen = chooser.chosen()
    assert chosen.parents == [((n,), known.get(n)) for n in expected]
    assert chosen.left_out == len(distinct) - len(expected)
    assert SelectedParents.from_json(chosen.to_json()) == chosen


class TestParentsThatFail:
    """Promise 9: one parent that keeps failing is left out by name, and the others are published."""

    @pytest.fixture
    async def asked(self, avepoint: Simulator, harvest: Harvest, clock: Clock) -> list[str]:
        await three_apps(avepoint, harvest, clock, apps=6)
        return [parent["appId"] for parent in avepoint.avepoint.parents(USERS)]

    @staticmethod
    def fault(avepoint: Simulator, app: str, **rule: object) -> None:
        avepoint.fault(path=f"/smp/powerplatform/powerapps/{app}/launched-users", times=None, **rule)

    @pytest.mark.parametrize("fault", [{"status": 403}, {"status": 400}, {"body": {"value": []}}], ids=str)
    async def test_what_cannot_pass_leaves_it_out_at_once(
        self, services: Services, harvest: Harvest, avepoint: Simulator, asked: list[str], fault: dict[str, object]
    ) -> None:
        self.fault(avepoint, asked[2], **fault)
        manifest = await harvested(services, harvest, "graph", USERS)
        assert (manifest.verdict, manifest.published, parent_counts(manifest)) == ("capped", True, (6, 0, 1))
        assert [parent for parent, _ in failures(manifest)] == [{"appId": asked[2]}]
        expected = [line for line in served(avepoint, "graph", USERS) if asked[2].encode() not in line]
        assert sorted(await lines(services, manifest)) == sorted(expected)

    async def test_those_asked_are_named_beside_the_manifest(
        self, services: Services, harvest: Harvest, asked: list[str]
    ) -> None:
        manifest = await harvested(services, harvest, "graph", USERS)
        assert manifest.parents is not None
        assert manifest.parents.path is not None
        blob = await services.storage.read(Container.INVENTORY, manifest.parents.path)
        assert blob is not None
        assert sorted(json.loads(line)["appId"] for line in blob.data.splitlines()) == sorted(asked)

    async def test_pages_that_came_before_it_failed_are_dropped(
        self, services: Services, harvest: Harvest, avepoint: Simulator, asked: list[str]
    ) -> None:
        self.fault(avepoint, asked[1], status=403, skip=2)
        manifest = await harvested(services, harvest, "graph", USERS)
        read = await lines(services, manifest)
        assert parent_counts(manifest) == (6, 0, 1)
        assert not any(asked[1].encode() in line for line in read)
        expected = [line for line in served(avepoint, "graph", USERS) if asked[1].encode() not in line]
        assert sorted(read) == sorted(expected)

    @pytest.mark.parametrize("status", [500, 503])
    async def test_what_may_pass_is_tried_for_an_hour_after_the_others(
        self, services: Services, clock: Clock, avepoint: Simulator, asked: list[str], status: int
    ) -> None:
        self.fault(avepoint, asked[0], status=status)
        began = clock.now
        run = await start_requested(services, "graph", [USERS])
        for _ in range(60):
            for address in run.addresses():
                await work(services, address)
            stands = (await view(services.storage, run)).datasets[0]
            if stands.state == "done":
                break
            assert stands.waiting is not None
            clock.now = max(clock.now, stands.waiting.until)
        manifest = await latest_manifest(services, "graph", USERS)
        assert timedelta(hours=1) <= clock.now - began < timedelta(hours=1, minutes=30)
        assert (manifest.verdict, parent_counts(manifest)) == ("capped", (6, 0, 1))
        assert f"answered {status}" in failures(manifest)[0][1]

    async def test_a_parent_that_comes_back_is_harvested(
        self, services: Services, clock: Clock, avepoint: Simulator, asked: list[str]
    ) -> None:
        self.fault(avepoint, asked[0], status=500)
        run = await start_requested(services, "graph", [USERS])
        for address in run.addresses():
            await work(services, address)
        avepoint.avepoint.faults.clear()
        clock.advance(minutes=30)
        for address in run.addresses():
            await finish(services, address)
        manifest = await latest_manifest(services, "graph", USERS)
        assert (manifest.verdict, parent_counts(manifest)) == ("complete", (6, 0, 0))
        assert sorted(await lines(services, manifest)) == sorted(served(avepoint, "graph", USERS))

    async def test_where_all_fail_the_dataset_waits(
        self, services: Services, clock: Clock, avepoint: Simulator, asked: list[str]
    ) -> None:
        assert asked
        avepoint.fault(path="/smp/powerplatform/powerapps/*/launched-users", status=500, times=None)
        run = await start_requested(services, "graph", [USERS])
        for _ in range(4):
            for address in run.addresses():
                assert await work(services, address) == "handed over"
            clock.advance(hours=1)
        stands = (await view(services.storage, run)).datasets[0]
        assert stands.waiting is not None
        assert await read_latest(services.storage, "graph", USERS) is None

    async def test_the_window_of_one_that_failed_stays(
        self, services: Services, clock: Clock, avepoint: Simulator, harvest: Harvest
    ) -> None:
        """What happened meanwhile is harvested when it answers again, and nothing twice."""
        await three_apps(avepoint, harvest, clock, launches=200)
        _, first = await nightly(services, LAUNCHES)
        app = next(avepoint.avepoint.parents(LAUNCHES))["appId"]
        collected = list(first)
        for status in (403, 403, None):
            pass_time(avepoint, clock, days=1)
            if status:
                path = f"/smp/powerplatform/powerapps/{app}/launches"
                avepoint.fault(path=path, status=status, times=None)
            manifest, read = await nightly(services, LAUNCHES)
            assert parent_counts(manifest) == (3, 0, 1 if status else 0)
            collected += read
            avepoint.avepoint.faults.clear()
        assert manifest.window is not None
        window = (clock.now - timedelta(days=20), manifest.window.to)
        assert set(served(avepoint, "graph", LAUNCHES, window)) <= set(collected)
        assert len(collected) == len(set(collected))

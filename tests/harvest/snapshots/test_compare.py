"""The newest snapshots of a legacy dataset and of its successor, compared."""

import asyncio
import gzip
import json
from collections.abc import Awaitable, Callable, Sequence

import pytest

from shared.avepoint.catalog import catalog
from shared.avepoint.platform import Source
from shared.azure.storage import Container
from shared.harvest.compare import compare_snapshots, main, replaced
from shared.harvest.snapshots.differences import Contents, Differences, differences
from shared.services import Services
from tests.conftest import Simulator
from tests.harvest.conftest import Harvest, latest_manifest

APPS, GRAPH_APPS = "powerapps", "enpower-powerapps"

type Run = Callable[..., Awaitable[tuple[int, str]]]
"""Runs the command; gives its exit status and what it printed."""


def contents(*items: object, key: str = "Id") -> Contents:
    found = Contents(key)
    found.add([json.dumps(item).encode() for item in items])
    return found


def compared(legacy: Sequence[object], successor: Sequence[object]) -> Differences:
    return differences(contents(*legacy), contents(*successor, key="id"))


class TestDifferences:
    def test_names_and_ids_that_differ_in_case_are_the_same(self) -> None:
        found = compared([{"Id": "A_default-1", "AppId": 1, "x": 0}], [{"id": "a_Default-1", "appId": 1, "x": 0}])
        assert contents({"ID": 1}, {"id": 2}, {"Id": 3}).ids == {"1", "2", "3"}
        assert found.replaceable
        assert found.fields_renamed == {"AppId": "appId", "Id": "id"}
        assert (found.fields_missing_in_successor, found.fields_missing_in_legacy) == ((), ())

    def test_an_id_that_one_side_has_not_is_a_difference(self) -> None:
        found = compared([{"Id": 1}, {"Id": 2}], [{"id": 2}, {"id": 3}, {"id": 3}])
        assert not found.replaceable
        assert (found.missing_in_successor.count, found.missing_in_successor.first) == (1, ("1",))
        assert (found.missing_in_legacy.count, found.missing_in_legacy.first) == (1, ("3",))

    def test_of_many_ids_the_first_ten_are_named(self) -> None:
        found = compared([{"Id": f"{n:02d}"} for n in reversed(range(30))], [])
        assert found.missing_in_successor.count == 30
        assert found.missing_in_successor.first == tuple(f"{n:02d}" for n in range(10))

    @pytest.mark.parametrize("item", [{}, {"Id": None}, {"Id": ""}])
    def test_an_item_without_an_id_cannot_be_found_again(self, item: object) -> None:
        found = compared([item, {"Id": 1}], [{"id": 1}])
        assert (found.without_id, found.replaceable) == (1, False)

    def test_every_item_counts_when_fields_are_collected(self) -> None:
        found = compared([{"Id": 1}, {"Id": 2, "Old": 1}], [{"id": 1, "new": 1}, {"id": 2}])
        assert not found.replaceable
        assert found.fields_missing_in_successor == ("Old",)
        assert found.fields_missing_in_legacy == ("new",)

    def test_a_new_field_alone_is_no_difference(self) -> None:
        assert compared([{"Id": 1}], [{"id": 1, "new": 1}]).replaceable

    @pytest.mark.parametrize("line", [b"[]", b"1", b'{"Id": ', b"", b'{"Id": "\\ud83d"}', b'{"Id": NaN}'])
    def test_an_odd_item_is_one_without_id_and_keeps_nobody_from_comparing(self, line: bytes) -> None:
        contents = Contents("Id")
        contents.add([line, b'{"Id": "a"}'])
        assert (contents.items, contents.without_id, contents.ids) == (2, 1, {"a"})


class TestSnapshots:
    @pytest.mark.parametrize("name", replaced())
    async def test_every_legacy_dataset_has_a_successor_with_the_same_items(
        self, services: Services, avepoint: Simulator, harvest: Harvest, name: str
    ) -> None:
        avepoint.avepoint.change({"items": 120})
        await harvest("enpower", name)
        await harvest("graph", catalog()["enpower", name].successor)
        told = await compare_snapshots(services.storage, replaced()[name], now=services.clock())
        assert told.state == "same", told
        assert told.differences is not None
        assert told.differences.fields_renamed
        assert told.legacy_snapshot is not None
        assert told.successor_snapshot is not None
        assert told.legacy_snapshot.items == told.successor_snapshot.items == 120

    @pytest.mark.parametrize(("legacy", "graph", "side"), [(25, 12, "successor"), (12, 25, "legacy")])
    async def test_what_is_missing_on_either_side_is_named(
        self, services: Services, avepoint: Simulator, harvest: Harvest, legacy: int, graph: int, side: str
    ) -> None:
        avepoint.avepoint.change({"items": legacy})
        await harvest("enpower", APPS)
        avepoint.avepoint.change({"items": graph})
        await harvest("graph", GRAPH_APPS)
        told = await compare_snapshots(services.storage, replaced()[APPS], now=services.clock())
        assert (told.state, told.reason) == ("different", None)
        assert told.differences is not None
        sides = {"successor": told.differences.missing_in_successor, "legacy": told.differences.missing_in_legacy}
        missing = sides.pop(side)
        assert (missing.count, len(missing.first)) == (13, 10)
        assert sides.popitem()[1].count == 0
        avepoint.avepoint.change({"items": 25})
        served = [json.loads(item)["id"] for item in avepoint.served(GRAPH_APPS)]
        assert set(missing.first) < set(served[12:])

    @pytest.mark.parametrize(("source", "dataset"), [("enpower", APPS), ("graph", GRAPH_APPS)])
    async def test_without_a_snapshot_nothing_is_compared(
        self, services: Services, avepoint: Simulator, harvest: Harvest, source: Source, dataset: str
    ) -> None:
        avepoint.avepoint.change({"items": 3})
        await harvest(source, dataset)
        told = await compare_snapshots(services.storage, replaced()[APPS], now=services.clock())
        lacking = "graph/enpower-powerapps" if source == "enpower" else "enpower/powerapps"
        assert (told.state, told.differences) == ("incomparable", None)
        assert told.reason == f"no snapshot of {lacking} has been published"

    @pytest.mark.parametrize(
        ("damage", "reason"),
        [
            (
                lambda blob: gzip.compress(gzip.decompress(blob)[:-1] + b" \n"),
                "is not the blob that its manifest names",
            ),
            (lambda blob: blob[:-4], "ends too early"),
            (lambda blob: b"\0" + blob, "is not a gzip stream"),
            (lambda blob: blob[:0], "ends too early"),
            (None, "is not there"),
        ],
    )
    async def test_a_damaged_part_is_never_taken_for_a_difference(
        self,
        services: Services,
        avepoint: Simulator,
        harvest: Harvest,
        damage: Callable[[bytes], bytes] | None,
        reason: str,
    ) -> None:
        avepoint.avepoint.change({"items": 3})
        await harvest("enpower", APPS)
        await harvest("graph", GRAPH_APPS)
        path = (await latest_manifest(services, "graph", GRAPH_APPS)).parts[0].path
        whole = await services.storage.read(Container.INVENTORY, path)
        assert whole is not None
        await services.storage.delete(Container.INVENTORY, path)
        if damage:
            await services.storage.write(Container.INVENTORY, path, damage(whole.data), etag=None)
        told = await compare_snapshots(services.storage, replaced()[APPS], now=services.clock())
        assert told.state == "incomparable"
        assert reason in (told.reason or "")


class TestCommand:
    """``main`` needs an event loop of its own, and so a thread of its own."""

    @pytest.fixture
    def run(self, environ: dict[str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
        for name, value in environ.items():
            monkeypatch.setenv(name, value)

        async def ran(*argv: str) -> tuple[int, str]:
            status = await asyncio.to_thread(main, [*argv])
            captured = capsys.readouterr()
            return status, captured.out + captured.err

        return ran

    async def test_the_worst_comparison_decides_the_status(
        self, run: Run, avepoint: Simulator, harvest: Harvest
    ) -> None:
        avepoint.avepoint.change({"items": 2})
        await harvest("enpower", APPS, "connections")
        await harvest("graph", GRAPH_APPS)
        avepoint.avepoint.change({"items": 1})
        await harvest("graph", "enpower-connections")
        status, text = await run(APPS)
        assert (status, "enpower/powerapps -> graph/enpower-powerapps: same" in text) == (0, True)
        status, text = await run(APPS, "connections")
        assert status == 1
        assert "  legacy: 2 items, complete_unverified, run " in text
        assert "\n  ids missing in the successor: 1 (" in text
        status, text = await run("--json")
        assert status == 2
        told = {one["dataset"]: one for one in json.loads(text)["value"]}
        assert told.keys() == replaced().keys()
        assert [told[name]["state"] for name in (APPS, "connections", "environments")] == [
            "same",
            "different",
            "incomparable",
        ]
        assert told["connections"]["differences"]["missingInSuccessor"]["count"] == 1
        assert told[APPS]["differences"]["fieldsRenamed"]["AppId"] == "appId"

    async def test_settings_that_are_missing_are_named(self, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("AVEPOINT_CLIENT_ID")
        assert "INVENTORY_STORAGE" not in (await run())[1]
        monkeypatch.delenv("INVENTORY_STORAGE")
        status, text = await run()
        assert (status, "INVENTORY_STORAGE: is missing" in text) == (2, True)

    async def test_an_unknown_dataset_is_refused(self, run: Run) -> None:
        with pytest.raises(SystemExit) as refused:
            await run("customers")
        assert refused.value.code == 2


def test_every_successor_is_found_by_one_id() -> None:
    assert replaced().keys() == {dataset.name for dataset in catalog().values() if dataset.source == "enpower"}
    for dataset in replaced().values():
        assert len(dataset.key) == len(catalog()["graph", dataset.successor or ""].key) == 1

"""Increments, child datasets, and what was not asked (promise 10)."""

from datetime import UTC, datetime

import pytest

from sandbox.memory_storage import MemoryStorage
from shared.azure.storage import Container, Queue
from shared.tables.build.names import state_path
from shared.tables.build.requests import request_rebuild, sweep_tables
from shared.tables.build.state import Redo, read_state
from shared.tables.history import appending
from tests.conftest import Clock
from tests.tables.nights import Nights


@pytest.fixture
def jobs(memory: MemoryStorage, clock: Clock) -> Nights:
    """A windowed dataset with a key."""
    return Nights.of(memory, clock, "graph/m365-backup-jobs")


@pytest.fixture
def audit(memory: MemoryStorage, clock: Clock) -> Nights:
    """A windowed dataset without a key."""
    return Nights.of(memory, clock, "graph/aos-audit")


@pytest.fixture
def users(memory: MemoryStorage, clock: Clock) -> Nights:
    """A full child dataset: users of each app."""
    return Nights.of(memory, clock, "graph/enpower-powerapp-launched-users")


def job(number: int, **fields: object) -> dict[str, object]:
    return {"id": f"job{number}", **fields}


def user(app: str, name: str, **fields: object) -> dict[str, object]:
    return {"_parent": {"appId": app}, "objectId": name, "userId": name, **fields}


class TestWindows:
    async def test_a_known_key_replaces_the_older_row(self, jobs: Nights) -> None:
        first = await jobs.night([job(1, status="Running"), job(2, status="Finished")])
        second = await jobs.night([job(1, status="Finished"), job(3, status="Running")])
        rows = jobs.table().sort("_key").select("_key", "status", "_run_id").rows()
        assert rows == [
            ("job1", "Finished", second.run_id),
            ("job2", "Finished", first.run_id),
            ("job3", "Running", second.run_id),
        ]

    async def test_without_a_key_rows_are_added(self, audit: Nights) -> None:
        await audit.night([{"action": "a"}, {"action": "a"}])
        await audit.night([{"action": "a"}])
        assert audit.table()["_key"].to_list() == [None, None, None]

    async def test_every_increment_counts_also_those_of_nights_without_a_build(self, jobs: Nights) -> None:
        await jobs.publish([job(1)])
        await jobs.publish([job(2), job(1, status="b")])
        await jobs.night([job(3)])
        assert jobs.table().sort("_key")["_key"].to_list() == ["job1", "job2", "job3"]
        assert jobs.read("inventory_snapshots")["added"].to_list() == [None, None, None]

    async def test_an_increment_that_comes_late_does_not_replace_newer_rows(self, jobs: Nights) -> None:
        await jobs.night([job(1, status="a")], at=datetime(2026, 1, 1, tzinfo=UTC))
        await jobs.night([job(1, status="c")], at=datetime(2026, 1, 3, tzinfo=UTC))
        late = await jobs.publish([job(1, status="b"), job(2)], at=datetime(2026, 1, 2, tzinfo=UTC))
        assert await jobs.build() == "finished"
        rows = jobs.table().sort("_key").select("_key", "status").rows()
        assert rows == [("job1", "c"), ("job2", None)]
        assert jobs.table().sort("_key")["_run_id"].to_list()[1] == late.run_id
        assert await jobs.build() == "nothing to do"

    async def test_one_that_comes_late_is_taken_in_although_its_message_was_lost(
        self, jobs: Nights, clock: Clock
    ) -> None:
        await jobs.night([job(1)], at=datetime(2026, 1, 3, tzinfo=UTC))
        await jobs.publish([job(2)], at=datetime(2026, 1, 2, tzinfo=UTC))
        clock.advance(minutes=10)
        await sweep_tables(jobs.services())
        assert len(jobs.storage.queues[Queue.TABLES]) == 1
        assert await jobs.build() == "finished"
        clock.advance(minutes=10)
        await sweep_tables(jobs.services())
        assert jobs.storage.queues[Queue.TABLES] == []

    async def test_many_small_files_become_one(self, jobs: Nights, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(appending, "MANY", 4)
        for number in range(8):
            await jobs.night([job(number)])
        assert jobs.table().height == 8
        names = jobs.active("graph_m365_backup_jobs")
        assert len(names) < 4
        assert len(jobs.active("inventory_snapshots")) < 4
        assert jobs.read("inventory_snapshots").height == 8

    async def test_raw_files_that_were_deleted_are_passed_over(self, jobs: Nights) -> None:
        first = await jobs.publish([job(1)])
        jobs.forget_parts(first)
        await jobs.night([job(2)])
        assert jobs.table()["_key"].to_list() == ["job2"]


class TestParents:
    async def test_rows_of_parents_that_were_left_out_stay(self, users: Nights) -> None:
        both = [{"appId": "a"}, {"appId": "b"}]
        first = await users.night([user("a", "x"), user("b", "y"), user("b", "z")], asked=both)
        second = await users.night(
            [user("a", "w")], asked=[{"appId": "a"}], verdict="capped", parents={"leftOut": 1, "asked": 1, "gone": 0}
        )
        rows = users.table().sort("_key").select("_key", "_run_id", "_parent_appId").rows()
        assert rows == [
            ("a|w|w", second.run_id, "a"),
            ("b|y|y", first.run_id, "b"),
            ("b|z|z", first.run_id, "b"),
        ]
        assert users.told() == [("a|w|w", "added", True, ""), ("a|x|x", "removed", False, "")]

    async def test_where_every_chain_gave_its_total_what_is_gone_is_sure(self, users: Nights) -> None:
        both = [{"appId": "a"}, {"appId": "b"}]
        await users.night([user("a", "x"), user("a", "y"), user("b", "z")], asked=both)
        left_out = {"leftOut": 1, "asked": 1, "gone": 0}
        asked = [{"appId": "a"}]
        await users.night([user("a", "x")], asked=asked, verdict="capped", parents=left_out, total=1)
        assert users.told() == [("a|y|y", "removed", True, "")]

    async def test_a_parent_asked_for_the_first_time_is_its_baseline(self, users: Nights) -> None:
        await users.night([user("a", "x")], asked=[{"appId": "a"}])
        await users.night([user("a", "x"), user("b", "y")], asked=[{"appId": "a"}, {"appId": "b"}])
        assert users.told() == []
        await users.night([user("a", "x"), user("b", "z")], asked=[{"appId": "a"}, {"appId": "b"}])
        assert users.told() == [("b|y|y", "removed", True, ""), ("b|z|z", "added", True, "")]

    async def test_a_parent_that_is_gone_takes_its_rows_with_it(self, users: Nights) -> None:
        await users.night([user("a", "x"), user("b", "y")], asked=[{"appId": "a"}, {"appId": "b"}])
        await users.night(
            [user("a", "x")],
            asked=[{"parent": {"appId": "a"}}, {"parent": {"appId": "b"}, "outcome": "gone"}],
            verdict="complete_unverified",
        )
        assert users.told() == [("b|y|y", "removed", True, "")]
        assert users.table()["_key"].to_list() == ["a|x|x"]

    async def test_rows_of_a_parent_that_failed_stay(self, users: Nights) -> None:
        await users.night([user("a", "x"), user("b", "y")], asked=[{"appId": "a"}, {"appId": "b"}])
        failed = {
            "asked": 2,
            "gone": 0,
            "leftOut": 0,
            "failedCount": 1,
            "failed": [{"parent": {"appId": "b"}, "reason": "500"}],
        }
        await users.night([user("a", "x")], asked=[{"appId": "a"}, {"appId": "b"}], verdict="capped", parents=failed)
        assert users.told() == []
        assert users.table().sort("_key")["_key"].to_list() == ["a|x|x", "b|y|y"]

    async def test_rows_that_a_parent_gave_before_it_failed_take_the_place_of_older_ones(self, users: Nights) -> None:
        both = [{"appId": "a"}, {"appId": "b"}]
        await users.night([user("a", "x"), user("b", "y"), user("b", "z")], asked=both)
        failed = {"asked": 2, "gone": 0, "leftOut": 0, "failedCount": 2, "failed": []}
        await users.night(
            [user("a", "x"), user("b", "y", department="it")], asked=both, verdict="capped", parents=failed
        )
        rows = users.table().sort("_key")["_key"].to_list()
        assert rows == ["a|x|x", "b|y|y"], "of more failures than are named, a parent with rows counts as asked"
        await users.night([user("a", "x")], asked=both, verdict="capped", parents=failed)
        assert users.table().sort("_key")["_key"].to_list() == ["a|x|x", "b|y|y"]

    async def test_without_a_list_of_parents_those_of_the_rows_were_asked(self, users: Nights) -> None:
        await users.night([user("a", "x"), user("b", "y")])
        await users.night([user("a", "z")], verdict="capped", parents={"asked": 1, "gone": 0, "leftOut": 1})
        assert users.table().sort("_key")["_key"].to_list() == ["a|z|z", "b|y|y"]


async def test_a_rebuild_makes_the_same_table_and_leaves_changes(jobs: Nights, users: Nights) -> None:
    for number in range(3):
        await jobs.night([job(number), job(0, status=str(number))])
    before = jobs.table().sort("_key").rows()
    await jobs.rebuild("table")
    assert jobs.table().sort("_key").rows() == before
    await users.night([user("a", "x")], asked=[{"appId": "a"}])
    await users.night([user("a", "y")], asked=[{"appId": "a"}])
    told = users.told()
    assert len(told) == 2
    await users.rebuild("table")
    assert users.told() == told
    await users.rebuild("changes")
    assert users.told() == told
    assert users.table()["_key"].to_list() == ["a|y|y"]


@pytest.mark.parametrize("has_begun", [False, True])
async def test_a_rebuild_of_the_table_alone_leaves_out_nothing_that_was_asked_before(
    users: Nights,
    has_begun: bool,  # noqa: FBT001 - a parameter
) -> None:
    for name in ("a", "b"):
        await users.night([user("a", "x", displayName=name, userName=name)], asked=[{"appId": "a"}])
    assert users.told() == [("a|x|x", "changed", True, "displayName,userName")]
    users.settings = {"TABLES_HIDE_FIELDS": "graph/*.userName"}
    await request_rebuild(users.services(), users.dataset.source, users.dataset.name, "changes")
    if has_begun:
        state = await read_state(users.storage, users.dataset.source, users.dataset.name)
        begun = state.value.model_copy(update={"requested": None, "redo": Redo(mode="changes")})
        path = state_path(users.dataset.source, users.dataset.name)
        await users.storage.write(Container.HARVEST_STATE, path, begun.to_json(), etag=state.etag)
    await users.rebuild("table")
    assert users.told() == [("a|x|x", "changed", True, "displayName")]

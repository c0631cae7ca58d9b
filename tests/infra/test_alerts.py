"""Each alert fires over telemetry that the app writes when something is wrong, one series each, and only then."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from sandbox.memory_storage import MemoryStorage
from shared.avepoint.platform import SOURCES
from shared.azure.storage import Container
from shared.credentials.secrets import Secret, Secrets
from shared.doctor.calls import CALLS, is_missed, note_call, tell_missed_calls
from shared.doctor.verifying.sweep import sweep_stored
from shared.harvest.snapshots.inventory import tell_ages
from shared.opus.operations.sweep import tell_uncertain
from shared.tables.build.names import state_path
from shared.tables.build.requests import sweep_tables
from shared.telemetry.events import log_event
from tests.conftest import Clock
from tests.infra.alerting import Telemetry, alert_rules
from tests.infra.conftest import NAME
from tests.infra.kql import Evaluator, Row
from tests.infra.paths import INFRA
from tests.infra.snapshot import Snapshot, at
from tests.tables.nights import Nights

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)
APPS = "graph/enpower-powerapps"
HOUR, DAY = timedelta(hours=1), timedelta(days=1)

log = logging.getLogger("app")


@pytest.fixture(params=[True, False], ids=["dimensions", "text"])
def clock_and_rows(request: pytest.FixtureRequest) -> Iterator[tuple[Clock, list[Row]]]:
    clock = Clock(NOW)
    telemetry = Telemetry(clock, with_fields=request.param)
    with telemetry.listening():
        yield clock, telemetry.rows


@pytest.fixture
def clock(clock_and_rows: tuple[Clock, list[Row]]) -> Clock:
    return clock_and_rows[0]


@pytest.fixture
def rows(clock_and_rows: tuple[Clock, list[Row]]) -> list[Row]:
    return clock_and_rows[1]


type Fired = Callable[[str], list[str]]


@pytest.fixture
def fired(public: Snapshot, clock: Clock, rows: list[Row]) -> Fired:
    """The series of an alert that fire now, over what its window shows it of the telemetry."""
    rules = alert_rules(public)
    return lambda name: rules[f"alert-{NAME}-{name}"].series(clock(), traces=rows, requests=rows)


@contextmanager
def earlier(clock: Clock, **ago: float) -> Iterator[None]:
    """Let something have happened some time ago."""
    now = clock.now
    clock.now -= timedelta(**ago)
    yield
    clock.now = now


class TestStale:
    @staticmethod
    def aged(dataset: str, hours: float, **more: object) -> None:
        run = f"{NOW:%Y%m%dT%H%M%S}Z-graph"
        fields = {"source": "graph", "dataset": dataset, "run": run, "age": int(hours * 3600), "enabled": True}
        log_event(log, "snapshot.aged", **fields | more)

    def test_one_series_for_each_dataset(self, fired: Fired) -> None:
        self.aged("fresh", 3)
        self.aged("old", 30)
        self.aged("older", 300)
        self.aged("switched-off", 3000, enabled=False)
        assert fired("stale") == ["graph/old", "graph/older"]

    def test_none_while_all_are_fresh(self, fired: Fired) -> None:
        self.aged("fresh", 25.9)
        assert fired("stale") == []

    def test_one_that_is_worked_on_and_never_had_one(self, clock: Clock, fired: Fired) -> None:
        self.aged("fresh", 3)
        with earlier(clock, hours=30):
            log_event(
                log, "slice.claimed", run="20260130T060000Z-graph", source="graph", dataset="new", partition="all"
            )
        with earlier(clock, hours=3):
            log_event(
                log, "slice.claimed", run="20260131T090000Z-graph", source="graph", dataset="newer", partition="all"
            )
        assert fired("stale") == ["graph/new"]

    def test_any_where_nothing_runs(self, fired: Fired) -> None:
        assert fired("stale") == ["any"]

    @pytest.fixture
    async def nights(self, clock: Clock) -> Nights:
        return Nights.of(MemoryStorage(clock), clock, APPS)

    @pytest.mark.parametrize(("hours", "fires"), [(25, []), (27, ["any"])])
    async def test_a_new_app_has_a_day_for_its_first_snapshot(
        self, nights: Nights, clock: Clock, fired: Fired, hours: float, fires: list[str]
    ) -> None:
        for ago in (hours, 1):
            with earlier(clock, hours=ago):
                await tell_ages(nights.services())
        assert fired("stale") == fires

    @pytest.mark.parametrize(
        ("schedule", "hours", "fires"),
        [("0 0 2 * * 6", 7 * 24, []), ("0 0 2 * * 6", 7 * 24 + 3, ["any", APPS]), ("0 0 2 * * *", 27, ["any", APPS])],
    )
    async def test_what_is_harvested_once_a_week_may_be_older(
        self, nights: Nights, clock: Clock, fired: Fired, schedule: str, hours: float, fires: list[str]
    ) -> None:
        with earlier(clock, hours=hours):
            await nights.publish([{"id": "app"}], at=clock())
        await tell_ages(nights.services(HARVEST_GRAPH_SCHEDULE=schedule))
        assert fired("stale") == fires

    async def test_none_where_no_timer_harvests_a_dataset(self, nights: Nights, clock: Clock, fired: Fired) -> None:
        off = {f"HARVEST_{source.upper()}_DATASETS": "" for source in SOURCES}
        await nights.publish([{"id": "app"}], at=NOW - DAY * 9)
        with earlier(clock, hours=30):
            await tell_ages(nights.services())
        assert fired("stale") == ["any", APPS]
        await tell_ages(nights.services(**off))
        assert fired("stale") == []


class TestTables:
    @pytest.fixture
    async def nights(self, clock: Clock) -> Nights:
        nights = Nights.of(MemoryStorage(clock), clock, APPS)
        await nights.publish([{"id": "app"}], at=NOW - DAY)
        return nights

    @staticmethod
    async def swept(nights: Nights) -> None:
        await sweep_tables(nights.services())

    async def test_a_table_that_is_behind_for_a_day(self, nights: Nights, clock: Clock, fired: Fired) -> None:
        for hours in (25, 12, 1):
            with earlier(clock, hours=hours):
                await self.swept(nights)
        assert fired("tables") == [APPS]

    async def test_a_table_whose_state_cannot_be_read_for_a_day(
        self, nights: Nights, clock: Clock, fired: Fired
    ) -> None:
        await nights.build()
        nights.storage._put(Container.HARVEST_STATE, state_path("graph", "enpower-powerapps"), b"{")  # noqa: SLF001
        for hours in (25, 12, 1):
            with earlier(clock, hours=hours):
                await self.swept(nights)
        assert fired("tables") == [APPS]

    async def test_not_one_that_was_built_within_the_day(self, nights: Nights, clock: Clock, fired: Fired) -> None:
        with earlier(clock, hours=25):
            await self.swept(nights)
        with earlier(clock, hours=20):
            await nights.build()
            await self.swept(nights)
        await nights.publish([{"id": "new"}])
        await self.swept(nights)
        assert fired("tables") == []

    async def test_not_one_that_nobody_looks_at_any_more(self, nights: Nights, clock: Clock, fired: Fired) -> None:
        with earlier(clock, hours=40):
            await self.swept(nights)
        assert fired("tables") == []


@pytest.mark.parametrize(("hours", "fires"), [(23, []), (25, [""]), (-365 * 24, [""])])
def test_uncertain_operations_older_than_a_day(clock: Clock, fired: Fired, hours: float, fires: list[str]) -> None:
    began = clock() - timedelta(hours=hours)
    tell_uncertain([f"{began:%Y%m%dT%H%M%S.%f}-abc", f"{clock():%Y%m%dT%H%M%S.%f}-def"], clock())
    assert fired("uncertain") == fires


async def test_what_is_not_as_it_was_written(clock: Clock, fired: Fired) -> None:
    nights = Nights.of(MemoryStorage(clock), clock, APPS)
    manifest = await nights.publish([{"id": "app"}])
    await sweep_stored(nights.services())
    assert fired("verify") == []
    await nights.storage.delete(Container.INVENTORY, manifest.parts[0].path)
    clock.advance(days=31)
    await sweep_stored(nights.services())
    assert fired("verify") == [f"snapshot {APPS}"]


def test_a_break_in_a_chain_of_evidence(fired: Fired) -> None:
    log_event(log, "evidence.written", path="date=2026-01-31/new.json", sha256="0")
    assert fired("verify") == []
    fields = {"kind": "gap", "path": "date=2026-01-30/lost.json", "by": "date=2026-01-31/new.json"}
    log_event(log, "evidence.break_declared", logging.ERROR, **fields)
    assert fired("verify") == ["evidence"]


@pytest.mark.parametrize(
    ("before", "items", "fires"), [(30, 20, True), (30, 21, False), (None, 0, False), (0, 0, False), (10, 0, True)]
)
def test_a_dataset_that_shrank_by_a_third(fired: Fired, before: int | None, items: int, *, fires: bool) -> None:
    run = "20260131T020000Z-graph"
    for dataset, held in (("one", items), ("other", 1000)):
        then = before if dataset == "one" else 1000
        log_event(
            log,
            "snapshot.published",
            run=run,
            source="graph",
            dataset=dataset,
            verdict="complete",
            items=held,
            before=then,
        )
    assert fired("shrunk") == (["graph/one"] if fires else [])


@pytest.mark.parametrize(("days", "fires"), [(31, []), (29, ["client-secret"]), (-1, ["client-secret"]), (None, [])])
async def test_a_secret_near_its_end(clock: Clock, fired: Fired, days: float | None, fires: list[str]) -> None:
    async def read(name: str) -> Secret:
        return Secret(name, "value-of-the-secret", "1", None if days is None else clock() + timedelta(days=days))

    await Secrets(read, clock=clock).get("client-secret")
    assert fired("expiring") == fires


def test_a_certificate_near_its_end(fired: Fired) -> None:
    assert fired("expiring") == []
    log_event(log, "certificate.expiring", entry="certificate", expires="2026-02-10T00:00:00Z")
    assert fired("expiring") == ["certificate"]


@pytest.mark.parametrize(("hours", "fires"), [(range(24), ["harvest"]), (range(0, 24, 2), []), (range(3), [])])
def test_a_budget_that_is_never_free(clock: Clock, fired: Fired, hours: range, fires: list[str]) -> None:
    for ago in hours:
        with earlier(clock, hours=ago):
            log_event(log, "budget.used_up", caller="harvest", until=clock() + HOUR)
    assert fired("never-free") == fires


class TestMissedCalls:
    async def called(self, storage: MemoryStorage, clock: Clock, days: range) -> None:
        for ago in days:
            with earlier(clock, days=ago):
                await note_call(storage, caller="key", function="destroy_records", now=clock())

    async def test_a_flow_that_used_to_call_is_missed(self, clock: Clock, fired: Fired) -> None:
        storage = MemoryStorage(clock)
        await self.called(storage, clock, range(10, 2, -1))
        await tell_missed_calls(storage, now=clock())
        assert fired("missed") == ["destroy_records by key"]

    async def test_one_that_calls_is_not(self, clock: Clock, fired: Fired) -> None:
        storage = MemoryStorage(clock)
        await self.called(storage, clock, range(10, 1, -1))
        await tell_missed_calls(storage, now=clock())
        assert fired("missed") == []

    async def test_a_clock_that_was_ahead_lets_nobody_be_missed_in_silence(self, clock: Clock, fired: Fired) -> None:
        storage = MemoryStorage(clock)
        await self.called(storage, clock, range(10, 2, -1))
        await self.called(storage, clock, range(-365, -364))
        await tell_missed_calls(storage, now=clock())
        assert fired("missed") == ["destroy_records by key"]

    async def test_marks_end(self, clock: Clock) -> None:
        storage = MemoryStorage(clock)
        await self.called(storage, clock, range(202, 199, -1))
        await tell_missed_calls(storage, now=clock())
        assert len([path for path in storage.blobs[Container.HARVEST_STATE] if path.startswith(CALLS)]) == 1

    @pytest.mark.parametrize(
        ("days", "silent", "missed"),
        [
            ([1, 2], 20, False),  # no habit yet
            ([1, 8, 15], 14, False),  # once a week
            ([1, 8, 15], 15, True),
            ([5, 6, 7, 8, 9, 12], 6, False),  # on working days
            ([5, 6, 7, 8, 9, 12], 7, True),
            ([1, 2, 3], 32, True),
            ([1, 2, 3], 33, False),  # given up
        ],
    )
    def test_a_habit_is_told_by_its_pauses(self, days: list[int], silent: int, *, missed: bool) -> None:
        called = [date(2026, 1, day) for day in days]
        assert is_missed(called, called[-1] + timedelta(days=silent)) is missed


def event(name: str, **fields: object) -> Callable[[], None]:
    return lambda: log_event(log, name, **fields)


@pytest.mark.parametrize(
    ("alert", "wrong", "well", "series"),
    [
        (
            "failed-run",
            event("run.finished", run="20260131T020000Z-graph", source="graph", state="partial"),
            event("run.finished", run="20260131T030000Z-graph", source="graph", state="succeeded"),
            "20260131T020000Z-graph",
        ),
        (
            "poison",
            event("operation.given_up", operation="abc", reason="why"),
            event("operation.handed_over", operation="abc", resume_at=NOW),
            "abc",
        ),
        (
            "destroyed",
            event("operation.finished", operation="abc", kind="destroy", status="Succeeded", requested=2, succeeded=2),
            event("operation.finished", operation="def", kind="submit", status="Succeeded", requested=2, succeeded=2),
            "abc",
        ),
        (
            "destroyed",
            event("operation.resolved", operation="abc", kind="destroy", outcome="Succeeded", items=2),
            event("operation.resolved", operation="def", kind="destroy", outcome="Failed", items=2),
            "abc",
        ),
        ("budget", event("budget.used_up", caller="http", until=NOW), event("budget.storage_away", path="x"), ""),
    ],
)
def test_what_happened_fires(
    fired: Fired, alert: str, wrong: Callable[[], None], well: Callable[[], None], series: str
) -> None:
    well()
    assert fired(alert) == []
    wrong()
    assert fired(alert) == [series]


def test_many_server_errors(fired: Fired, rows: list[Row], clock: Clock) -> None:
    def call(code: str, url: str = "https://app/api/runs") -> Row:
        return {"timestamp": clock(), "name": "call", "url": url, "resultCode": code, "operation_Id": "1"}

    rows += [*[call("404")] * 9, *[call("500")] * 4, *[call("503", "https://app/api/health")] * 9]
    assert fired("server-errors") == []
    rows.append(call("502"))
    assert fired("server-errors") == [""]


def test_what_lasts_is_told_again_every_day(public: Snapshot) -> None:
    """Azure mutes only what it does not resolve by itself."""
    lasting = {"stale", "tables", "uncertain", "verify", "expiring", "never-free", "missed"}
    for rule in public.of_type("Microsoft.Insights/scheduledQueryRules"):
        reminds = rule.name.removeprefix(f"alert-{NAME}-") in lasting
        assert (rule.at("autoMitigate"), rule.at("muteActionsDuration")) == (
            not reminds,
            "P1D" if reminds else None,
        )


def test_a_rule_that_azure_switches_off_is_told(public: Snapshot) -> None:
    (rule,) = public.of_type("Microsoft.Insights/activityLogAlerts")
    conditions = rule.at("condition.allOf")
    assert isinstance(conditions, list)
    wanted: dict[str, Any] = {str(at(one, "field")): at(one, "equals") for one in conditions}
    assert wanted == {
        "category": "Administrative",
        "operationName": "Microsoft.Insights/ScheduledQueryRules/disable/action",
    }


def test_the_workbook_shows_how_tables_are(clock: Clock) -> None:
    query = (INFRA / "queries/events.kql").read_text() + (INFRA / "queries/table-states.kql").read_text()
    rows = [
        {
            "timestamp": clock() - HOUR * ago,
            "message": "",
            "customDimensions": {"event": "table.aged", "source": "graph", "dataset": dataset, "state": state},
        }
        for ago, dataset, state in ((2, "a", "behind"), (1, "a", "current"), (1, "b", "failed"))
    ]
    found = Evaluator(clock(), {"traces": rows}).run(query)
    assert [(row["dataset"], row["state"]) for row in found] == [("graph/b", "failed"), ("graph/a", "current")]

"""Windowed datasets: nothing lost between windows, nothing twice, and the watermark only moves on."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.avepoint.catalog import catalog
from shared.avepoint.fields import fields_of
from shared.azure.storage import Container
from shared.harvest.plan import paths
from shared.harvest.plan.run import read_run
from shared.harvest.plan.windows import Window, next_window, spans
from shared.harvest.runs.starting import start_requested
from shared.harvest.runs.state import view
from shared.harvest.runs.sweep import sweep
from shared.harvest.slices.worker import work
from shared.harvest.snapshots.manifest import Manifest, read_manifest
from shared.harvest.snapshots.watermark import read_watermark
from shared.services import Services
from tests.conftest import Clock, Simulator
from tests.harvest.conftest import Harvest, finish, lines
from tests.harvest.slices.test_hand_over import hurried

NOW = datetime(2026, 3, 20, 12, 0, tzinfo=UTC)
WINDOWED = [name for (source, name), dataset in catalog().items() if dataset.window and not dataset.parent]


@pytest.fixture
def clock() -> Clock:
    return Clock(NOW)


@pytest.fixture
def avepoint(avepoint: Simulator) -> Simulator:
    """Three events a day, the newest at this moment."""
    avepoint.avepoint.change({"items": 300, "everyMinutes": 480, "now": NOW.isoformat()})
    return avepoint


def advance(clock: Clock, avepoint: Simulator, **duration: float) -> None:
    """Let time pass, for the app and for AvePoint."""
    clock.advance(**duration)
    avepoint.avepoint.change({"now": clock.now.isoformat()})


def by_dates(dataset: str) -> bool:
    """Whether the list is bounded by dates, so that it may give more than was asked for."""
    window = catalog()["graph", dataset].window
    return window is not None and window.format == "date"


async def harvested(services: Services, harvest: Harvest, dataset: str) -> tuple[Manifest, list[bytes]]:
    run = await harvest("graph", dataset)
    manifest = await read_manifest(services.storage, run.run_id, "graph", dataset)
    assert manifest is not None
    return manifest, await lines(services, manifest)


def between(avepoint: Simulator, dataset: str, window: Window) -> list[bytes]:
    return avepoint.avepoint.items(dataset, window=(window.from_, window.to))


@pytest.mark.parametrize(
    "choices",
    [
        pytest.param({}, id="ends included"),
        pytest.param({"windowEnd": "exclusive", "windowDay": "end"}, id="ends excluded", marks=pytest.mark.slow),
    ],
)
@pytest.mark.parametrize("dataset", WINDOWED)
async def test_every_event_once_over_three_nights(
    services: Services, clock: Clock, avepoint: Simulator, harvest: Harvest, dataset: str, choices: dict[str, str]
) -> None:
    """The overlap is asked for again, what comes again is left out, and what the documents leave open does no harm."""
    avepoint.avepoint.change(choices)
    collected: list[bytes] = []
    windows: list[Window] = []
    for _ in range(3):
        manifest, read = await harvested(services, harvest, dataset)
        assert manifest.window is not None
        assert (manifest.kind, manifest.published) == ("window", True)
        assert manifest.items == len(read)
        collected += read
        windows.append(manifest.window)
        advance(clock, avepoint, days=1)
    everything = Window(from_=windows[0].from_, to=windows[-1].to)
    expected = between(avepoint, dataset, everything)
    assert len(expected) > 90
    assert len(collected) == len(set(collected))
    assert set(expected) <= set(collected)
    ends = fields_of(catalog()["graph", dataset]).ending is not None
    assert windows[1].from_ == windows[0].to - timedelta(days=1 if ends else 0, hours=0 if ends else 1)
    if not by_dates(dataset):
        assert len(collected) == len(expected)


async def test_the_first_window_comes_in_spans_of_seven_days(
    services: Services, avepoint: Simulator, harvest: Harvest
) -> None:
    manifest, read = await harvested(services, harvest, "aos-audit")
    assert manifest.window is not None
    assert manifest.window.to - manifest.window.from_ == timedelta(days=30)
    asked = [entry.query for entry in avepoint.requests("/aos/audit")]
    assert len(asked) == 5
    assert manifest.verdict == "complete_unverified"
    assert sorted(read) == sorted(between(avepoint, "aos-audit", manifest.window))


async def test_an_event_on_the_edge_of_two_spans_comes_once(
    services: Services, clock: Clock, avepoint: Simulator, harvest: Harvest
) -> None:
    avepoint.avepoint.change({"everyMinutes": 60, "items": 800})
    advance(clock, avepoint, minutes=15)
    manifest, read = await harvested(services, harvest, "aos-audit")
    assert manifest.window is not None
    assert read
    assert len(read) == len(set(read)) == len(between(avepoint, "aos-audit", manifest.window))
    assert manifest.duplicates == 4


async def test_slices_in_the_middle_of_spans_lose_nothing(
    services: Services, clock: Clock, avepoint: Simulator
) -> None:
    avepoint.avepoint.change({"everyMinutes": 30, "items": 3000})
    run = await start_requested(services, "graph", ["aos-audit"])
    await finish(hurried(services, clock, slice_seconds=0.001), run.addresses()[0])
    manifest = await read_manifest(services.storage, run.run_id, "graph", "aos-audit")
    assert manifest is not None
    assert manifest.window is not None
    assert len(manifest.parts) > 10
    assert len(avepoint.requests("/aos/audit")) == manifest.pages
    assert sorted(await lines(services, manifest)) == sorted(between(avepoint, "aos-audit", manifest.window))


async def test_a_window_that_fails_is_harvested_with_the_next_one(
    services: Services, clock: Clock, avepoint: Simulator, harvest: Harvest
) -> None:
    first, _ = await harvested(services, harvest, "aos-audit")
    advance(clock, avepoint, days=1)
    avepoint.fault(path="/aos/audit", status=403)
    failed, _ = await harvested(services, harvest, "aos-audit")
    assert failed.verdict == "failed"
    advance(clock, avepoint, days=1)
    third, read = await harvested(services, harvest, "aos-audit")
    assert first.window is not None
    assert third.window == Window(from_=first.window.to - timedelta(hours=1), to=clock.now - timedelta(minutes=15))
    assert len(read) == 6


@pytest.mark.usefixtures("avepoint")
async def test_a_quiet_night_is_no_fault(services: Services, clock: Clock, harvest: Harvest) -> None:
    await harvested(services, harvest, "aos-audit")
    clock.advance(days=1)
    manifest, read = await harvested(services, harvest, "aos-audit")
    assert (manifest.verdict, read) == ("complete_unverified", [])


@pytest.mark.usefixtures("avepoint")
async def test_right_after_a_harvest_there_is_nothing_to_do(services: Services, harvest: Harvest) -> None:
    await harvested(services, harvest, "aos-audit")
    run = await start_requested(services, "graph", ["aos-audit"])
    dataset = (await view(services.storage, run)).datasets[0]
    assert (dataset.state, dataset.reason) == ("skipped", "nothing new can be there yet")


@pytest.mark.usefixtures("avepoint")
async def test_a_watermark_that_was_not_written_is_written_by_the_sweep(services: Services, harvest: Harvest) -> None:
    run = await harvest("graph", "aos-audit")
    written = await read_watermark(services.storage, "graph", "aos-audit", now=services.clock())
    await services.storage.delete(Container.HARVEST_STATE, paths.watermark("graph", "aos-audit"))
    assert (await view(services.storage, run)).state == "running"
    await sweep(services)
    assert await read_watermark(services.storage, "graph", "aos-audit", now=services.clock()) == written
    stored = await read_run(services.storage, run.run_id)
    assert stored is not None
    assert stored.finished_at is not None
    assert await work(services, run.addresses()[0]) == "ended before"


_instants = st.datetimes(datetime(2025, 1, 1), datetime(2027, 1, 1)).map(lambda naive: naive.replace(tzinfo=UTC))  # noqa: DTZ001 - hypothesis wants them naive


@given(start=_instants, length=st.timedeltas(timedelta(seconds=1), timedelta(days=90)), days=st.integers(1, 30))
def test_spans_leave_no_gap_and_are_never_too_long(start: datetime, length: timedelta, days: int) -> None:
    window = Window(from_=start, to=start + length)
    pieces = spans(window, most=timedelta(days=days))
    assert (pieces[0].from_, pieces[-1].to) == (window.from_, window.to)
    assert all(one.to == other.from_ for one, other in pairwise(pieces))
    assert all(timedelta(0) < piece.to - piece.from_ <= timedelta(days=days) for piece in pieces)


@given(now=_instants, ago=st.timedeltas(timedelta(minutes=-5), timedelta(days=400)))
def test_windows_leave_no_gap_and_end_before_the_present(now: datetime, ago: timedelta) -> None:
    overlap, lag = timedelta(hours=1), timedelta(minutes=15)
    window = next_window(now, now - ago, first=timedelta(days=30), overlap=overlap, lag=lag)
    if window is None:
        assert ago <= lag + timedelta(seconds=1)
    else:
        assert window.from_ == now - ago - overlap
        assert window.from_ < window.to <= now - lag

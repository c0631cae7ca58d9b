import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import httpx
import pytest
from azure.functions.meta import Datum

from sandbox.host.process import RunningHost, running_host
from sandbox.host.runtime import Function, Outcome
from sandbox.host.timers import Timer
from tests.sandbox.host.conftest import App, until, write_app

APP = """
@app.timer_trigger("timer", "%EVERY_SECOND%", use_monitor=True)
async def tick(timer: func.TimerRequest) -> None:
    record(name="tick", at=time.time(), past_due=timer.past_due, **timer.schedule_status)

@app.timer_trigger("timer", "* * * * * *", use_monitor=False)
async def slow(timer: func.TimerRequest) -> None:
    record(name="slow", event="begin", status=timer.schedule_status)
    await asyncio.sleep(1.2)
    record(name="slow", event="end")

@app.timer_trigger("timer", "0 0 0 1 1 *", run_on_startup=True)
async def yearly(timer: func.TimerRequest) -> None:
    record(name="yearly", **timer.schedule_status)
"""
KEY = {"x-functions-key": "k"}


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> App:
    return write_app(tmp_path_factory.mktemp("timers"), APP)


@pytest.fixture(scope="module")
async def host(app: App) -> AsyncIterator[RunningHost]:
    env = app.environment(EVERY_SECOND="* * * * * *")
    async with running_host(app=app.path, env=env, log=app.log) as host:
        yield host


@pytest.mark.usefixtures("host")
async def test_a_timer_fires_on_schedule_and_next_is_the_occurrence_that_fires(app: App) -> None:
    ticks = (await app.recorded(3, name="tick"))[:3]
    nexts = [datetime.fromisoformat(tick["Next"]) for tick in ticks]
    assert [later - earlier for earlier, later in pairwise(nexts)] == [timedelta(seconds=1)] * 2
    assert all(0 <= tick["at"] - due.timestamp() < 0.9 for tick, due in zip(ticks, nexts, strict=True))
    assert datetime.fromisoformat(ticks[1]["Last"]).replace(microsecond=0) == nexts[0]
    assert not any(tick["past_due"] for tick in ticks)


@pytest.mark.usefixtures("host")
async def test_a_timer_that_outlasts_its_schedule_never_overlaps_itself(app: App) -> None:
    await app.recorded(2, name="slow", event="end")
    events = [entry["event"] for entry in app.records(name="slow")]
    assert events == (["begin", "end"] * len(events))[: len(events)]


@pytest.mark.usefixtures("host")
async def test_a_timer_without_monitor_gets_no_status(app: App) -> None:
    assert (await app.recorded(name="slow", event="begin"))[0]["status"] == {}


async def test_run_on_startup_and_admin_invocations_pass_the_stored_status_whose_next_lies_ahead(
    app: App, host: RunningHost
) -> None:
    await app.recorded(name="yearly")
    async with httpx.AsyncClient(base_url=host.url, headers=KEY) as client:
        answer = await client.post("/admin/functions/yearly", json={})
    assert (answer.status_code, answer.content) == (202, b"")
    at_start, by_hand = await app.recorded(2, name="yearly")
    assert datetime.fromisoformat(at_start["Next"]) > datetime.now(UTC)
    assert by_hand["Next"] == at_start["Next"]
    assert at_start["Last"].startswith("0001-")
    assert not by_hand["Last"].startswith("0001-")


@pytest.mark.parametrize(
    ("path", "headers", "body", "status"),
    [
        ("tick", {}, b"", 401),
        ("unknown", KEY, b"", 404),
        ("tick", KEY, b"[]", 400),
        ("tick", KEY, b"{", 400),
        ("tick", KEY, b"", 202),
    ],
)
async def test_admin_invocation_answers(
    host: RunningHost, path: str, headers: dict[str, str], body: bytes, status: int
) -> None:
    async with httpx.AsyncClient(base_url=host.url) as client:
        assert (await client.post(f"/admin/functions/{path}", headers=headers, content=body)).status_code == status


async def test_an_occurrence_missed_while_the_function_ran_comes_right_after() -> None:
    """The clock stands still but for what the function takes: ten seconds, over a schedule of five."""
    now = datetime(2026, 1, 1, 0, 0, 4, tzinfo=UTC)
    seen: list[str] = []
    stop = asyncio.Event()

    async def invoke(_: Function, trigger: Datum, __: Mapping[str, Datum]) -> Outcome:
        nonlocal now
        seen.append(json.loads(trigger.value)["ScheduleStatus"]["Next"])
        now += timedelta(seconds=10)
        if len(seen) == 3:
            stop.set()
        return Outcome(succeeded=True)

    bindings = ({"type": "timerTrigger", "name": "timer", "schedule": "*/5 * * * * *", "runOnStartup": True},)
    timer = Timer(Function("late", "1", bindings), {}, invoke, lambda: now)
    await timer.run(stop)
    assert [text[17:19] for text in seen] == ["05", "05", "15"]
    await until(stop.is_set)

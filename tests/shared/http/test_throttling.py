import asyncio
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import Throttled, UpstreamFailed
from shared.http.throttling import LONGEST_SLEEP, OriginPace, RetryDelay, Throttle, backoff, retry_after
from tests.conftest import Clock
from tests.shared import virtual_time

NOW = datetime(2025, 3, 1, 12, 0, 0, tzinfo=UTC)
A_DAY = timedelta(days=1)
ORIGIN = "https://graph-us.avepoint.example"


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("0", 0),
        ("120", 120),
        (" 7 ", 7),
        ("1.5", 1.5),
        (".25", 0.25),
        ("3.", 3),
        ("999999999999", 86400),
        ("1" * 400, 86400),
        ("Sat, 01 Mar 2025 12:00:30 GMT", 30),
        ("Saturday, 01-Mar-25 12:00:30 GMT", 30),
        ("Sat Mar  1 12:00:30 2025", 30),
        ("Sat, 01 Mar 2025 13:00:30 +0100", 30),
        ("Sat, 01 Mar 2025 11:00:00 GMT", 0),
        ("Fri, 31 Dec 9999 23:59:59 GMT", 86400),
        ("30,120", 120),
        ("120, 30", 120),
        ("1,5", 5),
        ("soon, 7", 7),
        ("10, Sat, 01 Mar 2025 12:00:30 GMT", 30),
        ("Sat, 01 Mar 2025 12:00:30 GMT, 45", 45),
    ],
)
def test_retry_after_is_obeyed_in_every_form(value: str, seconds: float) -> None:
    assert retry_after(value, NOW) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    "value", [None, "", " ", "-1", "soon", "1e3", "1_000", "nan", "inf", "٣", ",", "30 s", "12:00"]
)
def test_a_retry_after_that_cannot_be_read_counts_as_none(value: str | None) -> None:
    assert retry_after(value, NOW) is None


@given(st.one_of(st.text(), st.from_regex(r"\d{0,5}\.?\d{0,5}( \w{3,9}[ ,]*){0,3}")))
def test_retry_after_is_none_or_between_nothing_and_a_day(value: str) -> None:
    wait = retry_after(value, NOW)

    assert wait is None or timedelta(0) <= wait <= A_DAY


@given(st.floats(0, 86400).map(lambda seconds: round(seconds, 3)))
def test_seconds_are_obeyed_to_the_fraction(seconds: float) -> None:
    assert retry_after(f"{seconds:.3f}", NOW) == timedelta(seconds=seconds)


@given(st.datetimes(NOW.replace(tzinfo=None), (NOW + A_DAY).replace(tzinfo=None)))
def test_dates_are_obeyed_to_the_second(instant: datetime) -> None:
    instant = instant.replace(tzinfo=UTC, microsecond=0)

    assert retry_after(format_datetime(instant, usegmt=True), NOW) == instant - NOW


@given(attempt=st.integers(1, 10_000), random=st.floats(0, 1))
def test_backoff_is_jittered_from_nothing_to_a_ceiling_that_doubles_up_to_a_minute(attempt: int, random: float) -> None:
    ceiling = backoff(attempt, random=lambda: 1)

    assert ceiling == timedelta(seconds=min(60, 2 ** min(attempt - 1, 6)))
    assert timedelta(0) <= backoff(attempt, random=lambda: random) <= ceiling


async def test_patience_is_for_the_whole_errand(clock: Clock) -> None:
    patience, error = RetryDelay(clock.sleep), UpstreamFailed("no", status=500)

    await patience.sleep(LONGEST_SLEEP * 0.6, error)
    with pytest.raises(UpstreamFailed):
        await patience.sleep(LONGEST_SLEEP * 0.6, error)
    await patience.sleep(timedelta(seconds=-1), error)
    await patience.sleep(LONGEST_SLEEP * 0.4, error)

    assert patience.waited == LONGEST_SLEEP


@given(most=st.integers(1, 64), answers=st.lists(st.booleans(), max_size=200))
def test_a_pace_stays_within_its_bounds_and_recovers(most: int, answers: list[bool]) -> None:
    pace = OriginPace(most, most)
    for good in answers:
        before, pace = pace, pace.faster() if good else pace.slower()
        assert 1 <= pace.in_flight <= most
        assert 0 <= pace.gap <= 1
        assert good or (pace.in_flight <= max(1, before.in_flight / 2) and pace.gap >= 0.1)
    recovering = 0
    while pace != OriginPace(most, most):
        pace, recovering = pace.faster(), recovering + 1
    assert recovering <= max(44, most**2)


@pytest.fixture
def throttle(clock: Clock) -> Throttle:
    return Throttle(concurrency=4, clock=clock, sleep=clock.sleep, random=lambda: 1)


class Crowd:
    """Tasks that all want to be let in, and stay until they are told to go."""

    def __init__(self, throttle: Throttle, size: int, *, origin: str = ORIGIN) -> None:
        self.inside: list[int] = []
        self.turns: dict[int, int] = {}
        self._leave = [asyncio.Event() for _ in range(size)]
        self._throttle = throttle
        self._origin = origin
        self.tasks = [asyncio.create_task(self._visit(number)) for number in range(size)]

    async def _visit(self, number: int) -> None:
        async with self._throttle.admitted(self._origin) as turn:
            self.turns[number] = turn
            self.inside.append(number)
            try:
                await self._leave[number].wait()
            finally:
                self.inside.remove(number)

    async def go(self, *numbers: int) -> None:
        for number in numbers:
            self._leave[number].set()
        await settled()

    async def home(self) -> None:
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)


async def settled() -> None:
    """Let everybody run who can."""
    for _ in range(10):
        await asyncio.sleep(0)


async def test_no_more_than_the_concurrency_are_in_flight_and_who_came_first_is_next(throttle: Throttle) -> None:
    crowd = Crowd(throttle, 7)
    await settled()
    assert crowd.inside == [0, 1, 2, 3]

    await crowd.go(2)
    assert crowd.inside == [0, 1, 3, 4]
    await crowd.go(0, 1, 3, 4)
    assert crowd.inside == [5, 6]
    await crowd.home()


async def test_who_leaves_does_not_overtake_who_waits(throttle: Throttle) -> None:
    crowd = Crowd(throttle, 5)
    await settled()

    async with asyncio.timeout(60):
        await crowd.go(0)
        late = Crowd(throttle, 1)
        await settled()

    assert (crowd.inside, late.inside) == ([1, 2, 3, 4], [])
    await crowd.home()
    await late.home()


async def test_origins_do_not_wait_for_each_other(throttle: Throttle) -> None:
    crowd, elsewhere = Crowd(throttle, 5), Crowd(throttle, 1, origin="https://elsewhere.example")
    await settled()
    throttle.refused(ORIGIN, crowd.turns[0], timedelta(hours=1))

    assert elsewhere.inside == [0]
    async with throttle.admitted("https://elsewhere.example"):
        pass
    await crowd.home()
    await elsewhere.home()


@given(data=st.data())
def test_no_place_is_lost_or_doubled_whoever_gives_up(data: st.DataObject) -> None:
    async def visits() -> None:
        clock = Clock(NOW)
        throttle = Throttle(concurrency=3, clock=clock, sleep=clock.sleep, random=lambda: 0)
        crowd = Crowd(throttle, 12)
        for _ in range(data.draw(st.integers(0, 15))):
            match data.draw(st.sampled_from(["cancel", "leave", "both", "run"])):
                case "cancel":
                    crowd.tasks[data.draw(st.integers(0, 11))].cancel()
                case "leave":
                    await crowd.go(data.draw(st.integers(0, 11)))
                case "both" if crowd.inside:  # somebody is let in and gives up before knowing it
                    waiting = [n for n in range(12) if n not in crowd.turns and not crowd.tasks[n].done()]
                    crowd._leave[crowd.inside[0]].set()  # noqa: SLF001 - without letting anybody run
                    await asyncio.sleep(0)
                    for number in waiting[:1]:
                        crowd.tasks[number].cancel()
                case _:
                    await asyncio.sleep(0)
            assert len(crowd.inside) <= 3
        await crowd.home()
        later = Crowd(throttle, 4)
        await settled()
        assert len(later.inside) == 3
        await later.home()

    asyncio.run(visits())


async def test_one_pause_holds_for_everybody_until_it_is_over(throttle: Throttle, clock: Clock) -> None:
    async with throttle.admitted(ORIGIN) as turn:
        until = throttle.refused(ORIGIN, turn, timedelta(seconds=90))
    assert until == clock() + timedelta(seconds=90)

    clock.advance(seconds=89)
    with pytest.raises(Throttled) as caught:
        async with throttle.admitted(ORIGIN):
            pass
    assert caught.value.until == until

    clock.advance(seconds=1)
    async with throttle.admitted(ORIGIN):
        pass


async def test_a_shorter_pause_does_not_end_a_longer_one(throttle: Throttle, clock: Clock) -> None:
    async with throttle.admitted(ORIGIN) as turn:
        longer = throttle.refused(ORIGIN, turn, timedelta(seconds=90))
        throttle.refused(ORIGIN, turn, timedelta(seconds=1))

    clock.advance(seconds=2)
    with pytest.raises(Throttled) as caught:
        async with throttle.admitted(ORIGIN):
            pass
    assert caught.value.until == longer


async def places(throttle: Throttle) -> int:
    """How many are let in at once."""
    crowd = Crowd(throttle, 20)
    await settled()
    inside = len(crowd.inside)
    await crowd.home()
    return inside


async def test_refusals_of_requests_in_flight_together_count_once(throttle: Throttle, clock: Clock) -> None:
    crowd = Crowd(throttle, 4)
    await settled()
    for turn in crowd.turns.values():
        throttle.refused(ORIGIN, turn, timedelta(seconds=1))
    await crowd.home()
    clock.advance(seconds=10)

    assert await places(throttle) == 2


async def test_late_answers_to_requests_from_before_a_refusal_change_nothing(throttle: Throttle, clock: Clock) -> None:
    crowd = Crowd(throttle, 4)
    await settled()
    throttle.refused(ORIGIN, crowd.turns[0], None)
    for _ in range(20):
        throttle.served(ORIGIN, crowd.turns[1])
    await crowd.home()
    clock.advance(seconds=10)

    assert await places(throttle) == 2
    async with throttle.admitted(ORIGIN) as turn:
        assert throttle.refused(ORIGIN, turn, None) - clock() == timedelta(seconds=2)


async def test_places_come_back_slowly(throttle: Throttle, clock: Clock) -> None:
    async with throttle.admitted(ORIGIN) as turn:
        throttle.refused(ORIGIN, turn, timedelta(seconds=1))
    clock.advance(seconds=10)
    throttle.served(ORIGIN, turn)
    assert await places(throttle) == 2

    answers = 0
    while await places(throttle) < 4:
        async with throttle.admitted(ORIGIN) as turn:
            throttle.served(ORIGIN, turn)
        answers += 1
    assert 4 <= answers <= 12


async def test_requests_keep_a_distance_after_a_refusal(throttle: Throttle, clock: Clock) -> None:
    async with throttle.admitted(ORIGIN) as turn:
        throttle.refused(ORIGIN, turn, timedelta(seconds=1))
    clock.advance(seconds=1)

    starts = []
    for _ in range(4):
        async with throttle.admitted(ORIGIN):
            starts.append(clock())
    assert {later - earlier for earlier, later in pairwise(starts)} == {timedelta(seconds=0.1)}


async def test_no_request_waits_for_a_clock_that_has_gone_back(throttle: Throttle, clock: Clock) -> None:
    async with throttle.admitted(ORIGIN):
        clock.advance(seconds=1)
    clock.advance(hours=-1)
    began = clock()

    async with throttle.admitted(ORIGIN):
        assert clock() - began < timedelta(seconds=1)


async def starts_of_requests(count: int, *, seconds: float) -> list[float]:
    """When requests began that four at once send as soon as they may; each answer takes so long."""
    throttle = Throttle(concurrency=4, clock=virtual_time.clock, sleep=asyncio.sleep, random=lambda: 1)
    starts: list[float] = []

    async def request() -> None:
        async with throttle.admitted(ORIGIN):
            starts.append(asyncio.get_running_loop().time())
            await asyncio.sleep(seconds)

    await asyncio.gather(*(request() for _ in range(count)))
    return starts


@pytest.mark.parametrize(("seconds", "apart"), [(0.02, 0.00425), (0.2, 0.01), (0, 0)])
def test_requests_are_spread_over_the_time_of_the_fastest_answer_and_lose_nothing_by_it(
    seconds: float, apart: float
) -> None:
    starts = virtual_time.run(starts_of_requests(40, seconds=seconds))

    assert starts[3] == pytest.approx(0), "nobody knows yet how long an answer takes"
    assert all(later - earlier >= apart - 1e-5 for earlier, later in pairwise(starts[4:]))
    assert starts[-1] <= 9 * seconds + 3 * apart + 0.001


async def test_without_a_retry_after_the_pause_grows_with_each_refusal_in_a_row(
    throttle: Throttle, clock: Clock
) -> None:
    pauses = []
    for _ in range(8):
        async with throttle.admitted(ORIGIN) as turn:
            pauses.append((throttle.refused(ORIGIN, turn, None) - clock()).total_seconds())
        clock.advance(seconds=100)
    assert pauses == [1, 2, 4, 8, 16, 32, 60, 60]

    async with throttle.admitted(ORIGIN) as turn:
        throttle.served(ORIGIN, turn)
    async with throttle.admitted(ORIGIN) as turn:
        assert throttle.refused(ORIGIN, turn, timedelta(0)) - clock() == timedelta(seconds=1)

"""Schedules are read as the host reads them: all recordings, and laws against a second, slow reading."""

import re
from calendar import day_name, month_name
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from itertools import pairwise, product
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from shared.schedule import Schedule, check_schedule
from tests.recordings import recorded

RECORDINGS = recorded("host/ncrontab")
SIX = [case for case in RECORDINGS if case["kind"] == "six"]
FIRST = datetime(2026, 1, 1, tzinfo=UTC)
MONTHS = [name.lower() for name in month_name[1:]]
WEEKDAYS = [name.lower() for name in (day_name[-1], *day_name[:-1])]
# Of each field: the least and greatest value, and names.
FIELDS = ((0, 59, ()), (0, 59, ()), (0, 23, ()), (1, 31, ()), (1, 12, MONTHS), (0, 6, WEEKDAYS))

moments = st.datetimes(datetime(2024, 1, 1), datetime(2064, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - naive bounds are asked for


@st.composite
def items(draw: st.DrawFn, least: int, most: int, names: list[str]) -> str:
    numbers = st.integers(least, most).map(str)
    values = numbers | st.sampled_from(names).map(str.title) if names else numbers
    span = draw(st.just("*") | values | st.tuples(values, values).map("-".join))
    return span + draw(st.just("") | st.integers(-1, most + 2).map("/{}".format))


def field(least: int, most: int, names: list[str]) -> st.SearchStrategy[str]:
    listed = st.lists(items(least, most, names), min_size=1, max_size=3).map(",".join)
    return st.just("*") | listed


expressions = st.tuples(*(field(least, most, list(names)) for least, most, names in FIELDS)).map(" ".join)


class Reading:
    """An expression read slowly: each value of a field is held against each item of it."""

    def __init__(self, expression: str) -> None:
        columns = [
            [value for value in range(least, most + 1) if self._fits(text, value, least, most, list(names))]
            for text, (least, most, names) in zip(expression.split(), FIELDS, strict=True)
        ]
        self._times = list(product(columns[2], columns[1], columns[0]))
        self._days, self._months, self._weekdays = columns[3:]

    def ticks(self, after: datetime, *, years: int) -> Iterator[datetime]:
        midnight = after.replace(hour=0, minute=0, second=0, microsecond=0)
        for day in (midnight + timedelta(days=number) for number in range(years * 366)):
            if day.day in self._days and day.month in self._months and day.isoweekday() % 7 in self._weekdays:
                whole = (day.replace(hour=hour, minute=minute, second=second) for hour, minute, second in self._times)
                yield from (tick for tick in whole if tick > after)

    @staticmethod
    def _fits(text: str, value: int, least: int, most: int, names: list[str]) -> bool:
        def number(word: str) -> int:
            return names.index(word.lower()) + least if word.lower() in names else int(word)

        for item in text.split(","):
            first, last, step = re.findall(r"(\*|\w+)(?:-(\w+))?(?:/(-?\w+))?", item)[0]
            low = least if first == "*" else number(first)
            high = most if first == "*" or (step and not last) else number(last or first)
            low, high = min(low, high), max(low, high)
            if low <= value <= high and (value - low) % max(int(step or 1), 1) == 0:
                return True
        return False


@pytest.mark.parametrize("case", RECORDINGS, ids=lambda case: repr(case["expression"]))
def test_what_the_host_takes_with_six_fields_is_taken_and_nothing_else(case: dict[str, Any]) -> None:
    if case["kind"] == "six":
        assert Schedule.parse(case["expression"]).never == case["never"]
    else:
        with pytest.raises(ValueError, match=r"\w"):
            Schedule.parse(case["expression"])


@pytest.mark.parametrize("case", SIX, ids=lambda case: repr(case["expression"]))
def test_the_ticks_are_those_of_the_host(case: dict[str, Any]) -> None:
    schedule = Schedule.parse(case["expression"])
    for start, recorded_ticks in case["next"].items():
        ticks = [datetime.fromisoformat(start), *map(datetime.fromisoformat, recorded_ticks)]
        assert [schedule.next(tick) for tick in ticks[:-1]] == ticks[1:]
        assert [schedule.latest(tick) for tick in ticks[1:]] == ticks[1:]


@given(expressions, moments)
@settings(max_examples=100, deadline=None)
def test_next_and_latest_agree_with_a_slow_reading(expression: str, after: datetime) -> None:
    both_readings_agree(expression, after)


@pytest.mark.slow
@given(expressions, moments)
@settings(max_examples=2000, deadline=None)
def test_next_and_latest_agree_with_a_slow_reading_over_thousands_of_schedules(
    expression: str, after: datetime
) -> None:
    both_readings_agree(expression, after)


def both_readings_agree(expression: str, after: datetime) -> None:
    schedule = Schedule.parse(expression)
    expected = next(Reading(expression).ticks(after, years=1), None)
    found = schedule.next(after)
    if expected is None:
        assert found is None or found > after + timedelta(days=365)
    else:
        assert found == expected
        assert schedule.latest(expected) == expected
        assert (schedule.latest(expected - timedelta(microseconds=1)) or FIRST) <= after


@given(expressions)
@settings(max_examples=100, deadline=None)
def test_a_schedule_that_never_comes_is_one_without_a_day_in_forty_years(expression: str) -> None:
    assert Schedule.parse(expression).never == (next(Reading(expression).ticks(FIRST, years=40), None) is None)


@given(expressions, moments)
def test_ticks_grow_and_latest_gives_each_back(expression: str, after: datetime) -> None:
    schedule = Schedule.parse(expression)
    assume(not schedule.never)
    ticks = [after]
    while len(ticks) < 5:
        ticks.append(schedule.next(ticks[-1]) or after)
    for earlier, later in pairwise(ticks):
        assert earlier < later
        assert schedule.latest(later) == later


@given(st.text("0123456789*/,-? L#WMONJA\t\n\u0665", max_size=20))
def test_any_text_is_taken_or_refused(text: str) -> None:
    with suppress(ValueError):
        assert Schedule.parse(text).seconds


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        ("0 2 * * *", "six fields"),
        ("0 0  2 * * *", "several spaces"),
        ("0\t0 2 * * *", "six fields"),
        ("0 0 22-2 * * *", "'22-2' of the hour"),
        ("0 0 5-5 * * *", "'5-5' of the hour"),
        ("0 0 0 * * SAT-SUN", "'SAT-SUN' of the weekday"),
        ("0 0 0 * 1,11-2/2 *", "'11-2/2' of the month"),
        ("0 0 0 30 2 *", "never comes"),
        ("0 0 0 31 2,4 *", "never comes"),
        ("0 0 0 L * *", "'L' is no day: use a number from 1 to 31"),
        ("0 0 0 * Mai *", "'Mai' is no month: use a number from 1 to 12, or a name such as January"),
        ("0 0 0 * * 7", "'7' is no weekday: use a number from 0 to 6"),
        ("0 0 0 15W * *", "'15W' is not a whole number"),
        ("99999999999 0 0 * * *", "too large"),
        ("5/2147483647 0 0 * * *", "too large"),
    ],
)
def test_what_a_person_would_not_mean_is_refused(expression: str, words: str) -> None:
    with pytest.raises(ValueError, match=re.escape(words)):
        check_schedule(expression)


@pytest.mark.parametrize("expression", ["0 */10 * * * *", "0 0 22-23,0-2 * * *", "0 0 0 29 2 *", " 0 0 2 * * MON-FRI "])
def test_a_plain_schedule_is_taken(expression: str) -> None:
    check_schedule(expression)


def test_a_tick_may_be_asked_for_in_any_zone() -> None:
    after = datetime.fromisoformat("2026-03-01T01:30:00+02:00")
    assert Schedule.parse("0 0 0 * * *").next(after) == datetime(2026, 3, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("expression", "at", "hours"),
    [
        ("0 0 2 * * *", "2026-01-28T12:00", 24),
        ("0 0 */6 * * *", "2026-01-28T12:00", 6),
        ("0 0 2 * * 1-5", "2026-01-28T12:00", 24),  # a Wednesday
        ("0 0 2 * * 1-5", "2026-01-25T12:00", 72),  # a Sunday
        ("0 0 2 * * 1-5", "2026-01-26T03:00", 72),  # a Monday, whose harvest has just begun
        ("0 0 2 30 2 *", "2026-01-26T03:00", 0),  # never
    ],
)
def test_the_pause_around_the_newest_tick(expression: str, at: str, hours: int) -> None:
    now = datetime.fromisoformat(at).replace(tzinfo=UTC)
    assert Schedule.parse(expression).pause(now) == timedelta(hours=hours)

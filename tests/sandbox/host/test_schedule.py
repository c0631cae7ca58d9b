from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.host.schedule import Schedule

moments = st.datetimes(datetime(2024, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - naive bounds are asked for


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("* * * * * *", "2026-03-01T12:00:01"),
        ("*/15 * * * * *", "2026-03-01T12:00:15"),
        ("0 */10 * * * *", "2026-03-01T12:10:00"),
        ("0 30 2 * * *", "2026-03-02T02:30:00"),
        ("0 0 6 * * MON-FRI", "2026-03-02T06:00:00"),
        ("0 0 6 * Jan,Jul 0", "2026-07-05T06:00:00"),
        ("0 0 0 13 * 5", "2026-03-13T00:00:00"),  # day of month and day of week both hold
        ("0 0 0 29 2 *", "2028-02-29T00:00:00"),
    ],
)
def test_the_next_occurrence(expression: str, expected: str) -> None:
    after = datetime(2026, 3, 1, 12, tzinfo=UTC)
    assert Schedule.parse(expression).next(after) == datetime.fromisoformat(expected).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    "expression",
    [
        "",
        "* * * * *",
        "* * * * * * *",
        "60 * * * * *",
        "0 0 0 * * 7",
        "0 0 0 L * *",
        "@daily",
        "H * * * * *",
        "0 0 0 31 2 *",
    ],
)
def test_what_azure_does_not_take_is_refused(expression: str) -> None:
    with pytest.raises(ValueError, match=r"schedule|NCRONTAB"):
        Schedule.parse(expression)


@given(moments, st.integers(1, 59), st.integers(0, 59), st.integers(0, 23))
def test_the_next_occurrence_lies_strictly_ahead_and_matches(now: datetime, step: int, minute: int, hour: int) -> None:
    schedule = Schedule.parse(f"*/{step} {minute} {hour} * * *")
    tick = schedule.next(now)
    assert now < tick <= now + timedelta(days=1)
    assert (tick.second % step, tick.minute, tick.hour, tick.microsecond) == (0, minute, hour, 0)
    assert schedule.next(tick) > tick


@given(moments)
def test_no_occurrence_is_left_out(now: datetime) -> None:
    assert Schedule.parse("* * * * * *").next(now) == now.replace(microsecond=0) + timedelta(seconds=1)

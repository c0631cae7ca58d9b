from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.opus.intake.dates import Dates, parse_date, parse_record_time, zoned_time

UTC_ISO = Dates(ZoneInfo("UTC"))
AMSTERDAM = Dates(ZoneInfo("Europe/Amsterdam"), "%Y-%m-%d %H:%M:%S")


@pytest.mark.parametrize(
    ("dates", "text", "written"),
    [
        (UTC_ISO, "2024-12-20T11:13:00Z", "2024-12-20T11:13:00"),
        (UTC_ISO, "2024-12-20T11:13:00.0000000Z", "2024-12-20T11:13:00"),
        (UTC_ISO, "2024-12-20T11:13:00+02:00", "2024-12-20T09:13:00"),
        (UTC_ISO, "2024-12-20t11:13:00z", "2024-12-20T11:13:00"),
        (AMSTERDAM, "2024-07-20T11:13:00Z", "2024-07-20 13:13:00"),
        (AMSTERDAM, "2024-12-20T11:13:00Z", "2024-12-20 12:13:00"),
    ],
)
def test_times_go_out_in_the_zone_and_format_of_the_tenant(dates: Dates, text: str, written: str) -> None:
    assert dates.written(parse_record_time(text)) == written


@pytest.mark.parametrize(
    ("dates", "text", "read"),
    [
        (UTC_ISO, "2026-01-15 08:30:00 ", "2026-01-15T08:30:00Z"),
        (AMSTERDAM, "2026-01-15 08:30:00 ", "2026-01-15T07:30:00Z"),
        (Dates(ZoneInfo("UTC"), "%d.%m.%Y %H:%M"), "15.01.2026 08:30", "2026-01-15T08:30:00Z"),
        (UTC_ISO, "N/A ", "N/A"),
        (UTC_ISO, "", ""),
        (AMSTERDAM, "0001-01-01 00:00:00", "0001-01-01 00:00:00"),
    ],
)
def test_times_come_in_as_rfc_3339_where_they_can_be_read(dates: Dates, text: str, read: str) -> None:
    assert dates.read(text) == read


@given(st.datetimes(min_value=datetime(1900, 1, 1), max_value=datetime(2999, 1, 1), timezones=st.just(UTC)))  # noqa: DTZ001 - hypothesis wants naive bounds
def test_what_is_written_is_read_back_as_the_same_instant(instant: datetime) -> None:
    whole = instant.replace(microsecond=0)

    assert parse_record_time(UTC_ISO.read(UTC_ISO.written(instant))) == whole


@pytest.mark.parametrize(
    "text",
    [
        "",
        "yesterday",
        "2026-01-15",
        "2026-13-15T08:30:00Z",
        "20260115T083000Z",
        "1768465800",
        "2026-01-15T08:30:00",
        "1899-12-31T23:59:59Z",
        "9999-01-01T00:00:00Z",
        "٢٠٢٦-01-15T08:30:00Z",
    ],
)
def test_nothing_but_rfc_3339_with_its_zone_is_taken(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_record_time(text)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("0001-01-01T00:00:00Z", "the year 0001 is not from 1900 to 9998"),
        ("9999-12-31T23:59:59Z", "the year 9999 is not from 1900 to 9998"),
        ("2026-02-30T00:00:00Z", "there is no such day"),
        ("2026-01-15T25:00:00Z", "there is no such day, time of day"),
        ("2026-01-15T08:30:00+24:30", "there is no such day, time of day or offset"),
        ("2026-01-15T08:30:00", "a time needs its zone"),
        ("2026-W48-7", "a time such as"),
    ],
)
def test_what_is_wrong_with_a_time_is_said(text: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        parse_record_time(text)


@pytest.mark.parametrize("text", ["2026-01-15T08:30:00", "2026-13-15T08:30:00Z", "at 2026-01-15T08:30:00Z", "7"])
def test_a_text_that_is_not_wholly_a_time_with_a_zone_stays_text(text: str) -> None:
    assert zoned_time(text) is None


def test_a_whole_time_with_a_zone_is_a_time() -> None:
    assert zoned_time("2026-01-15T08:30:00+01:00") == datetime(2026, 1, 15, 7, 30, tzinfo=UTC) + timedelta(0)


@pytest.mark.parametrize(("dates", "written"), [(UTC_ISO, "2024-07-01T00:00:00"), (AMSTERDAM, "2024-07-01 00:00:00")])
def test_a_date_alone_is_not_shifted(dates: Dates, written: str) -> None:
    day = parse_date("2024-07-01")

    assert day is not None
    assert dates.written_date(day) == written


@pytest.mark.parametrize("text", ["2024-02-30", "2024-7-1", "20240701", "2024-07-01 ", "1899-12-31", "9999-01-01"])
def test_what_is_not_wholly_a_date_is_none(text: str) -> None:
    assert parse_date(text) is None

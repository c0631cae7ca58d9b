"""What has not ended is seen whatever else of an item cannot be read."""

from datetime import UTC, datetime

import msgspec
import pytest

from shared.avepoint.catalog import catalog
from shared.avepoint.fields import fields_of
from shared.avepoint.page import Page
from shared.harvest.snapshots.open_items import UNKNOWN_START, OpenItems, seconds_of

STARTED = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    "name", [b"Mail", b"M\xfcller", rb"cut \ud83d", b"\xc3"], ids=["whole", "Latin-1", "half an emoji", "half a letter"]
)
def test_an_odd_name_hides_no_job_that_goes_on(name: bytes) -> None:
    ending = fields_of(catalog()["graph", "iaas-backup-jobs"]).ending
    assert ending is not None
    seen = OpenItems(ending)
    going_on, ended = (
        msgspec.Raw(b'{"name":"%b","status":%d,"startTime":"2026-03-01T00:00:00Z"}' % (name, status))
        for status in (1, 2)
    )
    seen.take(Page([going_on, ended, msgspec.Raw(b"null")], None, None, pretty=False))
    assert (seen.count, seen.oldest) == (1, {b"": int(STARTED.timestamp())})


@pytest.mark.parametrize(
    ("written", "second"),
    [
        ("2026-03-01T01:00:00+01:00", int(STARTED.timestamp())),
        ("2026-03-01 00:00:00", int(STARTED.timestamp())),
        ("2026-03-01T00:00:00.1234567", int(STARTED.timestamp())),
        ("0001-01-01T00:00:00+08:00", UNKNOWN_START),
        ("0001-01-01T00:00:00", UNKNOWN_START),
        ("N/A", UNKNOWN_START),
        (None, UNKNOWN_START),
        (1772323200, UNKNOWN_START),
    ],
)
def test_a_start_is_an_instant_or_unknown(written: object, second: int) -> None:
    """What .NET writes for none lies before the first year, east of Greenwich: no window can begin there."""
    assert seconds_of(written) == second
    assert datetime.fromtimestamp(second, UTC) <= STARTED

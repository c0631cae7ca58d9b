"""One event is one line, with its fields as text and as fields, and with those of the work it is part of."""

import logging

import pytest

from shared.telemetry.events import log_event, log_failure
from shared.telemetry.redaction import redact_logs
from shared.telemetry.spans import span

log = logging.getLogger(__name__)


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.INFO, logger=__name__)
    return caplog


def test_the_fields_are_text_and_fields(lines: pytest.LogCaptureFixture) -> None:
    log_event(log, "slice.saved", run="r1", items=3, wait=0.5, reason=None)
    record = lines.records[-1]
    assert record.getMessage() == "slice.saved run=r1 items=3 wait=0.5 reason=None"
    assert (
        vars(record).items() >= {"event": "slice.saved", "run": "r1", "items": 3, "wait": 0.5, "reason": None}.items()
    )
    assert (record.levelno, record.funcName) == (logging.INFO, "test_the_fields_are_text_and_fields")


@pytest.mark.parametrize(
    ("value", "text"), [("two words", "'two words'"), ("two\nlines", r"'two\nlines'"), (ValueError("x y"), "'x y'")]
)
def test_one_event_is_one_line(lines: pytest.LogCaptureFixture, value: object, text: str) -> None:
    log_event(log, "thing.happened", what=value)
    assert lines.records[-1].getMessage() == f"thing.happened what={text}"


def test_an_event_carries_the_fields_of_the_work_around_it(lines: pytest.LogCaptureFixture) -> None:
    with span("outer", "run-1", run="run-1", epoch=1), span("inner", request="abc"):
        log_event(log, "transport.waiting", epoch=2)
    log_event(log, "timer.fired")
    assert [record.getMessage() for record in lines.records] == [
        "transport.waiting run=run-1 epoch=2 request=abc",
        "timer.fired",
    ]


def test_no_field_holds_a_secret(lines: pytest.LogCaptureFixture) -> None:
    with span("avepoint.request", link="https://a.example/x?token=hidden"):
        log_event(log, "transport.answered", error="Authorization: Bearer hidden")
    assert "hidden" not in str([vars(record) for record in lines.records])


def test_a_traceback_is_added_without_its_secrets(lines: pytest.LogCaptureFixture) -> None:
    redact_logs()
    try:
        int("client_secret=hidden")
    except ValueError:
        log_failure(log, "http.failed")
    shown = logging.Formatter().format(lines.records[-1])
    assert "client_secret=***" in shown
    assert "Traceback" in shown

"""The body of ``POST /harvests``: what is not understood is refused (promise 11)."""

import json
from datetime import UTC, datetime

import pytest
from pydantic import ValidationError

from functions.harvest_request import StartHarvest
from shared.harvest.plan.windows import Window


def parsed(window: object) -> StartHarvest:
    return StartHarvest.model_validate_json(json.dumps({"source": "graph", "window": window}))


def test_a_window_is_read_with_its_zone() -> None:
    wanted = parsed({"from": "2026-01-01T00:00:00Z", "to": "2026-01-02T01:00:00+01:00"})
    assert wanted.window is not None
    window = Window(from_=datetime(2026, 1, 1, tzinfo=UTC), to=datetime(2026, 1, 2, tzinfo=UTC))
    assert wanted.window.as_window() == window
    told = {"from": "2026-01-01T00:00:00Z", "to": "2026-01-02T00:00:00Z"}
    assert json.loads(wanted.window.as_window().to_json()) == told


@pytest.mark.parametrize(
    "window",
    [
        {"from": "2026-01-01T00:00:00", "to": "2026-01-02T00:00:00Z"},
        {"from": "2026-01-01", "to": "2026-01-02T00:00:00Z"},
        {"from": "1899-12-31T00:00:00Z", "to": "2026-01-02T00:00:00Z"},
        {"from": 1767225600, "to": "2026-01-02T00:00:00Z"},
        {"from": "2026-01-01T00:00:00Z"},
        {"from": "2026-01-01T00:00:00Z", "to": "2026-01-02T00:00:00Z", "until": ""},
        "yesterday",
    ],
)
def test_a_window_that_is_not_one_is_refused(window: object) -> None:
    with pytest.raises(ValidationError):
        parsed(window)

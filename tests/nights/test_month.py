"""A month of a tenant keeps every promise, and takes what ``capacity month`` says; ``make soak`` lives a year."""

from collections import Counter

import pytest

from tests.nights.happenings import MONTH
from tests.nights.year import live


@pytest.mark.slow
async def test_a_month_keeps_every_promise_and_takes_what_was_said() -> None:
    month = await live(MONTH)
    here = month.here
    assert here.alerts.raised.keys() == here.alerts.rules.keys()  # each fired on its days, and on no other
    assert here.deaths
    said, took = await month.checks.said(), Counter(here.storage.transactions)
    measured = {
        "requests": (month.requests, said.requests),
        "executions": (here.executions, said.executions),
        "transactions": (took.total() + 2 * took["enqueue"], said.transactions),
    }
    wrong = {name: pair for name, pair in measured.items() if pair[0] != pytest.approx(pair[1], rel=0.25)}
    assert not wrong, measured

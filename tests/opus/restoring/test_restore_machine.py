"""Restores, failovers and copies between calls, cancels, switches, kills and lost answers, as a state machine.

The model is the log of the simulated Opus. After each misfortune the page *Restoring* is followed: what does not fit is
set right before the app works again, and a call of which nothing is left in storage is not repeated by its flow.
"""

import logging
from collections.abc import Iterator
from datetime import timedelta
from typing import override

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule, run_state_machine_as_test

from shared.azure.storage import Container
from shared.opus.ledger.documents import Opening
from tests.opus.operations.test_state_machine import PLAN, Asked, OperationsMachine
from tests.opus.restoring.test_repairs import found
from tests.opus.world import Host, World

LEDGER = (Container.OPERATIONS, Container.EVIDENCE)


class RestoringMachine(OperationsMachine):
    """Operations whose storage is restored to an earlier point, loses what is newest, or is copied."""

    def __init__(self) -> None:
        super().__init__()
        self.backup: dict[str, bytes] = {}
        self.forgotten: set[str] = set()

    @override
    def call(self, asked: Asked, host: Host) -> None:
        if asked.key not in self.forgotten:
            super().call(asked, host)

    @rule()
    def back_up(self) -> None:
        """Remember what the ledger holds."""
        self.backup = self.world.backup(Container.OPERATIONS)

    @precondition(lambda self: self.asked)
    @rule(minutes=st.sampled_from([0, 10, 90]))
    def restore(self, minutes: int) -> None:
        """Bring the ledger back to the backup; evidence cannot be deleted, and stays."""
        self.world.restore(Container.OPERATIONS, self.backup)
        self.set_right(minutes, "restored")
        for asked in self.asked:
            asked.calls_at_end = None

    @precondition(lambda self: self.asked)
    @rule(newest=st.integers(1, 12), lost=st.lists(st.booleans(), min_size=12, max_size=12))
    def fail_over(self, newest: int, lost: list[bool]) -> None:
        """Lose some of the newest blobs of ledger and evidence, in no order."""
        storage = self.world.storage
        written = sorted(
            ((at, where) for where, at in storage._modified.items() if where[1] in storage.blobs[where[0]]),  # noqa: SLF001 - storage fails over
            key=lambda one: one[0],
        )
        ledger = [where for _, where in written if where[0] in LEDGER]
        for (container, path), is_lost in zip(ledger[-newest:], lost, strict=False):
            if is_lost:
                del storage.blobs[container][path]
        for asked in self.asked:
            asked.ended = asked.calls_at_end = None
        self.set_right(10, "failed over")

    def set_right(self, minutes: int, what: str) -> None:
        """Do what the page says; the leases of what worked before are over by then."""
        world = self.world
        world.queue.clear()
        world.now += timedelta(minutes=minutes + 2)
        for _ in range(3):  # what was written may show more, and the page says to repeat it
            world.now += timedelta(seconds=1)
            left = self.loop.run_until_complete(found(world))
        assert left == [], left
        assert self.loop.run_until_complete(world.problems()) == []
        blobs = world.storage.blobs[Container.OPERATIONS]
        orders = [
            Opening.from_json(stored.data).order for path, stored in blobs.items() if path.endswith("/order.json")
        ]
        known = {order.client["idempotency-key"] for order in orders}
        for asked in self.asked:
            if asked.key not in known:
                self.forgotten.add(asked.key)
                asked.operation_id = None
        PLAN.seen.add(what)

    @rule()
    def copy(self) -> None:
        """Let an app on a copied account work for an hour: it shows what is open, and carries none of it on."""
        world, other = self.world, World()
        other.now = world.now
        for container in LEDGER:
            other.restore(container, world.backup(container))
        before = [len(tenant.log) for tenant in (world.mine, world.theirs)]
        for asked in self.asked:
            if asked.operation_id:
                host = Host(other, asked.tenant, account="two")
                progress = self.loop.run_until_complete(other.finish(host, asked.operation_id))
                assert progress.operation.finished_at
        assert [len(tenant.log) for tenant in (world.mine, world.theirs)] == before
        PLAN.seen.add("copied")


def run(examples: int, steps: int) -> None:
    limits = settings(
        max_examples=examples, stateful_step_count=steps, deadline=None, suppress_health_check=list(HealthCheck)
    )
    run_state_machine_as_test(RestoringMachine, settings=limits)


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


def test_whatever_is_restored_no_outcome_contradicts_opus() -> None:
    run(15, 20)


@pytest.mark.slow
def test_whatever_is_restored_for_long_no_outcome_contradicts_opus() -> None:
    run(200, 50)
    assert {"restored", "failed over", "copied", "Succeeded", "Failed", "Uncertain"} <= PLAN.seen

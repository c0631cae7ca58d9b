"""Promise 7 as a state machine: calls, duplicates, cancels, switches, tenants, clocks, kills and lost answers.

The model is the log of the simulated Opus: what it was asked, and what it did, at once or late.
"""

import asyncio
import logging
from collections.abc import Coroutine, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import get_args

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from shared.azure.storage import Container
from shared.errors import Conflict, Forbidden
from shared.opus.evidence.archive import _memories
from shared.opus.ledger.documents import Operation
from shared.opus.operations.progress import OperationProgress
from tests.opus.world import SETTLE, Host, Killed, Mood, Tenant, World, call

MOODS = get_args(Mood.__value__)


@dataclass
class Asked:
    """A call that was made, and when it was stopped by a person, or by the switch."""

    key: str
    kind: str
    ids: list[str]
    looked_up: bool
    tenant: Tenant
    operation_id: str | None = None
    ended: Operation | None = None
    calls_at_end: int | None = None


@dataclass
class Plan:
    """What a test run wants to be sure to have seen."""

    seen: set[str] = field(default_factory=set)


PLAN = Plan()


class OperationsMachine(RuleBasedStateMachine):
    """One storage account, three hosts with clocks of their own, two tenants."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.world = World()
        self.asked: list[Asked] = []

    @initialize(skews=st.tuples(*[st.sampled_from([-25, 0, 25])] * 3))
    def start(self, skews: tuple[int, int, int]) -> None:
        world = self.world
        self.hosts = [Host(world, world.mine, ahead=timedelta(seconds=seconds)) for seconds in skews]

    def do[T](self, work: Coroutine[None, None, T]) -> T | None:
        """Let a host do something; one that is killed is replaced by the next."""
        try:
            return self.loop.run_until_complete(work)
        except Killed:
            PLAN.seen.add("killed")
            _memories._values.clear()  # noqa: SLF001 - another process remembers nothing
            return None

    @rule(
        host=st.integers(0, 2),
        kind=st.sampled_from(["submit", "destroy", "destroy"]),
        count=st.sampled_from([1, 2, 16, 31]),
        looked_up=st.booleans(),
        missing=st.booleans(),
        moods=st.lists(st.sampled_from(MOODS), max_size=4),
    )
    def ask(self, host: int, kind: str, count: int, *, looked_up: bool, missing: bool, moods: list[Mood]) -> None:
        """Make a call of its own."""
        name = f"k{len(self.asked)}"
        ids = [f"{name}-{number:02d}" for number in range(count)]
        asked = Asked(name, kind, ids, looked_up, self.hosts[host].tenant)
        if missing:
            asked.tenant.not_due.add(ids[0])
        asked.tenant.moods += moods
        self.asked.append(asked)
        self.call(asked, self.hosts[host])

    @precondition(lambda self: self.asked)
    @rule(host=st.integers(0, 2), which=st.integers(0, 99), moods=st.lists(st.sampled_from(MOODS), max_size=2))
    def ask_again(self, host: int, which: int, moods: list[Mood]) -> None:
        """Deliver a call once more, to whichever host."""
        asked = self.asked[which % len(self.asked)]
        asked.tenant.moods += moods
        self.call(asked, self.hosts[host])

    def call(self, asked: Asked, host: Host) -> None:
        elsewhere = host.tenant is not asked.tenant
        try:
            if asked.kind == "submit":
                progress = self.do(host.submit(asked.key, asked.ids))
            else:
                progress = self.do(host.destroy(asked.key, asked.ids, looked_up=asked.looked_up))
        except Forbidden:
            assert not host.destroy_enabled
            return
        except Conflict:
            assert elsewhere
            return
        if asked.operation_id is None and elsewhere:
            asked.tenant = host.tenant  # its first call never arrived, so it belongs here
        self.note(asked, progress)

    def note(self, asked: Asked, progress: OperationProgress | None) -> None:
        if progress is None:
            return
        asked.operation_id = progress.operation.operation_id
        if progress.retry_after is None:
            repeated = asked.ended and any(item.repeatable for item in asked.ended.uncertain)
            assert asked.ended is None or asked.ended == progress.operation or repeated
            if repeated:
                asked.calls_at_end = None  # a call of the same key may take these items up again
            asked.ended = progress.operation

    @rule(host=st.integers(0, 2), keep=st.booleans())
    def deliver(self, host: int, *, keep: bool) -> None:
        """Bring a message to a host, perhaps not for the last time."""
        self.do(self.world.deliver(self.hosts[host], keep=keep))

    @rule(seconds=st.sampled_from([1, 60, 240, 301, 1200]))
    def wait(self, seconds: int) -> None:
        """Let time pass."""
        self.world.now += timedelta(seconds=seconds)

    @precondition(lambda self: self.asked)
    @rule(host=st.integers(0, 2), which=st.integers(0, 99))
    def cancel(self, host: int, which: int) -> None:
        """Cancel an operation."""
        asked = self.asked[which % len(self.asked)]
        if asked.operation_id:
            progress = self.do(self.hosts[host].operations.cancel(asked.operation_id, call(None)))
            self.note(asked, progress)
            if progress and progress.retry_after is None:
                asked.calls_at_end = self.calls_of(asked)
                PLAN.seen.add("cancelled")

    @rule(host=st.integers(0, 2))
    def turn_the_switch(self, host: int) -> None:
        """Switch destroying on or off."""
        self.hosts[host].destroy_enabled ^= True

    @rule(host=st.integers(0, 2))
    def move(self, host: int) -> None:
        """Point a host at the other tenant."""
        world = self.world
        self.hosts[host].tenant = world.theirs if self.hosts[host].tenant is world.mine else world.mine

    @rule(host=st.integers(0, 2))
    def sweep(self, host: int) -> None:
        """Wake up what fell silent."""
        for asked in self.asked:
            if asked.operation_id:
                self.do(self.hosts[host].operations.revive(asked.operation_id))

    def calls_of(self, asked: Asked) -> int:
        return sum(asked.ids[-1] in sent.ids or asked.ids[0] in sent.ids for sent in asked.tenant.log)

    @invariant()
    def no_id_is_in_two_calls_unless_the_first_did_not_run(self) -> None:
        for tenant in (self.world.mine, self.world.theirs):
            done: set[str] = set()
            for sent in (one for one in tenant.log if one.kind == "destroy"):
                assert done.isdisjoint(sent.ids), f"{sent} repeats what was done, or still is"
                done |= set(sent.ids) - sent.failed if sent.done_at else set()

    @invariant()
    def nothing_is_destroyed_where_it_was_not_asked_for_or_after_the_switch(self) -> None:
        for tenant in (self.world.mine, self.world.theirs):
            for sent in tenant.log:
                assert sent.enabled or sent.kind == "submit"
                (asked,) = (one for one in self.asked if set(sent.ids) <= set(one.ids))
                assert asked.tenant is tenant

    @invariant()
    def what_was_ended_sends_nothing_more(self) -> None:
        for asked in self.asked:
            if asked.ended is None or asked.calls_at_end is None:
                continue
            if not any(item.repeatable for item in asked.ended.uncertain):
                assert self.calls_of(asked) == asked.calls_at_end

    def teardown(self) -> None:
        """Let everything come to its end, and hold it against the log."""
        world = self.world
        with suppress(AttributeError):
            self.let_end()
        wrong = self.loop.run_until_complete(world.problems())
        self.loop.close()
        assert wrong == [], wrong

    def let_end(self) -> None:
        world = self.world
        for tenant in (world.mine, world.theirs):
            tenant.moods.clear()
        for asked in self.asked:
            if asked.operation_id is None:
                continue
            host = Host(world, asked.tenant)
            progress = self.loop.run_until_complete(world.finish(host, asked.operation_id))
            world.now += 3 * SETTLE
            self.hold(asked, progress.operation)
        pieces = len(world.storage.blobs[Container.EVIDENCE])
        assert pieces >= sum(asked.operation_id is not None for asked in self.asked)

    def hold(self, asked: Asked, operation: Operation) -> None:
        """Hold an outcome against what Opus did."""
        failed = {item.id for item in operation.failed}
        uncertain = {item.id for item in operation.uncertain}
        assert operation.requested == operation.succeeded + len(failed) + len(uncertain)
        PLAN.seen.add(operation.status)
        for key in asked.ids:
            done = asked.tenant.done(key)
            if key in failed:
                assert not done, f"{key} is told as failed, and was done"
            elif key not in uncertain:
                assert done, f"{key} is told as done, and was not"
        assert set(operation.confirmed) <= {key for key in asked.ids if asked.tenant.done(key)}


def test_whatever_happens_no_outcome_contradicts_opus() -> None:
    limits = settings(max_examples=60, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck))
    run_state_machine_as_test(OperationsMachine, settings=limits)


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


@pytest.mark.slow
def test_whatever_happens_for_long_no_outcome_contradicts_opus() -> None:
    limits = settings(max_examples=1000, stateful_step_count=60, deadline=None, suppress_health_check=list(HealthCheck))
    run_state_machine_as_test(OperationsMachine, settings=limits)
    assert {"Succeeded", "Failed", "Uncertain", "killed"} <= PLAN.seen

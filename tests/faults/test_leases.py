"""Promises 2 and 9: work goes on within two minutes after a death, and unforeseen errors are told within minutes."""

from datetime import timedelta
from functools import partial
from itertools import count

import pytest

from shared.avepoint.catalog import Dataset
from shared.avepoint.page import Page, read_page
from shared.azure.lease import ATTEMPTS
from shared.azure.storage import Container, Queue
from shared.harvest.plan import paths
from shared.harvest.plan.messages import WakeUp
from shared.harvest.runs.starting import start_scheduled
from shared.harvest.slices import fetching, worker
from shared.harvest.slices.checkpoint import DEATHS, read_checkpoint
from tests.faults.points import DeathAt, DeathBefore, Killed, Point
from tests.faults.scenarios import A_PAGE_A_SLICE, Scenario, begun, seen
from tests.faults.world import BEGIN, Host, Simulation

TWO_MINUTES = timedelta(minutes=2)
SLICES = Scenario("slices", settings=A_PAGE_A_SLICE)


async def deliver_until(host: Host, limit: timedelta) -> None:
    """Bring messages, and never sweep, until nothing is left that comes within the limit."""
    while (messages := host.world.messages) and messages[0].visible_at <= BEGIN + limit:
        await host.deliver(messages[0])


async def test_whoever_dies_wherever_the_work_goes_on_within_two_minutes(simulation: Simulation) -> None:
    """The message dies with the worker, no timer comes, and the caller does not come back."""
    for number in count(1):
        death = DeathAt(number)
        host = Host(SLICES.world(simulation), death, forgetful=True)
        await host.attempt(partial(start_scheduled, source="graph", due=BEGIN))
        await deliver_until(host, TWO_MINUTES)
        if not host.deaths:
            break
        if await host.world.storage.read(Container.HARVEST_STATE, paths.announced("graph")):
            run = await host.insist(partial(start_scheduled, source="graph", due=BEGIN))
            assert run is not None
            assert (await seen(host.world, run)).state == "succeeded", death.place
    assert number > 50, "a slice has more points than that"


async def test_a_lease_has_one_guard_however_many_messages_meet_it(simulation: Simulation) -> None:
    """Otherwise the messages of a long harvest would grow with every slice."""
    host = Host(SLICES.world(simulation))
    run = await begun(host, SLICES)
    address = run.addresses()[0]
    standing = (await read_checkpoint(host.world.storage, address)).value
    holder = host.world.process(DeathBefore("stage", ""))
    with pytest.raises(BaseException):  # noqa: B017, PT011 - it dies with the lease in its hand
        await holder.run(partial(worker.work, address=address))
    for _ in range(5):
        assert await host.run(partial(worker.work, address=address)) == "held by another"
    waking = [WakeUp.from_json(message.body.encode()) for message in host.world.storage.queues[Queue.SLICES]]
    assert [message.guards for message in waking if message.guards] == [standing.epoch + 1]


class TestUnforeseen:
    @pytest.fixture(autouse=True)
    def broken(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Let every page of one dataset raise what nobody expects."""

        def broken(dataset: Dataset, body: bytes, *, parent: bytes = b"") -> Page:
            if dataset.name == "enpower-powerapps":
                raise RecursionError("maximum recursion depth exceeded")
            return read_page(dataset, body, parent=parent)

        monkeypatch.setattr(fetching, "read_page", broken)

    async def test_it_is_told_within_minutes_and_the_others_go_on(self, simulation: Simulation) -> None:
        both = Scenario("two", ("enpower-powerapps", "aos-jobs"))
        host = Host(both.world(simulation))
        run = await begun(host, both)
        await deliver_until(host, timedelta(minutes=5))
        apps, jobs = sorted((await seen(host.world, run)).datasets, key=lambda one: one.dataset, reverse=True)
        assert (apps.state, jobs.state, jobs.published) == ("failed", "done", True)
        assert apps.reason == f"an unexpected error ended the work {ATTEMPTS} times: RecursionError"
        assert apps.remedy

    async def test_the_lease_is_given_back_and_the_attempt_is_counted(self, simulation: Simulation) -> None:
        host = Host(SLICES.world(simulation))
        run = await begun(host, SLICES)
        with pytest.raises(RecursionError):
            await host.run(partial(worker.work, address=run.addresses()[0]))
        checkpoint = (await read_checkpoint(host.world.storage, run.addresses()[0])).value
        assert (checkpoint.hold, checkpoint.attempts) == (None, 1)


async def test_a_worker_that_dies_every_time_says_so_in_the_end(simulation: Simulation) -> None:
    host = Host(SLICES.world(simulation), dies_before_parts)
    run = await begun(host, SLICES)
    await host.settle()
    dataset = (await seen(host.world, run)).datasets[0]
    assert (dataset.state, host.deaths) == ("failed", DEATHS)
    assert dataset.reason == f"the worker stopped unexpectedly {DEATHS} times in a row"


async def dies_before_parts(point: Point) -> None:
    """Kill every worker that is about to write a part."""
    if (point.side, point.verb) == ("before", "stage"):
        raise Killed

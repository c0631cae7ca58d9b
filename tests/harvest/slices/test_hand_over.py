"""A harvest in many slices, and one that is disturbed, is as right as one in one slice (promises 2, 4 and 6)."""

import dataclasses
from datetime import datetime, timedelta

import pytest

from shared.azure.lease import LASTS, Lease
from shared.azure.storage import Container
from shared.errors import StorageUnavailable
from shared.harvest.plan import paths
from shared.harvest.plan.run import Address, read_run
from shared.harvest.runs.control import cancel, fail_exhausted, resume
from shared.harvest.runs.starting import start_requested
from shared.harvest.runs.state import RunView, view
from shared.harvest.runs.sweep import PARTITION_SILENCE, RUN_STATE_KEPT, sweep
from shared.harvest.slices.checkpoint import Checkpoint, checkpoint_path, read_checkpoint
from shared.harvest.slices.outages import FIRST_PAUSE, LONGEST_PAUSE
from shared.harvest.slices.worker import work
from shared.harvest.snapshots.manifest import Manifest, read_latest, read_manifest
from shared.services import Services
from tests.conftest import Clock, Simulator
from tests.harvest.conftest import finish, latest_manifest, lines, pokes

ITEMS = 95
PAGES = 10
PATH = "/smp/powerplatform/powerapps"
ZERO: dict[str, object] = {"status": 503, "headers": {"Retry-After": "0"}}


@pytest.fixture
def environ(environ: dict[str, str]) -> dict[str, str]:
    return environ | {"HARVEST_PAGE_SIZE": "10"}


@pytest.fixture
def avepoint(avepoint: Simulator) -> Simulator:
    avepoint.avepoint.change({"items": ITEMS})
    return avepoint


@pytest.fixture
async def address(services: Services, avepoint: Simulator) -> Address:
    """The one partition of a run that nobody has worked on yet."""
    assert avepoint.avepoint.item_count("enpower-powerapps") == ITEMS
    return await begun(services)


async def begun(services: Services) -> Address:
    run = await start_requested(services, "graph", ["enpower-powerapps"])
    return run.addresses()[0]


async def checked(services: Services, avepoint: Simulator) -> Manifest:
    """The published manifest, once every line has been compared with what was served."""
    manifest = await latest_manifest(services, "graph", "enpower-powerapps")
    assert await lines(services, manifest) == avepoint.served("enpower-powerapps")
    assert manifest.verdict == "complete"
    return manifest


async def seen(services: Services, address: Address) -> RunView:
    run = await read_run(services.storage, address.run_id)
    assert run is not None
    return await view(services.storage, run)


async def checkpoint_of(services: Services, address: Address) -> Checkpoint:
    return (await read_checkpoint(services.storage, address)).value


async def take(services: Services, address: Address, clock: Clock) -> Lease[Checkpoint]:
    """Take the lease of a partition, as a worker does."""
    standing = await read_checkpoint(services.storage, address)
    lease = Lease(
        services.storage,
        Container.HARVEST_STATE,
        checkpoint_path(address),
        standing,
        clock=clock,
        ends=clock.now + services.settings.slice_budget,
    )
    await lease.save(standing.value.taken(now=clock.now))
    return lease


def hurried(services: Services, clock: Clock, **settings: float) -> Services:
    """The same services under other settings, with a clock that moves on whenever somebody looks at it."""

    def look() -> datetime:
        clock.advance(milliseconds=1)
        return clock.now

    return dataclasses.replace(services, clock=look, settings=services.settings.model_copy(update=settings))


class TestSlices:
    async def test_one_slice_and_one_part(self, services: Services, avepoint: Simulator, address: Address) -> None:
        assert await work(services, address) == "finished"
        manifest = await checked(services, avepoint)
        assert (len(manifest.parts), manifest.pages, manifest.requests) == (1, PAGES, PAGES)

    async def test_a_slice_for_every_page(
        self, services: Services, clock: Clock, avepoint: Simulator, address: Address
    ) -> None:
        await finish(hurried(services, clock, slice_seconds=0.001), address)
        manifest = await checked(services, avepoint)
        assert (len(manifest.parts), manifest.pages, manifest.requests) == (PAGES, PAGES, PAGES)
        assert (await checkpoint_of(services, address)).epoch == PAGES

    async def test_a_slice_that_hands_over_leaves_a_poke(
        self, services: Services, clock: Clock, address: Address
    ) -> None:
        await pokes(services)
        assert await work(hurried(services, clock, slice_seconds=0.001), address) == "handed over"
        assert await pokes(services) == [address]

    async def test_a_part_for_every_page(
        self, services: Services, clock: Clock, avepoint: Simulator, address: Address
    ) -> None:
        assert await work(hurried(services, clock, part_seconds=0.001), address) == "finished"
        assert len((await checked(services, avepoint)).parts) == PAGES

    async def test_a_message_that_comes_again_changes_nothing(
        self, services: Services, avepoint: Simulator, address: Address
    ) -> None:
        await finish(services, address)
        before = await checked(services, avepoint)
        assert await work(services, address) == "ended before"
        assert await checked(services, avepoint) == before

    async def test_a_message_for_nothing_known_changes_nothing(self, services: Services, address: Address) -> None:
        unknown = address.model_copy(update={"partition": "elsewhere"})
        assert await work(services, unknown) == "unknown"
        gone = address.model_copy(update={"run_id": "20200101T000000Z-graph"})
        assert await work(services, gone) == "unknown"


class TestLeases:
    async def claim(self, services: Services, address: Address, clock: Clock) -> None:
        """Take the partition as a worker does that is killed right after."""
        await take(services, address, clock)

    async def test_a_partition_that_somebody_holds_is_left_alone(
        self, services: Services, clock: Clock, avepoint: Simulator, address: Address
    ) -> None:
        await self.claim(services, address, clock)
        assert await work(services, address) == "held by another"
        assert avepoint.requests(PATH) == []

    async def test_a_claim_ends_with_its_time(
        self, services: Services, clock: Clock, avepoint: Simulator, address: Address
    ) -> None:
        await self.claim(services, address, clock)
        clock.now += LASTS
        assert await work(services, address) == "finished"
        assert (await checkpoint_of(services, address)).epoch == 2
        await checked(services, avepoint)

    async def test_a_worker_that_lost_its_claim_changes_nothing(
        self, services: Services, clock: Clock, avepoint: Simulator, address: Address
    ) -> None:
        """The zombie finds out at its next save, after another has finished the partition."""
        zombie = Clock(clock.now)
        overtaking = iter([True])
        real = services.storage.stage

        async def stage(container: Container, path: str, block: int, data: bytes) -> None:
            await real(container, path, block, data)
            if next(overtaking, False):
                clock.now += LASTS
                await finish(services, address)

        services.storage.stage = stage  # type: ignore[method-assign]
        assert await work(dataclasses.replace(services, clock=zombie), address) == "lost"
        manifest = await checked(services, avepoint)
        assert (await checkpoint_of(services, address)).epoch == 2
        assert all("-0002-" in part.path for part in manifest.parts)


class TestWaits:
    async def test_a_long_wait_is_handed_back(
        self, services: Services, clock: Clock, avepoint: Simulator, address: Address
    ) -> None:
        """Promise 4: what was read before is saved, and nobody sleeps."""
        avepoint.fault(path=PATH, status=429, headers={"Retry-After": "3600"}, skip=4)
        began = clock.now
        assert await work(services, address) == "handed over"
        checkpoint = await checkpoint_of(services, address)
        assert checkpoint.progress.items == 40
        assert checkpoint.hold is None
        assert checkpoint.resume_at is not None
        assert checkpoint.resume_at - began >= timedelta(hours=1)
        clock.now = checkpoint.resume_at
        await finish(services, address)
        manifest = await checked(services, avepoint)
        assert manifest.wait_seconds >= 3600
        assert len(manifest.parts) == 2

    async def test_a_server_that_fails_after_some_pages_is_left_alone_for_a_while(
        self, services: Services, clock: Clock, avepoint: Simulator, address: Address
    ) -> None:
        avepoint.fault(path=PATH, status=500, skip=4, times=5)
        assert await work(services, address) == "handed over"
        clock.advance(minutes=1)
        assert await work(services, address) == "finished"
        manifest = await checked(services, avepoint)
        assert manifest.requests >= PAGES

    @pytest.mark.parametrize("fault", [{"status": 502}, {"status": 503}, {"status": 429}, ZERO], ids=str)
    async def test_a_server_that_fails_is_waited_for_longer_each_time(
        self, services: Services, clock: Clock, avepoint: Simulator, address: Address, fault: dict[str, object]
    ) -> None:
        """Promise 9: what may pass has the patience of hours, and the run says what it waits for."""
        avepoint.fault(path=PATH, times=None, **fault)
        pauses = []
        for _ in range(7):
            assert await work(services, address) == "handed over"
            waiting = (await seen(services, address)).datasets[0].waiting
            assert waiting is not None
            assert f"answered {fault['status']}" in waiting.for_
            pauses.append(waiting.until - clock.now)
            clock.now = waiting.until
        assert pauses == [FIRST_PAUSE * 2**n for n in range(5)] + [LONGEST_PAUSE] * 2
        avepoint.avepoint.calm()
        await finish(services, address)
        await checked(services, avepoint)
        assert (await seen(services, address)).datasets[0].waiting is None

    async def test_a_wait_that_is_told_begins_no_new_row_of_pauses(
        self, services: Services, clock: Clock, avepoint: Simulator, address: Address
    ) -> None:
        for fault in ({"status": 502}, {"status": 429, "headers": {"Retry-After": "7"}}, {"status": 502}):
            avepoint.avepoint.faults.clear()
            avepoint.fault(path=PATH, times=None, **fault)
            assert await work(services, address) == "handed over"
            waiting = (await seen(services, address)).datasets[0].waiting
            assert waiting is not None
            pause, clock.now = waiting.until - clock.now, waiting.until
        assert pause == FIRST_PAUSE * 2

    async def test_a_wait_ends_with_the_run_and_is_told(
        self, services: Services, clock: Clock, avepoint: Simulator, address: Address
    ) -> None:
        avepoint.fault(path=PATH, status=502, times=None)
        assert await work(services, address) == "handed over"
        clock.advance(hours=services.settings.run_hours, seconds=1)
        await sweep(services)
        reason = (await seen(services, address)).datasets[0].reason or ""
        assert reason.startswith("the run came to its deadline while it waited for this to pass: ")
        assert "answered 502" in reason

    async def test_a_message_that_was_taken_in_vain_is_replaced(self, services: Services, address: Address) -> None:
        """Storage may have been away: that is no reason to fail."""
        await pokes(services)
        await fail_exhausted(services, address)
        assert (await seen(services, address)).state == "running"
        assert services.storage is not None

    async def test_a_lost_answer_is_asked_for_again(
        self, services: Services, avepoint: Simulator, address: Address
    ) -> None:
        for skip in (2, 3):
            avepoint.fault(path=PATH, cut=100, skip=skip)
        assert await work(services, address) == "finished"
        assert (await checked(services, avepoint)).retries == 2

    async def test_storage_that_fails_costs_an_attempt_and_nothing_else(
        self, services: Services, avepoint: Simulator, address: Address
    ) -> None:
        commit = services.storage.commit
        failures = iter([True])

        async def failing(container: Container, path: str, blocks: int) -> None:
            if next(failures, False):
                raise StorageUnavailable("Azure Storage answered 503")
            await commit(container, path, blocks)

        services.storage.commit = failing  # type: ignore[method-assign]
        with pytest.raises(StorageUnavailable):
            await work(services, address)
        await finish(services, address)
        await checked(services, avepoint)


class TestChains:
    async def test_a_stored_link_the_server_has_forgotten_starts_the_chain_again(
        self, services: Services, clock: Clock, avepoint: Simulator, address: Address
    ) -> None:
        avepoint.fault(path=PATH, status=429, headers={"Retry-After": "60"}, skip=4)
        assert await work(services, address) == "handed over"
        clock.advance(minutes=2)
        avepoint.fault(path=PATH, status=410)
        assert await work(services, address) == "handed over"
        assert (await checkpoint_of(services, address)).restarts == 1
        await finish(services, address)
        manifest = await checked(services, avepoint)
        assert manifest.requests == 4 + PAGES

    async def test_it_is_started_again_twice_at_most(
        self, services: Services, clock: Clock, avepoint: Simulator, address: Address
    ) -> None:
        for _ in range(3):
            avepoint.fault(path=PATH, status=429, headers={"Retry-After": "60"}, skip=4)
            assert await work(services, address) == "handed over"
            clock.advance(minutes=2)
            avepoint.fault(path=PATH, status=410)
            await work(services, address)
        run = await seen(services, address)
        assert run.state == "failed"
        assert "410" in (run.datasets[0].reason or "")

    @pytest.mark.parametrize(
        ("link", "reason"),
        [
            ("https://evil.example/smp/powerplatform/powerapps?Page=x", "another origin"),
            ("//evil.example/smp", "another origin"),
            ("bare-token", "bare token"),
        ],
    )
    async def test_a_link_that_leads_elsewhere_ends_the_chain(
        self, services: Services, avepoint: Simulator, address: Address, link: str, reason: str
    ) -> None:
        """Promise 6."""
        avepoint.fault(path=PATH, nextLink=link, skip=2)
        assert await work(services, address) == "finished"
        run = await seen(services, address)
        assert reason in (run.datasets[0].reason or "")
        assert run.datasets[0].remedy
        assert run.datasets[0].published is False
        assert len(avepoint.requests(PATH)) == 3

    async def test_a_link_back_to_the_beginning_ends_the_chain(
        self, services: Services, avepoint: Simulator, address: Address
    ) -> None:
        avepoint.fault(path=PATH, nextLink=f"{PATH}?top=10", skip=5, times=None)
        assert await work(services, address) == "finished"
        assert "same page again" in ((await seen(services, address)).datasets[0].reason or "")

    @pytest.mark.parametrize(
        ("body", "reason"),
        [
            ({"value": []}, "has no 'powerApps', only value"),
            ({"powerApps": {}}, "is not a list"),
            ([], "must be an object"),
        ],
    )
    async def test_an_answer_that_cannot_be_used_fails_the_dataset_by_name(
        self, services: Services, avepoint: Simulator, address: Address, body: object, reason: str
    ) -> None:
        avepoint.fault(path=PATH, body=body, skip=1, times=None)
        assert await work(services, address) == "finished"
        run = await seen(services, address)
        assert run.state == "failed"
        assert reason in (run.datasets[0].reason or "")
        assert await read_latest(services.storage, "graph", "enpower-powerapps") is None

    @pytest.mark.parametrize(
        "fault", [{"body": "<html>maintenance</html>"}, {"body": '{"powerApps": ['}, {"status": 401}]
    )
    async def test_an_answer_that_may_be_whole_next_time_is_waited_for(
        self, services: Services, clock: Clock, avepoint: Simulator, address: Address, fault: dict[str, object]
    ) -> None:
        avepoint.fault(path=PATH, skip=1, times=None, **fault)
        assert await work(services, address) == "handed over"
        avepoint.avepoint.calm()
        clock.now += LONGEST_PAUSE
        await finish(services, address)
        await checked(services, avepoint)

    async def test_one_broken_page_costs_a_request(
        self, services: Services, avepoint: Simulator, address: Address
    ) -> None:
        avepoint.fault(path=PATH, body={"value": []}, skip=1)
        assert await work(services, address) == "finished"
        manifest = await checked(services, avepoint)
        assert (manifest.requests, manifest.retries) == (PAGES + 1, 1)

    async def test_fewer_items_than_every_total_are_kept_and_held_back(
        self, services: Services, clock: Clock, avepoint: Simulator, address: Address
    ) -> None:
        await finish(services, address)
        before = await checked(services, avepoint)
        clock.advance(hours=1)
        avepoint.avepoint.change({"items": 20})
        avepoint.fault(path=PATH, total=95, times=None)
        short = await begun(services)
        await finish(services, short)
        run = await seen(services, short)
        assert (run.state, run.datasets[0].verdict, run.datasets[0].published) == ("partial", "short", False)
        kept = await read_manifest(services.storage, short.run_id, "graph", "enpower-powerapps")
        assert kept is not None
        assert len(await lines(services, kept)) == 20
        latest = await read_latest(services.storage, "graph", "enpower-powerapps")
        assert latest is not None
        assert latest.run_id == before.run_id

    async def test_items_that_come_twice_are_counted(
        self, services: Services, avepoint: Simulator, address: Address
    ) -> None:
        twice = avepoint.served("enpower-powerapps")[:3]
        body = b'{"powerApps": [' + b",".join(twice) + b'], "totalCount": 95, "nextLink": null}'
        avepoint.fault(path=PATH, body=body.decode(), headers={"content-type": "application/json"}, skip=PAGES - 1)
        await finish(services, address)
        manifest = await read_manifest(services.storage, address.run_id, "graph", "enpower-powerapps")
        assert manifest is not None
        assert (manifest.duplicates, manifest.items, manifest.verdict) == (3, 93, "short")


class TestControl:
    async def test_cancel_ends_what_nobody_works_on(
        self, services: Services, avepoint: Simulator, address: Address
    ) -> None:
        await cancel(services, address.run_id)
        run = await seen(services, address)
        assert (run.state, run.datasets[0].reason) == ("cancelled", "the run was cancelled")
        assert await work(services, address) == "ended before"
        assert avepoint.requests(PATH) == []

    async def test_cancel_leaves_alone_what_has_ended(self, services: Services, avepoint: Simulator) -> None:
        run = await start_requested(services, "graph", ["aos-jobs", "enpower-powerapps"])
        await finish(services, run.addresses("enpower-powerapps")[0])
        await cancel(services, run.run_id)
        jobs, apps = (await seen(services, run.addresses()[0])).datasets
        assert (jobs.state, apps.state, apps.published) == ("failed", "done", True)
        assert (await checkpoint_of(services, run.addresses("enpower-powerapps")[0])).state == "done"
        await checked(services, avepoint)

    async def test_cancel_stops_a_worker_within_a_page(self, services: Services, address: Address) -> None:
        real = services.transport.send
        pages = 0

        async def counting(*args: object, **kwargs: object) -> object:
            nonlocal pages
            pages += 1
            if pages == 4:
                await cancel(services, address.run_id)
            return await real(*args, **kwargs)  # type: ignore[arg-type]

        services.transport.send = counting  # type: ignore[method-assign,assignment]
        await work(services, address)
        assert pages <= 5
        assert (await seen(services, address)).state == "cancelled"

    async def test_a_cancelled_run_can_be_resumed(
        self, services: Services, avepoint: Simulator, address: Address
    ) -> None:
        await cancel(services, address.run_id)
        await resume(services, address.run_id)
        await finish(services, address)
        assert (await seen(services, address)).state == "succeeded"
        await checked(services, avepoint)


class TestSweep:
    """Whatever fell silent is revived, and nothing else is touched."""

    async def test_a_run_whose_pokes_were_lost(self, services: Services, clock: Clock, address: Address) -> None:
        await pokes(services)
        clock.now += PARTITION_SILENCE + timedelta(seconds=1)
        await sweep(services)
        assert await pokes(services) == [address]

    async def test_a_run_that_has_just_begun_is_left_alone(self, services: Services, address: Address) -> None:
        await pokes(services)
        await sweep(services)
        assert await pokes(services) == []
        assert (await checkpoint_of(services, address)).state == "waiting"

    async def test_a_worker_that_was_killed(
        self, services: Services, clock: Clock, avepoint: Simulator, address: Address
    ) -> None:
        await pokes(services)
        await TestLeases().claim(services, address, clock)
        await sweep(services)
        assert await pokes(services) == []
        clock.now += LASTS + PARTITION_SILENCE + timedelta(seconds=1)
        await sweep(services)
        assert await pokes(services) == [address]
        await finish(services, address)
        await checked(services, avepoint)

    async def test_a_wait_is_not_cut_short(
        self, services: Services, clock: Clock, avepoint: Simulator, address: Address
    ) -> None:
        avepoint.fault(path=PATH, status=429, headers={"Retry-After": "3600"})
        assert await work(services, address) == "handed over"
        await pokes(services)
        clock.advance(minutes=30)
        await sweep(services)
        assert await pokes(services) == []

    @pytest.mark.parametrize("written", [0, 1], ids=["before the manifest", "between manifest and latest"])
    async def test_a_publication_that_was_cut_off(
        self, services: Services, avepoint: Simulator, address: Address, written: int
    ) -> None:
        await finish(services, address)
        manifest = paths.manifest(address.run_id, "graph", "enpower-powerapps")
        for path in (manifest, paths.latest("graph", "enpower-powerapps"))[written:]:
            await services.storage.delete(Container.INVENTORY, path)
        assert (await seen(services, address)).state == "running"
        await sweep(services)
        assert (await seen(services, address)).state == "succeeded"
        await checked(services, avepoint)

    async def test_a_run_over_its_deadline_ends(self, services: Services, clock: Clock, address: Address) -> None:
        clock.advance(hours=services.settings.run_hours, seconds=1)
        await sweep(services)
        run = await seen(services, address)
        assert (run.state, run.datasets[0].reason) == ("failed", "the run came to its deadline")

    async def test_a_run_over_its_deadline_says_how_it_goes_on(
        self, services: Services, clock: Clock, avepoint: Simulator, address: Address
    ) -> None:
        """A new one would begin again, and come to its deadline at the same place."""
        assert await work(hurried(services, clock, slice_seconds=0.001), address) == "handed over"
        clock.advance(hours=services.settings.run_hours, seconds=1)
        assert await work(services, address) == "finished"
        remedy = (await seen(services, address)).datasets[0].remedy or ""
        assert "Resume the run" in remedy
        assert "HARVEST_RUN_HOURS" in remedy
        await resume(services, address.run_id)
        await finish(services, address)
        assert (await checked(services, avepoint)).requests == PAGES

    async def test_orphans_are_deleted_and_nothing_else(
        self, services: Services, avepoint: Simulator, address: Address
    ) -> None:
        """A part that no manifest names does not exist."""
        await finish(services, address)
        orphan = paths.part(address.run_id, "graph", "enpower-powerapps", "all", epoch=7, number=0)
        await services.storage.write(Container.INVENTORY, orphan, b"left behind", etag=None)
        await sweep(services)
        assert await services.storage.read(Container.INVENTORY, orphan) is None
        await checked(services, avepoint)

    async def test_old_state_is_deleted_and_the_snapshot_stays(
        self, services: Services, clock: Clock, avepoint: Simulator, address: Address
    ) -> None:
        await finish(services, address)
        await sweep(services)
        clock.advance(days=RUN_STATE_KEPT.days + 1)
        await sweep(services)
        assert [path async for path in services.storage.list(Container.HARVEST_STATE, "runs/")] == []
        await checked(services, avepoint)

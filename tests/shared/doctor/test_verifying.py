"""What is stored is verified without being asked: bounded, the newest first, told once found, and never in vain."""

import gzip
import logging
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from functions import harvest
from sandbox.memory_storage import MemoryStorage
from shared.azure.storage import Container, Listed
from shared.azure.storage_errors import archived_blob
from shared.doctor.check import Check, answered
from shared.doctor.verification import verification_probes
from shared.doctor.verifying import evidence as verifying_evidence
from shared.doctor.verifying import sweep as sweeping
from shared.doctor.verifying.anchors import ANCHORS
from shared.doctor.verifying.documents import STATE, Verification
from shared.doctor.verifying.sweep import LOOKED_AGAIN, sweep_anchors, sweep_stored
from shared.doctor.verifying.trail import Trail, next_blobs
from shared.errors import StorageUnavailable
from shared.harvest.plan import paths
from shared.harvest.snapshots.manifest import Manifest
from shared.opus.evidence.findings import problems
from shared.opus.verify import gather_evidence, read_anchor
from tests.conftest import Clock
from tests.nights import calling
from tests.opus.world import Host, World
from tests.tables.nights import Nights, services_of

APPS = "graph/enpower-powerapps"


@pytest.fixture
def clock() -> Clock:
    return Clock(datetime(2026, 1, 3, tzinfo=UTC))


@pytest.fixture
def memory(clock: Clock) -> MemoryStorage:
    return MemoryStorage(clock)


@pytest.fixture
async def nights(memory: MemoryStorage, clock: Clock) -> Nights:
    """Two snapshots, of two parts each; there is no table."""
    found = Nights.of(memory, clock, APPS)
    for night in range(2):
        await found.publish(*([{"id": f"app{part}", "displayName": f"Night {night}"}] for part in range(2)))
        clock.advance(hours=1)
    return found


async def checks(nights: Nights) -> list[Check]:
    probe, _ = verification_probes(nights.services())
    return [*await answered(probe)]


async def swept(nights: Nights) -> list[str]:
    """What the details of health name after a sweep, without the line that says how far it is."""
    await sweep_stored(nights.services())
    return [f"{check.name}: {check.message}" for check in (await checks(nights))[1:]]


def state(memory: MemoryStorage) -> Verification:
    return Verification.from_json(memory.blobs[Container.HARVEST_STATE][STATE].data)


def part_paths(nights: Nights, night: int) -> list[str]:
    folder = paths.parts(nights.runs[night], nights.dataset.source, nights.dataset.name)
    return [path for path in nights.storage.blobs[Container.INVENTORY] if path.startswith(folder)]


def damage(memory: MemoryStorage, container: Container, path: str, old: bytes, new: bytes) -> None:
    data = memory.blobs[container][path].data
    changed = gzip.compress(gzip.decompress(data).replace(old, new)) if path.endswith(".gz") else data.replace(old, new)
    assert changed != data
    memory._put(container, path, changed)  # noqa: SLF001 - somebody else has written it


async def test_what_is_whole_is_no_finding_and_seen_once(nights: Nights) -> None:
    assert await swept(nights) == []
    seen = state(nights.storage)
    assert seen.ended_at == nights.clock()
    before = nights.storage.transactions.copy()
    assert await swept(nights) == []
    assert nights.storage.transactions - before == {"read": 2}  # how far it is, by the sweep and by the doctor


async def test_the_doctor_says_that_no_sweep_verifies_any_more(nights: Nights, clock: Clock) -> None:
    await sweep_stored(nights.services())
    clock.advance(hours=23)
    assert [one.status for one in await checks(nights)] == ["ok"]
    clock.advance(hours=2)
    (told,) = await checks(nights)
    assert (told.status, "nothing was verified since 2026-01-03T02:00:00Z" in told.message) == ("warning", True)
    await sweep_stored(nights.services())
    assert [one.status for one in await checks(nights)] == ["ok"]


async def test_it_is_verified_where_another_part_of_the_sweep_fails(
    nights: Nights, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The container of operations cannot be listed, say, until somebody gives the right back."""

    async def failing(_: object) -> None:
        raise StorageUnavailable("opus-operations: 403")

    monkeypatch.setattr(harvest, "sweep_operations", failing)
    with pytest.raises(StorageUnavailable):
        await calling.sweep(nights.services())
    assert state(nights.storage).looked_at == nights.clock()


@pytest.mark.parametrize("night", [0, 1])
async def test_a_part_that_was_changed_is_named(nights: Nights, night: int, caplog: pytest.LogCaptureFixture) -> None:
    path = part_paths(nights, night)[0]
    damage(nights.storage, Container.INVENTORY, path, b"Night", b"Noght")
    with caplog.at_level(logging.ERROR):
        (line, *_) = [line for line in await swept(nights) if path in line]
    assert line.startswith(f"verify/{path}: sha256 is ")
    assert f"verify.finding kind=snapshot source=graph dataset=enpower-powerapps path={path}" in caplog.text


async def test_a_table_is_verified_and_what_was_changed_in_it_is_found(nights: Nights, tmp_path: Path) -> None:
    assert await nights.build() == "finished"
    assert await swept(nights) == []
    assert state(nights.storage).tables == (APPS,)
    path = nights.active("graph_enpower_powerapps")[0]
    stored = f"graph_enpower_powerapps/{Path(path).name}"
    whole, file = nights.storage.blobs[Container.TABLES][stored].data, tmp_path / "one.parquet"
    file.write_bytes(whole)
    with duckdb.connect() as connection:
        table = connection.read_parquet(str(file)).project("* REPLACE ('x' AS \"displayName\")").to_arrow_table()
        connection.from_arrow(table).write_parquet(str(file))
    for data, found in ((file.read_bytes(), "1 rows are not as the snapshot"), (whole[:-9], "it cannot be compared")):
        nights.storage._put(Container.TABLES, stored, data)  # noqa: SLF001 - somebody else has written it
        nights.clock.advance(days=30)
        (line,) = await swept(nights)
        assert line.startswith(f"verify/tables of {APPS}: {found}")


async def test_a_part_that_latest_names_and_that_has_expired_is_told_with_its_remedy(nights: Nights) -> None:
    for path in [*part_paths(nights, 0), *part_paths(nights, 1)]:
        await nights.storage.delete(Container.INVENTORY, path)
    await swept(nights)
    remedies = [check.remedy for check in await checks(nights) if "is not there" in check.message]
    assert len(remedies) == 2
    assert all("If it has expired, harvest the dataset again" in remedy for remedy in remedies)


async def test_an_old_snapshot_that_has_expired_is_no_finding(nights: Nights) -> None:
    for path in part_paths(nights, 0):
        await nights.storage.delete(Container.INVENTORY, path)
    assert await swept(nights) == []


async def test_an_old_snapshot_that_is_gone_between_others_is_one(nights: Nights) -> None:
    await nights.publish([{"id": "app0"}])
    for path in part_paths(nights, 1):
        await nights.storage.delete(Container.INVENTORY, path)
    assert [line.split(": ")[0] for line in await swept(nights)] == [
        f"verify/{path}" for path in named_parts(nights, 1)
    ]


def named_parts(nights: Nights, night: int) -> list[str]:
    manifest = paths.manifest(nights.runs[night], nights.dataset.source, nights.dataset.name)
    data = nights.storage.blobs[Container.INVENTORY][manifest].data
    return [part.path for part in Manifest.from_json(data).parts]


@pytest.mark.parametrize(("night", "named"), [(0, 0), (1, 2)])
async def test_parts_in_the_archive_tier_are_told_where_latest_names_them(
    nights: Nights, night: int, named: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    archived, stream, listed = named_parts(nights, night), MemoryStorage.stream, MemoryStorage.list_details

    async def streamed(self: MemoryStorage, container: Container, path: str) -> AsyncIterator[bytes]:
        if path in archived:
            raise archived_blob(path)
        async for chunk in stream(self, container, path):
            yield chunk

    async def details(self: MemoryStorage, container: Container, prefix: str) -> AsyncIterator[Listed]:
        async for one in listed(self, container, prefix):
            yield replace(one, archived=one.path in archived)

    monkeypatch.setattr(MemoryStorage, "stream", streamed)
    monkeypatch.setattr(MemoryStorage, "list_details", details)
    await swept(nights)
    found = [check for check in await checks(nights) if "is in the archive tier" in check.message]
    assert len(found) == named
    assert all(check.remedy.startswith("Rehydrate it") and "up to 15 hours" in check.remedy for check in found)


async def test_what_was_set_right_is_forgotten_a_day_later(nights: Nights) -> None:
    path = part_paths(nights, 1)[0]
    whole = nights.storage.blobs[Container.INVENTORY][path].data
    damage(nights.storage, Container.INVENTORY, path, b"Night", b"Noght")
    assert await swept(nights)
    nights.storage._put(Container.INVENTORY, path, whole)  # noqa: SLF001 - made current again
    nights.clock.advance(hours=2)
    assert await swept(nights)
    nights.clock.advance(days=1)
    assert await swept(nights) == []


async def test_a_finding_that_stays_is_told_every_day(nights: Nights, caplog: pytest.LogCaptureFixture) -> None:
    damage(nights.storage, Container.INVENTORY, part_paths(nights, 1)[0], b"Night", b"Noght")
    for _ in range(3):
        caplog.clear()
        await swept(nights)
        assert "verify.finding" in caplog.text
        nights.clock.advance(days=1)


async def test_everything_is_seen_again_when_the_days_are_over(nights: Nights) -> None:
    assert await swept(nights) == []
    damage(nights.storage, Container.INVENTORY, part_paths(nights, 0)[0], b"Night", b"Noght")
    nights.clock.advance(days=29)
    assert await swept(nights) == []
    nights.clock.advance(days=1)
    assert await swept(nights) != []


async def test_what_is_published_after_a_pass_is_seen_within_an_hour(nights: Nights) -> None:
    await swept(nights)
    await nights.publish([{"id": "new"}])
    damage(nights.storage, Container.INVENTORY, part_paths(nights, 2)[0], b"new", b"NEW")
    nights.clock.advance(seconds=LOOKED_AGAIN.total_seconds())
    assert await swept(nights) != []


async def test_a_clock_that_was_a_year_ahead_ends_no_verifying(nights: Nights) -> None:
    path = part_paths(nights, 0)[0]
    whole = nights.storage.blobs[Container.INVENTORY][path].data
    damage(nights.storage, Container.INVENTORY, path, b"Night", b"Noght")
    nights.clock.advance(days=365)
    assert await swept(nights) != []
    nights.clock.advance(days=-365)

    nights.storage._put(Container.INVENTORY, path, whole)  # noqa: SLF001 - set right
    assert await swept(nights) == []
    damage(nights.storage, Container.INVENTORY, part_paths(nights, 1)[0], b"Night", b"Noght")
    nights.clock.advance(days=30)
    assert await swept(nights) != []


async def test_0_days_verify_nothing(nights: Nights) -> None:
    damage(nights.storage, Container.INVENTORY, part_paths(nights, 1)[0], b"Night", b"Noght")
    await sweep_stored(services_of(nights.storage, nights.clock, VERIFY_DAYS="0"))
    assert STATE not in nights.storage.blobs[Container.HARVEST_STATE]


async def test_storage_that_is_away_is_no_finding(nights: Nights, monkeypatch: pytest.MonkeyPatch) -> None:
    async def away(*_: object) -> AsyncIterator[bytes]:
        raise StorageUnavailable("Azure Storage answered 503")
        yield b""

    with monkeypatch.context() as patch:
        patch.setattr(MemoryStorage, "stream", away)
        assert await swept(nights) == []
    assert await swept(nights) == []
    assert state(nights.storage).ended_at


async def test_a_sweep_reads_one_part_when_its_time_is_over_and_the_next_goes_on(
    nights: Nights, monkeypatch: pytest.MonkeyPatch
) -> None:
    damage(nights.storage, Container.INVENTORY, part_paths(nights, 1)[0], b"Night", b"Noght")
    read: list[str] = []
    stream = MemoryStorage.stream

    def slow(self: MemoryStorage, container: Container, path: str) -> AsyncIterator[bytes]:
        read.append(path)
        return stream(self, container, path)

    monkeypatch.setattr(MemoryStorage, "stream", slow)
    monkeypatch.setattr(sweeping, "TURN", timedelta(0))
    seen = list[list[str]]()
    while len(seen) < 4:
        read.clear()
        await sweep_stored(nights.services())
        seen.append([path for path in read if path.endswith(".gz")])
    assert seen == [[path] for path in (*named_parts(nights, 1), *named_parts(nights, 0))]
    assert [check.name for check in (await checks(nights))[1:]] == [f"verify/{part_paths(nights, 1)[0]}"]


async def test_a_pass_that_takes_longer_than_its_days_is_told(nights: Nights, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweeping, "TURN", timedelta(0))
    await swept(nights)
    nights.clock.advance(days=31)
    check = (await checks(nights))[0]
    assert (check.status, "not done within 30 days" in check.message) == ("warning", True)


class TestEvidence:
    @pytest.fixture
    async def world(self) -> World:
        world = World()
        for number in range(5):
            host = Host(world, world.mine)
            progress = await host.submit(f"key{number}", [f"record{number}"])
            await world.finish(host, progress.operation.operation_id)
            world.now += timedelta(days=1)
        return world

    @staticmethod
    async def swept(world: World) -> list[str]:
        await sweep_stored(services_of(world.storage, lambda: world.now))  # type: ignore[arg-type]  # a clock
        return [f"{one.fault.path}: {one.fault.problem}" for one in state(world.storage).findings]

    async def test_chains_that_are_whole_are_well(self, world: World) -> None:
        assert await self.swept(world) == []

    @pytest.mark.parametrize("number", [0, 2, 4])
    async def test_a_piece_that_was_changed_or_deleted_is_found(self, world: World, number: int) -> None:
        path = sorted(world.storage.blobs[Container.EVIDENCE])[number]
        damage(world.storage, Container.EVIDENCE, path, b"user01", b"user02")
        assert f"{path}: cannot be read as evidence, or was changed" in await self.swept(world)
        world.now += timedelta(days=2)
        await world.storage.delete(Container.EVIDENCE, path)
        assert any(line.startswith(f"{path}: is missing") for line in await self.swept(world))

    async def test_a_last_piece_that_may_be_on_its_way_is_no_finding(self, world: World) -> None:
        world.now -= timedelta(days=1)
        last = max(world.storage.blobs[Container.EVIDENCE])
        await world.storage.delete(Container.EVIDENCE, last)
        assert await self.swept(world) == []

    async def test_what_a_later_piece_declares_is_no_finding(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """After a restore of the ledger, the next piece declares those that it had forgotten."""
        monkeypatch.setattr(verifying_evidence, "PIECES_AT_ONCE", 1)
        operations = world.backup(Container.OPERATIONS)
        host = Host(world, world.mine)
        for key in ("forgotten", "next"):
            progress = await host.submit(key, [key])
            await world.finish(host, progress.operation.operation_id)
            if key == "forgotten":
                world.restore(Container.OPERATIONS, operations)
            world.now += timedelta(hours=1)
        assert await world.problems() == []
        assert await self.swept(world) == []


class TestAnchors:
    @pytest.fixture
    async def world(self) -> World:
        world = World()
        for number in range(3):
            await TestAnchors.finished(world, number)
        return world

    @staticmethod
    async def finished(world: World, number: int) -> None:
        host = Host(world, world.mine)
        progress = await host.submit(f"key{number}", [f"record{number}"])
        await world.finish(host, progress.operation.operation_id)
        world.now += timedelta(hours=1)

    @staticmethod
    async def exported(world: World) -> dict[str, frozenset[str]]:
        await sweep_anchors(services_of(world.storage, lambda: world.now))  # type: ignore[arg-type]  # a clock
        kept = world.storage.blobs[Container.TABLES]
        return read_anchor("".join(kept[path].data.decode() for path in kept if path.startswith(ANCHORS)))

    async def test_each_piece_is_named_once_with_its_hash(self, world: World) -> None:
        assert (await self.exported(world)).keys() == world.storage.blobs[Container.EVIDENCE].keys()
        files = len(world.storage.blobs[Container.TABLES])
        await self.finished(world, 3)
        anchor = await self.exported(world)
        assert len(world.storage.blobs[Container.TABLES]) == files + 1
        pieces = world.storage.blobs[Container.EVIDENCE]
        assert anchor == {path: frozenset({sha256(one.data).hexdigest()}) for path, one in pieces.items()}

    async def test_pieces_are_named_again_once_the_list_is_lost(self, world: World) -> None:
        await self.exported(world)
        world.storage.blobs[Container.TABLES].clear()
        world.now += timedelta(hours=1)
        assert (await self.exported(world)).keys() == world.storage.blobs[Container.EVIDENCE].keys()

    async def test_they_prove_what_was_deleted_and_declared(self, world: World) -> None:
        anchor = await self.exported(world)
        path = min(world.storage.blobs[Container.EVIDENCE])
        await world.storage.delete(Container.EVIDENCE, path)
        seen = await gather_evidence(world.storage, today=world.now.date(), anchor=anchor)
        assert f"{path}: is missing, and was written according to the anchor" in list(problems(seen))

    async def test_a_piece_that_has_just_been_written_waits(self, world: World) -> None:
        world.now -= timedelta(minutes=56)
        assert len(await self.exported(world)) == 2

    async def test_a_clock_that_was_a_year_ahead_keeps_no_piece_from_being_named(self, world: World) -> None:
        world.now += timedelta(days=365)
        await self.exported(world)
        world.now -= timedelta(days=365)
        await self.finished(world, 3)
        assert (await self.exported(world)).keys() == world.storage.blobs[Container.EVIDENCE].keys()

    async def test_the_doctor_says_how_far_back_they_reach(self, world: World) -> None:
        services = services_of(world.storage, lambda: world.now)  # type: ignore[arg-type]  # a clock
        _, probe = verification_probes(services)
        assert [one.status for one in await answered(probe)] == ["ok"]
        world.now += timedelta(days=3)
        assert [one.status for one in await answered(probe)] == ["warning"]
        await self.exported(world)
        (told,) = await answered(probe)
        assert (told.status, "are kept since 2026-11-23" in told.message) == ("ok", True)
        world.storage._put(Container.OPERATIONS, "anchors.json", b"{")  # noqa: SLF001 - somebody else has written it
        (told,) = await answered(probe)
        assert (told.status, "opus-operations/anchors.json" in told.message, bool(told.remedy)) == ("error", True, True)

    async def test_the_doctor_says_that_newer_evidence_is_not_kept(self, world: World) -> None:
        """The sweep could keep hashes once, and cannot any more."""
        await self.exported(world)
        world.now += timedelta(days=10)
        await self.finished(world, 3)
        _, probe = verification_probes(services_of(world.storage, lambda: world.now))  # type: ignore[arg-type]  # a clock
        assert [one.status for one in await answered(probe)] == ["ok"]
        world.now += timedelta(days=3)
        (told,) = await answered(probe)
        assert (told.status, "the newest evidence began on" in told.message) == ("warning", True)
        await self.exported(world)
        assert [one.status for one in await answered(probe)] == ["ok"]

    async def test_a_folder_with_a_strange_name_is_no_newer_evidence(self, world: World) -> None:
        await self.exported(world)
        copied = f"date={world.now.date().isoformat()} (copy)/a.json"
        world.storage._put(Container.EVIDENCE, copied, b"{}")  # noqa: SLF001 - somebody else has written it
        world.now += timedelta(days=3)
        _, probe = verification_probes(services_of(world.storage, lambda: world.now))  # type: ignore[arg-type]  # a clock
        assert [one.status for one in await answered(probe)] == ["ok"]


STAMPS = st.integers(0, 5).map(lambda second: datetime(2026, 1, 1, 0, 0, second, tzinfo=UTC))


class TestTrail:
    @settings(max_examples=60)
    @given(stamps=st.lists(STAMPS, max_size=12), later=st.lists(STAMPS, max_size=6), count=st.integers(1, 3))
    async def test_every_blob_is_seen_once_the_newest_first(
        self, stamps: list[datetime], later: list[datetime], count: int
    ) -> None:
        """Those that come while it is under way, too, unless storage lets them be older than what was seen."""
        first = [Listed(f"a{number}", 1, stamp) for number, stamp in enumerate(stamps)]
        trail, seen = Trail(), list[Listed]()
        trail = await self.walk(trail, first, count, seen)
        assert seen[:1] == [max(first, key=lambda one: (one.modified, one.path))][: len(first)] if first else not seen
        assert sorted(seen, key=str) == sorted(first, key=str)
        newest = max(stamps, default=datetime.min.replace(tzinfo=UTC))
        new = [Listed(f"b{number}", 1, stamp) for number, stamp in enumerate(later) if stamp >= newest]
        await self.walk(trail, [*first, *new], count, seen)
        assert sorted(seen, key=str) == sorted([*first, *new], key=str)

    @staticmethod
    async def walk(trail: Trail, blobs: Sequence[Listed], count: int, seen: list[Listed]) -> Trail:
        async def listing() -> AsyncIterator[Listed]:
            for blob in blobs:
                yield blob

        while found := await next_blobs(trail, listing(), count):
            assert len(found) <= count
            for blob in found:
                seen.append(blob)
                trail = Trail.from_json(trail.past(blob).to_json())
        return trail

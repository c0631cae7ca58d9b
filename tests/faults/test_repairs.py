"""After a restore, what does not fit together is told and set right, by what the snapshots prove (promises 1 and 2)."""

import json
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta

import pytest

from sandbox.memory_storage import MemoryStorage
from shared.avepoint.catalog import catalog
from shared.azure.storage import Container, Listed, Storage
from shared.doctor import repair as repairing
from shared.harvest.plan import paths
from shared.harvest.runs.repairing import repairs
from shared.harvest.snapshots.consistency import misfits_of
from shared.harvest.snapshots.manifest import Latest, Manifest, read_latest
from shared.harvest.snapshots.watermark import Watermark
from tests.faults.promises import lines, snapshots
from tests.faults.scenarios import Scenario
from tests.faults.test_missing_documents import delete, night, overwrite, stands
from tests.faults.test_publishers import CHILD
from tests.faults.world import Host, Simulation, World

APPS, AUDIT, LAUNCHES = "enpower-powerapps", "aos-audit", "enpower-powerapp-launches"
APP_LIST = Scenario("apps", simulation={"items": 25})
WINDOWED = Scenario("audit", (AUDIT,), settings={"window_days": 3}, simulation={"items": 300, "everyMinutes": 60})

type Damage = Callable[[World, str, str], None]
"""Damages what is stored of a dataset, given the first run and the last."""


async def three_nights(scenario: Scenario, name: str) -> tuple[World, Host, list[str]]:
    world = await scenario.opened(Simulation.create())
    host = Host(world)
    runs = [(await night(world, host, name)).run_id for _ in range(3)]
    world.clock.now += timedelta(hours=1)
    return world, host, runs


def pointer(world: World, name: str) -> Latest:
    return Latest.from_json(world.storage.blobs[Container.INVENTORY][paths.latest("graph", name)].data)


def mark(world: World, name: str = AUDIT) -> Watermark:
    return Watermark.from_json(world.storage.blobs[Container.HARVEST_STATE][paths.watermark("graph", name)].data)


async def applied(world: World) -> list[str]:
    """What was set right; somebody else has moved ``latest`` before, so here it may move back."""
    world.storage.changed = lambda *_: None
    done = []
    async for one in repairs(world.storage, now=world.clock.now):
        await one.apply()
        done.append(f"{one.misfit.path}: {one.words}")
    return done


async def fits(world: World) -> bool:
    found = [await misfits_of(world.storage, one, now=world.clock.now) for one in catalog().values()]
    return not any(found)


async def doubled(world: World) -> int:
    seen = Counter[bytes]()
    for manifest in (await snapshots(world.storage)).values():
        if manifest.published:
            seen.update(await lines(world.storage, manifest))
    return seen.total() - len(seen)


def lose_manifest(world: World, _: str, last: str) -> None:
    delete(world, Container.INVENTORY, paths.manifest(last, "graph", APPS))


def lose_parts(world: World, _: str, last: str) -> None:
    delete(world, Container.INVENTORY, paths.parts(last, "graph", APPS))


def lose_pointer(world: World, _: str, __: str) -> None:
    delete(world, Container.INVENTORY, paths.latest("graph", APPS))


def turn_pointer_back(world: World, first: str, _: str) -> None:
    older = pointer(world, APPS).model_copy(update={"run_id": first, "manifest": paths.manifest(first, "graph", APPS)})
    overwrite(world, Container.INVENTORY, paths.latest("graph", APPS), older.to_json())


def damage_pointer(world: World, _: str, __: str) -> None:
    overwrite(world, Container.INVENTORY, paths.latest("graph", APPS), b"{")


def put_pointer_ahead(world: World, _: str, __: str) -> None:
    latest = pointer(world, APPS)
    ahead = latest.model_copy(update={"finished_at": latest.finished_at + timedelta(days=365)})
    overwrite(world, Container.INVENTORY, paths.latest("graph", APPS), ahead.to_json())


@pytest.mark.parametrize(
    ("damage", "names"),
    [
        (lose_manifest, 1),
        (lose_parts, 1),
        (lose_pointer, 2),
        (turn_pointer_back, 2),
        (damage_pointer, 2),
        (put_pointer_ahead, 2),
    ],
)
async def test_latest_names_the_newest_snapshot_that_is_all_there(damage: Damage, names: int) -> None:
    world, host, runs = await three_nights(APP_LIST, APPS)
    damage(world, runs[0], runs[-1])
    assert not await fits(world)

    (done,) = await applied(world)

    assert done == (f"latest/graph/{APPS}.json: set it to the run {runs[names]}, the newest complete snapshot")
    assert pointer(world, APPS).run_id == runs[names]
    assert await fits(world)
    assert (await stands(world, await night(world, host, APPS))).published


@pytest.mark.parametrize("newer", ["0", "f"])
async def test_of_runs_that_began_in_one_second_latest_names_the_one_that_ended_last(newer: str) -> None:
    world, _, (_, _, last) = await three_nights(APP_LIST, APPS)
    other = f"{paths.stamp(paths.started_at(last))}-graph-{newer * 6}"
    made = Manifest.from_json(world.storage.blobs[Container.INVENTORY][paths.manifest(last, "graph", APPS)].data)
    (part,) = made.parts
    path = paths.parts(other, "graph", APPS) + part.path.rpartition("/")[2]
    overwrite(world, Container.INVENTORY, path, world.storage.blobs[Container.INVENTORY][part.path].data)
    finished_at, parts = made.finished_at + timedelta(seconds=5), (part.model_copy(update={"path": path}),)
    later = made.model_copy(update={"run_id": other, "finished_at": finished_at, "parts": parts})
    overwrite(world, Container.INVENTORY, paths.manifest(other, "graph", APPS), later.to_json())
    assert not await fits(world)
    assert await applied(world) == [
        f"{paths.latest('graph', APPS)}: set it to the run {other}, the newest complete snapshot"
    ]
    assert await fits(world)


async def test_a_pointer_to_nothing_that_is_there_is_deleted() -> None:
    world, host, _ = await three_nights(APP_LIST, APPS)
    delete(world, Container.INVENTORY, f"manifests/graph/{APPS}/")

    (done,) = await applied(world)

    assert "no published snapshot is complete" in done
    assert await read_latest(world.storage, "graph", APPS) is None
    assert (await stands(world, await night(world, host, APPS))).published


def lose_hashes(world: World, _: str, __: str) -> None:
    delete(world, Container.HARVEST_STATE, f"watermarks/graph/{AUDIT}/", ".bin")


def lose_watermark(world: World, _: str, __: str) -> None:
    delete(world, Container.HARVEST_STATE, paths.watermark("graph", AUDIT))


def turn_watermark_back(world: World, first: str, _: str) -> None:
    older = mark(world).model_copy(update={"to": mark(world).to - timedelta(days=2), "run_id": first})
    overwrite(world, Container.HARVEST_STATE, paths.watermark("graph", AUDIT), older.to_json())


def lose_last_snapshot(world: World, _: str, last: str) -> None:
    delete(world, Container.INVENTORY, paths.manifest(last, "graph", AUDIT))


def put_watermark_ahead(world: World, _: str, __: str) -> None:
    ahead = mark(world).model_copy(update={"to": mark(world).to + timedelta(days=365)})
    overwrite(world, Container.HARVEST_STATE, paths.watermark("graph", AUDIT), ahead.to_json())


@pytest.mark.parametrize(
    "damage", [lose_hashes, lose_watermark, turn_watermark_back, lose_last_snapshot, put_watermark_ahead]
)
async def test_a_watermark_says_what_the_snapshots_prove_and_nothing_comes_twice_or_is_lost(damage: Damage) -> None:
    world, host, runs = await three_nights(WINDOWED, AUDIT)
    begun = mark(world).to - timedelta(days=4)
    damage(world, runs[0], runs[-1])
    assert not await fits(world)

    done = await applied(world)

    assert any(one.startswith(f"watermarks/graph/{AUDIT}.json: set it to ") for one in done)
    assert await fits(world)
    assert (await stands(world, await night(world, host, AUDIT))).published
    assert await doubled(world) == 0
    stored = {
        line
        for manifest in (await snapshots(world.storage)).values()
        if manifest.published
        for line in await lines(world.storage, manifest)
    }
    served = set(world.avepoint.items(AUDIT, window=(begun, mark(world).to)))
    assert len(served) > 90
    assert served <= stored


async def test_what_is_known_of_parents_begins_anew() -> None:
    world, host, _ = await three_nights(CHILD, LAUNCHES)
    delete(world, Container.HARVEST_STATE, f"watermarks/graph/{LAUNCHES}/", ".bin")

    (done,) = await applied(world)

    assert done.startswith(f"watermarks/graph/{LAUNCHES}.json: delete it")
    assert (await stands(world, await night(world, host, LAUNCHES))).published


async def test_what_fits_is_left_alone() -> None:
    world, _, _ = await three_nights(WINDOWED, AUDIT)
    assert await fits(world)
    assert await applied(world) == []


def renew(world: World, container: Container, path: str) -> None:
    """A newer version of the app has written a document."""
    data = world.storage.blobs[container][path].data
    overwrite(world, container, path, json.dumps({**json.loads(data), "schema": 99}).encode())


@pytest.mark.parametrize("which", ["latest", "manifest", "watermark"])
async def test_what_a_newer_version_has_written_is_named_and_left(which: str) -> None:
    world, _, (_, _, last) = await three_nights(WINDOWED, AUDIT)
    container, path = {
        "latest": (Container.INVENTORY, paths.latest("graph", AUDIT)),
        "manifest": (Container.INVENTORY, paths.manifest(last, "graph", AUDIT)),
        "watermark": (Container.HARVEST_STATE, paths.watermark("graph", AUDIT)),
    }[which]
    renew(world, container, path)
    before = {each: dict(world.storage.blobs[each]) for each in (Container.INVENTORY, Container.HARVEST_STATE)}

    done = await applied(world)

    assert done
    assert all("leave it: Deploy the version of the app that wrote it" in one for one in done)
    assert {each: dict(world.storage.blobs[each]) for each in before} == before


async def test_a_snapshot_in_the_archive_tier_stays_the_latest(monkeypatch: pytest.MonkeyPatch) -> None:
    world, _, (_, _, last) = await three_nights(APP_LIST, APPS)
    archived, listed = paths.parts(last, "graph", APPS), MemoryStorage.list_details

    async def details(self: MemoryStorage, container: Container, prefix: str) -> AsyncIterator[Listed]:
        async for one in listed(self, container, prefix):
            yield replace(one, archived=one.path.startswith(archived))

    monkeypatch.setattr(MemoryStorage, "list_details", details)
    (done,) = await applied(world)

    assert f"latest/graph/{APPS}.json: leave it: Rehydrate it" in done
    assert pointer(world, APPS).run_id == last


@pytest.mark.parametrize("which", ["lost", "newer"])
async def test_the_command_ends_with_1_while_something_does_not_fit(
    which: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    world, _, _ = await three_nights(APP_LIST, APPS)
    if which == "lost":
        lose_pointer(world, "", "")
    else:
        renew(world, Container.INVENTORY, paths.latest("graph", APPS))

    @asynccontextmanager
    async def opened(_: object) -> AsyncIterator[tuple[Storage, Storage]]:
        yield world.storage, world.storage

    monkeypatch.setattr(repairing, "load_storage_settings", lambda: None)
    monkeypatch.setattr(repairing, "storages_alone", opened)
    statuses = [await repairing._repaired(apply=apply) for apply in (False, True, False)]  # noqa: SLF001 - in a loop
    printed = capsys.readouterr().out
    if which == "lost":
        assert statuses == [1, 0, 0]
        assert "1 problems found; 1 can be repaired with --apply" in printed
        assert "1 problems found; 1 were repaired" in printed
    else:
        assert statuses == [1, 1, 1]
        assert "1 problems found; 0 can be repaired with --apply" in printed
        assert "1 problems found; 0 were repaired" in printed

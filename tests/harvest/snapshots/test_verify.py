"""Stored snapshots, held against their manifests by the command (promise 9: not there is not nothing)."""

import asyncio
import gzip
import json
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from shared.azure.storage import Container
from shared.errors import MissingDocument
from shared.harvest.plan import paths
from shared.harvest.snapshots.manifest import Manifest
from shared.harvest.verify import main
from shared.services import Services
from tests.conftest import Clock, Simulator
from tests.harvest.conftest import Harvest, latest_manifest

APPS = "enpower-powerapps"
STORAGE = ("INVENTORY_STORAGE",)

type Run = Callable[..., Awaitable[tuple[int, str]]]


@pytest.fixture
def run(environ: dict[str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run the command with no other setting than that of the storage account."""
    for name in STORAGE:
        monkeypatch.setenv(name, environ[name])

    async def ran(*argv: str) -> tuple[int, str]:
        status = await asyncio.to_thread(main, [*argv])
        captured = capsys.readouterr()
        return status, captured.out + captured.err

    return ran


@pytest.fixture
async def manifest(services: Services, avepoint: Simulator, harvest: Harvest) -> Manifest:
    avepoint.avepoint.change({"items": 30})
    await harvest("graph", APPS)
    return await latest_manifest(services, "graph", APPS)


async def replace(services: Services, path: str, change: Callable[[bytes], bytes]) -> None:
    stored = await services.storage.read(Container.INVENTORY, path)
    assert stored is not None
    await services.storage.write(Container.INVENTORY, path, change(stored.data), etag=stored.etag)


async def test_what_is_whole_is_told_and_nothing_else_is_needed(run: Run, manifest: Manifest) -> None:
    assert manifest.items == 30
    status, text = await run()
    assert (status, text) == (0, "1 snapshots with 30 items are what their manifests say\n0 problems\n")


async def test_a_snapshot_of_nothing_is_whole(run: Run, avepoint: Simulator, harvest: Harvest) -> None:
    avepoint.avepoint.change({"items": 0})
    await harvest("graph", APPS)
    status, text = await run()
    assert (status, text) == (0, "1 snapshots with 0 items are what their manifests say\n0 problems\n")


async def test_everything_is_told_to_programs(run: Run, manifest: Manifest) -> None:
    status, text = await run("--json", "--source", "graph", "--dataset", APPS, "--run", manifest.run_id)
    assert status == 0
    (report,) = json.loads(text)["value"]
    assert (report["runId"], report["items"], report["faults"]) == (manifest.run_id, 30, [])


@pytest.mark.parametrize(
    ("damage", "problem"),
    [
        (lambda blob: gzip.compress(gzip.decompress(blob)[:-1] + b" \n"), ": sha256 is "),
        (
            lambda blob: gzip.compress(gzip.decompress(blob).split(b"\n", 1)[1]),
            ": items is 29, and the manifest says 30",
        ),
        (lambda blob: blob[:-4], ": ends too early, or too late"),
        (lambda blob: blob + b"\0", ": ends too early, or too late"),
        (lambda blob: b"\0" + blob, ": is not a gzip stream"),
        (lambda blob: gzip.compress(gzip.decompress(blob).replace(b"{", b"<", 1)), ": line 1 is not readable: "),
        (lambda blob: gzip.compress(gzip.decompress(blob).replace(b'"', b'"\xff', 1)), ": line 1 is not readable: "),
    ],
)
async def test_a_part_that_is_another_one_is_named(
    run: Run, services: Services, manifest: Manifest, damage: Callable[[bytes], bytes], problem: str
) -> None:
    path = manifest.parts[0].path
    await replace(services, path, damage)
    status, text = await run()
    assert status == 1
    assert f"{path}{problem}" in text


async def test_a_part_that_is_gone_is_named_with_a_remedy(run: Run, services: Services, manifest: Manifest) -> None:
    await services.storage.delete(Container.INVENTORY, manifest.parts[0].path)
    status, text = await run()
    assert status == 1
    assert f"{manifest.parts[0].path}: inventory/{manifest.parts[0].path} is not there\n  -> " in text
    with pytest.raises(MissingDocument):
        async for _ in services.storage.stream(Container.INVENTORY, manifest.parts[0].path):
            pass


async def test_old_snapshots_expire_and_a_hole_between_two_is_a_problem(
    run: Run, services: Services, harvest: Harvest, clock: Clock, manifest: Manifest
) -> None:
    clock.advance(days=1)
    second = await harvest("graph", APPS)
    clock.advance(days=1)
    await harvest("graph", APPS)
    await _delete_parts(services, second.run_id)
    status, text = await run()
    assert (status, text.count("is not there")) == (1, 1)
    await _delete_parts(services, manifest.run_id)
    status, text = await run()
    assert (status, "2 snapshots have expired: their parts were deleted" in text) == (0, True)


async def _delete_parts(services: Services, run_id: str) -> None:
    folder = paths.parts(run_id, "graph", APPS)
    for path in [path async for path in services.storage.list(Container.INVENTORY, folder)]:
        await services.storage.delete(Container.INVENTORY, path)


async def test_latest_without_its_manifest_is_named(
    run: Run, services: Services, harvest: Harvest, clock: Clock, manifest: Manifest
) -> None:
    clock.advance(days=1)
    newest = (await harvest("graph", APPS)).run_id
    assert newest != manifest.run_id
    await services.storage.delete(Container.INVENTORY, paths.manifest(newest, "graph", APPS))
    status, text = await run()
    assert (status, f"latest/graph/{APPS}.json: names manifests/graph/{APPS}/{newest}.json" in text) == (1, True)


async def test_manifests_that_cannot_be_read_and_names_of_others(
    run: Run, services: Services, manifest: Manifest
) -> None:
    assert manifest.items == 30
    await services.storage.write(Container.INVENTORY, "manifests/graph/readme.txt", b"hello", etag=None)
    other = paths.manifest("20260101T000000Z-graph", "graph", APPS)
    await services.storage.write(Container.INVENTORY, other, b"{", etag=None)
    status, text = await run()
    assert status == 1
    assert f"{other}: inventory/{other}: a stored Manifest cannot be read" in text
    assert "manifests/graph/readme.txt: passed over" in text
    assert "1 snapshots with 30 items" in text


async def test_odd_items_that_are_counted_are_no_problem(
    run: Run, services: Services, avepoint: Simulator, harvest: Harvest
) -> None:
    avepoint.avepoint.change({"items": 12, "oddItems": {APPS: ["surrogate", "nan", "huge", "deep"]}})
    await harvest("graph", APPS)
    manifest = await latest_manifest(services, "graph", APPS)
    assert manifest.odd_items >= 3
    status, text = await run()
    assert status == 0, text
    path = paths.manifest(manifest.run_id, "graph", APPS)
    await replace(services, path, lambda _: manifest.model_copy(update={"odd_items": 1}).to_json())
    status, text = await run()
    assert (status, "lines are, and the manifest counts 1 odd items" in text) == (1, True)


@pytest.mark.parametrize(
    ("argv", "told"),
    [
        (["--dataset", "enpower-powerapp"], "the closest name is 'enpower-powerapps'"),
        (["--run", "20260101T000000Z-graph"], "no such snapshot is stored"),
        (["--settings", "nowhere.json"], "nowhere.json cannot be used"),
    ],
)
async def test_what_cannot_be_looked_for_is_told(run: Run, manifest: Manifest, argv: list[str], told: str) -> None:
    assert manifest.published
    status, text = await run(*argv)
    assert (status, told in text) == (2, True), text


async def test_settings_may_come_from_a_file(
    run: Run, manifest: Manifest, environ: dict[str, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert manifest.published
    monkeypatch.delenv("INVENTORY_STORAGE")
    status, text = await run()
    assert (status, "INVENTORY_STORAGE: is missing" in text) == (2, True)
    file = tmp_path / "local.settings.json"
    file.write_text(json.dumps({"Values": {"INVENTORY_STORAGE": environ["INVENTORY_STORAGE"]}}))
    monkeypatch.setenv("INVENTORY_STORAGE", "")
    assert (await run("--settings", str(file)))[0] == 0

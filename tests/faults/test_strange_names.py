"""Promise 9: a blob whose name says nothing to the app is passed over and named, and everything else goes on."""

import pytest

from shared.azure.damage import unusable
from shared.azure.storage import Container
from shared.doctor.calls import tell_missed_calls
from shared.doctor.repair import all_repairs
from shared.doctor.verifying.sweep import sweep_anchors, sweep_stored
from shared.harvest.plan.run import run_ids
from shared.harvest.runs.sweep import sweep as sweep_runs
from shared.harvest.snapshots.inventory import list_inventory
from shared.opus.evidence.archive import _memories
from shared.opus.evidence.findings import problems
from shared.opus.operations.assembly import operations_of
from shared.opus.operations.sweep import sweep_operations
from shared.opus.verify import gather_evidence
from shared.services import Services
from shared.tables.build.requests import sweep_tables
from shared.tables.serving.table_info import table_states
from tests.opus.world import Host, World

NEVER = "20261399T000000Z-graph"
ID = "0" * 32
STRANGE = {
    Container.HARVEST_STATE: [
        f"runs/{NEVER}/run.json",
        f"runs/{NEVER}/graph/aos-jobs/all.json",
        "runs/odd/run.json",
        "watermarks/odd",
        "watermarks/moon/x.json",
        f"watermarks/graph/aos-jobs/{NEVER}-x.bin",
        "tables/odd",
        "tables/graph/odd.json",
        "announced/odd.json",
        "budget/odd.json",
        "calls/odd",
        "calls/key/submit_records/2026-13-99",
        "odd",
    ],
    Container.INVENTORY: [
        "latest/moon/x.json",
        "latest/graph/odd.json",
        "manifests/odd.json",
        "manifests/graph/aos-jobs/odd.json",
        f"manifests/graph/aos-jobs/{NEVER}.json",
        f"manifests/graph/aos-jobs/{NEVER}.parents.ndjson",
        "raw/graph/aos-jobs/date=2026-13-99/run=x/part",
        "odd",
    ],
    Container.OPERATIONS: [
        "dates/2026-13-99/x",
        "dates/odd",
        "uncertain/odd",
        f"uncertain/20261399T000000.000000-{ID}",
        "open/odd",
        "keys/odd",
        "operations/odd/x.json",
        "chains/odd.json",
        "odd",
    ],
    Container.EVIDENCE: ["date=2026-13-99/x.json", "date=2026-11-20/odd.json", "odd"],
}
NAMED = {
    "harvest-state/calls/odd",
    "harvest-state/calls/key/submit_records/2026-13-99",
    "opus-operations/dates/2026-13-99/",
    "opus-operations/uncertain/odd",
    "opus-operations/chains/odd.json",
    f"opus-operations/uncertain/20261399T000000.000000-{ID}",
}


@pytest.mark.parametrize("content", [b"", b"{}", b"\xff"], ids=["empty", "object", "no text"])
async def test_strange_names_stand_in_the_way_of_nothing(
    services: Services, caplog: pytest.LogCaptureFixture, content: bytes
) -> None:
    for container, paths in STRANGE.items():
        for path in paths:
            await services.storage.write(container, path, content, etag=None)

    await sweep_runs(services)
    assert "watermarks/" not in {getattr(record, "what", None) for record in caplog.records}
    await sweep_operations(services)
    await sweep_tables(services)
    await sweep_anchors(services)
    await sweep_stored(services)
    await tell_missed_calls(services.storage, now=services.clock())

    assert len(await list_inventory(services)) > 0
    assert await run_ids(services.storage) == []
    assert (await table_states(services.storage)).keys() <= {("graph", "odd")}
    assert (await operations_of(services).uncertain()).operations == ()
    seen = await gather_evidence(services.storage, today=services.clock().date())
    assert len(list(problems(seen))) >= len(STRANGE[Container.EVIDENCE]) - 1
    assert [one async for one in all_repairs(services.storage, services.tables, clock=services.clock)] == []
    assert unusable().keys() >= NAMED


@pytest.mark.parametrize("folder", ["date=2026-13-99", "date=2026-11-20 (copy)", "odd"])
async def test_evidence_is_kept_beside_a_folder_with_a_strange_name(folder: str) -> None:
    world = World()
    await world.storage.write(Container.EVIDENCE, f"{folder}/x.json", b"{}", etag=None)
    for key in ("first", "second"):
        _memories._values.clear()  # noqa: SLF001 - another process remembers nothing
        progress = await Host(world, world.mine).submit(key, [key])
        assert progress.operation.status == "Succeeded"
    assert f"opus-evidence/{folder}/" in unusable()

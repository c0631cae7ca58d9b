"""docs/restoring.md as a drill: what it says comes of a storage account that has lost its last minutes."""

import asyncio
import os
import sys
from pathlib import Path

import pytest

from sandbox.processes import ROOT
from shared.azure.storage import Container
from shared.harvest.plan import paths
from shared.harvest.plan.run import Run
from shared.harvest.runs.starting import start_requested
from shared.harvest.snapshots.manifest import read_latest
from shared.harvest.snapshots.table_builds import TableAddress
from shared.harvest.snapshots.watermark import read_watermark
from shared.opus.operations.assembly import operations_of
from shared.services import Services
from shared.tables.build.builder import advance_table
from shared.tables.build.state import read_state
from tests.conftest import Clock, Simulator
from tests.docs.fences import answers, shows_lines
from tests.harvest.conftest import finish
from tests.opus.world import CONNECTION, call, records

APPS, AUDIT = "enpower-powerapps", "aos-audit"


@pytest.mark.slow
async def test_the_page_sets_right_what_a_restore_has_torn_apart(
    services: Services, avepoint: Simulator, clock: Clock, environ: dict[str, str]
) -> None:
    clock.advance(days=-3)
    for _ in range(3):
        avepoint.avepoint.change({"items": 40, "now": clock.now.isoformat()})
        runs = [await harvested(services, name) for name in (APPS, AUDIT)]
        clock.advance(days=1)
    await advance_table(services, TableAddress(source="graph", dataset=APPS))
    submitted = (await operations_of(services).submit(call("k"), CONNECTION, records(["r1"]))).operation
    for run, name in zip(runs, (APPS, AUDIT), strict=True):
        await services.storage.delete(Container.INVENTORY, paths.manifest(run.run_id, "graph", name))
    for path in [path async for path in services.storage.list(Container.OPERATIONS, "operations/")]:
        await services.storage.delete(Container.OPERATIONS, path)

    for fence, shown in answers(ROOT / "docs" / "restoring.md"):
        status, printed = await run_in_shell(fence.body, environ)
        assert status == (1 if fence.body.strip().endswith("--repair") else 0), printed
        assert shown is None or shows_lines(shown.body, printed), printed

    for run, name in zip(runs, (APPS, AUDIT), strict=True):
        latest = await read_latest(services.storage, "graph", name)
        assert latest is not None
        assert latest.run_id < run.run_id
    watermark = await read_watermark(services.storage, "graph", AUDIT, now=clock.now)
    assert watermark is not None
    assert watermark.run_id < runs[1].run_id

    assert (await read_state(services.storage, "graph", APPS)).value.requested == "table"
    progress = await operations_of(services).get(submitted.operation_id)
    assert progress is not None
    assert progress.operation == submitted


async def harvested(services: Services, name: str) -> Run:
    run = await start_requested(services, "graph", [name])
    for address in run.addresses():
        await finish(services, address)
    return run


async def run_in_shell(script: str, environ: dict[str, str]) -> tuple[int | None, str]:
    settings = {"INVENTORY_STORAGE": environ["INVENTORY_STORAGE"]}
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    child = await asyncio.create_subprocess_exec(
        *("bash", "-euo", "pipefail", "-c", script),
        cwd=ROOT,
        env={**settings, "PATH": path},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    printed, _ = await child.communicate()
    return child.returncode, printed.decode()

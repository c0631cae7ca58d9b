"""The lean AvePoint of the benchmarks serves real lists: no item comes twice, whatever is compressed beforehand."""

import sys
from pathlib import Path

import httpx

from benchmarks.server import TENANTS
from sandbox.processes import running

PATH = "/3000/0/powerplatform/powerapps"


async def test_every_item_of_every_tenant_has_an_id_of_its_own(tmp_path: Path) -> None:
    command = (sys.executable, "-m", "benchmarks.server", "--pages", "1")
    async with running(*command, log=tmp_path / "server.log") as process, httpx.AsyncClient() as client:
        origin = (await process.printed(r"^listening on (\S+)$"))[1]
        ids: list[str] = []
        for tenant in ("", TENANTS[0], TENANTS[7]):
            for page in (0, 1, 2):
                answer = (await client.get(f"{origin}{PATH}", params={"tenant": tenant, "Page": page})).json()
                ids += [item["id"] for item in answer["powerApps"]]
    assert len(ids) == len(set(ids)) == 9 * 1000

"""infra/smoke.sh with Azure's own command line: each finding once, none when all is well, nothing ever written."""

from pathlib import Path

import pytest
from starlette.requests import Request
from starlette.responses import Response

from sandbox.processes import ROOT
from tests.infra.azure.cli import CommandLine
from tests.infra.azure.deploying import functions
from tests.infra.azure.server import Standin
from tests.infra.azure.subscription import GROUP, GROUP_ID, SITE, URL

FUNCTIONS = (ROOT / "infra" / "functions.txt").read_text().split()


@pytest.mark.parametrize(
    ("names", "status", "told"),
    [
        (FUNCTIONS, 200, [f"All {len(FUNCTIONS)} functions are there, and the app is well."]),
        (FUNCTIONS[1:], 200, [f"missing: {FUNCTIONS[0]}"]),
        ([*FUNCTIONS, "stray"], 200, ["unexpected: stray"]),
        (FUNCTIONS, 503, [f"health: the app is not well; with the function key, {URL}/api/health/details says why"]),
        (FUNCTIONS, 500, [f"health: {URL} answers 500"]),
    ],
)
async def test_smoke(shell: CommandLine, azure: Standin, names: list[str], status: int, told: list[str]) -> None:
    async def health(_: Request) -> Response:
        return Response(status_code=status)

    azure.services[".sites.azure.test"] = health
    azure.management.put(f"{GROUP_ID}/providers/Microsoft.Web/sites/{SITE}", location="westeurope", properties={})
    functions(azure, SITE, names)
    done = await shell.run(f"infra/smoke.sh {GROUP} {SITE} {URL}", SMOKE_ATTEMPTS="1")
    assert done.lines == told
    assert done.status == (not told[0].startswith("All "))
    assert azure.management.writes == []


async def test_it_cannot_look_without_a_sign_in(shell: CommandLine, tmp_path: Path) -> None:
    done = await shell.run(f"infra/smoke.sh {GROUP} {SITE} {URL}", AZURE_CONFIG_DIR=str(tmp_path))
    assert (done.status, done.output, done.errors) == (2, "", "az is not signed in: az login\n")

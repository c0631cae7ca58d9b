"""Every check of schemathesis over examples and limits of the description, and over calls that follow one another."""

import asyncio
import os
import sys
from pathlib import Path

import pytest

from sandbox.host.process import RunningHost
from sandbox.processes import ROOT
from tools.openapi.document import FILES

SWITCHED_OFF = {
    "positive_data_acceptance": "A token, a name or two parameters together may be refused: a schema cannot say so.",
    "unsupported_method": "The Functions host answers an unknown method itself, with 404 and without Allow.",
}


@pytest.mark.slow
@pytest.mark.usefixtures("services", "avepoint")
async def test_every_check_of_every_phase(host: RunningHost, tmp_path: Path) -> None:
    child = await asyncio.create_subprocess_exec(
        *(Path(sys.executable).with_name("schemathesis"), "run", FILES[0], "--url", f"{host.url}/api"),
        *("--header", f"x-functions-key: {host.key}", "--phases", "examples,coverage,stateful", "--checks", "all"),
        *("--exclude-checks", ",".join(SWITCHED_OFF), "--exclude-operation-id", "startHarvest"),  # it outlives the test
        *("--max-examples", "5", "--generation-deterministic", "--no-color", "--request-timeout", "60"),
        cwd=tmp_path,
        env=os.environ | {"SCHEMATHESIS_HOOKS": "tests.runtime.every_check", "PYTHONPATH": str(ROOT)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await child.communicate()
    assert child.returncode == 0, output.decode()

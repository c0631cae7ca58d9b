"""Redocly's recommended rules find nothing in either description that is not explained here."""

import subprocess
from pathlib import Path

import pytest

from sandbox.azurite import node
from sandbox.processes import ROOT
from tests.connector.reading import SWAGGER_FILE
from tools.openapi.document import FILES

EXPLAINED = {
    "operation-4xx-response #/paths/~1health/get/responses": "It needs no key and ignores its query: no call is wrong.",
}


@pytest.mark.slow
@pytest.mark.parametrize("description", [FILES[0], SWAGGER_FILE], ids=["programs", "connector"])
def test_every_finding_is_explained(description: Path) -> None:
    look = Path(__file__).with_name("second_look.mjs")
    done = subprocess.run(  # noqa: S603 - our own Node, our own files
        [node(), look, description], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert set(done.stdout.splitlines()) == EXPLAINED.keys()

"""docs/from-a-program.md: its programs do what they say although every first answer is lost; all name what there is."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest

from sandbox.azurite import node
from sandbox.host.process import RunningHost
from sandbox.processes import ROOT
from tests.conftest import Simulator
from tests.docs.fences import fences
from tests.require import require
from tests.runtime.programs.gateway import gateway_to
from tools.openapi.document import FILES

PAGE = ROOT / "docs" / "from-a-program.md"
PROGRAMS = {fence.info[0]: fence.body for fence in fences(PAGE)}
DOCUMENT = json.loads(FILES[0].read_text())
ITEMS = 150
SUBMITTED = 20
STRICT = ("--strict", "--noEmit", "--target", "es2024", "--module", "nodenext", "--skipLibCheck", "--types", "node")


def python_program(folder: Path) -> Sequence[str | Path]:
    (folder / "program.py").write_text(PROGRAMS["python"])
    return sys.executable, "-W", "error", folder / "program.py"


def typescript_program(folder: Path) -> Sequence[str | Path]:
    (folder / "program.mts").write_text(PROGRAMS["typescript"])
    return node(), folder / "program.mts"


@pytest.mark.slow
@pytest.mark.parametrize("program", [python_program, typescript_program], ids=["python", "typescript"])
async def test_a_program_does_its_work_once_although_answers_are_lost(
    host: RunningHost, avepoint: Simulator, tmp_path: Path, program: Callable[[Path], Sequence[str | Path]]
) -> None:
    avepoint.avepoint.change({"items": ITEMS, "night": 0})
    async with gateway_to(host.url, loses=True) as (gateway, url):
        environ = {**os.environ, "APP": url, "KEY": host.key, "ORDER": f"order-{tmp_path.name}"}
        told = [await run(program(tmp_path), environ, tmp_path) for _ in ("first time", "started again")]
    assert told == [f"{ITEMS} rows\nsubmitted: Succeeded {SUBMITTED}\ndestroyed: Succeeded {SUBMITTED}\n"] * 2
    assert ("POST", "/api/opus/records/destroy") in gateway.calls
    assert [(one.submitted, one.destroyed) for one in avepoint.avepoint.opus.records] == [(1, 1)] * SUBMITTED


@pytest.mark.slow
@pytest.mark.parametrize("program", [python_program, typescript_program], ids=["python", "typescript"])
@pytest.mark.usefixtures("avepoint")
async def test_a_program_reads_the_table_of_a_newer_run(
    host: RunningHost, tmp_path: Path, program: Callable[[Path], Sequence[str | Path]]
) -> None:
    async with gateway_to(host.url, newer=True) as (_, url):
        environ = {**os.environ, "APP": url, "KEY": host.key, "ORDER": f"order-{tmp_path.name}"}
        assert "rows\nsubmitted: Succeeded" in await asyncio.wait_for(run(program(tmp_path), environ, tmp_path), 60)


async def run(command: Sequence[str | Path], environ: Mapping[str, str], folder: Path) -> str:
    """What a program prints."""
    child = await asyncio.create_subprocess_exec(
        *command, cwd=folder, env=environ, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    output, errors = await child.communicate()
    assert child.returncode == 0, errors.decode() + output.decode()
    return output.decode()


@pytest.mark.slow
def test_the_typescript_is_strict(tmp_path: Path) -> None:
    typescript_program(tmp_path)
    compiler = require("tsc", why="it checks the types", beside=ROOT / "node_modules" / ".bin")
    roots = ("--typeRoots", ROOT / "node_modules" / "@types")
    command: list[str | Path] = [node(), Path(compiler).resolve(), *STRICT, *roots, tmp_path / "program.mts"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)  # noqa: S603 - our own text
    assert done.returncode == 0, done.stdout

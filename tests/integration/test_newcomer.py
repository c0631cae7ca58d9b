"""Somebody who types what the pages and the programs print, on whatever terminal there is."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import gettempdir

import pytest

from sandbox.processes import ROOT, running
from tests.require import require
from tests.terminal import on_a_terminal, too_wide, without_controls

START = (sys.executable, "-m", "sandbox", "start", "--items", "20", "--port", "0")
DEMO = (sys.executable, "-m", "sandbox", "demo", "--items", "40", "--latency-ms", "0")
WITHIN = 120.0
UNBUFFERED = {**os.environ, "PYTHONUNBUFFERED": "1"}


@pytest.mark.slow
@pytest.mark.parametrize("proxies", [{}, {"http_proxy": "http://127.0.0.1:9"}], ids=["no proxy", "a proxy"])
async def test_what_start_prints_can_be_pasted_from_top_to_bottom(tmp_path: Path, proxies: dict[str, str]) -> None:
    """Every line, in order, into one shell that ends at the first failure; no proxy stands in the way."""
    for program in ("bash", "curl"):
        require(program, why="start prints lines for them")
    async with running(*START, log=tmp_path / "start", env=UNBUFFERED | proxies) as start:
        await start.printed("^# Ctrl-C here ends", within=WITHIN)
        _, _, lines = start.output().partition("Ready in ")
        script = lines.partition("\n")[2].replace("--out status.html", f"--out {tmp_path / 'status.html'}")
        environ = {name: value for name, value in os.environ.items() if name not in {"APP", "KEY", "RUN"}}
        status, shown = await on_a_terminal(
            *("/bin/bash", "-euo", "pipefail", "-c", script),
            environ={**environ, **proxies, "NO_COLOR": "1", "TERM": "dumb"},
        )
    assert status == 0, shown
    for expected in (
        '"verdict":',
        '"runId":',
        '"ownerDisplayName"',
        '"status":',
        "ok: avepoint-functions",
        "usage: ./avepoint",
    ):
        assert expected in shown, f"{expected} is not in\n{shown}"
    assert (tmp_path / "status.html").is_file()


@pytest.mark.slow
async def test_a_pipe_gets_plain_lines_of_eighty_columns(tmp_path: Path) -> None:
    environ = {**UNBUFFERED, "TERM": "dumb"}
    environ.pop("COLUMNS", None)
    async with running(*DEMO, log=tmp_path / "demo", env=environ) as demo:
        assert await demo.ended(within=5 * WITHIN) == 0, demo.output()
    assert "\x1b" not in demo.output()
    assert "\r" not in demo.output()
    assert [line for line in demo.output().splitlines() if len(line) > 80 and "/" not in line] == []


@pytest.mark.slow
@pytest.mark.parametrize("width", [40, 120])
async def test_other_terminals_are_used_without_colours_and_cut_nothing_off(width: int) -> None:
    status, output = await on_a_terminal(*DEMO, width=width, environ={"NO_COLOR": "1"})
    assert status == 0, output
    assert re.findall(r"\x1b\[[0-9;]*3[0-7]m", output) == []
    shown = without_controls(output)
    assert [line for line in too_wide(shown, width) if gettempdir() not in line] == []
    assert "…" not in shown.partition("Opus: ")[0]


@pytest.mark.parametrize("has_python", [True, False])
def test_another_python_is_refused_in_a_sentence(tmp_path: Path, *, has_python: bool) -> None:
    """Where there is neither uv nor the right Python: nothing is set up, and both ways out are named."""
    tools, project = tmp_path / "tools", tmp_path / "project"
    tools.mkdir()
    project.mkdir()
    for name in ("Makefile", "requirements-dev.txt", ".python-version"):
        shutil.copy(ROOT / name, project / name)
    for program in ("sh", "make", "awk", "touch"):
        (tools / program).symlink_to(require(program, why="make needs it"))
    python = tools / ("python3" if has_python else "python2")
    old = "import sys; sys.version_info = (3, 12, 1); exec(sys.argv[2])"
    python.write_text(f"#!/bin/sh\nexec {sys.executable} -c '{old}' \"$@\"\n")
    python.chmod(0o755)
    done = subprocess.run(  # noqa: S603 - our own makefile
        [tools / "make", "demo"], cwd=project, env={"PATH": str(tools)}, capture_output=True, text=True, check=False
    )
    assert done.returncode != 0
    said = [line for line in done.stderr.splitlines() if not line.startswith("make: ")]
    assert said == ["Python 3.13 is needed, or uv to fetch it"]
    assert done.stdout == ""
    assert not (project / ".venv").exists()


async def test_help_is_for_every_width() -> None:
    for width in (80, 120):
        status, shown = await on_a_terminal("/bin/sh", "-c", "make help", width=width)
        assert status == 0
        assert max(map(len, shown.splitlines())) <= 80

"""docs/adding.md, followed to the letter on a copy of the project."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from sandbox.processes import ROOT
from tests.checkout import checked_out
from tests.docs.fences import Fence, fences_of

PAGE = (ROOT / "docs" / "adding.md").read_text()
SECTIONS = dict(re.findall(r"^## (.+?)\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL))


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    return checked_out(tmp_path / "project")


@pytest.mark.slow
@pytest.mark.parametrize("title", SECTIONS)
def test_the_steps_are_complete(copy: Path, title: str) -> None:
    steps = fences_of(SECTIONS[title])
    assert steps
    for step in steps:
        follow(step, copy)


def follow(step: Fence, project: Path) -> None:
    match step.info:
        case ("sh",):
            ran(step.body, project)
        case ("diff", file):
            edit(project / file, step.body)
        case (_, "new", file):
            assert not (project / file).exists()
            (project / file).write_text(step.body)
        case (_, "add", file):
            with (project / file).open("a") as stream:
                stream.write(step.body)
        case _:
            raise AssertionError(step.info)


def edit(file: Path, body: str) -> None:
    """Put new lines behind the line that is shown before them; ``…`` stands for the rest of that line."""
    lines = file.read_text().splitlines()
    for hunk in body.rstrip("\n").split("\n@@\n"):
        shown, *new = hunk.split("\n")
        at = [number for number, line in enumerate(lines) if is_line(shown[1:], line)]
        assert at, f"{file} has no line {shown!r}"
        assert all(line.startswith("+") for line in new), hunk
        lines[at[0] + 1 : at[0] + 1] = [line[1:] for line in new]
    file.write_text("\n".join([*lines, ""]))


def is_line(shown: str, line: str) -> bool:
    beginning, left_out, _ = shown.partition("…")
    return line.startswith(beginning) if left_out else line == shown


def ran(script: str, project: Path) -> None:
    """Run commands in the copy, whose environment make does not set up again."""
    tools = project.parent / "tools"
    tools.mkdir(exist_ok=True)
    make = f'#!/bin/sh\nexec {shutil.which("make")} -o .venv/ready -o node_modules/ready "$@"\n'
    (tools / "make").write_text(make)
    (tools / "make").chmod(0o755)
    done = subprocess.run(  # noqa: S603 - our own page
        ["/bin/bash", "-euo", "pipefail", "-c", script],
        cwd=project,
        env={**os.environ, "PATH": f"{tools}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]


def test_a_line_is_put_behind_the_one_that_is_shown(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("a\nbcd\ne\n")
    edit(file, " b…\n+x\n+y\n@@\n e\n+z\n")
    assert file.read_text() == "a\nbcd\nx\ny\ne\nz\n"

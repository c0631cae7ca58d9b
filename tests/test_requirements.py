"""What is installed is what was pinned: every requirement has its version and its hashes, and no index of its own."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from sandbox.processes import ROOT

FILES = sorted(ROOT.glob("requirements*.txt"))
PINNED = re.compile(r"[a-z0-9-]+(\[[a-z,]+\])?==\S+( ; .+)?( --hash=sha256:[0-9a-f]{64})+")


def requirements(path: Path) -> list[str]:
    """The requirements of a file, a line each, without comments."""
    text = re.sub(r"^ *#.*\n", "", path.read_text(), flags=re.MULTILINE).replace("\\\n", " ")
    return [" ".join(line.split()) for line in text.splitlines()]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_requirement_is_pinned_with_hashes(path: Path) -> None:
    assert requirements(path)
    assert [line for line in requirements(path) if not PINNED.fullmatch(line)] == []


def test_what_is_deployed_is_what_is_tested() -> None:
    deployed, tested = (set(requirements(ROOT / f"requirements{of}.txt")) for of in ("", "-dev"))
    assert deployed <= tested


def test_every_install_checks_the_hashes() -> None:
    installs = re.findall(r"^\t.*pip install.*$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert len(installs) == 3
    assert all("--require-hashes" in line for line in installs)


@pytest.mark.slow
def test_the_bill_of_materials_lists_what_is_deployed(tmp_path: Path) -> None:
    """Run what ``make sbom`` runs."""
    (command,) = re.findall(r"^\t(\S+/cyclonedx-py .*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    program, *arguments = command.replace("sbom.json", str(tmp_path / "sbom.json")).split()
    tool = Path(sys.executable).parent / Path(program).name
    subprocess.run([tool, *arguments], cwd=ROOT, check=True, capture_output=True)  # noqa: S603 - our own Makefile
    written = json.loads((tmp_path / "sbom.json").read_text())
    listed = {f"{one['name']}=={one['version']}" for one in written["components"]}
    assert listed == {re.split(r"[ ;]", line)[0] for line in requirements(ROOT / "requirements.txt")}

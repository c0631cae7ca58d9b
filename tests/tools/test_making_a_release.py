"""``make release``, from a checkout to ``dist/``, by the steps of CONTRIBUTING.md."""

import hashlib
import json
import re
import subprocess
from pathlib import Path
from zipfile import ZipFile

import pytest

from sandbox.processes import ROOT
from tests.checkout import checked_out
from tests.require import skip_unless_required

VERSION = "98.7.6"
NAME = f"avepoint-functions-{VERSION}"
OFF_LINE = re.compile(r"error sending request|dns error|failed to (?:fetch|connect)|network", re.IGNORECASE)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return checked_out(tmp_path / "project")


def replaced(file: Path, pattern: str, text: str) -> None:
    before = file.read_text()
    after = re.sub(pattern, text, before, count=1, flags=re.MULTILINE)
    assert after != before
    file.write_text(after)


def versioned(project: Path, *files: str) -> None:
    """Step 1: the version is written into both files."""
    for name in files or ("shared/version.py", "pyproject.toml"):
        replaced(project / name, r'^(version|VERSION[^=]*)( ?= ?)"[^"]+"', rf'\1\2"{VERSION}"')


def changed(project: Path, *, heading: bool) -> None:
    """Step 2: something has changed, and gets a heading of its own."""
    above = f"\n## [{VERSION}] - 2026-12-01\n" if heading else ""
    replaced(project / "CHANGELOG.md", r"^## \[Unreleased\]\n", f"## [Unreleased]\n{above}\n- A change.\n")


def made(project: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["make", "release"], cwd=project, capture_output=True, text=True, check=False)  # noqa: S607


@pytest.mark.slow
def test_a_release_is_made(project: Path) -> None:
    versioned(project)
    changed(project, heading=True)
    done = made(project)
    if done.returncode and OFF_LINE.search(done.stderr):
        skip_unless_required(f"the wheels of the package cannot be fetched: {done.stderr[-200:]}")
    assert done.returncode == 0, done.stderr
    dist = project / "dist"
    assert {file.name for file in dist.iterdir()} == {f"{NAME}.zip", f"{NAME}.cdx.json", f"{NAME}.md", "SHA256SUMS"}
    for line in (dist / "SHA256SUMS").read_text().splitlines():
        checksum, name = line.split()
        assert hashlib.sha256((dist / name).read_bytes()).hexdigest() == checksum
    with ZipFile(dist / f"{NAME}.zip") as package:
        assert package.testzip() is None
        packed = package.namelist()
        assert VERSION.encode() in package.read("shared/version.py")
    installed = {
        name.split("/")[3].lower() for name in packed if name.startswith(".python_packages/lib/site-packages/")
    }
    pinned = re.findall(r"^([a-z0-9-]+)(?:\[.+\])?==(\S+)", (ROOT / "requirements.txt").read_text(), re.MULTILINE)
    materials = json.loads((dist / f"{NAME}.cdx.json").read_text())
    assert materials["metadata"]["component"]["version"] == VERSION
    assert {(one["name"], one["version"]) for one in materials["components"]} == {*pinned}
    assert {f"{name.replace('-', '_')}-{version}.dist-info" for name, version in pinned} <= installed
    assert {"host.json", "function_app.py", "requirements.txt"} <= {*packed}
    assert [name for name in packed if name.startswith(("tests/", "sandbox/", "tools/"))] == []
    assert (dist / f"{NAME}.md").read_text().startswith("- A change.\n")


@pytest.mark.parametrize(
    ("files", "heading", "said"),
    [
        (["shared/version.py"], True, "give both the same version"),
        (["pyproject.toml"], True, "give both the same version"),
        ([], False, rf"CHANGELOG.md has entries under \[Unreleased\]: put the heading '## \[{VERSION}\] - DATE'"),
    ],
)
def test_nothing_is_made_before_version_and_changes_agree(
    project: Path, files: list[str], said: str, *, heading: bool
) -> None:
    versioned(project, *files)
    changed(project, heading=heading)
    done = made(project)
    assert done.returncode != 0
    assert re.search(said, done.stderr)
    assert "Traceback" not in done.stderr
    assert [
        name for name in ("dist", ".python_packages", "package.zip", "sbom.json") if (project / name).exists()
    ] == []

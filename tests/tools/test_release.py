"""A release: what stands in its way, and what it consists of."""

import hashlib
import tomllib
from pathlib import Path

import pytest

from sandbox.processes import ROOT
from shared.version import VERSION
from tools.release import main

CHANGELOG = (
    "# Changelog\n\n## [Unreleased]\n{unreleased}\n## [1.2.3] - 2026-01-31\n\n{released}\n## [1.2.2]\n\n- Old.\n"
)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "pyproject.toml").write_text('[project]\nversion = "1.2.3"\n')
    (tmp_path / "CHANGELOG.md").write_text(CHANGELOG.format(unreleased="", released="- New.\n"))
    (tmp_path / "package.zip").write_bytes(b"package")
    (tmp_path / "sbom.json").write_bytes(b"{}")
    return tmp_path


def test_there_is_one_version() -> None:
    assert tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"] == VERSION


def test_a_release_has_package_materials_notes_and_checksums(project: Path) -> None:
    assert main([], project, "1.2.3") == 0
    name, dist = "avepoint-functions-1.2.3", project / "dist"
    assert {file.name for file in dist.iterdir()} == {f"{name}.zip", f"{name}.cdx.json", f"{name}.md", "SHA256SUMS"}
    assert (dist / f"{name}.md").read_text() == "- New.\n"
    sums = (dist / "SHA256SUMS").read_text().splitlines()
    assert f"{hashlib.sha256(b'package').hexdigest()}  {name}.zip" in sums
    assert len(sums) == 3


@pytest.mark.parametrize(
    ("version", "unreleased", "released", "said"),
    [
        ("1.2.4", "", "- New.\n", "pyproject.toml says 1.2.3"),
        ("1.2.3", "\n- Newer.\n", "- New.\n", "under [Unreleased]"),
        ("1.2.3", "", "", "no entries under [1.2.3]"),
    ],
)
def test_what_stands_in_its_way_is_said(
    project: Path, capsys: pytest.CaptureFixture[str], version: str, unreleased: str, released: str, said: str
) -> None:
    (project / "CHANGELOG.md").write_text(CHANGELOG.format(unreleased=unreleased, released=released))
    assert main(["--check"], project, version) == 1
    assert said in capsys.readouterr().err
    assert not (project / "dist").exists()

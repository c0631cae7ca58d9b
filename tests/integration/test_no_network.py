"""Without a network: what is set up works, and what is not says so in a sentence."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from sandbox.processes import ROOT
from tests.checkout import PINS, checked_out
from tests.require import require
from tests.terminal import on_a_terminal, without_controls

NOWHERE = "http://127.0.0.1:9"  # the port of the discard service, where nothing listens
PROXIES = {name: NOWHERE for word in ("http_proxy", "https_proxy", "all_proxy") for name in (word, word.upper())}
CUT_OFF = ("unshare", "--map-root-user", "--net", "/bin/sh", "-c", 'ip link set lo up && exec "$@"', "sh")
"""Nothing but loopback, for this process and those that it starts."""

SOME = "tests/sandbox/test_azurite.py tests/sandbox/vault"
IMPATIENT = {"PIP_RETRIES": "0", "UV_HTTP_RETRIES": "0", "npm_config_fetch_retries": "0"}
SENTENCE = (
    "error: the packages cannot be installed: check the network and HTTPS_PROXY, then repeat; "
    ".setup.log has the details"
)


@pytest.fixture(params=["no network", "proxies that do not answer"])
def cut_off(request: pytest.FixtureRequest) -> tuple[tuple[str, ...], Mapping[str, str]]:
    """What a command begins with, and the environment that it gets."""
    if request.param != "no network":
        return (), {**PROXIES, "NO_PROXY": "", "no_proxy": ""}
    if any(shutil.which(program) is None for program in ("unshare", "ip")):
        pytest.skip("unshare and ip are not on the path")
    if subprocess.run([*CUT_OFF, "true"], capture_output=True, check=False).returncode:  # noqa: S603 - ours
        pytest.skip("this machine does not let a user make a network of their own")
    return CUT_OFF, {}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("command", "shown"),
    [
        ([sys.executable, "-m", "sandbox", "demo", "--items", "20", "--latency-ms", "0"], "0 faults, in"),
        (
            ["make", "test", f"PYTEST=.venv/bin/python -m pytest -q -p no:cacheprovider {SOME}"],
            " passed",
        ),
    ],
    ids=["demo", "test"],
)
async def test_what_is_set_up_works(
    cut_off: tuple[tuple[str, ...], Mapping[str, str]], tmp_path: Path, command: list[str], shown: str
) -> None:
    before, environ = cut_off
    project = checked_out(tmp_path / "project")
    status, output = await on_a_terminal(*before, *command, environ=environ, cwd=project)
    assert status == 0, output
    assert shown in without_controls(output)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """As much of a fresh clone as make reads."""
    folder = tmp_path / "project"
    folder.mkdir()
    for name in ("Makefile", "package.json", *PINS):
        shutil.copy(ROOT / name, folder / name)
    return folder


def made(project: Path, **programs: Path) -> subprocess.CompletedProcess[str]:
    """Run ``make demo`` with no programs but these and those of every system, where no network is."""
    tools = project.parent / "tools"
    tools.mkdir()
    for name in ("sh", "make", "awk", "touch", "rm", "cat"):
        (tools / name).symlink_to(require(name, why="make needs it"))
    for name, path in programs.items():
        (tools / name.replace("_", ".")).symlink_to(path)
    env = {"PATH": str(tools), "HOME": str(project.parent), **PROXIES, **IMPATIENT}
    return subprocess.run(["make", "demo"], cwd=project, env=env, capture_output=True, text=True, check=False)  # noqa: S607


@pytest.mark.parametrize("target", ["help", "demo", "start", "test", "lint"])
def test_what_is_set_up_is_not_set_up_again(project: Path, target: str) -> None:
    """Nothing that could want a network is run, and without the environment it would be."""
    (project / ".venv").symlink_to(sys.prefix)
    (project / "node_modules").symlink_to(ROOT / "node_modules")
    for name in PINS:
        os.utime(project / name, (0, 0))
    assert installs(project, target) == []
    (project / ".venv").unlink()
    assert bool(installs(project, target)) == (target != "help")


def installs(project: Path, target: str) -> list[str]:
    """What make would install for a target."""
    dry = ["make", "--dry-run", target]
    done = subprocess.run(dry, cwd=project, capture_output=True, text=True, check=True)  # noqa: S603 - ours
    return re.findall(r"uv pip install|pip install|npm ci", done.stdout)


@pytest.mark.slow
@pytest.mark.parametrize("way", ["uv", "pip"])
def test_packages_that_cannot_be_installed(project: Path, way: str) -> None:
    base = Path(sys.base_prefix) / "bin" / "python3.13"
    uv = {"uv": Path(sys.executable).parent / "uv"} if way == "uv" else {}
    done = made(project, python3_13=base, **uv)
    assert done.returncode != 0
    said = [line for line in done.stderr.splitlines() if not line.startswith("make: ")]
    assert said == ["Installing Python packages, once: this takes some minutes ...", SENTENCE]
    assert (project / ".setup.log").read_text()
    assert not (project / ".venv" / "ready").exists()


@pytest.mark.slow
def test_azurite_that_cannot_be_installed(project: Path) -> None:
    (project / ".venv").symlink_to(sys.prefix)
    for name in PINS:
        os.utime(project / name, (0, 0))
    done = made(project)
    assert done.returncode != 0
    said = [line for line in done.stderr.splitlines() if not line.startswith("make: ")]
    assert said == ["Installing Azurite, once ...", SENTENCE]
    assert not (project / "node_modules" / "ready").exists()


def test_a_python_that_is_gone_is_looked_for_again(project: Path) -> None:
    """As after an upgrade of the system: the environment is there, and what it runs is not."""
    (project / ".venv" / "bin").mkdir(parents=True)
    (project / ".venv" / "ready").touch()
    (project / ".venv" / "bin" / "python").symlink_to(project / "gone")
    failing = project / "uv"
    failing.write_text("#!/bin/sh\necho no Python here\nexit 1\n")
    failing.chmod(0o755)
    done = made(project, uv=failing)
    assert "error: no environment for Python 3.13 can be made: install that version" in done.stderr
    assert (project / ".setup.log").read_text() == "no Python here\n"

"""The package that is built beforehand runs on Azure's Linux with nothing but Python 3.13 there."""

import re
import shutil
import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

import pytest

from sandbox.processes import ROOT
from tests.require import require
from tools.package import SHIPPED, write

WHEELS = ".python_packages/lib/site-packages"
LOAD = "import function_app; print(*sorted(one.get_function_name() for one in function_app.app.get_functions()))"


def test_it_ships_what_azd_does() -> None:
    ships = (ROOT / ".funcignore").read_text().splitlines()[0].removeprefix("# Ships only what runs: ").rstrip(".")
    named = {name.rstrip("/") for name in re.split(r", | and ", ships)}
    assert set(SHIPPED) == named | {".python_packages"}


def test_azd_ships_nothing_else() -> None:
    """git reads the names of .funcignore as it reads those of .gitignore."""
    git = require("git", why="it says what is here, and what .funcignore leaves out")
    shipped = listed(git) - listed(git, "--ignored", "--exclude-from=.funcignore")
    assert {name.split("/")[0] for name in shipped} == set(SHIPPED[:-1])
    assert shipped == {name for name in listed(git) if name.split("/")[0] in SHIPPED}
    made = {name for name in (ROOT / ".gitignore").read_text().splitlines() if name in {"package.zip", "sbom.json"}}
    assert made <= {name.strip("/") for name in (ROOT / ".funcignore").read_text().splitlines()}


def listed(git: str, *options: str) -> set[str]:
    done = subprocess.run(  # noqa: S603 - of our own files
        [git, "ls-files", "--cached", *options], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return set(done.stdout.splitlines())


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="the wheels are those of Linux")
def test_the_app_starts_from_it_without_anything_else(tmp_path: Path, routes: dict[str, str | None]) -> None:
    """Install with the command of ``make package``, pack, unpack, and load every function."""
    source, target = tmp_path / "source", tmp_path / "target"
    source.mkdir()
    for name in SHIPPED[:-1]:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, source / name)
    (command,) = re.findall(r"^\t\S+/(uv pip install .*--target.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    program, *arguments = command.split()
    subprocess.run([Path(sys.executable).parent / program, *arguments], cwd=source, check=True)  # noqa: S603 - ours
    write(source, tmp_path / "package.zip")
    with ZipFile(tmp_path / "package.zip") as package:
        package.extractall(target)
    libraries = [path.name for path in (target / WHEELS).rglob("*.so")]
    assert libraries
    assert [name for name in libraries if not re.search(r"\.(cpython-313-x86_64-linux-gnu|abi3)\.so$", name)] == []
    done = subprocess.run(  # noqa: S603 - Python with our own package
        [sys.executable, "-I", "-S", "-c", f"import sys; sys.path[:0] = ['.', '{WHEELS}']; {LOAD}"],
        cwd=target,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == sorted(routes)

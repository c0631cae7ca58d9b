"""The project as somebody has checked it out, whose environment is ready."""

import os
import shutil
import sys
from pathlib import Path

from sandbox.processes import ROOT
from tests.require import skip_unless_required

MADE = (".git", ".venv", ".venv-az", "node_modules", ".*_cache", "__pycache__", ".hypothesis", ".python_packages")
PINS = ("requirements-dev.txt", "package-lock.json", ".python-version")


def checked_out(folder: Path) -> Path:
    """Copy the project, and let make take what it finds for ready, whatever the age of the files."""
    if not (Path(sys.prefix) / "ready").exists():
        skip_unless_required("the environment of these tests is not one that make has set up")
    shutil.copytree(ROOT, folder, ignore=shutil.ignore_patterns(*MADE))
    (folder / ".venv").symlink_to(sys.prefix)
    (folder / "node_modules").symlink_to(ROOT / "node_modules")
    for name in PINS:
        os.utime(folder / name, (0, 0))
    return folder

"""The arrows of docs/architecture.md run one way, and importing the app is free (promise 9)."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SHARED = sorted((ROOT / "shared").rglob("*.py"))
FUNCTIONS = sorted((ROOT / "functions").glob("*.py"))
PURE = [*(ROOT / "shared/avepoint").glob("*.py"), ROOT / "shared/harvest/plan.py", ROOT / "shared/harvest/paths.py"]


def imported(path: Path) -> Iterator[str]:
    """Every module that a file imports, wherever in the file."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield f"{node.module}"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def importers(module: str, files: list[Path]) -> set[str]:
    """The files that import a module or anything below it."""
    return {
        path.relative_to(ROOT).as_posix()
        for path in files
        if any(name == module or name.startswith(f"{module}.") for name in imported(path))
    }


def test_what_is_deployed_does_not_know_the_sandbox() -> None:
    assert importers("sandbox", [*SHARED, *FUNCTIONS]) == set()


def test_rules_do_not_know_triggers() -> None:
    assert importers("functions", SHARED) == importers("azure.functions", SHARED) == set()


def test_httpx_is_known_in_one_place() -> None:
    assert importers("httpx", [*SHARED, *FUNCTIONS]) == {"shared/wire.py"}


def test_azure_storage_is_known_in_one_place() -> None:
    assert importers("azure.storage", [*SHARED, *FUNCTIONS]) == {"shared/storage.py"}


@pytest.mark.parametrize("path", PURE, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_pure_modules_do_no_io(path: Path) -> None:
    assert importers("asyncio", [path]) == importers("shared.storage", [path]) == set()
    assert importers("shared.transport", [path]) == importers("os", [path]) == set()


@pytest.mark.parametrize("path", FUNCTIONS, ids=lambda path: path.name)
def test_triggers_hold_no_rules(path: Path) -> None:
    if path.name != "http.py":
        assert len(path.read_text().splitlines()) < 150


def test_import_needs_no_setting_and_loads_no_sdk() -> None:
    code = (
        "import socket, sys; socket.socket.connect = None; import function_app; "
        "sdks = 'azure.storage', 'azure.identity', 'azure.keyvault'; "
        "print([name for name in sys.modules if name.startswith(sdks)])"
    )
    done = subprocess.run(  # noqa: S603 - our own interpreter, our own code
        [sys.executable, "-c", code], cwd=ROOT, env={"PATH": ""}, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout.strip()) == (0, "[]"), done.stderr

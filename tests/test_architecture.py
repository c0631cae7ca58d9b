"""Arrows run one way, a name means one thing, and importing the app is free (promise 12)."""

import ast
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SHARED = sorted((ROOT / "shared").rglob("*.py"))
FUNCTIONS = sorted((ROOT / "functions").rglob("*.py"))
TRIGGERS = sorted((ROOT / "functions").glob("*.py"))
PURE = [
    *(ROOT / "shared/avepoint").glob("*.py"),
    *(ROOT / f"shared/harvest/plan/{name}.py" for name in ("plan", "paths", "windows", "capacity")),
]

FLOORS = [
    {"errors", "version", "closest", "schedule"},
    {"clock", "document", "telemetry"},
    {"avepoint"},
    {"http", "settings"},
    {"credentials"},
    {"azure"},
    {"transport"},
    {"services"},
    {"harvest", "opus", "tables"},
    {"doctor"},
]
"""The rooms of shared/, from the ground up: each imports those below it, and none beside it."""

FLOOR_OF = {room: number for number, floor in enumerate(FLOORS) for room in floor}
HARVEST_FLOORS = ["plan", "snapshots", "slices", "runs"]
READ_BY_TABLES = ("shared.harvest.snapshots", "shared.harvest.plan")
MOST_FILES = 13

EVERY_MODULE_MAY = {
    "bp",  # the blueprint of a file of triggers
    "log",  # the logger of a module
    "main",  # the entry of a command
    "sweep",  # the name of the timer is part of the contract
}


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


def room(name: str) -> str:
    """The room of a module, and of a path as well: ``http`` of ``shared.http.client``."""
    return name.replace("/", ".").removeprefix("shared.").split(".")[0]


def public_names(path: Path) -> Iterator[str]:
    """The names that a module defines for others."""
    for node in ast.parse(path.read_text()).body:
        match node:
            case ast.ClassDef(name=name) | ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                yield name
            case ast.TypeAlias(name=ast.Name(id=name)) | ast.AnnAssign(target=ast.Name(id=name)):
                yield name
            case ast.Assign(targets=targets):
                yield from (target.id for target in targets if isinstance(target, ast.Name))


def test_what_is_deployed_does_not_know_the_sandbox() -> None:
    assert importers("sandbox", [*SHARED, *FUNCTIONS]) == importers("tools", [*SHARED, *FUNCTIONS]) == set()


def test_rules_do_not_know_triggers() -> None:
    assert importers("functions", SHARED) == importers("azure.functions", SHARED) == set()


def test_httpx_is_known_in_one_place() -> None:
    assert importers("httpx", [*SHARED, *FUNCTIONS]) == {"shared/http/client.py"}


def test_azure_storage_is_known_in_one_place() -> None:
    assert importers("azure.storage", [*SHARED, *FUNCTIONS]) == {"shared/azure/storage.py"}


def test_every_room_has_its_floor() -> None:
    rooms = {path.relative_to(ROOT / "shared").parts[0].removesuffix(".py") for path in SHARED}
    assert rooms - {"__init__"} == FLOOR_OF.keys()


def test_arrows_run_downwards() -> None:
    upwards = {
        f"{path.relative_to(ROOT).as_posix()} -> {name}"
        for path in SHARED
        if path != ROOT / "shared/__init__.py"
        for name in imported(path)
        if name.startswith("shared.")
        and (here := room(path.relative_to(ROOT).as_posix().removesuffix(".py"))) != (there := room(name))
        and FLOOR_OF[there] >= FLOOR_OF[here]
        and not (here == "tables" and there == "harvest")
    }
    assert upwards == set()


def test_tables_read_plans_and_snapshots_and_nothing_else_of_harvest() -> None:
    tables = [path for path in SHARED if path.is_relative_to(ROOT / "shared/tables")]
    read = {name for path in tables for name in imported(path) if name.startswith("shared.harvest.")}
    assert {name for name in read if not name.startswith(READ_BY_TABLES)} == set()


def test_the_arrows_of_harvest_run_downwards() -> None:
    for number, here in enumerate(HARVEST_FLOORS):
        files = sorted((ROOT / "shared/harvest" / here).rglob("*.py"))
        for above in HARVEST_FLOORS[number + 1 :]:
            assert importers(f"shared.harvest.{above}", files) == set()


@pytest.mark.parametrize("top", ["shared", "functions"])
def test_a_folder_holds_what_one_can_see_at_a_glance(top: str) -> None:
    files = defaultdict(list)
    for path in (ROOT / top).rglob("*.py"):
        if path.name != "__init__.py":
            files[path.parent.relative_to(ROOT).as_posix()].append(path.name)
    assert {folder: len(names) for folder, names in files.items() if len(names) > MOST_FILES} == {}


def test_a_public_name_means_one_thing() -> None:
    places = defaultdict(set)
    for path in (*SHARED, *FUNCTIONS):
        for name in public_names(path):
            places[name].add(path.relative_to(ROOT).as_posix())
    twice = {name for name, paths in places.items() if len(paths) > 1 and not name.startswith("_")}
    assert twice - EVERY_MODULE_MAY == set(), {name: places[name] for name in twice}


@pytest.mark.parametrize("engine", ["duckdb", "arro3", "fsspec"])
def test_the_table_engine_is_known_to_tables_only(engine: str) -> None:
    assert all(path.startswith("shared/tables/") for path in importers(engine, [*SHARED, *FUNCTIONS]))


def test_tables_know_snapshots_and_plans_of_the_harvest_and_nothing_else() -> None:
    tables = [path for path in SHARED if path.is_relative_to(ROOT / "shared/tables")]
    known = {name for path in tables for name in imported(path) if name.startswith("shared.harvest.")}
    assert {".".join(name.split(".")[:3]) for name in known} <= {"shared.harvest.plan", "shared.harvest.snapshots"}


@pytest.mark.parametrize("path", PURE, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_pure_modules_do_no_io(path: Path) -> None:
    assert importers("asyncio", [path]) == importers("shared.azure.storage", [path]) == set()
    assert importers("shared.transport.transport", [path]) == importers("os", [path]) == set()


@pytest.mark.parametrize("path", TRIGGERS, ids=lambda path: path.name)
def test_triggers_hold_no_rules(path: Path) -> None:
    assert len(path.read_text().splitlines()) < 150


def test_import_needs_no_setting_and_loads_no_sdk_and_no_table_engine() -> None:
    code = (
        "import socket, sys; socket.socket.connect = None; import function_app; "
        "sdks = 'azure.storage', 'azure.identity', 'azure.keyvault', 'duckdb', 'arro3'; "
        "print([name for name in sys.modules if name.startswith(sdks)])"
    )
    done = subprocess.run(  # noqa: S603 - our own interpreter, our own code
        [sys.executable, "-c", code], cwd=ROOT, env={"PATH": ""}, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout.strip()) == (0, "[]"), done.stderr

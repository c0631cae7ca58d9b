"""Clients that are generated from the description compile strictly, and read what every operation answers."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from sandbox.azurite import node
from sandbox.host.process import RunningHost
from sandbox.processes import ROOT
from tests.conftest import Simulator
from tests.require import require
from tests.runtime.programs.gateway import Gateway, gateway_to
from tests.runtime.programs.test_page import run
from tools.openapi.document import FILES

pytestmark = pytest.mark.slow

HERE = Path(__file__).parent
TOOLS = ROOT / "node_modules" / ".bin"
OPERATIONS = {
    (method.upper(), path): operation["operationId"]
    for path, methods in json.loads(FILES[0].read_text())["paths"].items()
    for method, operation in methods.items()
}
TSCONFIG = {
    "compilerOptions": {
        **dict.fromkeys(("strict", "noUncheckedIndexedAccess", "noImplicitOverride", "noImplicitReturns"), True),
        "noPropertyAccessFromIndexSignature": True,
        "target": "es2024",
        "module": "nodenext",
        "types": ["node"],
        "typeRoots": [str(ROOT / "node_modules" / "@types")],
        "outDir": "out",
    },
    "files": ["with_typescript.ts"],
}
GENERATOR = {"input": str(FILES[0]), "output": {"path": "client", "module": {"extension": ".js"}}}


def typescript_round(folder: Path) -> Sequence[str | Path]:
    """Generate a client in TypeScript, and compile what uses it."""
    generator, compiler = (
        Path(require(tool, why="it makes and checks the client", beside=TOOLS)).resolve()
        for tool in ("openapi-ts", "tsc")
    )
    shutil.copy(HERE / "with_typescript.ts", folder)
    (folder / "package.json").write_text(json.dumps({"type": "module"}))
    (folder / "tsconfig.json").write_text(json.dumps(TSCONFIG))
    (folder / "openapi-ts.config.mjs").write_text(f"export default {json.dumps(GENERATOR)}")
    made(folder, node(), generator)
    made(folder, node(), compiler)
    return node(), folder / "out" / "with_typescript.js"


def python_round(folder: Path) -> Sequence[str | Path]:
    """Generate a client in Python, and check the types of what uses it."""
    beside = Path(sys.executable).parent
    generator, mypy = (
        require(tool, why="it makes and checks the client", beside=beside) for tool in ("openapi-python-client", "mypy")
    )
    shutil.copy(HERE / "with_python.py", folder)
    made(folder, generator, "generate", "--path", FILES[0], "--output-path", "client", "--meta", "none")
    made(folder, mypy, "--strict", "--config-file=", "--follow-imports=silent", "with_python.py")
    return sys.executable, "-W", "error", folder / "with_python.py"


def made(folder: Path, *command: str | Path) -> None:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(  # noqa: S603 - tools that are pinned, our own files
        command, cwd=folder, env=os.environ | {"PATH": path}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "warning" not in (done.stdout + done.stderr).lower(), done.stdout + done.stderr


def called(gateway: Gateway) -> set[str]:
    """The operations that were called."""
    found = set()
    for method, path in gateway.calls:
        matching = [
            name
            for (known, template), name in OPERATIONS.items()
            if known == method and re.fullmatch(f"/api{re.sub(r'{\w+}', '[^/]+', template)}", path)
        ]
        found |= set(matching)
    return found


@pytest.mark.parametrize("build", [python_round, typescript_round], ids=["python", "typescript"])
async def test_a_generated_client_carries_out_every_operation(
    host: RunningHost, avepoint: Simulator, tmp_path: Path, build: Callable[[Path], Sequence[str | Path]]
) -> None:
    command = build(tmp_path)
    avepoint.avepoint.change({"items": 30, "night": 0})
    avepoint.fault(method="DELETE", path="/records/connector/records*", status=429, headers={"Retry-After": "6"})
    async with gateway_to(host.url) as (gateway, url):
        await run(command, {**os.environ, "APP": url, "KEY": host.key}, tmp_path)
    assert called(gateway) == set(OPERATIONS.values())

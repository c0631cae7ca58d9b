"""Azure's own command line, signed in to the stand-in."""

import asyncio
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sandbox.processes import ROOT
from tests.infra.azure.management import TENANT
from tests.infra.azure.server import MANAGEMENT, Standin
from tests.require import require

BESIDE_THE_PROJECT: Final = ROOT / ".venv-az" / "bin" / "az"
SECONDS: Final = 600  # a busy machine is no fault
LEAST: Final = {
    "AZURE_CORE_INSTANCE_DISCOVERY": "false",
    "AZURE_CORE_COLLECT_TELEMETRY": "0",
    "AZURE_CORE_DISABLE_CONFIRM_PROMPT": "true",
    "AZURE_BICEP_USE_BINARY_FROM_PATH": "true",
    "AZURE_BICEP_CHECK_VERSION": "false",
    "DOTNET_SYSTEM_GLOBALIZATION_INVARIANT": "1",
}


@dataclass(frozen=True, slots=True)
class Done:
    """How a command ended."""

    status: int
    output: str
    errors: str

    @property
    def lines(self) -> list[str]:
        return self.output.splitlines()


def installed() -> Path:
    """Return where the command line is: beside the project, or on the path; a test that finds none is skipped."""
    if BESIDE_THE_PROJECT.exists():
        return BESIDE_THE_PROJECT
    return Path(require("az", why="`make test-all` installs Azure's command line"))


@dataclass(frozen=True, slots=True)
class CommandLine:
    """A shell in which ``az`` and ``curl`` know nothing but the stand-in."""

    environ: dict[str, str]

    @classmethod
    async def signed_in(cls, azure: Standin, az: Path, directory: Path) -> "CommandLine":
        """Sign in once; ``directory`` keeps what ``az`` remembers."""
        path = f"{az.parent}:{os.environ['PATH']}"
        shell = cls(azure.environ | LEAST | {"PATH": path, "HOME": str(directory), "AZURE_CONFIG_DIR": str(directory)})
        for line in (
            f"az cloud register -n standin --endpoint-resource-manager https://{MANAGEMENT}",
            "az cloud set -n standin",
            f"az login --service-principal -u someone -p something --tenant {TENANT}",
        ):
            done = await shell.run(line)
            assert done.status == 0, done.errors
        # No option of `az cloud register` sets this one.
        with (directory / "clouds.config").open("a") as clouds:
            clouds.write(f"endpoint_app_service_resource_id = https://{MANAGEMENT}\n")
        return shell

    async def run(self, script: str, *arguments: str, **environ: str) -> Done:
        """Run a script in the root of the project."""
        child = await asyncio.create_subprocess_exec(
            *("bash", "-euo", "pipefail", "-c", script, "-", *arguments),
            cwd=ROOT,
            env=self.environ | environ,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        output, errors = await asyncio.wait_for(child.communicate(), timeout=SECONDS)
        assert child.returncode is not None
        return Done(child.returncode, output.decode(), errors.decode())

"""Azure's own compiler of Bicep, as far as tests need it."""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import cast

from tests.infra.paths import INFRA
from tests.infra.snapshot import Snapshot, Value
from tests.require import require

_PLACE = {
    "--subscription-id": "00000000-0000-0000-0000-000000000001",
    "--tenant-id": "00000000-0000-0000-0000-000000000002",
    "--resource-group": "rg-test",
    "--location": "westeurope",
    "--deployment-name": "main",
}
_REFUSED = re.compile(r'Error BCP338: Failed to evaluate parameter "\w+": (.*?) \[https://')


def bicep(*arguments: str, variables: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run the compiler, with these variables and no other."""
    program = require("bicep", why="`az bicep install` fetches it", beside=Path.home() / ".azure" / "bin")
    basics = {name: os.environ[name] for name in ("HOME", "PATH") if name in os.environ}
    environ = basics | {"DOTNET_SYSTEM_GLOBALIZATION_INVARIANT": "1"} | dict(variables or {})
    return subprocess.run(  # noqa: S603 - the compiler, with our own files
        [program, *arguments], env=environ, capture_output=True, text=True, check=False
    )


def diagnostics(done: subprocess.CompletedProcess[str]) -> list[str]:
    """Return what the compiler has to say against a file, warnings included."""
    return [line for line in done.stderr.splitlines() if re.search(r" : (Error|Warning|Info) ", line)]


def refusals(variables: Mapping[str, str]) -> list[str]:
    """Return the sentences by which the parameter file refuses these variables; none where it takes them."""
    done = bicep("build-params", str(INFRA / "main.bicepparam"), "--stdout", variables=variables)
    found = _REFUSED.findall(done.stderr)
    assert done.returncode == bool(found), done.stderr
    return found


def parameters(variables: Mapping[str, str]) -> dict[str, Value]:
    """Return the parameters that these variables come to, without those that are left at their default."""
    done = bicep("build-params", str(INFRA / "main.bicepparam"), "--stdout", variables=variables)
    assert done.returncode == 0, done.stderr
    assert diagnostics(done) == []
    given = json.loads(json.loads(done.stdout)["parametersJson"])["parameters"]
    return {name: parameter["value"] for name, parameter in given.items() if parameter["value"] is not None}


def template() -> dict[str, Value]:
    """Return the template that is sent to Azure."""
    done = bicep("build", str(INFRA / "main.bicep"), "--stdout")
    assert done.returncode == 0, done.stderr
    return cast("dict[str, Value]", json.loads(done.stdout))


def snapshot(variables: Mapping[str, str]) -> Snapshot:
    """Return what these variables come to."""
    with TemporaryDirectory() as folder:
        copied = shutil.copytree(INFRA, Path(folder) / "infra")
        place = [word for pair in _PLACE.items() for word in pair]
        done = bicep("snapshot", str(copied / "main.bicepparam"), *place, variables=variables)
        assert done.returncode == 0, done.stderr
        return Snapshot(json.loads((copied / "main.snapshot.json").read_text()))

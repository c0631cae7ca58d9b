"""The committed snapshots are those of the templates, and the templates are written as the compiler wants them."""

import re

import pytest

from tests.infra.clouds import in_cloud
from tests.infra.compiler import bicep, diagnostics, snapshot
from tests.infra.environments import ENVIRONMENTS, REQUIRED
from tests.infra.paths import INFRA, SNAPSHOTS
from tests.infra.snapshot import Snapshot

FILES = sorted([*INFRA.rglob("*.bicep"), *INFRA.glob("*.bicepparam")])
BEFORE = (SNAPSHOTS / "version-before.txt").read_text().splitlines()
PRINCIPAL = re.compile(r"reference\([^()]*\)\.principalId")


@pytest.mark.slow
@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_snapshots_are_those_of_the_templates(name: str) -> None:
    """``make snapshots`` writes them; their diff is what a change does to Azure."""
    assert (SNAPSHOTS / f"{name}.json").read_text() == snapshot(ENVIRONMENTS[name]).text, "run make snapshots"


@pytest.mark.slow
def test_the_compiler_has_nothing_to_say() -> None:
    """Every rule of its linter is an error in bicepconfig.json; the parameter file brings all other files with it."""
    done = bicep("lint", str(INFRA / "main.bicepparam"), variables=REQUIRED)
    assert (done.returncode, diagnostics(done)) == (0, [])


@pytest.mark.slow
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_file_is_formatted(path: str) -> None:
    formatted = bicep("format", str(path), "--stdout")
    assert formatted.stdout == INFRA.joinpath(path).read_text()


def test_an_environment_of_the_version_before_keeps_its_names() -> None:
    """Storage, vault, evidence and roles are taken over: Azure finds each of them under the name that it has.

    The list is what the template for a subscription came to, with the same variables.
    """
    private = Snapshot.read(SNAPSHOTS / "private.json")
    names = {
        f"{resource.type} {PRINCIPAL.sub('principal', resource.name)}"
        for resource in in_cloud(private, "AzureCloud").resources
    }
    gone = set(BEFORE) - names
    assert gone == {
        "Microsoft.Resources/resourceGroups rg-test",  # is there already
        "Microsoft.Web/sites/basicPublishingCredentialsPolicies func-test-7ulcq/ftp",  # does not exist on the plan
    }

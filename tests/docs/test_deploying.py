"""The pages about deploying say what infra/ has, every variable, role and provider, and no secret on a command line."""

import json
import re
from pathlib import Path

import pytest

from sandbox.processes import ROOT
from tests.docs.fences import PAGES, commands
from tests.infra.test_policies import POLICIES, Policy

INFRA = ROOT / "infra"
CHANGING = (ROOT / "docs" / "changing.md").read_text()
LANDING_ZONE = (ROOT / "docs" / "landing-zone.md").read_text()
VARIABLES = set(re.findall(r"readEnvironmentVariable\('(\w+)'", (INFRA / "main.bicepparam").read_text()))
# Said once for both: an id and its type, a secret and its end.
GO_WITH_ANOTHER = {
    "AZURE_PRINCIPAL_TYPE",
    "READERS_PRINCIPAL_TYPE",
    "AVEPOINT_CLIENT_SECRET_EXPIRES_ON",
    "ASSIGN_ROLES",  # nothing that is deployed changes
}


def used_by_the_templates() -> set[str]:
    """The providers of everything that the snapshots hold."""
    snapshots = [path.read_text() for path in (ROOT / "tests" / "infra" / "snapshots").glob("*.json")]
    return {name for text in snapshots for name in re.findall(r'"type": "(Microsoft\.\w+)/', text)}


def looked_at_by_preflight() -> set[str]:
    return set(
        re.findall(r"Microsoft\.\w+", (INFRA / "preflight" / "given.sh").read_text().partition("WITHOUT_ZONES")[0])
    )


def test_every_variable_can_or_cannot_be_changed() -> None:
    table = set(re.findall(r"`([A-Z_]+)", CHANGING.partition("## Which setting")[2].partition("\n## ")[0]))
    assert table >= VARIABLES - GO_WITH_ANOTHER


def test_every_role_stands_with_its_id() -> None:
    roles = dict(re.findall(r"^\| ([A-Z][\w ]+) \| `([0-9a-f-]{36})` \|", LANDING_ZONE, re.MULTILINE))
    assert roles == json.loads((INFRA / "roles.json").read_text())
    assert len(roles) == 9


@pytest.mark.parametrize("policy", POLICIES, ids=lambda policy: f"{policy.name} {policy.variable}")
def test_every_policy_stands_with_what_satisfies_it(policy: Policy) -> None:
    rows = [line for line in LANDING_ZONE.splitlines() if line.startswith(f"| {policy.name}")]
    assert any(f"`{policy.variable}" in row for row in rows) if policy.variable else rows


def test_every_provider_is_asked_for_and_looked_at() -> None:
    (loop,) = re.findall(r"for PROVIDER in ([\w ]+);", LANDING_ZONE)
    asked_for = {f"Microsoft.{name}" for name in loop.split()}
    assert asked_for == looked_at_by_preflight()
    assert used_by_the_templates() <= asked_for
    assert len(asked_for) == 13


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_no_secret_stands_on_a_command_line(page: Path) -> None:
    for fence in commands(page):
        assert not re.search(r"secret set [^|]*--value|-H \"x-functions-key: \$", fence.body), fence.body

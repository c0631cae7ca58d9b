"""What is sent to Azure, as far as no snapshot shows it."""

import re

import pytest

from tests.infra.compiler import template
from tests.infra.paths import INFRA
from tests.infra.snapshot import Value, at, items

pytestmark = pytest.mark.slow  # for the compiler


@pytest.fixture(scope="module")
def sent() -> dict[str, Value]:
    return template()


def resources(value: Value) -> list[dict[str, Value]]:
    """Every resource of a template, those of its modules too."""
    found = at(value, "resources")
    declared = [one for one in (found.values() if isinstance(found, dict) else []) if isinstance(one, dict)]
    return [*declared, *(inner for one in declared for inner in resources(at(one, "properties.template")))]


def test_it_is_for_one_resource_group(sent: dict[str, Value]) -> None:
    assert str(sent["$schema"]).endswith("/deploymentTemplate.json#")


def test_a_secret_is_put_in_once(sent: dict[str, Value]) -> None:
    """From then on the vault owns it: an old value in a pipeline would undo a renewal."""
    secrets = [one for one in resources(sent) if one["type"] == "Microsoft.KeyVault/vaults/secrets"]
    assert [one.get("@options") for one in secrets] == [{"onlyIfNotExists": []}]


def test_its_value_is_secure_and_its_name_is_not(sent: dict[str, Value]) -> None:
    kinds = {name: at(parameter, "type") for name, parameter in as_object(sent["parameters"]).items()}
    assert [name for name, kind in kinds.items() if "secure" in str(kind)] == ["secretValues"]
    assert kinds["secretNames"] == "array"


def test_endpoints_are_made_a_few_at_a_time_and_no_two_of_one_account_at_once(sent: dict[str, Value]) -> None:
    loop = at(as_object(sent["resources"])["endpoint"], "copy")
    size = at(loop, "batchSize")
    assert at(loop, "mode") == "serial"
    assert isinstance(size, int)
    made = [str(at(one, "name")) for one in items(at(sent, "variables.endpoints"))]
    batches = [made[start : start + size] for start in range(0, len(made), size)]
    assert [batch for batch in batches if len(batch) != len(set(batch))] == []


def test_they_wait_for_all_that_changes_what_they_lead_to(sent: dict[str, Value]) -> None:
    waits = set(items(as_object(as_object(sent["resources"])["endpoint"])["dependsOn"]))
    assert waits >= {"hostStorage", "dataStorage", "tablesStorage", "vault", "app"}


def test_nothing_depends_on_the_day_of_the_deployment(sent: dict[str, Value]) -> None:
    assert not re.search(r"\b(utcNow|newGuid)\(", str(sent))


def test_only_what_is_given_from_outside_is_looked_up() -> None:
    """Azure refuses a second look at a resource of the same file once one of them is read."""
    sources = "".join(path.read_text() for path in INFRA.rglob("*.bicep"))
    looked_up = re.findall(r"'([\w./]+)@[\w-]+' existing", sources)
    assert looked_up == ["Microsoft.ManagedIdentity/userAssignedIdentities"]


def as_object(value: Value) -> dict[str, Value]:
    assert isinstance(value, dict)
    return value
